"""Pixels for the evaluation: 8-bit RGB arrays from files, and PNG bytes from arrays."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from wavelic.errors import ImageError
from wavelic.images import load_image


def load_rgb(path: Path) -> np.ndarray:
    """Read an image file as RGB; gray is repeated.

    Args:
        path: of the file.

    Returns:
        uint8 (height, width, 3).

    Raises:
        ImageError: not an image `wavelic.images` reads, or one with more than 8 bits or alpha.
    """
    image = load_image(path)
    if image.has_alpha or image.bit_depth != 8:
        raise ImageError(
            f"{path.name} has {image.channels} channels of {image.bit_depth} bits, expected RGB or gray of 8 bits; "
            "convert it first"
        )
    pixels = image.pixels
    return pixels if image.channels == 3 else np.repeat(pixels.reshape(image.height, image.width, 1), 3, axis=2)


def png_bytes(pixels: np.ndarray) -> bytes:
    """Write pixels as a PNG file, for pages that must show exactly these pixels.

    Args:
        pixels: uint8 (height, width, 3).

    Returns:
        The file.
    """
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
