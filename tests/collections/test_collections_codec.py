"""Collections with a real codec, through the command line: the files, the figures, the exit codes."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from commands import error_of, wavelic_cli

import wavelic
from wavelic.collections import Job, encode_collection, evaluate_collection, verify_collection
from wavelic.collections.check import CheckShard
from wavelic.collections.engine import Finished
from wavelic.collections.job import read_job
from wavelic.collections.shard import EncodeShard, Task, Work
from wavelic.errors import WavelicError


class Inline:
    """An engine without processes."""

    name, workers = "inline", 1

    def __init__(self, work: Work) -> None:
        self.work = work

    def start(self, task: Task) -> None:
        try:
            self.finished = Finished(task.number, self.work(task))
        except WavelicError as error:
            self.finished = Finished(task.number, error=error)

    def wait(self, seconds: float) -> list[Finished]:
        return [self.finished]

    def close(self) -> None:
        pass


def quiet(*_: object) -> None:
    pass


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-c", "from wavelic.cli.main import run; run()", *arguments]
    return subprocess.run(line, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, timeout=500)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory, picture: Any) -> Path:
    folder = tmp_path_factory.mktemp("source")
    PIL.Image.fromarray(picture(170, 180)).save(folder / "a.png")
    PIL.Image.fromarray(picture(33, 47, seed=1)).save(folder / "b.png")
    PIL.Image.fromarray(picture(20, 30, 4, seed=2)).save(folder / "c.webp", lossless=True)
    PIL.Image.fromarray(picture(16, 16)).convert("CMYK").save(folder / "d.tif")
    (folder / "e.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return folder


def test_encode_dir_writes_what_encode_writes(source: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    done = command("encode-dir", str(source), str(output), "-q", "30", "--shard-size", "2", "-j", "1", "--json")
    assert done.returncode == 3
    report = json.loads(done.stdout)
    assert (report["coded"], report["failed"], report["shards"]) == (3, 2, 3)
    assert "CMYK" in done.stderr
    coded: dict[str, bytes] = {}
    for path in sorted(output.glob("*.tar")):
        with tarfile.open(path) as archive:
            coded |= {member.name: archive.extractfile(member).read() for member in archive}
    assert list(coded) == ["a.wlic", "b.wlic", "c.wlic"]
    rows = [json.loads(line) for path in sorted(output.glob("*.jsonl")) for line in path.read_text().splitlines()]
    for row in rows[:3]:
        original = wavelic.load_image(source / row["source"])
        assert coded[row["file"]] == wavelic.encode(original, quality=30)
        error = wavelic.decode(coded[row["file"]])[..., :3].astype(float) - original.colour()
        assert row["psnr"] == pytest.approx(10 * np.log10(255**2 / np.square(error).mean()), abs=0.01)
        assert row["bytes"] == len(coded[row["file"]])
    assert report["bytes"] == sum(map(len, coded.values()))
    assert str(source) not in "".join(path.read_text() for path in output.glob("*.jsonl"))

    found = verify_collection(output, Inline(CheckShard(read_job(output), compare=False)), step=quiet)
    assert (found["complete"], found["sound"], found["uncoded"], found["damaged"]) == (True, 3, 2, 0)
    measured = evaluate_collection(source, output, Inline(CheckShard(read_job(output), compare=True)), step=quiet)
    assert measured["psnr"] == pytest.approx(report["mean_psnr"], abs=0.01)
    assert (measured["psnr_images"], measured["ms_ssim_images"]) == (3, 1)
    assert 0.5 < measured["ms_ssim"] < 1

    victim = output / "shard-000000.tar"
    data = bytearray(victim.read_bytes())
    data[512 + 100] ^= 1  # in the first file, after its header of 512 bytes
    victim.write_bytes(data)
    done = command("verify-dir", str(output), "-j", "1", "--json")
    assert done.returncode == 5
    (problem,) = json.loads(done.stdout)["problems"]
    assert problem["source"] == "a.png"


def test_lifting_makes_jp2_files(source: Path, tmp_path: Path) -> None:
    job = Job("lifting", ("bpp", 2.0), layout="tree", shard_size=100, strip=True)
    report = encode_collection(source, tmp_path / "out", job, Inline(EncodeShard(job)), step=quiet)
    assert report["coded"] == 3
    with PIL.Image.open(io.BytesIO((tmp_path / "out" / "a.jp2").read_bytes())) as opened:
        assert (opened.format, opened.size) == ("JPEG2000", (180, 170))
    found = verify_collection(tmp_path / "out", Inline(CheckShard(job, compare=False)), step=quiet)
    assert (found["sound"], found["complete"]) == (3, True)


@pytest.mark.parametrize(("codec", "extension"), [("weconvene", "wlic"), ("lifting", "jp2")])
def test_files_for_reading_windows(source: Path, tmp_path: Path, codec: str, extension: str) -> None:
    images, output = tmp_path / "images", tmp_path / "out"
    images.mkdir()
    PIL.Image.fromarray(wavelic.load_image(source / "a.png").pixels.repeat(2, 0).repeat(2, 1)).save(images / "a.png")
    options = ["--codec", codec, "-q", "30", "--layout", "tree", "-j", "1"]
    windows = ["--access", "windows"]
    assert wavelic_cli("encode-dir", images, output, *options, *windows).exit_code == 0
    data = (output / f"a.{extension}").read_bytes()
    assert data == wavelic.encode(wavelic.load_image(images / "a.png"), codec, 30, access="windows")
    assert data != wavelic.encode(wavelic.load_image(images / "a.png"), codec, 30)
    assert wavelic_cli("encode-dir", images, output, *options, *windows, "--resume").exit_code == 0
    other = wavelic_cli("encode-dir", images, output, *options, "--resume")
    assert other.exit_code == 2
    assert "access windows -> whole" in other.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("encode-dir", "SRC", "OUT", "--codec", "zip"), 2, "no codec"),
        (("encode-dir", "SRC", "OUT", "-q", "3", "--bpp", "1"), 2, "together"),
        (("verify-dir", "SRC"), 4, "no collection"),
    ],
)
def test_misuse_is_one_line(source: Path, tmp_path: Path, arguments: tuple[str, ...], code: int, text: str) -> None:
    names = {"SRC": str(source), "OUT": str(tmp_path / "out")}
    done = wavelic_cli(*(names.get(argument, argument) for argument in arguments))
    assert done.exit_code == code
    assert text in error_of(done)
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()
