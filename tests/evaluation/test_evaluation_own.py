"""Codecs and metrics of the user's own: by path, by module and by entry point; what is wrong with them is said."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from commands import error_of, wavelic_cli
from paths import EXAMPLES, TESTS

from wavelic.errors import UsageError
from wavelic.evaluation.anchor import Anchor
from wavelic.evaluation.anchors import get_anchor
from wavelic.evaluation.outside import load_outside
from wavelic.evaluation.own import OutsideCodec, codec_to_measure
from wavelic.evaluation.quality import GROUP, get_metric
from wavelic.evaluation.results import read_curve
from wavelic.evaluation.runner import evaluate

DCT, BLOCKINESS = (f"{EXAMPLES / 'own_codec.py'}:{name}" for name in ("DeflatedDct", "BLOCKINESS"))
TOY = f"{TESTS / 'contract' / 'toy' / 'codec.py'}:TOY"


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    y, x = np.mgrid[0:60, 0:83]
    for number in range(2):
        random = np.random.default_rng(number)
        scene = 128 + 60 * np.sin(x / 9 + number)[..., None] + 40 * np.cos(y / 7)[..., None] * [1, 0.5, 0.2]
        pixels = (scene + random.normal(0, 6, scene.shape)).clip(0, 255).astype(np.uint8)
        PIL.Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


def test_the_example_is_measured_by_its_path_beside_an_anchor(images: Path, tmp_path: Path) -> None:
    """The command of the example's first lines."""
    evaluate(get_anchor("jpeg-420-best"), sorted(images.iterdir()), (106, 75, 38, 19, 9), tmp_path / "jpeg.json")
    out = tmp_path / "mine.json"
    command = [
        "eval",
        DCT,
        "--images",
        images,
        "--json",
        out,
        "--metric",
        BLOCKINESS,
        "--against",
        tmp_path / "jpeg.json",
    ]
    result = wavelic_cli(*command)
    assert result.exit_code == 0, result.output
    curve = read_curve(out)
    assert (curve.name, curve.label, curve.parameter) == ("deflated-dct", "Deflated DCT", "step")
    assert curve.settings == (96, 64, 44, 30, 20, 13)
    assert list(curve.quality("psnr-rgb")) == sorted(curve.quality("psnr-rgb"))
    assert "BD figures under PSNR RGB" in result.stdout
    assert "per image" in result.stdout
    codec, pixels = load_outside(DCT)(), np.asarray(PIL.Image.open(images / "1.png"))
    data = codec.encode(pixels, 30)
    (row,) = [row for row in curve.rows if (row.image, row.setting) == ("1", 30)]
    assert row.bytes == len(data)
    blockiness = load_outside(BLOCKINESS).measure
    assert row.more["blockiness"] == pytest.approx(blockiness(pixels, codec.decode(data)), abs=1e-4)
    assert blockiness(pixels, pixels) == 0


def test_processes_give_the_same_rows(images: Path, tmp_path: Path) -> None:
    for processes in ("1", "2"):
        out = tmp_path / f"{processes}.json"
        command = ["eval", DCT, "--images", images, "--json", out, "--metric", BLOCKINESS, "--qualities=20,60"]
        assert wavelic_cli(*command, "-j", processes).exit_code == 0
    alone, shared = (read_curve(tmp_path / f"{processes}.json") for processes in ("1", "2"))
    for key in ("bpp", "psnr-rgb", "psnr-y", "blockiness"):
        assert alone.points[key] == shared.points[key]
    assert shared.environment["processes"] == 2
    assert not list(tmp_path.glob("*.partial.jsonl"))


def test_an_error_in_a_worker_is_the_error_of_the_command(images: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(
        "class Broken:\n    def encode(self, pixels, setting):\n        return None\n    def decode(self, data):\n"
        "        return None\n"
    )
    command = ["eval", f"{tmp_path}/broken.py:Broken", "--images", images, "--json", tmp_path / "x.json", "-j", "2"]
    result = wavelic_cli(*command)
    assert result.exit_code == 2
    assert "broken encoded to NoneType, expected bytes" in error_of(result)


def test_a_codec_of_the_contract_is_measured_by_its_path(images: Path, tmp_path: Path) -> None:
    out = tmp_path / "toy.json"
    code = "from wavelic.cli.main import run; run()"  # in a process of its own, whose registry it enters
    command = [
        sys.executable,
        "-c",
        code,
        "eval",
        TOY,
        "--images",
        str(images),
        "--json",
        str(out),
        "--qualities=50,80",
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert read_curve(out).name == "toy"


def test_a_metric_by_entry_point(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = tmp_path / "site"
    (site / "mine-1.0.dist-info").mkdir(parents=True)
    shutil.copy(EXAMPLES / "own_codec.py", site / "mine_own.py")
    (site / "mine-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (site / "mine-1.0.dist-info" / "entry_points.txt").write_text(f"[{GROUP}]\nblockiness = mine_own:BLOCKINESS\n")
    code = (
        f"import sys; sys.path.insert(0, {str(site)!r})\n"
        "from wavelic.evaluation.quality import get_metric, metric_names\n"
        "print(metric_names()[-1], get_metric('blockiness').label)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "blockiness Blockiness\n", done.stderr


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("nowhere.py:Name", "is not a file"),
        ("no.such.module:Name", "ModuleNotFoundError"),
        (f"{EXAMPLES}/own_codec.py:Nobody", "has no Nobody; it has"),
        (f"{EXAMPLES}/own_codec.py:", "names no object"),
        (f"{EXAMPLES}/own_codec.py:blockiness", "has no method encode"),
        ("pathlib:PurePath", "has no method encode"),
        ("fractions:Decimal", "has no method encode"),
    ],
)
def test_what_is_no_codec(reference: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        codec_to_measure(reference)


def test_a_file_that_does_not_run_and_a_class_with_arguments(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("1 / 0\n")
    with pytest.raises(UsageError, match="ZeroDivisionError"):
        load_outside(f"{tmp_path}/bad.py:Codec")
    (tmp_path / "needs.py").write_text("class Codec:\n    def __init__(self, rate):\n        pass\n")
    with pytest.raises(UsageError, match="cannot be made without arguments"):
        OutsideCodec(f"{tmp_path}/needs.py:Codec")


def test_neighbouring_modules_can_be_imported(tmp_path: Path) -> None:
    (tmp_path / "helper_of_codec.py").write_text("VALUE = 7\n")
    (tmp_path / "main.py").write_text("from helper_of_codec import VALUE\n")
    assert load_outside(f"{tmp_path}/main.py:VALUE") == 7


def test_options_of_our_codecs_are_refused_for_others() -> None:
    with pytest.raises(UsageError, match="--published, --device, --effort or --tune given for"):
        codec_to_measure(DCT, published=True)


@pytest.mark.parametrize("name", ["taste", f"{EXAMPLES}/own_codec.py:DeflatedDct"])
def test_what_is_no_metric(name: str) -> None:
    with pytest.raises(UsageError, match=r"expected (one of psnr-rgb|an instance of)"):
        get_metric(name)


def test_other_source_is_other_work(images: Path, tmp_path: Path) -> None:
    """A change of the codec's file changes the description, and with it the fingerprint of a partial run."""
    for text in ("0", "1"):
        file = tmp_path / text / "c.py"
        file.parent.mkdir()
        file.write_text(f"class C:\n    x = {text}\n    encode = decode = lambda *a: None\n")
    first, second = (OutsideCodec(f"{tmp_path}/{text}/c.py:C").description for text in ("0", "1"))
    assert first != second


@pytest.mark.parametrize("name", ["jpeg-420-best", "jpeg2000", "webp-best", "avif-best", "jpegxl", "hevc", "vvc"])
def test_anchors_reach_workers(name: str) -> None:
    anchor = get_anchor(name)
    sent: Anchor = pickle.loads(pickle.dumps(anchor))
    assert (sent.name, sent.description, sent.settings) == (anchor.name, anchor.description, anchor.settings)


def test_files_of_older_runs_without_more_metrics_are_read(images: Path, tmp_path: Path) -> None:
    curve = evaluate(get_anchor("jpeg-420"), sorted(images.iterdir()), (20, 60), tmp_path / "a.json")
    document = json.loads((tmp_path / "a.json").read_text())
    assert document["wavelic"]["columns"][-1] == "decode_s"
    assert curve.metrics() == ("psnr-rgb", "psnr-y", "ms-ssim-rgb")
