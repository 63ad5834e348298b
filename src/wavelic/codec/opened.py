"""An opened compressed file, whatever its format: what every reader offers, and the rules they share.

Sizes and regions at a reduced resolution follow one rule, rounding up: with ``reduce = r`` an image of ``width`` has
ceil(width / 2^r) columns, and a region (x, y, width, height), always given in pixels of the full image, covers the
columns ceil(x / 2^r) up to and without ceil((x + width) / 2^r), and rows likewise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from wavelic.errors import UsageError
from wavelic.images import Image, Metadata
from wavelic.rect import Rect

Pixels = NDArray[np.uint8] | NDArray[np.uint16]
#: What callers give, also as a plain tuple: x, y, width, height in pixels of the full image.
Region = Rect | tuple[int, int, int, int]
#: Called as progress(done, total).
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Layer:
    """A quality layer: bytes and bits per pixel of the file up to and including it; None if the file does not say."""

    bytes: int | None
    bpp: float | None


class OpenedFile(Protocol):
    """A checked, not yet decoded file: `wavelic.open` returns one for `.wlic` and for JPEG 2000 alike."""

    @property
    def codec(self) -> str:
        """The codec that wrote it, as `wavelic.encode` takes it; "jpeg2000" for JPEG 2000 files of other software."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of the full image; channels 1 gray, 2 gray+alpha, 3 RGB, 4 RGBA."""

    @property
    def bit_depth(self) -> int:
        """8 or 16: bits per sample of what `read` returns."""

    @property
    def info(self) -> dict[str, Any]:
        """What ``wavelic info --json`` shows."""

    @property
    def metadata(self) -> Metadata:
        """ICC profile, Exif, XMP, IPTC and resolution, as `decode` returns them."""

    @property
    def properties(self) -> Mapping[str, str]:
        """Facts by the names that OpenSlide gives them, as text."""

    @property
    def levels(self) -> int:
        """The largest ``reduce``: resolutions below the full one."""

    @property
    def level_dimensions(self) -> tuple[tuple[int, int], ...]:
        """(width, height) for every ``reduce`` from 0 to `levels`."""

    @property
    def layer_count(self) -> int:
        """How many quality layers there are; at least one."""

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The quality layers, the coarsest first; at least one."""

    @property
    def complete(self) -> bool:
        """False for a file that was cut short and opened with ``allow_partial``."""

    @property
    def best_reduce(self) -> int:
        """The finest resolution of which there is a whole layer, as a ``reduce``: 0 for a complete file."""

    def read(
        self,
        reduce: int = 0,
        layers: int | None = None,
        region: Region | None = None,
        device: str = "cpu",
    ) -> Pixels:
        """Decode samples (H, W, C), uint8 or uint16.

        Args:
            reduce: 0..`levels`; halves both sides that often, rounding up.
            layers: use only the first so many layers; None for all.
            region: (x, y, width, height) in pixels of the full image; None for all of it.
            device: torch device of the network.

        Raises:
            UsageError: an argument is out of range, or the region is empty at that resolution.
            FormatError, ChecksumError, LimitError, ModelError: see each type.
        """

    def decode(
        self,
        reduce: int = 0,
        layers: int | None = None,
        region: Region | None = None,
        device: str = "cpu",
        progress: Progress | None = None,
    ) -> Image:
        """As `read`, with the file's metadata."""

    def layers_within(self, max_bytes: int, reduce: int = 0, region: Region | None = None) -> int:
        """Return the most layers with which `read` fetches at most so many bytes of a file that is read in parts.

        Args:
            max_bytes: what may be fetched.
            reduce: as in `read`.
            region: as in `read`.

        Raises:
            UsageError: not even the first layer is so small, or the file cannot be read layer by layer.
        """

    def verify(self) -> None:
        """Check everything that can be checked without synthesising pixels.

        Raises FormatError or ChecksumError if the file is damaged, ModelError if its weights are not installed.
        """

    def close(self) -> None:
        """Let go of the connection or file that is held open; a file that is read in parts cannot be read any more."""

    def __enter__(self) -> Self:
        """Return the file itself."""

    def __exit__(self, *_: object) -> None:
        """Close the file."""


def level_dimensions(width: int, height: int, levels: int) -> tuple[tuple[int, int], ...]:
    """(width, height) at every resolution.

    Examples:
        >>> level_dimensions(5, 8, 2)
        ((5, 8), (3, 4), (2, 2))
    """
    return tuple((-(-width // 2**r), -(-height // 2**r)) for r in range(levels + 1))


def reduced_region(region: Region | None, size: tuple[int, int], reduce: int) -> Rect:
    """Return the region in samples of the reduced image; all of it for None.

    Args:
        region: in pixels of the full image.
        size: (width, height) of the full image.
        reduce: how often its sides are halved.

    Raises:
        UsageError: it is not inside the image or has no sample at that resolution.

    Examples:
        >>> reduced_region((3, 0, 6, 5), (9, 9), 2)
        Rect(x=1, y=0, width=2, height=2)
    """
    asked = Rect(0, 0, *size) if region is None else Rect(*region)
    name = ",".join(map(str, asked))
    if not asked.is_inside(size):
        raise UsageError(f"region {name} is not inside the image of {size[0]} x {size[1]}; give x,y,width,height")
    area = asked.reduced(reduce)
    if not area.width or not area.height:
        raise UsageError(f"region {name} has no sample at reduce={reduce}; widen it to {2**reduce} pixels")
    return area


def check_reduce(reduce: int, levels: int) -> int:
    """``reduce`` if the file has that resolution, else UsageError."""
    if not 0 <= reduce <= levels:
        raise UsageError(f"reduce is {reduce}, the file has 0..{levels}; choose one of them")
    return reduce


def check_layers(layers: int | None, count: int) -> int:
    """How many layers to decode; UsageError if the file does not have so many."""
    if layers is None:
        return count
    if not 1 <= layers <= count:
        raise UsageError(f"layers is {layers}, the file has {count}; choose 1..{count}")
    return layers
