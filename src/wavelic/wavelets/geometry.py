"""Sizes of wavelet bands, in plain integers.

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
    """Shapes (height, width) of the four bands of one 2-D level.

    Attributes:
        low: low-pass along both axes.
        lh: high-pass vertically.
        hl: high-pass horizontally.
        hh: high-pass along both axes.
    """

    low: tuple[int, int]
    lh: tuple[int, int]
    hl: tuple[int, int]
    hh: tuple[int, int]


def low_start(start: int) -> int:
    """Coordinate of the first low-pass sample: ceil(start / 2).

    Args:
        start: absolute coordinate of the first sample.

    Returns:
        The low band's first coordinate, which is ``start`` of the next level.

    Examples:
        >>> [low_start(start) for start in range(5)]
        [0, 1, 1, 2, 2]
    """
    return -(-start // 2)


def split_size(size: int, start: int = 0) -> tuple[int, int]:
    """Sizes of the two bands of a signal.

    Args:
        size: number of samples.
        start: absolute coordinate of the first sample.

    Returns:
        Number of (low, high) samples.

    Examples:
        >>> split_size(5), split_size(5, start=1), split_size(1), split_size(1, start=1)
        ((3, 2), (2, 3), (1, 0), (0, 1))
    """
    end = start + size
    return low_start(end) - low_start(start), end // 2 - start // 2


def level_sizes(size: int, levels: int, start: int = 0) -> list[tuple[int, int]]:
    """Sizes of the two bands at every level.

    Args:
        size: number of samples of the signal.
        levels: number of levels.
        start: absolute coordinate of the first sample.

    Returns:
        Number of (low, high) samples of each level, the finest first.

    Examples:
        >>> level_sizes(11, 3)
        [(6, 5), (3, 3), (2, 1)]
    """
    sizes = []
    for _ in range(levels):
        sizes.append(split_size(size, start))
        size, start = sizes[-1][0], low_start(start)
    return sizes


def level_sizes2d(size: Sequence[int], levels: int, start: Sequence[int] = (0, 0)) -> list[BandSizes2d]:
    """Shapes of the four bands at every level of a 2-D transform.

    Args:
        size: (height, width) of the image.
        levels: number of levels.
        start: absolute (row, column) of the first sample.

    Returns:
        The shapes of each level, the finest first.

    Examples:
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
