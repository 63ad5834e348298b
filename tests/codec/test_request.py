"""Requests, rectangles and windows: what every codec's decoder relies on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavelic.codec.opened import level_dimensions
from wavelic.codec.request import Request
from wavelic.codec.windows import window_count, windows
from wavelic.errors import UsageError
from wavelic.rect import Rect

SIDES = st.integers(1, 60)


@dataclass
class Stub:
    """A file of that size, resolutions and layers."""

    width: int
    height: int
    levels: int = 3
    layer_count: int = 4

    @property
    def level_dimensions(self) -> tuple[tuple[int, int], ...]:
        return level_dimensions(self.width, self.height, self.levels)


@given(SIDES, SIDES, st.integers(0, 3), st.data())
def test_the_area_of_a_region_is_its_samples(width: int, height: int, reduce: int, data: st.DataObject) -> None:
    """A sample of the reduced image belongs to the region if the pixel it is drawn from does."""
    x, y = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    w, h = data.draw(st.integers(1, width - x)), data.draw(st.integers(1, height - y))
    inside = np.zeros((height, width), bool)
    inside[Rect(x, y, w, h).slices()] = True
    expected = inside[:: 2**reduce, :: 2**reduce]
    if not expected.any():
        with pytest.raises(UsageError, match="no sample"):
            Request.of(Stub(width, height), reduce, None, (x, y, w, h))
        return
    request = Request.of(Stub(width, height), reduce, None, (x, y, w, h))
    shown = np.zeros_like(expected)
    shown[request.area.slices()] = True
    np.testing.assert_array_equal(shown, expected)
    assert request.whole == (request.region == (0, 0, width, height))


def test_without_a_region_everything_is_asked_for() -> None:
    request = Request.of(Stub(9, 5), 1)
    assert request == Request(1, 4, Rect(0, 0, 9, 5), Rect(0, 0, 5, 3), True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((4, None, None), r"reduce is 4, the file has 0\.\.3"),
        ((-1, None, None), "reduce is -1"),
        ((0, 5, None), r"layers is 5, the file has 4"),
        ((0, 0, None), "layers is 0"),
        ((0, None, (0, 0, 10, 5)), "region 0,0,10,5 is not inside the image of 9 x 5"),
        ((0, None, (-1, 0, 2, 2)), "not inside"),
        ((0, None, (0, 0, 2, 0)), "not inside"),
    ],
)
def test_what_the_file_does_not_have_is_refused(arguments: tuple, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Request.of(Stub(9, 5), *arguments)


@given(SIDES, SIDES, st.integers(1, 20), st.integers(0, 9), st.data())
def test_windows_partition_the_area_and_see_their_margins(
    width: int, height: int, side: int, margin: int, data: st.DataObject
) -> None:
    x, y = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    area = Rect(x, y, data.draw(st.integers(1, width - x)), data.draw(st.integers(1, height - y)))
    times = np.zeros((height, width), int)
    found = list(windows(area, (width, height), side, margin))
    for window in found:
        times[window.inner.slices()] += 1
        seen = np.zeros((height + 2 * margin, width + 2 * margin), int)  # with room for what lies outside
        inner, outer = window.inner, window.outer
        seen[inner.y : inner.bottom + 2 * margin, inner.x : inner.right + 2 * margin] = 1
        assert seen[margin : margin + height, margin : margin + width].sum() == outer.area
        assert outer.is_inside((width, height))
        marked = np.zeros((height, width), int)
        marked[inner.slices()] = 1
        cut = marked[outer.slices()]
        assert cut[window.inside.slices()].all()
        assert cut.sum() == inner.area
    expected = np.zeros((height, width), int)
    expected[area.slices()] = 1
    np.testing.assert_array_equal(times, expected)
    assert len(found) == window_count(area, side)


@given(*[st.tuples(st.integers(0, 30), st.integers(0, 30), SIDES, SIDES)] * 2)
def test_clipping_keeps_common_samples(one: tuple, other: tuple) -> None:
    a, b = Rect(*one), Rect(*other)
    both = np.zeros((2, 100, 100), bool)
    both[0][a.slices()] = True
    both[1][b.slices()] = True
    common = both.all(0)
    if common.any():
        clipped = np.zeros((100, 100), bool)
        clipped[a.clipped(b).slices()] = True
        np.testing.assert_array_equal(clipped, common)
