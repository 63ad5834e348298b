"""Thin pictures in strips."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import wavelic
from wavelic.rect import Rect
from wavelic.threedm.strips import Strips


@given(st.integers(1, 70), st.integers(1, 5000), st.booleans(), st.sampled_from((8, 16, 64)))
def test_strips_come_back_and_cost_what_their_pixels_cost(across: int, along: int, upright: bool, cell: int) -> None:
    height, width = (along, across) if upright else (across, along)
    strips = Strips.of(width, height, cell)
    size = strips.size
    coded = int(np.prod([-(-side // cell) * cell for side in size]))
    # a side of a little more than half a cell is extended to one, and what is left over in both directions too
    assert coded <= 2 * width * height + cell * cell + cell * max(size) * (min(across, along) > cell // 2)
    pixels = np.arange(height * width * 2).reshape(height, width, 2)
    folded = strips.fold(pixels)
    assert folded.shape[1::-1] == size
    area = Rect(width // 3, height // 3, -(-width // 2), -(-height // 2))
    seen = strips.seen(area)
    assert np.array_equal(strips.unfold(folded[seen.slices()], area), pixels[area.slices()])


@pytest.mark.parametrize(("height", "width"), [(3, 1000), (700, 5)])
def test_thin_files_decode_whole_in_parts_and_together(height: int, width: int) -> None:
    waves = np.sin(np.add.outer(np.arange(height), np.arange(width))[..., None] / np.array([20, 30, 50]))
    pixels = (120 + 80 * waves).astype(np.uint8)
    data = wavelic.encode(pixels, "3dm", quality=70)
    whole = wavelic.decode(data)
    assert whole.shape == pixels.shape
    assert np.abs(whole.astype(float) - pixels).mean() < 12
    x, y, columns, rows = width // 3, height // 3, width // 2, max(1, height // 2)
    part = wavelic.open(data).read(region=(x, y, columns, rows))
    assert np.array_equal(part, whole[y : y + rows, x : x + columns])
    for picture in wavelic.decode_batch([data, data]):
        assert np.abs(picture.astype(int) - whole).max() <= 1
