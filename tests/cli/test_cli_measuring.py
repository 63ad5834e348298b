"""``wavelic eval``, ``anchors``, ``compare``, ``report``, ``demo`` and ``recipes`` in this process."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest
from commands import wavelic_cli

import wavelic
from wavelic.codec.registry import CODECS
from wavelic.evaluation.anchors import ANCHORS


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("measured")
    (folder / "images").mkdir()
    noise = np.random.default_rng(1).normal(0, 12, (192, 176, 3))
    y, x = np.mgrid[0:192, 0:176]
    scene = 128 + 60 * np.sin(x / 11)[..., None] + 50 * np.cos(y / 17)[..., None] + noise
    PIL.Image.fromarray(scene.clip(0, 255).astype(np.uint8)).save(folder / "images" / "one.png")
    images = ["--images", folder / "images"]
    for codec in CODECS:
        qualities = "--qualities=0,30,60,80,100"
        assert wavelic_cli("eval", codec, *images, "--json", folder / f"{codec}.json", qualities).exit_code == 0
    assert wavelic_cli("anchors", "jpeg-420", *images, "--json", folder / "jpeg.json").exit_code == 0
    return folder


def test_eval_writes_rows_with_real_sizes(measured: Path) -> None:
    from wavelic.evaluation.results import read_curve

    curve = read_curve(measured / "wcae.json")
    pixels = np.asarray(PIL.Image.open(measured / "images" / "one.png"))
    assert curve.rows[0].bytes == len(wavelic.encode(pixels, "wcae", curve.rows[0].setting, strip=True))
    assert curve.settings == (0, 30, 60, 80, 100)
    assert not list(measured.glob("*.partial.jsonl"))


def test_compare_speaks_table_json_and_markdown(measured: Path) -> None:
    files = [measured / f"{codec}.json" for codec in sorted(CODECS, key=lambda codec: codec != "wcae")]
    assert "BD-rate against WCAE" in wavelic_cli("compare", *files).stdout
    row, *_ = json.loads(wavelic_cli("compare", *files, "--json").stdout)
    assert row["reference"] == "WCAE"
    markdown = wavelic_cli("compare", *files, "--markdown", "--metric", "ms-ssim-rgb").stdout
    assert markdown.startswith("BD-rate against WCAE, MS-SSIM RGB")
    assert "|---|---:|" in markdown


def test_report_reads_a_folder(measured: Path, tmp_path: Path) -> None:
    result = wavelic_cli("report", measured, "--out", tmp_path / "page")
    assert result.exit_code == 0, result.output
    page = Path(result.stdout.strip())
    assert page == tmp_path / "page" / "index.html"
    assert "NoWCAE" in page.read_text()


def test_anchors_list_names_all() -> None:
    text = wavelic_cli("anchors", "list").stdout
    assert all(name in text for name in ANCHORS)


def test_demo_writes_files_that_are_no_larger_than_ours(
    measured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wavelic.evaluation.sidebyside.QUICK", ("jpeg-420", "webp"))
    image = measured / "images" / "one.png"
    result = wavelic_cli("demo", image, "--out", tmp_path / "d", "--no-open", "--bpp", "0.6")
    assert result.exit_code == 0, result.output
    files = {path.name: path.stat().st_size for path in (tmp_path / "d" / "files").iterdir()}
    assert "one-wcae.wlic" in files
    assert {"one-webp.webp", "one-jpeg-420.jpg"} & set(files)
    assert all(size <= files["one-weconvene.wlic"] for size in files.values()), files
    assert (tmp_path / "d" / "index.html").is_file()
    assert "WCAE" in result.stdout


def test_recipes_lists_what_train_takes() -> None:
    assert "wcae-cpu" in wavelic_cli("recipes").stdout
