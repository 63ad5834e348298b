"""The runner: rows survive a kill, and only rows of the same work are resumed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wavelic.errors import ImageError, UsageError
from wavelic.evaluation.anchors import get_anchor
from wavelic.evaluation.results import read_curve
from wavelic.evaluation.runner import environment, evaluate
from wavelic.images import list_images

QUALITIES = (20.0, 50.0, 80.0)


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "images"
    folder.mkdir()
    generator = np.random.default_rng(1)
    for k in range(3):
        Image.fromarray(generator.integers(0, 256, (24, 40, 3), dtype=np.uint8)).save(folder / f"p{k}.png")
    return list_images(folder)


def test_rows_are_real_file_bytes(images: list[Path], tmp_path: Path) -> None:
    anchor = get_anchor("jpeg-420")
    seen: list[tuple[int, int]] = []
    out = tmp_path / "new" / "jpeg.json"
    curve = evaluate(
        anchor, images, QUALITIES, out, dataset="toy", progress=lambda done, total, text: seen.append((done, total))
    )
    assert seen == [(k, 9) for k in range(10)]
    pixels = np.asarray(Image.open(images[1]))
    (row,) = [r for r in curve.rows if r.image == "p1" and r.setting == 50]
    assert row.bytes == len(anchor.encode(pixels, 50))
    assert (row.width, row.height) == (40, 24)
    assert curve == read_curve(out)
    assert curve.dataset == "toy"
    assert [p.name for p in out.parent.iterdir()] == ["jpeg.json"]


SLOW_RUN = """
import sys, time
from dataclasses import replace
from pathlib import Path
from wavelic.evaluation.anchors import get_anchor
from wavelic.images import list_images
from wavelic.evaluation.runner import evaluate
anchor = get_anchor("jpeg-420")
def slow(pixels, setting):
    time.sleep(0.2)
    return anchor.encode(pixels, setting)
evaluate(replace(anchor, encode=slow), list_images(Path(sys.argv[1])), (20.0, 50.0, 80.0), Path(sys.argv[2]))
"""


def test_a_killed_run_continues_where_it_was(images: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "jpeg.json"
    partial = tmp_path / "jpeg.json.partial.jsonl"
    process = subprocess.Popen([sys.executable, "-c", SLOW_RUN, str(images[0].parent), str(out)])
    deadline = time.monotonic() + 50
    while time.monotonic() < deadline and not (partial.exists() and partial.read_text().count("\n") >= 4):
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not out.exists()
    kept = partial.read_text().splitlines()[1:]
    assert 3 <= len(kept) < 9

    with partial.open("a") as file:
        file.write('["p2", 80.0, 12')  # a row cut by the kill
    starts: list[int] = []
    curve = evaluate(
        get_anchor("jpeg-420"), images, QUALITIES, out, progress=lambda done, total, text: starts.append(done)
    )
    assert starts[0] == len(kept)
    assert len(curve.rows) == 9
    rows = {(r.image, r.setting): r for r in curve.rows}
    for line in kept:
        image, setting, size, *_, encode_s, _ = json.loads(line)
        assert rows[image, setting].bytes == size
        assert rows[image, setting].encode_s == encode_s > 0.2
    fresh = evaluate(get_anchor("jpeg-420"), images, QUALITIES, tmp_path / "fresh.json")
    assert fresh.points["bpp"] == curve.points["bpp"]
    assert fresh.points["psnr-rgb"] == curve.points["psnr-rgb"]


def interrupted(images: list[Path], out: Path) -> None:
    """Leave a partial file behind, as Ctrl-C does."""

    def stop(done: int, total: int, text: str) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(get_anchor("jpeg-420"), images, QUALITIES, out, progress=stop)


def test_rows_of_other_work_are_not_resumed(images: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "x.json"
    interrupted(images, out)
    anchor = get_anchor("jpeg-420")
    for codec, pictures, qualities in (
        (get_anchor("jpeg-444"), images, QUALITIES),
        (replace(anchor, description="another version"), images, QUALITIES),
        (anchor, images[:2], QUALITIES),
        (anchor, images, (20.0, 50.0)),
    ):
        with pytest.raises(UsageError, match="belongs to other work"):
            evaluate(codec, pictures, qualities, out)
    starts: list[int] = []
    evaluate(anchor, images, QUALITIES, out, resume=False, progress=lambda done, total, text: starts.append(done))
    assert starts[0] == 0


def test_ambiguous_or_empty_work_is_refused(images: list[Path], tmp_path: Path) -> None:
    anchor = get_anchor("jpeg-420")
    for pictures, qualities in (([], QUALITIES), (images, ()), ([*images, images[0]], QUALITIES), (images, (5.0, 5.0))):
        with pytest.raises(UsageError):
            evaluate(anchor, pictures, qualities, tmp_path / "x.json")
    assert not (tmp_path / "x.json.partial.jsonl").exists()


def test_pictures_the_evaluation_does_not_take(tmp_path: Path) -> None:
    Image.new("RGBA", (8, 8)).save(tmp_path / "alpha.png")
    (tmp_path / "text.png").write_text("not a picture")
    anchor = get_anchor("jpeg-420")
    for name in ("alpha", "text"):
        with pytest.raises(ImageError, match=name):
            evaluate(anchor, [tmp_path / f"{name}.png"], (5.0,), tmp_path / f"{name}.json")
    with pytest.raises(UsageError, match="not a folder"):
        list_images(tmp_path / "none")


def test_environment_names_versions_but_no_machine() -> None:
    found = environment()
    assert {"python", "numpy", "pillow", "cpus"} <= found.keys()
    text = json.dumps(found)
    assert os.uname().nodename not in text
    assert "/" not in text
