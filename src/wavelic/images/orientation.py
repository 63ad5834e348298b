"""Pictures shown upright exactly once: by their Exif orientation, or by their samples turned and the tag set to 1."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from wavelic.images import exif as blocks
from wavelic.images.image import Image
from wavelic.images.metadata import Metadata


def turn(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Return the samples (height, width, ...) as they are shown with that Exif orientation 1..8, a view."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels[:, ::-1] if orientation in (2, 3, 6, 7) else pixels


def orientation_of(metadata: Metadata) -> int:
    """Return the Exif orientation, 1..8; 1 where none is stated."""
    return blocks.orientation(metadata.exif)


def upright(image: Image) -> Image:
    """Return the image with its samples turned as its Exif orientation says, and the orientation 1 in Exif and XMP.

    Without an orientation, or with 1, the image itself is returned.
    """
    orientation = orientation_of(image.metadata)
    if orientation == 1 or image.metadata.exif is None:
        return image
    metadata = image.metadata
    exif = blocks.with_orientation(image.metadata.exif, 1)
    resolution = metadata.resolution
    if orientation >= 5:
        exif = blocks.with_swapped_sides(exif)
        resolution = resolution.turned() if resolution else None
    xmp = blocks.xmp_with_orientation(metadata.xmp, 1) if metadata.xmp else metadata.xmp
    pixels = np.ascontiguousarray(turn(image.pixels, orientation))
    return Image(pixels, replace(metadata, exif=exif, xmp=xmp, resolution=resolution), image.remarks)
