"""Mutated files: a picture or one of our errors, in bounded time and memory (in a process of its own)."""

from __future__ import annotations

import json
import subprocess
import sys

from paths import FUZZ

FUZZER = FUZZ / "fuzz_jpeg2000.py"


def test_mutated_files_give_pictures_or_our_errors() -> None:
    command = [sys.executable, str(FUZZER), "--files", "1000", "--seed", "5"]
    finished = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    report = json.loads(finished.stdout)
    assert report["bugs"] == []
    assert report["outcomes"]["FormatError"] > 200
    assert report["outcomes"]["decoded"] > 100  # bodies carry no checksum of their own; the carrier's box has one
    assert report["peak_mb"] < 1000
