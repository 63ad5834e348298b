"""The benchmarks: what they import exists, what they share is right, one of them runs."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from paths import BENCHMARKS, EXAMPLES, FUZZ, ROOT
from PIL import Image

sys.path.insert(0, str(ROOT))
from benchmarks import measuring, pictures

SCRIPTS = [path for folder in (BENCHMARKS, EXAMPLES, FUZZ) for path in sorted(folder.rglob("*.py"))]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_script_imports_exists(path: Path) -> None:
    """Also inside functions, which no other test may call."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] in ("wavelic", "benchmarks"):
            module = importlib.import_module(str(node.module))
            for alias in node.names:
                if not hasattr(module, alias.name):
                    importlib.import_module(f"{node.module}.{alias.name}")


def test_a_benchmark_runs_by_itself(tmp_path: Path) -> None:
    report = tmp_path / "results" / "report.json"
    command = [sys.executable, "-m", "benchmarks.speed.entropy_coding", "--quick", "--json", str(report)]
    shown = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert "times as fast" in shown
    found = json.loads(report.read_text())
    assert 1 <= found["bytes_over_ideal"] < 1.001
    assert set(found["symbols_per_second"]) == set(found["median_symbols_per_second"])


def test_an_unknown_benchmark_is_refused_with_the_names_of_all() -> None:
    command = [sys.executable, "-m", "benchmarks.speed", "no_such"]
    refused = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert refused.returncode == 2
    assert "no_such" in refused.stderr
    assert "wavelet_transforms" in refused.stderr


def test_tasks_take_turns_and_the_first_turn_does_not_count() -> None:
    calls: list[str] = []
    times = measuring.take_turns({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 3)
    assert calls == ["a", "b"] * 4
    assert [len(values) for values in times.values()] == [3, 3]
    seconds = [measuring.Seconds(wall, 10 - wall) for wall in (3.0, 1.0, 2.0)]
    assert measuring.best(seconds) == measuring.Seconds(1.0, 7.0)
    assert measuring.median(seconds) == measuring.Seconds(2.0, 8.0)


def test_a_process_is_measured_by_itself() -> None:
    """However large this one is: its memory does not count as the child's."""
    ballast = np.ones(100 << 20, np.uint8)
    small = measuring.run(measuring.python("print('x')"))
    assert small.output == "x\n"
    assert small.peak_mb < 60
    large = measuring.run(measuring.python("b = b'x' * (80 << 20)"))
    assert large.peak_mb > small.peak_mb + 70
    assert len(ballast) == 100 << 20
    with pytest.raises(RuntimeError, match="no such thing"):
        measuring.run(measuring.python("raise SystemExit('no such thing')"))


def test_pictures_are_the_same_every_time(tmp_path: Path) -> None:
    first, again = pictures.some_crops(3, 64), pictures.some_crops(3, 64)
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert not (first[0] == first[1]).all()
    assert pictures.mosaic(100, 150, 64).shape == (100, 150, 3)
    Image.fromarray(first[0]).save(tmp_path / "a.png")
    assert pictures.some_crops(1, 64, tmp_path)[0].shape == (64, 64, 3)
    with pytest.raises(SystemExit, match="65 pixels a side"):
        pictures.some_crops(1, 65, tmp_path)
