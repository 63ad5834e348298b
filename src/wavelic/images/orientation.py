"""Pictures shown upright exactly once: by their Exif orientation, or by their samples turned and the tag set to 1."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from wavelic.errors import UsageError
from wavelic.images import exif as blocks
from wavelic.images.image import Image
from wavelic.images.metadata import Metadata

#: What `stripped` takes out.
STRIPS = ("all", "gps")


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


def stripped(image: Image, what: str = "all") -> Image:
    """Return the image without metadata, shown as before.

    Args:
        image: any image.
        what: "all" for everything (ICC, Exif, XMP, IPTC, resolution), "gps" for the position in Exif and XMP only.

    Returns:
        The image; with "all" its samples are turned upright, and a colour profile that goes is remarked.

    Raises:
        UsageError: another word is given.
    """
    if what not in STRIPS:
        raise UsageError(f"strip is {what!r}, expected one of {', '.join(STRIPS)}; choose one of them")
    metadata = image.metadata
    if what == "gps":
        exif = blocks.without_gps(metadata.exif) if metadata.exif else metadata.exif
        xmp = blocks.xmp_without_gps(metadata.xmp) if metadata.xmp else metadata.xmp
        return replace(image, metadata=replace(metadata, exif=exif, xmp=xmp))
    remarks = image.remarks
    if metadata.icc:
        remarks += ("the colour profile is stripped too: the samples will be taken for sRGB or plain gray",)
    return replace(upright(image), metadata=Metadata(), remarks=remarks)
