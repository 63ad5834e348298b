"""What is packaged, and what decoding needs."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from fnmatch import fnmatch

from paths import GOLDEN, ROOT, SOURCE

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
#: Names to import of the packages that decoding needs; what these need themselves comes with them.
NEEDED = {"numpy": "numpy", "pillow": "PIL", "torch": "torch", "safetensors": "safetensors",
          "constriction": "constriction", "google-crc32c": "google_crc32c"}  # fmt: skip


def test_every_file_of_the_package_is_packaged() -> None:
    patterns = PROJECT["tool"]["setuptools"]["package-data"]["wavelic"]
    files = [path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*") if path.is_file()]
    files = [name for name in files if not name.endswith((".py", ".pyc"))]
    assert len(files) > 20
    assert [name for name in files if not any(fnmatch(name, pattern) for pattern in patterns)] == []
    for names in PROJECT["tool"]["setuptools"]["data-files"].values():
        assert all((ROOT / name).is_file() for name in names)


def test_decoding_needs_six_packages() -> None:
    """The other dependencies, of the command line and of TIFF, and all extras cannot be imported here."""
    extras = PROJECT["project"]["optional-dependencies"].values()
    stated = [*PROJECT["project"]["dependencies"], *(text for extra in extras for text in extra)]
    names = {re.split(r"[<>=\[ ]", text)[0].lower() for text in stated}
    assert names >= set(NEEDED)
    missing = {name.replace("-", "_") for name in names - set(NEEDED)} - {"wavelic"}
    assert {"typer", "rich", "tifffile"} <= missing
    code = f"""
import sys
sys.modules.update(dict.fromkeys({sorted(missing)}))
import wavelic
for name in sys.argv[1:]:
    print(wavelic.decode(name).shape)
"""
    files = [GOLDEN / "v1-wcae-rgb.wlic", sorted(GOLDEN.glob("v1-lifting-*-rgb.jp2"))[0]]
    files += [sorted(GOLDEN.glob("v1-weconvene*-rgb.wlic"))[0], GOLDEN / "v1-bilevel-drawing.wlic"]
    shown = subprocess.run([sys.executable, "-c", code, *files], capture_output=True, text=True, check=True).stdout
    assert shown.splitlines() == ["(61, 83, 3)"] * 3 + ["(61, 83, 1)"]


def test_continuous_integration_checks_the_wheel() -> None:
    assert "make wheel" in (ROOT / ".ci" / "run").read_text()
    assert "python .ci/check_wheel.py dist" in (ROOT / "Makefile").read_text()
