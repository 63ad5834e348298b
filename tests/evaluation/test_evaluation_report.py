"""The report folder: complete, offline, pixel-exact; and matching file sizes."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from wavelic.errors import UsageError
from wavelic.evaluation.anchors import get_anchor
from wavelic.evaluation.pictures import PictureEntry, PictureSet, anchor_pictures, match_anchor, match_size
from wavelic.evaluation.plots import _is_anchor
from wavelic.evaluation.published import published_curves
from wavelic.evaluation.report import build_report
from wavelic.evaluation.results import Row, curve_from_rows

GENERATOR = np.random.default_rng(5)
ORIGINAL = GENERATOR.integers(0, 256, (40, 56, 3), dtype=np.uint8)
DECODED = GENERATOR.integers(0, 256, (40, 56, 3), dtype=np.uint8)


class Links(HTMLParser):
    """Every src and href of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for key, value in attrs if key in ("src", "href") and value]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    published = published_curves()
    rows = [
        Row(f"i{k}", q, 900 + 300 * q + k, 64, 64, 26.0 + 2 * q + k, 27.0, 0.9, 0.1, 0.1)
        for q in range(6)
        for k in (0, 1)
    ]
    own = curve_from_rows("wcae", "WCAE <b>&", "ours", rows)
    entry = PictureEntry("WCAE </script><img src=x>", 1234, DECODED, 25.0, math.nan, "quality 3")
    pictures = PictureSet("a picture/..", ORIGINAL, 1300, (entry,))
    out = tmp_path_factory.mktemp("report") / "out"
    return build_report(
        out, [own, published["jpeg2000"], published["LALIC"]], [pictures], "Title & <more>", notes=["A note."]
    )


def test_every_link_is_relative_and_exists(report: Path) -> None:
    page = Links()
    page.feed(report.read_text())
    local = [link for link in page.found if not link.startswith(("#", "data:"))]
    assert len(local) >= 9
    for link in local:
        assert not re.match(r"[a-z]+:|/|\\", link), link
        assert (report.parent / link).is_file(), link


def test_nothing_is_asked_of_the_network(report: Path) -> None:
    for name in ("index.html", "assets/report.css", "assets/report.js"):
        text = (report.parent / name).read_text()
        assert not re.search(r"""(src|href)\s*=\s*["']?(https?:)?//|url\(\s*["']?(https?:)?//|@import|fetch\(""", text)


def test_pictures_are_pixel_exact_png(report: Path) -> None:
    text = report.read_text()
    data = json.loads(re.search(r'id="pictures-data">(.*?)</script>', text, re.S).group(1))  # type: ignore[union-attr]
    files = [entry["file"] for entry in data[0]["entries"]]
    assert ".." not in "".join(files)
    np.testing.assert_array_equal(np.asarray(Image.open(report.parent / files[0])), ORIGINAL)
    np.testing.assert_array_equal(np.asarray(Image.open(report.parent / files[1])), DECODED)
    assert "1,234 bytes" in data[0]["entries"][1]["facts"]
    assert "MS-SSIM" not in data[0]["entries"][1]["facts"]


def test_names_cannot_break_the_page(report: Path) -> None:
    text = report.read_text()
    assert "<img src=x>" not in text
    assert "Title &amp; &lt;more&gt;" in text
    assert "WCAE <b>" not in text.replace("</b>", "")


def test_tables_and_results_agree(report: Path) -> None:
    results = json.loads((report.parent / "results.json").read_text())
    assert results["curves"][0]["name"] == "WCAE <b>&"
    lalic = [c for c in results["comparisons"] if c["codec"] == "LALIC"]
    assert [c["metric"] for c in lalic] == ["psnr-rgb", "ms-ssim-rgb"]
    text = report.read_text()
    assert all(c["refusal"] or f"{c['bd_rate_percent']:+.2f}" in text for c in results["comparisons"])
    assert any(c["refusal"] for c in results["comparisons"])


def test_plots_are_svg_with_text(report: Path) -> None:
    for name in ("psnr-rgb-log", "psnr-rgb-linear", "ms-ssim-rgb-log", "ms-ssim-rgb-linear"):
        path = report.parent / "plots" / f"{name}.svg"
        tree = ElementTree.parse(path)
        labels = ["".join(node.itertext()).strip() for node in tree.iter() if node.tag.endswith("text")]
        assert "Bit-rate [bpp]" in labels
        assert "WCAE <b>&" in labels
        assert path.stat().st_size < 60_000


def test_an_empty_report_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="neither"):
        build_report(tmp_path / "x", [])
    assert not (tmp_path / "x").exists()


def test_pictures_alone_and_curves_alone(tmp_path: Path) -> None:
    page = build_report(tmp_path / "p", [], [PictureSet("x", ORIGINAL, 99, ())])
    assert "pictures-data" in page.read_text()
    page = build_report(tmp_path / "c", list(published_curves().values())[:2])
    assert "pictures-data" not in page.read_text()


# --- equal file size -----------------------------------------------------------------------------------------------


def stepped(setting: float) -> bytes:
    """Sizes that grow with the setting, with plateaus."""
    return bytes(10 * int(setting * 10))


@pytest.mark.parametrize("target", [100, 105, 333, 999, 10_000])
def test_the_largest_file_not_above_the_target(target: int) -> None:
    settings = [1.0, 1.5, 2.25, 3.3, 4.0, 7.7, 9.9]
    best = max(s for s in settings if len(stepped(s)) <= target)
    assert match_size(stepped, target, settings=settings).setting == best
    continuous = match_size(stepped, target, span=(0.5, 9.9))
    assert len(continuous.data) == min(target // 10 * 10, 990)
    assert match_size(stepped, target, span=(1, 9), integer=True).setting == min(9, target // 100)


def test_falling_settings_and_wide_spans() -> None:
    match = match_size(lambda slope: bytes(int(4000 / slope)), 1000, span=(10_000, 0.01), evaluations=20)
    assert 990 <= len(match.data) <= 1000
    assert match_size(lambda d: bytes(int(400 / d)), 100, span=(20, 1), integer=True).setting == 4


def test_an_unreachable_size_is_refused() -> None:
    with pytest.raises(UsageError, match="raise the target"):
        match_size(stepped, 5, span=(1, 9))
    with pytest.raises(UsageError, match="give one"):
        match_size(stepped, 5)


def test_anchors_meet_a_size_and_are_left_out_where_they_cannot() -> None:
    y, x = np.mgrid[:64, :96]
    picture = np.stack([x * 2, y * 3, (x + y)], axis=2).astype(np.uint8)
    match = match_anchor(get_anchor("jpeg-420-best"), picture, 1500)
    assert 1200 < len(match.data) <= 1500
    large = replace(get_anchor("jpeg-420"), encode=lambda pixels, setting: bytes(501))
    made = anchor_pictures("p", picture, 500, [large, get_anchor("webp")])
    assert [entry.label for entry in made.entries] == ["WebP"]
    assert made.entries[0].bytes <= 500
    assert made.entries[0].psnr_rgb > 25


@pytest.mark.parametrize(
    ("name", "anchor"),
    [
        ("jpeg-420", True),
        ("jpeg-420-low", True),
        ("jpeg2000-97", True),
        ("weconvene", False),
        ("lifting-lifting", False),
    ],
)
def test_variants_of_anchors_are_drawn_as_anchors(name: str, anchor: bool) -> None:
    assert _is_anchor(name) == anchor
