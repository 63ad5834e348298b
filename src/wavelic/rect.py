"""Rectangles of images: one type, one meaning of its four numbers, for regions, tiles and windows alike."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Rect(NamedTuple):
    """A rectangle of samples: its first column and row, and how many of each; ``right`` and ``bottom`` are exclusive.

    Examples:
        >>> Rect(2, 3, 10, 20).right, Rect.between(2, 3, 12, 23) == Rect(2, 3, 10, 20)
        (12, True)
        >>> Rect(3, 0, 6, 5).reduced(2), Rect(4, 4, 2, 2).grown(3, (8, 8))
        (Rect(x=1, y=0, width=2, height=2), Rect(x=1, y=1, width=7, height=7))
    """

    x: int
    y: int
    width: int
    height: int

    @classmethod
    def between(cls, left: int, top: int, right: int, bottom: int) -> Rect:
        """Rectangle with these borders, ``right`` and ``bottom`` exclusive."""
        return cls(left, top, right - left, bottom - top)

    @classmethod
    def around(cls, parts: Iterable[Rect]) -> Rect:
        """Smallest rectangle that holds all of some rectangles, at least one."""
        every = list(parts)
        left, top = min(part.x for part in every), min(part.y for part in every)
        return cls.between(left, top, max(part.right for part in every), max(part.bottom for part in every))

    @property
    def right(self) -> int:
        """First column beyond the rectangle."""
        return self.x + self.width

    @property
    def bottom(self) -> int:
        """First row beyond the rectangle."""
        return self.y + self.height

    @property
    def area(self) -> int:
        """Number of samples."""
        return self.width * self.height

    def is_inside(self, size: tuple[int, int]) -> bool:
        """Whether it has samples, all of them inside an image of ``size`` (width, height)."""
        starts = min(self.x, self.y) >= 0 and min(self.width, self.height) >= 1
        return starts and self.right <= size[0] and self.bottom <= size[1]

    def grown(self, margin: int, size: tuple[int, int]) -> Rect:
        """Rectangle with ``margin`` more samples on every side, cut at the edges of an image of ``size``."""
        left, top = max(self.x - margin, 0), max(self.y - margin, 0)
        return Rect.between(left, top, min(self.right + margin, size[0]), min(self.bottom + margin, size[1]))

    def clipped(self, other: Rect) -> Rect:
        """Rectangle of the samples that lie in ``other`` too; there must be some."""
        left, top = max(self.x, other.x), max(self.y, other.y)
        return Rect.between(left, top, min(self.right, other.right), min(self.bottom, other.bottom))

    def reduced(self, reduce: int) -> Rect:
        """Samples of an image halved ``reduce`` times that lie in this rectangle; both borders are rounded up."""
        step = 1 << reduce
        return Rect.between(-(-self.x // step), -(-self.y // step), -(-self.right // step), -(-self.bottom // step))

    def moved(self, columns: int, rows: int) -> Rect:
        """Rectangle of the same size, further right and down."""
        return Rect(self.x + columns, self.y + rows, self.width, self.height)

    def slices(self) -> tuple[slice, slice]:
        """Index of its samples in an array (rows, columns, ...)."""
        return slice(self.y, self.bottom), slice(self.x, self.right)
