"""How many samples each band has: plain integers, no tensors.

A signal of ``size`` samples whose first sample has the absolute coordinate ``start`` is split as in JPEG 2000
(ITU-T T.800, Annex F): samples at even coordinates become the low band, samples at odd coordinates the high band.  With
``start = 0`` the low band has ceil(size / 2) samples and the high band floor(size / 2).  The low band's own first
coordinate, ceil(start / 2), decides the parity of the next level, which is why windows cut out of a larger signal must
carry their coordinate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wavelic.errors import UsageError


@dataclass(frozen=True)
class BandSizes2d:
    """Shapes (height, width) of the four bands of one 2-D level."""

    low: tuple[int, int]
    lh: tuple[int, int]
    hl: tuple[int, int]
    hh: tuple[int, int]


def low_start(start: int) -> int:
    """Coordinate of the first low-pass sample, ceil(start / 2).

    >>> [low_start(start) for start in range(5)]
    [0, 1, 1, 2, 2]
    """
    return -(-start // 2)


def split_size(size: int, start: int = 0) -> tuple[int, int]:
    """Sizes (low, high) of the two bands of ``size`` samples that begin at coordinate ``start``.

    >>> split_size(5), split_size(5, start=1), split_size(1), split_size(1, start=1)
    ((3, 2), (2, 3), (1, 0), (0, 1))
    """
    end = start + size
    return low_start(end) - low_start(start), end // 2 - start // 2


def level_sizes(size: int, levels: int, start: int = 0) -> list[tuple[int, int]]:
    """Sizes (low, high) at every level, the finest first.

    >>> level_sizes(11, 3)
    [(6, 5), (3, 3), (2, 1)]
    """
    sizes = []
    for _ in range(levels):
        sizes.append(split_size(size, start))
        size, start = sizes[-1][0], low_start(start)
    return sizes


def level_sizes2d(size: Sequence[int], levels: int, start: Sequence[int] = (0, 0)) -> list[BandSizes2d]:
    """Shapes of all bands of an image of ``size`` (height, width) at every level, the finest first.

    >>> level_sizes2d((5, 4), 1)
    [BandSizes2d(low=(3, 2), lh=(2, 2), hl=(3, 2), hh=(2, 2))]
    """
    rows = level_sizes(size[0], levels, start[0])
    columns = level_sizes(size[1], levels, start[1])
    return [
        BandSizes2d(low=(row_low, column_low), lh=(row_high, column_low), hl=(row_low, column_high),
                    hh=(row_high, column_high))
        for (row_low, row_high), (column_low, column_high) in zip(rows, columns, strict=True)
    ]  # fmt: skip


def check_levels(levels: int) -> None:
    """Raise UsageError unless ``levels`` is a whole number of at least 0."""
    if isinstance(levels, bool) or not isinstance(levels, int) or levels < 0:
        raise UsageError(f"levels={levels!r} is not a number of levels; give a whole number of at least 0")


def check_start(start: int) -> None:
    """Raise UsageError unless ``start`` is a whole number of at least 0."""
    if isinstance(start, bool) or not isinstance(start, int) or start < 0:
        raise UsageError(f"start={start!r} is not a coordinate; give a whole number of at least 0")
