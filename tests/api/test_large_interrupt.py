"""Interrupting the work on a large image: no output, no temporary file, the exit code of the signal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from pictures import picture

import wavelic
from wavelic.errors import UsageError
from wavelic.jpeg2000 import encode as encode_module
from wavelic.jpeg2000 import encode_codestream
from wavelic.jpeg2000.interruptible import Abandoned, run_interruptibly

SECONDS = 90  # that a command may take at most on a busy machine; what it does not wait for takes longer

# A `wavelic` command for which every image is large: small windows, codes in a temporary file.  It sends itself a
# signal when {function} of {module} is called for the third time, in the middle of a level.
IN_A_WINDOW = """if True:
    import os, signal, sys
    from wavelic.lifting.jp2 import {module}, sample_store, synthesis, windows
    from wavelic.lifting import encode as lifting_encode
    from wavelic.cli.main import run
    windows.WINDOW, lifting_encode.IN_WINDOWS, synthesis.BY_LEVELS, sample_store.IN_MEMORY = 64, 0, 0, 0
    real, calls = {module}.{function}, []
    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 3:
            os.kill(os.getpid(), signal.{name})
        return real(*arguments)
    {module}.{function} = interrupted
    run()
"""

# The same while the library is at work, for which a call that does not come back stands.
IN_THE_LIBRARY = """if True:
    import os, signal, sys, time
    from wavelic.lifting.jp2 import sample_store, windows
    from wavelic.lifting import encode as lifting_encode
    from wavelic.cli.main import run
    from wavelic.jpeg2000 import encode
    windows.WINDOW, lifting_encode.IN_WINDOWS, sample_store.IN_MEMORY, encode._IN_BACKGROUND = 64, 0, 0, 0
    def never_ends(*_):
        os.kill(os.getpid(), signal.{name})
        time.sleep(1000)
    encode._encode = never_ends
    run()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("large")
    pixels = np.stack([picture(150, 200, 8, seed) for seed in range(3)], -1).astype(np.uint8)
    wavelic.save_image(wavelic.Image(pixels), folder / "image.png")
    (folder / "image.jp2").write_bytes(wavelic.encode(pixels, "lifting", bpp=1))
    (folder / "temporary").mkdir()
    return folder


def run(folder: Path, code: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    environment = dict(os.environ, TMPDIR=str(folder / "temporary"), OMP_NUM_THREADS="1")
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, timeout=SECONDS)


ENCODE, DECODE = ("encode", "image.png", "x.jp2"), ("decode", "image.jp2", "x.tif")


@pytest.mark.parametrize(
    ("name", "code", "arguments"),
    [
        ("SIGINT", IN_A_WINDOW.format(module="analysis", function="to_codes", name="SIGINT"), ENCODE),
        ("SIGTERM", IN_THE_LIBRARY.format(name="SIGTERM"), ENCODE),
        ("SIGTERM", IN_A_WINDOW.format(module="synthesis_levels", function="to_pixels", name="SIGTERM"), DECODE),
    ],
    ids=["window", "library", "decode"],
)
def test_a_signal_leaves_nothing(name: str, code: str, arguments: tuple[str, ...], folder: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    done = run(folder, code, *arguments)
    assert done.returncode == 128 + signal.Signals[name], done.stderr
    assert b"Traceback" not in done.stderr
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()} == before


def test_the_same_commands_finish_without_a_signal(folder: Path, tmp_path: Path) -> None:
    code = IN_A_WINDOW.format(module="analysis", function="to_codes", name="SIGINT").replace("== 3", "== -3")
    done = run(folder, code, "encode", "image.png", str(tmp_path / "x.jp2"))
    assert done.returncode == 0, done.stderr
    assert wavelic.open(tmp_path / "x.jp2").shape == (150, 200, 3)
    assert list((folder / "temporary").iterdir()) == []


class Alarm(Exception):
    """What the handler of a test raises."""


def test_a_wait_ends_at_once_and_the_work_at_its_next_step() -> None:
    go_on, ended = threading.Event(), threading.Event()
    after: list[BaseException] = []

    def task(check: object) -> None:
        os.kill(os.getpid(), signal.SIGUSR1)
        go_on.wait(SECONDS)  # as a call into C does, this takes no notice
        try:
            check()  # type: ignore[operator]
        except Abandoned as error:
            after.append(error)
        ended.set()

    def handler(*_: object) -> None:
        raise Alarm

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        with pytest.raises(Alarm):
            run_interruptibly(task)
        assert not ended.is_set()
        go_on.set()
        assert ended.wait(SECONDS)
        assert len(after) == 1
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_results_and_errors_come_from_the_other_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_interruptibly(lambda check: threading.current_thread() is threading.main_thread()) is False
    with pytest.raises(ZeroDivisionError):
        run_interruptibly(lambda check: 1 // 0)
    ticks: list[int] = []
    monkeypatch.setattr("wavelic.jpeg2000.interruptible._TICK_SECONDS", 0.001)
    run_interruptibly(lambda check: time.sleep(0.05), lambda: ticks.append(1))
    assert ticks
    plane = picture(40, 50, 8, 1)
    expected = encode_codestream([plane], 8)
    monkeypatch.setattr(encode_module, "_IN_BACKGROUND", 0)
    assert encode_codestream([plane], 8) == expected
    outside: list[bytes] = []
    thread = threading.Thread(target=lambda: outside.append(encode_codestream([plane], 8)))
    thread.start()
    thread.join()
    assert outside == [expected]


def test_a_tile_the_library_cannot_count_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    plane = picture(40, 50, 8, 1)
    monkeypatch.setattr(encode_module, "_TILE_BITS", 8 * 40 * 50)
    with pytest.raises(UsageError, match="50 x 40 with 1 components"):
        encode_codestream([plane], 8)
