"""What every reader checks before anything is decoded."""

from __future__ import annotations

import PIL.Image

from wavelic.errors import ImageError
from wavelic.images.image import MAX_SIDE

#: Largest image read by default, in pixels.  Pillow's own guard (PIL.Image.MAX_IMAGE_PIXELS, twice) applies too.
MAX_PIXELS = 2**28


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Raise ImageError unless both sides are 1..65535 and the pixels no more than ``max_pixels`` and Pillow's limit."""
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
        raise ImageError(f"the image is {width} x {height}, expected sides 1..{MAX_SIDE}; crop or split it")
    if width * height > max_pixels:
        raise ImageError(f"the image has {width * height} pixels, above the limit {max_pixels}; raise max_pixels")
    if PIL.Image.MAX_IMAGE_PIXELS is not None and width * height > 2 * PIL.Image.MAX_IMAGE_PIXELS:
        raise ImageError(
            f"the image has {width * height} pixels, more than Pillow's limit allows; "
            "raise PIL.Image.MAX_IMAGE_PIXELS if you trust it"
        )
