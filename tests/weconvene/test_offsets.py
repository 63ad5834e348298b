"""Scale offsets: the cheapest ones are chosen, and they come back."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavelic.codec.weights import family
from wavelic.entropy import RangeEncoder
from wavelic.errors import FormatError
from wavelic.weconvene.offsets import LARGEST, TABLE, choose_offsets, from_differences, moved, to_differences
from wavelic.weconvene.tiles import decode_tiles
from wavelic.weconvene.units import SCALES
from wavelic.weconvene.weights import Model, load_model


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model(family("weconvene")[-1])


def _cost(model: Model, slices: list, offsets: tuple[int, ...], per_level: int) -> float:
    """Bits by the tables' own probabilities, one symbol at a time."""
    half = model.costs.shape[1] // 2
    total = sum(model.costs[TABLE, half + d] for d in to_differences(np.array(offsets, np.int32), per_level))
    for (residuals, tables), offset in zip(slices, offsets, strict=True):
        rows = (tables.astype(int) + offset).clip(0, SCALES - 1)
        total += model.costs[rows, residuals + half].astype(np.float64).sum()
    return float(total)


def test_no_other_offsets_are_cheaper(model: Model) -> None:
    random = np.random.default_rng(3)
    slices = []
    for spread in (0.4, 3.0, 2.0, 0.1):
        tables = random.integers(10, 40, (4, 6, 6)).astype(np.uint8)
        slices.append((np.rint(random.laplace(size=tables.shape) * spread).astype(np.int32), tables))
    chosen = choose_offsets(model.costs, slices, 2)
    best = _cost(model, slices, tuple(chosen), 2)
    for first, second in product(range(-LARGEST, LARGEST + 1), repeat=2):
        assert _cost(model, slices, (first, second, *chosen[2:]), 2) >= best - 1e-3
        assert _cost(model, slices, (*chosen[:2], first, second), 2) >= best - 1e-3
    assert any(chosen != 0)


@given(st.lists(st.integers(-LARGEST, LARGEST), min_size=6, max_size=6))
def test_differences_come_back(values: list[int]) -> None:
    offsets = np.array(values, np.int32)
    assert np.array_equal(from_differences(to_differences(offsets, 3), 3), offsets)


def test_tables_stay_in_range() -> None:
    table = np.arange(SCALES, dtype=np.uint8).reshape(1, 8, 8)
    for offset in (-LARGEST, LARGEST):
        assert np.array_equal(moved(table, offset), (table.astype(int) + offset).clip(0, SCALES - 1))


def test_offsets_out_of_range_are_damage(model: Model) -> None:
    encoder = RangeEncoder()
    encoder.encode(np.zeros((3, 2, 2), np.int32), np.zeros((3, 2, 2), np.int32), model.tables)
    encoder.encode(np.array([LARGEST + 1, 0, 0, 0, 0], np.int32), np.full(5, TABLE, np.int32), model.tables)
    with pytest.raises(FormatError, match="scale offsets from 13 to 13; expected up to 12"):
        decode_tiles(model, [bytes((0, 0, 0, 5, 0, 0)) + encoder.finish() + bytes(4)], (2, 2), 1, [200])
