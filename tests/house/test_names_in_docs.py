"""Files, folders and modules that the documentation names exist."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
from paths import DOCS, ROOT, SOURCE

from wavelic.codec import registry
from wavelic.evaluation import quality

PAGES = [ROOT / "README.md", ROOT / "benchmarks" / "README.md", *sorted(DOCS.glob("*.md"))]
FOLDERS = ("applications", "benchmarks", "docs", "examples", "fuzz", "requirements", "results", "src", "tests")
#: Every Python file of the repository, with a slash before its path so that a tail of it can be looked for.
PYTHON_FILES = [f"/{path.relative_to(ROOT)}" for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
IN_A_FOLDER = rf"(?<![\w./-])(?:{'|'.join(FOLDERS)})/[\w.*/-]*"


def inline_code(text: str) -> list[str]:
    """What stands between backquotes; blocks of code do not count."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))


def missing_paths(text: str) -> list[str]:
    """Paths below one of our top folders, and Python files named by the end of their path, that do not exist.

    Blocks of code may name files of the reader's; only Python files count in them.
    """
    code = inline_code(text)
    found = {path for piece in code for path in re.findall(IN_A_FOLDER, piece)}
    found |= {path for path in re.findall(IN_A_FOLDER, text) if path.endswith(".py")}
    missing = {path for path in found if not any(ROOT.glob(path.rstrip("/.")))}
    for tail in {piece for piece in code if re.fullmatch(r"[\w*/]+\.py", piece)} - found:
        pattern = re.compile(".*/" + re.escape(tail).replace(r"\*", "[^/]*"))
        if not any(pattern.fullmatch(file) for file in PYTHON_FILES):
            missing.add(tail)
    return sorted(missing)


def missing_names(text: str) -> list[str]:
    """Dotted names below ``wavelic`` or ``benchmarks`` that are neither a module nor an attribute of one."""
    names = set(re.findall(r"(?<![\w./@-])wavelic(?:\.[A-Za-z_]\w*)+", text)) - {registry.GROUP, quality.GROUP}
    scripts = set(re.findall(r"(?<![\w./@-])benchmarks(?:\.\w+)+", text))
    return sorted(
        {name for name in names if not _exists(name)}
        | {name for name in scripts if not _is_module(ROOT.joinpath(*name.split(".")))}
    )


def _exists(name: str) -> bool:
    parts = name.split(".")
    depth = 1
    while depth < len(parts) and _is_module(SOURCE.joinpath(*parts[1 : depth + 1])):
        depth += 1
    found: object = importlib.import_module(".".join(parts[:depth]))
    for part in parts[depth:]:
        if not hasattr(found, part):
            return False
        found = getattr(found, part)
    return True


def _is_module(path: Path) -> bool:
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_paths_exist(page: Path) -> None:
    assert missing_paths(page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_modules_exist(page: Path) -> None:
    assert missing_names(page.read_text(encoding="utf-8")) == []


def test_what_is_not_there_is_found() -> None:
    text = """`tests/test_cli.py` and `codecs/api.py`, not `cli/main.py`, `tests/cli/` or `python docs/gone.md`.
```
python benchmarks/gone.py results/mine.json
```
"""
    assert missing_paths(text) == ["benchmarks/gone.py", "codecs/api.py", "docs/gone.md", "tests/test_cli.py"]
    text = "`wavelic.codecs.api`, wavelic.encode, `wavelic.entropy.Nothing`, a@wavelic.org, benchmarks.x"
    assert missing_names(text) == ["benchmarks.x", "wavelic.codecs.api", "wavelic.entropy.Nothing"]
