"""What is asked of an opened file, checked once."""

from __future__ import annotations

from dataclasses import dataclass

from wavelic.codec.opened import Region, check_layers, check_reduce, level_dimensions, reduced_region
from wavelic.jpeg2000 import MainHeader


@dataclass(frozen=True)
class Request:
    """A part of an image that its file has.

    Attributes:
        reduce: how often both sides are halved, 0 or more.
        layers: how many of the quality layers are used, 1 or more.
        region: (x, y, width, height) in pixels of the full image.
        area: the same in samples of the reduced image.
        size: (width, height) of the whole reduced image.
    """

    reduce: int
    layers: int
    region: Region
    area: Region
    size: tuple[int, int]

    @property
    def is_whole(self) -> bool:
        """Whether all of the image is asked for, at whatever resolution."""
        return self.area == (0, 0, *self.size)


def check_request(
    header: MainHeader, reduce: int = 0, layers: int | None = None, region: Region | None = None
) -> Request:
    """Check a request against what a file has.

    Args:
        header: the codestream's main header.
        reduce: how often both sides are to be halved.
        layers: use only the first so many layers; None: all.
        region: (x, y, width, height) in pixels of the full image; None: all of it.

    Raises:
        UsageError: the file has no such resolution, layer or region.
    """
    check_reduce(reduce, header.levels)
    count = check_layers(layers, header.layers)
    full = header.width, header.height
    area = reduced_region(region, full, reduce)
    return Request(reduce, count, region or (0, 0, *full), area, level_dimensions(*full, reduce)[reduce])
