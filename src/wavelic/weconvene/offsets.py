"""Scale offsets of `weconvene`: by how many tables a tile's scales differ from what the context model expects.

The context model knows how pictures usually are.  One that is rougher or smoother than its contexts say, or an encoder
that sets more residuals to zero, makes all its scales too small or too large by about the same factor.  So a tile says,
for each slice of each level, by how many tables (a fifth of an octave each) its scales are moved.  It saved 1 to 2 % of
the bytes of networks that had never seen symbols after RDOQ, and saves 0.3 % with those that have
(`results/weconvene/encoder.json`); it costs the decoder nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from wavelic.weconvene.units import SCALES

#: Largest offset in either direction.
LARGEST = 12
#: The table that differences of offsets are coded with: a scale of 2^-1.5 steps, so that zero costs most of a bit.
TABLE = 15

_OFFSETS = np.arange(-LARGEST, LARGEST + 1)
_MOVED = (np.arange(SCALES)[None] + _OFFSETS[:, None]).clip(0, SCALES - 1)


def moved(table: NDArray[np.uint8], offset: int) -> NDArray[np.uint8]:
    """Tables that a slice is coded with.

    Args:
        table: 0..63, from the context model.
        offset: of the slice.

    Returns:
        0..63, of the same shape.
    """
    return np.clip(table.astype(np.int16) + np.int16(offset), 0, SCALES - 1).astype(np.uint8)


def choose_offsets(
    costs: NDArray[np.float32], slices: Sequence[tuple[NDArray[np.int32], NDArray[np.uint8]]], per_level: int
) -> NDArray[np.int32]:
    """The offsets that a tile costs the fewest bits with, those for themselves included.

    Args:
        costs: bits of residuals by each table, `Model.costs`.
        slices: residuals in steps and tables of each slice, in coding order.
        per_level: slices of a level.

    Returns:
        An offset for each slice, -LARGEST..LARGEST.
    """
    bits = np.stack([_bits(costs, residuals, tables) for residuals, tables in slices])
    steps = np.abs(np.subtract.outer(_OFFSETS, _OFFSETS))
    half = costs.shape[1] // 2
    price = costs[TABLE][half + steps]  # [to, from]
    chosen = []
    for level in range(0, len(slices), per_level):
        # the cheapest path through the slices of a level: each difference to the slice before costs bits
        total, before = np.where(_OFFSETS == 0, 0.0, np.inf), []
        for own in bits[level : level + per_level]:
            ways = total + price
            before.append(ways.argmin(1))
            total = ways.min(1) + own
        last, path = int(total.argmin()), []
        for way in reversed(before):
            path.append(_OFFSETS[last])
            last = int(way[last])
        chosen += path[::-1]
    return np.array(chosen, np.int32)


def bits_of(costs: NDArray[np.float32], residuals: NDArray[np.int32], tables: NDArray[np.uint8], offset: int) -> float:
    """Bits of a slice, about: residuals beyond those that ``costs`` has count as its last.

    Args:
        costs: bits of residuals by each table, `Model.costs`.
        residuals: in steps.
        tables: of each, from the context model.
        offset: of the slice.
    """
    half = costs.shape[1] // 2
    return float(costs[moved(tables, offset), residuals.clip(-half, half) + half].sum(dtype=np.float64))


def to_differences(offsets: NDArray[np.int32], per_level: int) -> NDArray[np.int32]:
    """What is coded of offsets: in each level the difference to the slice before, for the first slice to zero."""
    return np.diff(offsets.reshape(-1, per_level), axis=1, prepend=0).ravel().astype(np.int32)


def from_differences(differences: NDArray[np.int32], per_level: int) -> NDArray[np.int32]:
    """Inverse of `to_differences`; int32 wraps."""
    return np.cumsum(differences.reshape(-1, per_level), axis=1, dtype=np.int32).ravel()


def _bits(costs: NDArray[np.float32], residuals: NDArray[np.int32], tables: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Bits of a slice with each offset, about: residuals beyond those that ``costs`` has count as its last."""
    columns = costs.shape[1]
    half = columns // 2
    index = tables.ravel().astype(np.int32) * columns + residuals.ravel().clip(-half, half) + half
    counts = np.bincount(index, minlength=SCALES * columns).reshape(SCALES, columns)
    used = np.flatnonzero(counts.any(0))  # few residuals occur
    bits = counts[:, used].astype(np.float64) @ costs[:, used].T.astype(np.float64)
    result: NDArray[np.float64] = bits[np.arange(SCALES)[None], _MOVED].sum(1)
    return result
