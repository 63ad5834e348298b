"""The house rules that a machine can check."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src" / "wavelic"
# docs/architecture.md: each room imports only rooms in rows below it, and itself
ROWS = (
    ("cli",),
    ("serving", "collections"),
    ("evaluation",),
    ("integrations",),
    ("api",),
    ("papers",),
    ("weconvene", "lifting", "wcae", "threedm"),
    ("training",),
    ("codec",),
    ("nn",),
    ("wavelets", "entropy", "jpeg2000", "container"),
    ("images",),
    ("remote", "memory", "threads", "workers"),
    ("errors",),
)
ROOMS = tuple(room for row in ROWS for room in row)
#: Imports that still go upwards or sideways; this set may only shrink.
TO_BE_TURNED = {
    ("wcae", "lifting"),
    ("wcae", "papers"),
    ("wcae", "weconvene"),
    ("training", "weconvene"),
}


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
    turned = {(room, other) for file in files for other in _imports(file) - allowed}
    assert turned <= TO_BE_TURNED, f"imports upwards or sideways: {sorted(turned - TO_BE_TURNED)}"


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
