"""How many layers a file gets, and how large they are."""

from __future__ import annotations

from itertools import pairwise

import pytest

from wavelic.jpeg2000.arrangement import LEAST_BYTES, SPAN, WHOLE, WINDOWED, Arrangement


@pytest.mark.parametrize("arrangement", [WHOLE, WINDOWED])
def test_small_files_have_one_layer_and_no_layer_is_small(arrangement: Arrangement) -> None:
    assert arrangement.layers(1.0) == arrangement.layers(1.9 * LEAST_BYTES) == 1
    for top in (10_000.0, 50_000.0, 3e6):
        sizes = arrangement.layer_bytes(top, arrangement.layers(top))
        assert sizes == sorted(sizes)
        assert sizes[0] >= LEAST_BYTES
        assert sizes[-1] == top
        assert top / sizes[0] <= 2**SPAN * 1.001
        assert all(later / earlier == pytest.approx(2, rel=1e-3) for earlier, later in pairwise(sizes))
