"""The report page in headless Chromium: which curves are seen, the keyboard, and what axe-core says about it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsing import SCREENS, chromium, violations

from wavelic.evaluation.picker import SHOWN, choices
from wavelic.evaluation.pictures import PictureEntry, PictureSet
from wavelic.evaluation.published import published_curves
from wavelic.evaluation.report import build_report
from wavelic.evaluation.results import Curve, Row, curve_from_rows


def curve(name: str, gain: float = 0.0) -> Curve:
    rows = [Row("i", q, 900 + 300 * q, 64, 64, 26.0 + 2 * q + gain, 27.0, 0.9, 0.1, 0.1) for q in range(6)]
    return curve_from_rows(name, name.upper(), f"what was run for {name}", rows)


OWN = [curve("nowcae"), curve("a-trial", 1), curve("weconvene", 4), curve("wcae", 2)]
MEASURED = [curve("avif-best", 3), curve("avif", 2.5), curve("jpeg2000-97", 1.5), curve("jpeg-420", -1)]
CURVES = [*OWN, *MEASURED, *published_curves().values()]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pixels = np.random.default_rng(3).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    entries = tuple(PictureEntry(f"Codec {n}", 900 + n, pixels // n, 25.0, 0.9, f"quality {n}") for n in (1, 2))
    pictures = [PictureSet("a picture", pixels, 1000, entries)]
    out = tmp_path_factory.mktemp("page")
    return build_report(out, CURVES, pictures, reference=MEASURED[2], notes=["A note."])


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


def shown(made: list[Curve], reference: Curve | None = None) -> list[str]:
    return [made[choice.index].name for choice in choices(made, reference) if choice.shown]


def test_six_curves_are_shown_at_first() -> None:
    assert shown(CURVES, MEASURED[2]) == ["nowcae", "weconvene", "wcae", "avif-best", "jpeg2000-97", "jpeg-420"]
    assert shown(OWN) == [made.name for made in OWN]  # fewer: all of them
    assert shown([*MEASURED, OWN[0]], MEASURED[0]) == ["avif-best", "avif", "jpeg2000-97", "jpeg-420", "nowcae"]
    published = list(published_curves().values())
    assert len(shown(published)) == SHOWN
    assert choices([], None) == []


def test_swatches_are_drawn_as_the_curves_are() -> None:
    picked = choices(CURVES, None)
    assert "stroke-dasharray" not in picked[0].swatch
    assert "stroke-dasharray" in picked[len(OWN)].swatch
    assert len({choice.swatch for choice in picked[: len(OWN) + len(MEASURED)]}) == len(OWN) + len(MEASURED)
    for choice in picked:
        assert not re.search(r"nan|inf|e-\d", choice.swatch)


@pytest.mark.parametrize(("screen", "scheme"), [(SCREENS[0], "dark"), (SCREENS[1], "light"), (SCREENS[2], "light")])
def test_axe_finds_nothing(browser: Any, report: Path, screen: tuple[int, int], scheme: str) -> None:
    page = browser.new_page(viewport={"width": screen[0], "height": screen[1]}, color_scheme=scheme)
    page.goto(report.as_uri())
    assert page.evaluate("() => document.documentElement.scrollWidth") <= screen[0]
    assert violations(page, preload=False) == []
    page.click("button[data-mode=flicker]")
    assert violations(page, preload=False) == []
    page.close()


def test_curves_are_picked(browser: Any, report: Path) -> None:
    page = browser.new_page()
    page.goto(report.as_uri())

    def seen() -> list[int]:
        """Indices of the curves in the first plot."""
        return [n for n in range(len(CURVES)) if page.is_visible(f".log .curve-{n} >> nth=0")]

    first = [choice.index for choice in choices(CURVES, MEASURED[2]) if choice.shown]
    assert seen() == first
    page.focus(f"#pick-{first[0]}")
    page.keyboard.press("Space")
    assert seen() == first[1:]
    page.check("#pick-5")
    assert seen() == sorted([*first[1:], 5])
    page.click("button[data-pick=all]")
    assert {0, 1, 2, 3, 4, 5, 6, 7} <= set(seen())  # all that lie within the axes
    page.click("button[data-pick=none]")
    assert seen() == []
    page.click("button[data-pick=some]")
    assert seen() == first
    page.close()


def test_what_scrolls_is_reached_by_the_keyboard(browser: Any, report: Path) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.goto(report.as_uri())
    scrolling = page.evaluate(
        "() => [...document.querySelectorAll('*')].filter((e) => e.scrollWidth > e.clientWidth + 1"
        " && ['auto', 'scroll'].includes(getComputedStyle(e).overflowX)).map((e) => [e.className, e.tabIndex])"
    )
    assert len(scrolling) >= 3
    assert all(tab == 0 for _, tab in scrolling), scrolling
    page.focus(".scroll >> nth=0")
    page.keyboard.press("ArrowRight")
    page.wait_for_function("() => document.querySelector('.scroll').scrollLeft > 0")
    page.close()
