"""Groups of tiles, and the progress of work in stages."""

from __future__ import annotations

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavelic.codec import progress, tile_groups
from wavelic.codec.progress import Stages
from wavelic.codec.tile_groups import groups_of
from wavelic.rect import Rect

SIDES = st.sampled_from([32, 64, 128])


@given(st.lists(st.tuples(SIDES, SIDES), max_size=40), st.integers(1, 1 << 16))
def test_every_tile_is_in_one_group_of_its_size_within_the_pixels(sizes: list[tuple[int, int]], pixels: int) -> None:
    tiles = {3 * number: Rect(number, 0, *size) for number, size in enumerate(sizes)}
    groups = groups_of(tiles, pixels)
    assert sorted(index for group in groups for index in group) == sorted(tiles)
    for group in groups:
        assert len({(tiles[index].width, tiles[index].height) for index in group}) == 1
        assert len(group) == 1 or sum(tiles[index].area for index in group) <= pixels
        assert group == sorted(group)


@given(st.lists(st.integers(0, 5), max_size=6))
def test_stages_count_through_to_the_total(parts: list[int]) -> None:
    seen: list[tuple[int, int]] = []
    stages = Stages(lambda done, total: seen.append((done, total)), sum(parts))
    for count in parts:
        report = stages.stage(count)
        for done in range(1, count + 1):
            report(done, count)
    assert seen == [(done, sum(parts)) for done in range(1, sum(parts) + 1)]


def test_nobody_needs_to_listen() -> None:
    Stages(None, 3).stage(3)(1, 3)


@pytest.mark.parametrize("module", [tile_groups, progress])
def test_examples(module: object) -> None:
    assert doctest.testmod(module).failed == 0  # type: ignore[arg-type]
