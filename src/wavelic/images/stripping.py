"""Metadata taken out, all of it or the position alone, of images and of files whose samples are not touched."""

from __future__ import annotations

from dataclasses import replace

from wavelic.errors import FormatError, UsageError
from wavelic.images import exif as blocks
from wavelic.images.image import Image
from wavelic.images.metadata import Metadata
from wavelic.images.orientation import orientation_of, upright
from wavelic.images.readers.jp2 import EXIF_BOXES, IPTC_BOX, XMP_BOX
from wavelic.jpeg2000 import GREY, SRGB, is_jp2
from wavelic.jpeg2000.boxes import box, list_boxes

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
    if _checked(what) == "gps":
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
    if _checked(what) == "gps":
        exif = blocks.without_gps(metadata.exif) if metadata.exif else metadata.exif
        xmp = blocks.xmp_without_gps(metadata.xmp) if metadata.xmp else metadata.xmp
        return replace(metadata, exif=exif, xmp=xmp)
    orientation = orientation_of(metadata)
    return Metadata(exif=None if orientation == 1 else blocks.orientation_block(orientation))


def stripped_jp2(data: bytes, what: str = "all") -> bytes:
    """Return a JP2 file without metadata; its codestream and the boxes that decoding needs stay byte for byte.

    With "all" the boxes of Exif, XMP, IPTC, XML and resolution go, and an ICC profile gives way to sRGB or gray.

    Raises:
        UsageError: another word than "all" and "gps" is given.
        FormatError: the file is not a JP2 file.
    """
    _checked(what)
    if not is_jp2(data):
        raise FormatError("not a JP2 file, and only these have boxes of metadata; give a .jp2 file")
    pieces = []
    for found in list_boxes(data):
        payload = data[found.start : found.stop]
        if found.kind == b"jp2h" and what == "all":
            payload = _plain_header(payload)
        elif found.kind == b"uuid":
            left = _stripped_uuid(payload[:16], payload[16:], what)
            if left is None:
                continue
            payload = payload[:16] + left
        elif found.kind == b"xml " and what == "all":
            continue
        pieces.append(box(found.kind, payload))
    return b"".join(pieces)


def _checked(what: str) -> str:
    if what not in STRIPS:
        raise UsageError(f"strip is {what!r}, expected one of {', '.join(STRIPS)}; choose one of them")
    return what


def _stripped_uuid(identifier: bytes, data: bytes, what: str) -> bytes | None:
    """What is left of a `uuid` box, or None if it goes."""
    if identifier in EXIF_BOXES:
        prefix = b"Exif\0\0" if data.startswith(b"Exif\0\0") else b""
        exif = stripped_metadata(Metadata(exif=data[len(prefix) :]), what).exif
        return prefix + exif if exif else None
    if identifier == XMP_BOX:
        return stripped_metadata(Metadata(xmp=data), what).xmp
    if identifier == IPTC_BOX:
        return stripped_metadata(Metadata(iptc=data), what).iptc
    return data


def _plain_header(header: bytes) -> bytes:
    """A `jp2h` box without resolution, its ICC profile replaced by the enumerated colour space of its channels."""
    pieces = []
    coloured = False
    for found in list_boxes(header):
        payload = header[found.start : found.stop]
        if found.kind == b"res ":
            continue
        if found.kind == b"colr" and payload[:1] != b"\1":
            if coloured:
                continue
            gray = payload[3 + 16 : 3 + 20] == b"GRAY"
            payload = b"\1\0\0" + (GREY if gray else SRGB).to_bytes(4, "big")
        coloured |= found.kind == b"colr"
        pieces.append(box(found.kind, payload))
    return b"".join(pieces)
