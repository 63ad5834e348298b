"""Clocks, processes and result files of the benchmarks.

Times are taken in turns: every contestant once, then all of them again.  The best of many turns is the time on free
cores even where the machine does other work, and processor time hardly depends on that work.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "results"
DOCS = ROOT / "docs"
#: Runs a command and writes its usage as JSON.  In a small process of its own, since the peak memory of a child
#: begins at that of the process it was made by.
_WITH_USAGE = """
import json, os, sys, time
report, *command = sys.argv[1:]
started = time.perf_counter()
_, status, used = os.wait4(os.posix_spawn(command[0], command, os.environ), 0)
wall = time.perf_counter() - started
with open(report, "w") as file:
    json.dump([wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024], file)
sys.exit(os.waitstatus_to_exitcode(status))
"""

_ALONE = """
import sys, time
from pathlib import Path
import numpy as np, wavelic
pixels, file, codec = sys.argv[1:]
small = wavelic.encode(np.zeros((64, 64, 3), np.uint8), codec)
wavelic.decode(small)
"""
#: Encodes an array file at quality 50 and prints the seconds; for `alone`.
ENCODE = f"""{_ALONE}
pixels = np.load(pixels)
started = time.perf_counter()
data = wavelic.encode(pixels, codec, quality=50)
print(time.perf_counter() - started)
Path(file).write_bytes(data)
"""
#: Decodes a file and prints the seconds; for `alone`.
DECODE = f"""{_ALONE}
data = Path(file).read_bytes()
started = time.perf_counter()
wavelic.decode(data)
print(time.perf_counter() - started)
"""


@dataclass(frozen=True)
class Seconds:
    """Time that some work took.

    Attributes:
        wall: seconds on the clock.
        processor: user and system time of all threads in seconds.
    """

    wall: float
    processor: float


@dataclass(frozen=True)
class Run:
    """A finished process.

    Attributes:
        seconds: its time, with that of its children.
        peak_mb: its largest resident size in MiB.
        output: its standard output.
    """

    seconds: Seconds
    peak_mb: float
    output: str


def timed(work: Callable[[], object]) -> Seconds:
    """Call ``work`` once."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return Seconds(time.perf_counter() - wall, time.process_time() - processor)


def take_turns(tasks: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, list[Seconds]]:
    """Time all tasks ``repeats`` times in turns, after one turn that is not counted."""
    times: dict[str, list[Seconds]] = {name: [] for name in tasks}
    for turn in range(repeats + 1):
        for name, task in tasks.items():
            seconds = timed(task)
            if turn:
                times[name].append(seconds)
    return times


def best(times: Iterable[Seconds]) -> Seconds:
    """The least of each clock."""
    return _chosen(times, min)


def median(times: Iterable[Seconds]) -> Seconds:
    """The median of each clock."""
    return _chosen(times, statistics.median)


def _chosen(times: Iterable[Seconds], choose: Callable[[list[float]], float]) -> Seconds:
    times = list(times)
    return Seconds(choose([t.wall for t in times]), choose([t.processor for t in times]))


def run(command: Sequence[str], *, threads: int | None = None, environment: Mapping[str, str] | None = None) -> Run:
    """Run a command to its end in the repository's root.

    Args:
        command: program and arguments.
        threads: value of OMP_NUM_THREADS; None leaves it as it is.
        environment: variables set besides.

    Raises:
        RuntimeError: it failed; the message is the end of its standard error.
    """
    variables = dict(os.environ) | dict(environment or {})
    variables.pop("PYTHONDONTWRITEBYTECODE", None)  # modules are compiled once, as those of an installation are
    if threads is not None:
        variables["OMP_NUM_THREADS"] = str(threads)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "usage"
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _WITH_USAGE, str(report), *command],
            capture_output=True,
            text=True,
            errors="replace",
            env=variables,
            cwd=ROOT,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(done.stderr.strip()[-600:])
        wall, processor, peak = json.loads(report.read_text())
    return Run(Seconds(wall, processor), peak, done.stdout)


def python(code: str, *arguments: object) -> list[str]:
    """Command that runs Python ``code`` with ``arguments`` in ``sys.argv[1:]``."""
    return [sys.executable, "-c", code, *map(str, arguments)]


def wavelic_command(*arguments: object) -> list[str]:
    """Command line of ``wavelic ARGUMENTS``."""
    return python("import sys; sys.argv[0] = 'wavelic'; from wavelic.cli.main import run; run()", *arguments)


def alone(code: str, pixels: Path, file: Path, codec: str, threads: int | None = None) -> tuple[float, float]:
    """Run `ENCODE` or `DECODE` in a process of its own.

    Args:
        code: one of both.
        pixels: array file that is encoded.
        file: compressed file that is written or read.
        codec: name of the codec.
        threads: value of OMP_NUM_THREADS; None leaves it as it is.

    Returns:
        Seconds without start and weights, and the largest resident size of the whole process in MiB.
    """
    finished = run(python(code, pixels, file, codec), threads=threads)
    return float(finished.output), finished.peak_mb


def parser(description: str | None) -> argparse.ArgumentParser:
    """Argument parser with ``--quick`` and ``--json``, whose help is the script's docstring."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--quick", action="store_true", help="small pictures, few repeats; no result file of its own")
    made.add_argument("--json", type=Path, metavar="FILE", help="result file; default: results/benchmarks/NAME.json")
    return made


def result_file(arguments: argparse.Namespace, name: str) -> Path | None:
    """Result file of benchmark ``name``; None for quick runs without ``--json``."""
    if arguments.json or arguments.quick:
        return arguments.json
    return RESULTS / "benchmarks" / f"{name}.json"


def write_results(document: object, path: Path | None) -> None:
    """Write ``document`` as JSON; None: nowhere."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document, indent=1) + "\n")


def machine(*packages: str) -> dict[str, Any]:
    """Processors, load average, Python and the versions of ``packages``, for result files."""
    return {
        "processor": platform.processor() or platform.machine(),
        "processors": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        **{name: _version(name) for name in packages},
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # a checkout that was not installed
        return "unknown"


def show(title: str, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table; the first column is text, the others numbers."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title)
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number else "left")
    for row in rows:
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 140).print(table)
