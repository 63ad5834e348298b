"""The house rules that a machine can check."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Container
from graphlib import TopologicalSorter
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from paths import SOURCE

from wavelic.codec.registry import CODECS

# docs/architecture.md: each room imports only rooms in rows below it, and itself
ROWS = (
    ("cli",),
    ("serving", "collections"),
    ("evaluation",),
    ("integrations",),
    ("api",),
    ("papers",),
    ("weconvene", "lifting", "jp2", "wcae", "threedm", "bilevel"),
    ("enhance",),
    ("training",),
    ("codec",),
    ("nn",),
    ("images",),
    ("wavelets", "entropy", "jpeg2000", "container"),
    ("remote", "memory", "threads", "workers"),
    ("errors", "rect"),
)
ROOMS = tuple(room for row in ROWS for room in row)


def _imports(path: Path) -> set[str]:
    """Rooms of wavelic that a file imports, also inside functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        found |= {name.split(".")[1] for name in names if name.startswith("wavelic.")}
    return found


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_import_downwards(room: str) -> None:
    files = list((SOURCE / room).rglob("*.py")) or [SOURCE / f"{room}.py"]
    row = next(number for number, rooms in enumerate(ROWS) if room in rooms)
    allowed = {room} | {below for rooms in ROWS[row + 1 :] for below in rooms}
    wrong = {(file.name, other) for file in files for other in _imports(file) - allowed}
    assert not wrong, f"imports upwards or sideways: {sorted(wrong)}"


def _modules(path: Path, names: Container[str]) -> set[str]:
    """Modules of wavelic that a module imports anywhere: when it is imported, inside functions, for types only."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            parts = (f"{node.module}.{alias.name}" for alias in node.names)
            found.update(part if part in names else node.module for part in parts)
    return found


def test_no_import_leads_in_a_circle() -> None:
    names = {
        ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts).removesuffix(".__init__"): path
        for path in SOURCE.rglob("*.py")
    }
    graph = {name: (_modules(path, names) & set(names)) - {name} for name, path in names.items()}
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


@pytest.mark.parametrize("name", [entry.partition(":")[0] for entry in CODECS.values()])
def test_a_codec_is_described_without_torch(name: str) -> None:
    code = f"import sys, {name}; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_nothing_above_the_codecs_asks_which_it_is() -> None:
    """No comparison with a codec's name, nor with the number of one, outside the codecs' rooms and the container."""
    above = ("cli", "serving", "collections", "evaluation", "integrations", "api", "training", "codec", "papers")
    found = []
    for path in (file for room in above for file in (SOURCE / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Compare):
                parts = {ast.unparse(part) for part in (node.left, *node.comparators)}
                literals = {f"{quote}{name}{quote}" for name in CODECS for quote in "'\""}
                if parts & literals or any("CodecId" in part for part in parts):
                    found.append(f"{path.name}: {ast.unparse(node)}")
    assert not found


def _glossary() -> list[str]:
    page = (SOURCE.parents[1] / "docs" / "architecture.md").read_text()
    rows = page.partition("## Glossary")[2].splitlines()[4:]
    return [name for row in rows for name in re.findall(r"`([\w.]+)`", row.rpartition(" | ")[2])]


@pytest.mark.parametrize("name", _glossary())
def test_the_glossary_names_what_exists(name: str) -> None:
    found: Any = import_module("wavelic")
    for part in name.split("."):
        if isinstance(found, ModuleType) and not hasattr(found, part):
            import_module(f"{found.__name__}.{part}")
        found = getattr(found, part)


def test_the_page_has_the_same_rows() -> None:
    page = (SOURCE.parents[1] / "docs" / "architecture.md").read_text()
    rows = [row.split("|")[2] for row in page.splitlines() if re.match(r"\| \d+ \|", row)]
    assert [tuple(re.findall(r"`(\w+)`", row)) for row in rows] == list(ROWS)


def test_every_room_is_listed() -> None:
    rooms = {path.name for path in SOURCE.iterdir() if path.is_dir() and path.name not in ("__pycache__", "weights")}
    assert rooms <= set(ROOMS)


@pytest.mark.parametrize("module", ["wavelic", "wavelic.cli.main", "wavelic.container", "wavelic.images"])
def test_light_imports(module: str) -> None:
    heavy = "{'torch', 'scipy', 'matplotlib', 'jinja2', 'accelerate', 'starlette', 'uvicorn'}"
    code = f"import sys, {module}; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_the_command_lets_threads_sleep_unless_told_otherwise() -> None:
    code = "import os, wavelic.cli.main; print(os.environ['GOMP_SPINCOUNT'])"
    for given, expected in (({}, "10000"), ({"GOMP_SPINCOUNT": "7"}, "7")):
        environment = {key: value for key, value in os.environ.items() if key != "GOMP_SPINCOUNT"} | given
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
        assert run.stdout.strip() == expected
