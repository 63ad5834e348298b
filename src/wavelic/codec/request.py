"""What part of a file is asked for: checked once, when it is asked for, and passed on as it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from wavelic.codec.opened import Region, check_layers, check_reduce, reduced_region
from wavelic.rect import Rect


class Resolutions(Protocol):
    """The part of an opened file that a request is checked against; see `OpenedFile`."""

    @property
    def levels(self) -> int:
        """Largest ``reduce``."""

    @property
    def level_dimensions(self) -> tuple[tuple[int, int], ...]:
        """(width, height) for every ``reduce``."""

    @property
    def layer_count(self) -> int:
        """Number of quality layers."""


@dataclass(frozen=True)
class Request:
    """A part of a file that exists.  Made by `Request.of`, which checks it.

    Attributes:
        reduce: how often both sides are halved.
        layers: how many quality layers are used.
        region: the part, in pixels of the full image.
        area: the same part in samples of the reduced image: what is to be decoded.
        whole: whether that is all of the image.
    """

    reduce: int
    layers: int
    region: Rect
    area: Rect
    whole: bool

    @classmethod
    def of(cls, file: Resolutions, reduce: int = 0, layers: int | None = None, region: Region | None = None) -> Request:
        """Check a request against what a file has.

        Args:
            file: the opened file.
            reduce: 0..``file.levels``.
            layers: 1..``file.layer_count``; None for all.
            region: (x, y, width, height) in pixels of the full image; None for all of it.

        Raises:
            UsageError: the file has no such resolution, layer or region, or the region has no sample at that
                resolution.
        """
        check_reduce(reduce, file.levels)
        count = check_layers(layers, file.layer_count)
        size = file.level_dimensions[0]
        full = Rect(0, 0, *size)
        asked = full if region is None else Rect(*region)
        return cls(reduce, count, asked, reduced_region(asked, size, reduce), asked == full)
