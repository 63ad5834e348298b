"""The results file: means, round trips, CompressAI's format, and the committed anchor results."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import pytest
from paths import DOCS, RESULTS

from wavelic.errors import FormatError, OutputError, UsageError
from wavelic.evaluation.anchors import ANCHORS
from wavelic.evaluation.compare import compare
from wavelic.evaluation.results import Curve, Row, curve_from_rows, curve_to_json, read_curve, write_curve

COMMITTED = RESULTS / "anchors" / "kodak"


def row(image: str, setting: float, size: int, psnr: float) -> Row:
    return Row(image, setting, size, 64, 32, psnr, psnr + 1, 0.9, 0.01, 0.002)


def small_curve() -> Curve:
    rows = [row(image, q, 100 * q + k, 20.0 + q + k) for q in (4, 1, 3, 2) for k, image in enumerate("ba")]
    return curve_from_rows("toy", "Toy", "a codec", rows, parameter="quality", dataset="two", environment={"cpus": 1})


def test_points_are_means_of_per_image_values_in_order_of_rate() -> None:
    curve = small_curve()
    assert curve.settings == (1, 2, 3, 4)
    expected_bpp = (8 * 100 / 2048 + 8 * 101 / 2048) / 2
    assert curve.points["bpp"][0] == pytest.approx(expected_bpp, abs=1e-6)
    assert curve.points["psnr-rgb"] == (21.5, 22.5, 23.5, 24.5)
    assert curve.images() == ("a", "b")
    assert curve.of_image("a").points["psnr-rgb"] == (22, 23, 24, 25)


def test_a_file_reads_back_as_written_and_writes_the_same_text(tmp_path: Path) -> None:
    path = tmp_path / "toy.json"
    write_curve(path, small_curve())
    again = read_curve(path)
    assert again == small_curve()
    assert curve_to_json(again) == path.read_text()
    assert [p.name for p in tmp_path.iterdir()] == ["toy.json"]


def test_the_file_is_compressai_s(tmp_path: Path) -> None:
    path = tmp_path / "toy.json"
    write_curve(path, small_curve())
    data = json.loads(path.read_text())
    assert data["name"] == "Toy"
    assert isinstance(data["description"], str)
    assert {"bpp", "psnr-rgb", "ms-ssim-rgb"} <= data["results"].keys()
    assert all(isinstance(v, (int, float)) for v in data["results"]["bpp"])


def test_reads_compressai_files_with_old_names_and_any_order(tmp_path: Path) -> None:
    path = tmp_path / "webp.json"
    results = {"psnr": [30.4, 28.3, 29.2], "ms-ssim": [0.954, 0.925, 0.939], "bpp": [0.40, 0.23, 0.29]}
    path.write_text(json.dumps({"name": "WebP", "description": "Pillow 7.1.2", "results": results}))
    curve = read_curve(path)
    assert curve.points["bpp"] == (0.23, 0.29, 0.40)
    assert curve.points["psnr-rgb"] == (28.3, 29.2, 30.4)
    assert curve.points["ms-ssim-rgb"] == (0.925, 0.939, 0.954)
    assert curve.rows == ()


def test_infinite_and_undefined_values_survive_strict_json(tmp_path: Path) -> None:
    path = tmp_path / "toy.json"
    rows = [replace(row("a", 1, 99, math.inf), ms_ssim_rgb=math.nan)]
    write_curve(path, curve_from_rows("toy", "Toy", "", rows))
    json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    again = read_curve(path)
    assert again.rows[0].psnr_rgb == math.inf
    assert again.points["psnr-rgb"] == (math.inf,)
    assert math.isnan(again.rows[0].ms_ssim_rgb)


def test_means_over_different_pictures_are_refused() -> None:
    with pytest.raises(UsageError, match="lacks b"):
        curve_from_rows("toy", "Toy", "", [row("a", 1, 9, 20), row("b", 1, 9, 20), row("a", 2, 19, 22)])
    with pytest.raises(UsageError, match="twice"):
        curve_from_rows("toy", "Toy", "", [row("a", 1, 9, 20), row("a", 1, 9, 20)])
    with pytest.raises(UsageError, match="no rows"):
        curve_from_rows("toy", "Toy", "", [])


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"results": {}}', '{"results": {"bpp": [1], "psnr-rgb": [1, 2]}}', '{"results": {"bpp": ["x"]}}'],
)
def test_files_that_are_not_results(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(FormatError, match="bad"):
        read_curve(path)


def test_missing_file_and_unwritable_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        read_curve(tmp_path / "none.json")
    with pytest.raises(OutputError, match="create it"):
        write_curve(tmp_path / "none" / "x.json", small_curve())


# --- committed results ---------------------------------------------------------------------------------------------


MEASURED = sorted(path.stem for path in COMMITTED.glob("*.json") if path.stem in ANCHORS)


def test_anchors_without_results_are_named_as_such() -> None:
    page = (DOCS / "evaluation.md").read_text(encoding="utf-8")
    sentences = re.findall(r"^ *(.*) ha(?:s|ve) not been measured on Kodak yet\.$", page, flags=re.M)
    assert set(re.findall(r"`([\w-]+)`", " ".join(sentences))) == set(ANCHORS) - set(MEASURED)


@pytest.mark.parametrize("name", MEASURED)
def test_committed_anchor_results_are_whole(name: str) -> None:
    path = COMMITTED / f"{name}.json"
    curve = read_curve(path)
    assert path.stat().st_size < 150_000
    assert curve.name == name
    assert len(curve.images()) == 24
    assert len(curve.bpp) >= 8
    assert len(curve.rows) == 24 * len(curve.bpp)
    rebuilt = curve_from_rows(curve.name, curve.label, curve.description, curve.rows)
    assert rebuilt.points == curve.points
    assert "/" not in json.dumps(dict(curve.environment))


@pytest.mark.parametrize("name", ["jpeg-420", "jpeg-444", "webp", "avif", "jpegxl"])
def test_the_best_setting_is_not_worse_than_the_default(name: str) -> None:
    default, best = (read_curve(COMMITTED / f"{n}.json") for n in (name, f"{name}-best"))
    (result,) = compare(default, [best])
    assert result.per_image is not None
    assert result.per_image < 0.5


def test_anchors_stand_where_an_independent_measurement_put_them() -> None:
    """Per-image BD-rate against OpenJPEG 9/7: three Kodak pictures gave AVIF -8 / -25, WebP +12, JPEG +79 %."""
    reference = read_curve(COMMITTED / "jpeg2000.json")
    expected = {"avif": -8.0, "avif-best": -25.0, "webp": 12.0, "jpeg-420": 79.0}
    for name, figure in expected.items():
        (result,) = compare(reference, [read_curve(COMMITTED / f"{name}.json")])
        assert result.per_image == pytest.approx(figure, abs=16)
