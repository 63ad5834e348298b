"""Windows that overlap: how pictures of any size are worked on in bounded memory and without seams.

Neighbouring windows overlap by what a network can see, its receptive radius.  So every sample is computed from exactly
the samples it would have been computed from in one piece, and the result does not depend on the windows, apart from
the rounding of floats.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from wavelic.rect import Rect


class Window(NamedTuple):
    """One piece of the work.

    Attributes:
        inner: the samples this window is responsible for.
        outer: the samples it looks at: ``inner`` and a margin, inside the image.
    """

    inner: Rect
    outer: Rect

    @property
    def inside(self) -> Rect:
        """``inner`` as a part of ``outer``."""
        return self.inner.moved(-self.outer.x, -self.outer.y)


def windows(area: Rect, size: tuple[int, int], side: int | tuple[int, int], margin: int) -> Iterator[Window]:
    """Cut an area into windows, row by row from the top left.

    Args:
        area: what the inner parts partition.
        size: (width, height) of the image, which no window leaves.
        side: columns and rows of an inner part, one number or (width, height); the last ones may have fewer.
        margin: samples that a window looks beyond its inner part to every side.

    Examples:
        >>> [window.outer for window in windows(Rect(0, 0, 5, 2), (9, 2), 4, 1)]
        [Rect(x=0, y=0, width=5, height=2), Rect(x=3, y=0, width=3, height=2)]
    """
    width, height = (side, side) if isinstance(side, int) else side
    for y in range(area.y, area.bottom, height):
        for x in range(area.x, area.right, width):
            inner = Rect.between(x, y, min(x + width, area.right), min(y + height, area.bottom))
            yield Window(inner, inner.grown(margin, size))


def window_count(area: Rect, side: int | tuple[int, int]) -> int:
    """Return how many windows `windows` cuts an area into."""
    width, height = (side, side) if isinstance(side, int) else side
    return -(-area.width // width) * -(-area.height // height)


def longer_where_thin(area: Rect, side: int, unit: int = 1) -> tuple[int, int]:
    """(width, height) of windows of about side x side samples: longer, of the same area, where the picture is thin.

    Args:
        area: what is cut into them.
        side: of a square one.
        unit: what longer sides are multiples of.

    Examples:
        >>> longer_where_thin(Rect(0, 0, 5000, 4000), 1024), longer_where_thin(Rect(0, 0, 5000, 100), 1024, 32)
        ((1024, 1024), (10464, 1024))
    """

    def beside(other: int) -> int:
        return side if other >= side else side * side // other // unit * unit

    return beside(area.height), beside(area.width)
