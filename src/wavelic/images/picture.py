"""Pictures that Pillow holds in memory, to and from `Image`."""

from __future__ import annotations

from typing import Any

import numpy as np
import PIL.Image

from wavelic.errors import ImageError
from wavelic.images.image import Image, convert_depth, from_array
from wavelic.images.reading import can_be_plain, metadata_of, plain_samples

_DEEP_GRAY = ("I;16", "I;16L", "I;16B", "I;16N")


def from_pillow(picture: Any) -> Image:
    """The samples and metadata of a Pillow image: 8-bit modes, palettes, bilevel and 16-bit gray.

    Raises ImageError for other modes (CMYK, Lab, float, 32-bit).
    """
    if picture.mode in _DEEP_GRAY:
        return from_array(np.array(picture).astype(np.uint16), metadata_of(picture))
    if not can_be_plain(picture.mode):
        raise ImageError(f"the picture's mode is {picture.mode}, expected gray, RGB, RGBA or a palette; convert it")
    return from_array(plain_samples(picture), metadata_of(picture))


def pillow_mode(channels: int, bit_depth: int) -> str:
    """The Pillow mode that shows such an image best; Pillow knows 16 bits for gray only."""
    if channels == 1 and bit_depth == 16:
        return "I;16"
    return {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[channels]


def to_pillow(image: Image) -> PIL.Image.Image:
    """A Pillow image of the samples; 16-bit images other than gray are rounded to 8 bits."""
    mode = pillow_mode(image.channels, image.bit_depth)
    pixels = image.pixels if mode == "I;16" else convert_depth(image.pixels, 8)
    return PIL.Image.fromarray(pixels[:, :, 0] if image.channels == 1 else pixels)
