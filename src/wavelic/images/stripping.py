"""Metadata taken out, all of it or the position alone, of images and of files whose samples are not touched."""

from __future__ import annotations

from dataclasses import replace

from wavelic.errors import UsageError
from wavelic.images import exif as blocks
from wavelic.images.image import Image
from wavelic.images.metadata import Metadata
from wavelic.images.orientation import orientation_of, upright

#: What can be stripped.
STRIPS = ("all", "gps")


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
    if checked(what) == "gps":
        return replace(image, metadata=stripped_metadata(image.metadata, what))
    remarks = image.remarks
    if image.metadata.icc:
        remarks += ("the colour profile is stripped too: the samples will be taken for sRGB or plain gray",)
    return replace(upright(image), metadata=Metadata(), remarks=remarks)


def stripped_metadata(metadata: Metadata, what: str = "all") -> Metadata:
    """Return what is left of the metadata of a file whose samples stay as they are.

    With "all" an orientation other than 1 stays, in an Exif block of its own, so that the picture is shown as before.

    Raises:
        UsageError: another word than "all" and "gps" is given.
    """
    if checked(what) == "gps":
        exif = blocks.without_gps(metadata.exif) if metadata.exif else metadata.exif
        xmp = blocks.xmp_without_gps(metadata.xmp) if metadata.xmp else metadata.xmp
        return replace(metadata, exif=exif, xmp=xmp)
    orientation = orientation_of(metadata)
    return Metadata(exif=None if orientation == 1 else blocks.orientation_block(orientation))


def checked(what: str) -> str:
    """``what`` if it is one of `STRIPS`, else UsageError."""
    if what not in STRIPS:
        raise UsageError(f"strip is {what!r}, expected one of {', '.join(STRIPS)}; choose one of them")
    return what
