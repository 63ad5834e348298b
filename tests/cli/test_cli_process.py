"""The command line as a process of its own: what it loads, what errors cost, signals, pipes and worker processes."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import PIL.Image
import pytest

import wavelic
from wavelic.container import Container, read_container, write_container

#: Modules loaded for help: about 330; torch alone would add a thousand.
MODULES = 450
HEAVY = ("torch", "scipy", "matplotlib")
SECONDS, MEGABYTES = 10.0, 500  # against hangs and floods, not measurements

#: Runs the command and leaves behind what it cost: processor seconds, peak memory, heavy modules loaded.
MEASURED = f"""
import json, sys, time
usage = sys.argv.pop(1)
try:
    from wavelic.cli.main import run
    run()
finally:
    peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
    heavy = [name for name in {HEAVY} if name in sys.modules]
    json.dump([time.process_time(), int(peak) / 1024, heavy, len(sys.modules)], open(usage, "w"))
"""


@dataclass(frozen=True)
class Finished:
    """A run of the command: ``seconds`` of processor, ``megabytes`` at the peak, heavy modules, how many it loaded."""

    code: int
    stdout: bytes
    stderr: str
    seconds: float
    megabytes: float
    heavy: list[str]
    modules: int


#: Runs command lines, each in a fork of this process that has loaded the command, and leaves what MEASURED does.
FORKED = f"""
import json, os, sys
import numpy, pydantic.types, rich.console, wavelic.api, wavelic.images, wavelic.cli.decode, wavelic.cli.encode
from wavelic.cli.main import run
place, jobs = sys.argv[1], json.loads(sys.argv[2])
for number, (words, folder) in enumerate(jobs):
    start = os.path.join(place, str(number))
    if not (child := os.fork()):
        for stream, kind in ((1, "out"), (2, "err")):
            os.dup2(os.open(f"{{start}}.{{kind}}", os.O_CREAT | os.O_WRONLY, 0o600), stream)
        os.chdir(folder)
        sys.argv = ["wavelic", f"{{start}}.usage", *words]
        exec({MEASURED!r})
        sys.exit(0)
    with open(f"{{start}}.code", "w") as file:
        file.write(str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])))
"""


class Failed(NamedTuple):
    """A run, and whether its folder changed."""

    run: Finished
    changed: bool


def times(folder: Path) -> dict[Path, int]:
    """When each file was last changed."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def run(folder: Path, *arguments: str, stdin: bytes = b"") -> Finished:
    usage = folder.parent / f"{folder.name}.usage"
    command = [sys.executable, "-c", MEASURED, str(usage), *arguments]
    done = subprocess.run(command, cwd=folder, input=stdin, capture_output=True, env=environment(), timeout=120)
    return Finished(done.returncode, done.stdout, done.stderr.decode(), *json.loads(usage.read_text()))


@contextmanager
def started(folder: Path, *arguments: str, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """The command running, in a process group of its own."""
    command = [sys.executable, "-c", "from wavelic.cli.main import run; run()", *arguments]
    streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "start_new_session": True}
    process = subprocess.Popen(command, cwd=folder, env=environment(), **(streams | options))
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # with its workers, which have its pipes and may outlive it
        process.communicate()


def png(width: int, height: int, data: bytes) -> bytes:
    """A PNG file that claims a size, whatever its data holds."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(data)), (b"IEND", b"")]
    pieces = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(pieces)


@pytest.fixture(scope="module")
def good() -> Container:
    pixels = np.random.default_rng(3).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    return read_container(wavelic.encode(pixels))


@pytest.fixture
def folder(tmp_path: Path, good: Container) -> Path:
    return everything_wrong(tmp_path / "place", good)


def everything_wrong(place: Path, good: Container) -> Path:
    """A new folder with everything that can be wrong with a file, by name."""
    place.mkdir()
    data = write_container(good)
    PIL.Image.new("RGB", (50, 40), "teal").save(place / "photo.png")
    PIL.Image.new("CMYK", (50, 40)).save(place / "cmyk.jpg")
    photo = (place / "photo.png").read_bytes()
    damaged = bytearray(data)
    damaged[80] ^= 1
    files = {
        "text.png": b"this is not an image\n" * 100,
        "cut.png": photo[: len(photo) * 2 // 3],
        "empty.png": b"",
        "huge.png": png(65535, 65535, bytes(1000)),
        "wide.png": png(2**31 - 1, 1, bytes(1000)),
        "good.wlic": data,
        "text.wlic": b"this is not an image\n" * 100,
        "cut.wlic": data[: len(data) * 2 // 3],
        "header.wlic": data[:30],
        "empty.wlic": b"",
        "huge.wlic": write_container(replace(good, header=replace(good.header, width=65535, height=65535))),
        "version.wlic": data[:8] + b"\x02" + data[9:],
        "model.wlic": write_container(replace(good, header=replace(good.header, model=bytes(16)))),
        "damaged.wlic": bytes(damaged),
        "exists.png": b"precious",
        "exists.wlic": b"precious",
    }
    for name, content in files.items():
        (place / name).write_bytes(content)
    (place / "folder.wlic").mkdir()
    return place


ERRORS = [
    ("encode text.png x.wlic", 3, "not an image"),
    ("encode cut.png x.wlic", 3, "damaged or cut short"),
    ("encode empty.png x.wlic", 3, "is empty"),
    ("encode huge.png x.wlic", 3, "huge.png"),
    ("encode wide.png x.wlic", 3, "wide.png"),
    ("encode cmyk.jpg x.wlic", 3, "CMYK"),
    ("encode missing.png x.wlic", 3, "does not exist"),
    ("encode folder.wlic x.wlic", 3, "is a folder"),
    ("encode damaged.wlic x.wlic", 5, "checksum"),
    ("encode photo.png exists.wlic", 8, "exists; use --force"),
    ("encode photo.png nowhere/x.wlic", 8, "does not exist; create it"),
    ("encode photo.png exists.png/x.wlic", 8, "exists.png"),
    ("encode photo.png /proc/x.wlic", 8, "cannot be written"),
    ("encode text.png photo.png cut.png missing.png exists.wlic", 2, "4 inputs"),
    ("decode text.wlic x.png", 4, "not a .wlic file"),
    ("decode photo.png x.png", 4, "not a .wlic file"),
    ("decode cut.wlic x.png", 4, "get it again"),
    ("decode header.wlic x.png", 4, "ends after 30 bytes"),
    ("decode empty.wlic x.png", 4, "is empty"),
    ("decode huge.wlic x.png", 6, "above the limit"),
    ("decode version.wlic x.png", 4, "version 2"),
    ("decode model.wlic x.png", 7, "hash 00000000"),
    ("decode damaged.wlic x.png", 5, "checksum"),
    ("decode missing.wlic x.png", 3, "cannot be read"),
    ("decode folder.wlic x.png", 3, "cannot be read"),
    ("decode good.wlic exists.png", 8, "exists; use --force"),
    ("decode good.wlic nowhere/x.png", 8, "does not exist; create it"),
    ("info model.wlic damaged.wlic", 5, "checksum"),
    ("info huge.wlic", 6, "above the limit"),
]


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory, good: Container) -> dict[str, Failed]:
    """What each command of ERRORS leaves: each has a folder and a process of its own, forked from one."""
    place = tmp_path_factory.mktemp("errors")
    jobs = [(command.split(), str(everything_wrong(place / str(i), good))) for i, (command, *_) in enumerate(ERRORS)]
    before = [times(Path(folder)) for _, folder in jobs]
    line = [sys.executable, "-c", FORKED, str(place), json.dumps(jobs)]
    subprocess.run(line, check=True, env=environment(), timeout=600)
    results = {}
    for i, (command, *_) in enumerate(ERRORS):
        said, errors, usage = ((place / f"{i}.{kind}").read_bytes() for kind in ("out", "err", "usage"))
        code = int((place / f"{i}.code").read_text())
        changed = times(Path(jobs[i][1])) != before[i]
        results[command] = Failed(Finished(code, said, errors.decode(), *json.loads(usage)), changed)
    return results


@pytest.mark.parametrize(("command", "code", "cause"), ERRORS, ids=[row[0] for row in ERRORS])
def test_errors_are_one_line_cheap_and_leave_nothing(
    command: str, code: int, cause: str, failed: dict[str, Failed]
) -> None:
    done, changed = failed[command]
    assert done.code == code, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("wavelic: error: ")
    assert cause in line
    assert len(line) < 300
    assert not changed
    assert done.seconds < SECONDS
    assert done.megabytes < MEGABYTES
    assert done.heavy == []


@pytest.mark.parametrize("arguments", [["--help"], ["encode", "--help"], ["--version"], ["demo", "--help"]])
def test_help_is_light(arguments: list[str], tmp_path: Path) -> None:
    done = run(tmp_path, *arguments)
    assert (done.code, done.heavy) == (0, [])
    assert done.modules < MODULES
    assert b"wavelic" in done.stdout


def test_the_module_is_the_command_and_shells_complete_it() -> None:
    command = [sys.executable, "-m", "wavelic"]
    assert subprocess.check_output([*command, "--version"], text=True) == f"wavelic {wavelic.__version__}\n"
    words = {"_WAVELIC_COMPLETE": "complete_bash", "COMP_WORDS": "wavelic encode --codec wec", "COMP_CWORD": "3"}
    assert subprocess.check_output(command, text=True, env={**os.environ, **words}).strip() == "weconvene"


def test_importing_loads_neither_numpy_nor_rich_nor_torch() -> None:
    code = "import sys, wavelic.cli.main; print([m for m in ('numpy', 'rich', 'torch', 'scipy') if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_standard_output_is_only_json(folder: Path) -> None:
    done = run(folder, "encode", "photo.png", "text.png", "out/", "--json", "--bpp", "0.5")
    assert [row.get("exit_code", 0) for row in json.loads(done.stdout)["files"]] == [0, 3]
    assert done.code == 3


def test_an_empty_standard_input_is_an_error(folder: Path) -> None:
    for command, code in (("encode", 3), ("decode", 4)):
        done = run(folder, command, "-", "-")
        assert (done.code, done.stdout) == (code, b"")
        assert "is empty" in done.stderr


def test_worker_processes_give_the_same_files(folder: Path) -> None:
    for number in range(2):
        PIL.Image.new("RGB", (70 + number, 50), (200, 90 * number, 30)).save(folder / f"w{number}.png")
    inputs = ["w0.png", "text.png", "w1.png"]
    done = run(folder, "encode", *inputs, "many/", "-j", "2", "--json")
    assert done.code == 3
    assert "torch" not in done.heavy  # only the workers need it
    assert [row["input"] for row in json.loads(done.stdout)["files"]] == inputs
    for number in range(2):
        image = wavelic.load_image(folder / f"w{number}.png")
        assert (folder / "many" / f"w{number}.wlic").read_bytes() == wavelic.encode(image)
    assert len(list((folder / "many").iterdir())) == 2


@pytest.mark.parametrize("arguments", [["models", "--json"], ["--help"], ["info", "good.wlic"]])
def test_a_reader_that_goes_away_is_no_error(arguments: list[str], folder: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with started(folder, *arguments, stdout=writer) as process:
        os.close(writer)
        assert process.communicate(timeout=60)[1] == b""
        assert process.returncode in (1, 141)


@pytest.mark.parametrize(
    ("number", "workers"), [(signal.SIGINT, "1"), (signal.SIGINT, "2"), (signal.SIGTERM, "2")], ids=str
)
def test_a_signal_ends_the_work_without_traceback_or_debris(number: signal.Signals, workers: str, folder: Path) -> None:
    for name in ("big1.bmp", "big2.bmp"):
        PIL.Image.new("RGB", (5000, 4000), "teal").save(folder / name)
    before = set(folder.rglob("*"))
    with started(folder, "encode", "big1.bmp", "big2.bmp", ".", "-j", workers) as process:
        deadline = time.monotonic() + 60
        while not list(folder.glob("*.tmp")) and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(0.1)
        os.killpg(process.pid, number) if number == signal.SIGINT else process.send_signal(number)
        assert b"Traceback" not in process.communicate(timeout=60)[1]
        assert process.returncode == 128 + number
    assert set(folder.rglob("*")) == before


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_workers_end_with_a_parent_that_was_killed(folder: Path) -> None:
    for name in ("big1.bmp", "big2.bmp"):
        PIL.Image.new("RGB", (5000, 4000), "teal").save(folder / name)
    with started(folder, "encode", "big1.bmp", "big2.bmp", ".", "-j", "2") as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        deadline = time.monotonic() + 60
        while not list(folder.glob("*.tmp")) and time.monotonic() < deadline:
            time.sleep(0.01)  # the workers are at work
        workers = children.read_text().split()
        assert len(workers) >= 2
        process.kill()  # the parent alone
        process.communicate(timeout=30)  # which ends when no worker has its pipes any more
        assert process.returncode == -signal.SIGKILL
