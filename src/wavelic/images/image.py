"""An image in memory: samples and metadata, nothing derived."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from wavelic.errors import ImageError, UsageError
from wavelic.images.metadata import Metadata

#: Of an image that comes without any.
NO_METADATA = Metadata()
#: Largest side of an image, in samples.
MAX_SIDE = 65535
CHANNEL_NAMES = {1: "gray", 2: "gray+alpha", 3: "RGB", 4: "RGBA"}


@dataclass(frozen=True, eq=False)
class Image:
    """Samples as stored: an Exif orientation is kept in the metadata and not applied (see `orientation.upright`).

    Attributes:
        pixels: (height, width, channels), C-contiguous, uint8 or uint16 over its full range; both sides 1..65535;
            channels 1 gray, 2 gray+alpha, 3 RGB, 4 RGBA, alpha not premultiplied.
        metadata: what goes with the samples.
        remarks: what was left out or changed when the image was read, one sentence each, to be shown to the user.

    Raises:
        ImageError: the samples are of another kind.
    """

    pixels: np.ndarray
    metadata: Metadata = NO_METADATA
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        pixels = self.pixels
        if not isinstance(pixels, np.ndarray) or pixels.dtype not in (np.uint8, np.uint16):
            given = getattr(pixels, "dtype", type(pixels).__name__)
            raise ImageError(f"samples of type {given}, expected uint8 or uint16; scale and convert them first")
        if pixels.ndim != 3 or pixels.shape[2] not in CHANNEL_NAMES:
            raise ImageError(
                f"samples of shape {pixels.shape}, expected (height, width, channels) with 1..4 channels; reshape them"
            )
        if not (1 <= self.width <= MAX_SIDE and 1 <= self.height <= MAX_SIDE):
            raise ImageError(
                f"an image of {self.width} x {self.height}, expected sides 1..{MAX_SIDE}; crop or split it"
            )
        if not pixels.flags.c_contiguous or not pixels.dtype.isnative:
            raise ImageError("samples not C-contiguous in native byte order, as expected; use from_array")

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Columns."""
        return int(self.pixels.shape[1])

    @property
    def channels(self) -> int:
        """1 gray, 2 gray+alpha, 3 RGB, 4 RGBA."""
        return int(self.pixels.shape[2])

    @property
    def bit_depth(self) -> int:
        """8 or 16."""
        return 8 * self.pixels.itemsize

    @property
    def has_alpha(self) -> bool:
        """Whether the last channel is alpha."""
        return self.channels in (2, 4)

    def colour(self) -> np.ndarray:
        """The samples without alpha: (height, width, 1 or 3), a view."""
        return self.pixels[:, :, : self.channels - self.has_alpha]

    def alpha(self) -> np.ndarray | None:
        """The alpha plane (height, width), a view, or None."""
        return self.pixels[:, :, -1] if self.has_alpha else None


def from_array(array: Any, metadata: Metadata | None = None) -> Image:
    """An image of an array (height, width) or (height, width, channels) of uint8 or uint16, copied only if needed.

    Raises ImageError for any other shape or type: floats and signed integers have no agreed range.
    """
    pixels = np.asarray(array)
    if pixels.ndim == 2:
        pixels = pixels[:, :, np.newaxis]
    if pixels.dtype.kind == "u":
        pixels = pixels.astype(pixels.dtype.newbyteorder("="), order="C", copy=False)
    return Image(pixels, metadata or Metadata())


def convert_depth(pixels: np.ndarray, bits: int) -> np.ndarray:
    """`pixels` (uint8 or uint16, any shape) with `bits` 8 or 16 per sample, full range on both sides.

    8 to 16: `v * 257`, exact.  16 to 8: `(v * 255 + 32767) // 65535`, the nearest value, so 8 -> 16 -> 8 is lossless.
    Raises UsageError for other depths.
    """
    if bits not in (8, 16) or pixels.dtype not in (np.uint8, np.uint16):
        raise UsageError(f"{pixels.dtype} to {bits} bits, expected uint8 or uint16 and 8 or 16; choose one of them")
    if 8 * pixels.itemsize == bits:
        return pixels
    if bits == 16:
        return pixels.astype(np.uint16) * np.uint16(257)
    table = ((np.arange(65536, dtype=np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
    return table[pixels]


def scale_to_full(samples: np.ndarray, bits: int) -> np.ndarray:
    """Return samples in 0..2**bits - 1 over the full range of uint8 (``bits`` up to 8) or uint16, rounded.

    Larger values are clipped.  No two of the values become one, so the original depth can be had back.
    """
    depth = 8 if bits <= 8 else 16
    peak, full = 2**bits - 1, 2**depth - 1
    table = (np.arange(peak + 1, dtype=np.uint64) * (2 * full) + peak) // (2 * peak)
    return table.astype(f"uint{depth}")[np.minimum(samples, peak)]
