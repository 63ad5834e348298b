"""Pictures that Pillow holds in memory, to and from `Image`."""

from __future__ import annotations

from typing import Any

import numpy as np
import PIL.Image

from wavelic.errors import ImageError
from wavelic.images.image import Image, convert_depth, from_array
from wavelic.images.metadata import Metadata
from wavelic.images.readers.pillow import can_be_plain, fitted, plain_samples

_DEEP_GRAY = ("I;16", "I;16L", "I;16B", "I;16N")


def from_pillow(picture: Any) -> Image:
    """Return the samples and the colour profile of a Pillow image: 8-bit modes, palettes, bilevel and 16-bit gray.

    Exif and XMP of the file it came from are not taken, as Pillow's own writers do not: the program may have turned
    the picture since, and nobody asked for its position to be stored.

    Raises:
        ImageError: the mode is another one (CMYK, Lab, float, 32-bit).
    """
    icc = picture.info.get("icc_profile")
    metadata = Metadata(icc=icc if isinstance(icc, bytes) and icc else None)
    if picture.mode in _DEEP_GRAY:
        return fitted(from_array(np.array(picture).astype(np.uint16), metadata))
    if not can_be_plain(picture.mode):
        raise ImageError(f"the picture's mode is {picture.mode}, expected gray, RGB, RGBA or a palette; convert it")
    return fitted(from_array(plain_samples(picture), metadata))


def pillow_mode(channels: int, bit_depth: int) -> str:
    """Return the Pillow mode that shows such an image best; Pillow knows 16 bits for gray only."""
    if channels == 1 and bit_depth == 16:
        return "I;16"
    return {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[channels]


def to_pillow(image: Image) -> PIL.Image.Image:
    """Return a Pillow image of the samples; 16-bit images other than gray are rounded to 8 bits."""
    mode = pillow_mode(image.channels, image.bit_depth)
    pixels = image.pixels if mode == "I;16" else convert_depth(image.pixels, 8)
    return PIL.Image.fromarray(pixels[:, :, 0] if image.channels == 1 else pixels)
