"""JPEG 2000 -> `Image`: wavelic's own files as `decode` shows them, all others by libopenjp2.

What components become is worked out in `wavelic.jpeg2000.channels`, for opened files as well; here are the metadata.
"""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from typing import BinaryIO

from wavelic.images import icc as profiles
from wavelic.images.image import Image
from wavelic.images.metadata import Metadata, Resolution
from wavelic.images.photoshop import iptc_of
from wavelic.images.readers.checks import check_size
from wavelic.jpeg2000 import DEFAULT_LIMITS, Jp2
from wavelic.jpeg2000 import read_jpeg2000 as parse_jpeg2000
from wavelic.jpeg2000.binding import default_threads
from wavelic.jpeg2000.channels import channels_of
from wavelic.jpeg2000.header_box import Colour
from wavelic.jpeg2000.picture import Stored, read_picture
from wavelic.rect import Rect

#: The `uuid` box that makes a JP2 file one of wavelic's own.
LIFTING_BOX = bytes.fromhex("c79fe95b3407414aa66c0b6083a53724")
EXIF_BOXES = (b"JpgTiffExif->JP2", bytes.fromhex("0537cdab9d0c4431a72afa561f2a113e"))
XMP_BOX = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
IPTC_BOX = bytes.fromhex("33c7a4d2b81d4723a0baf1a3e097ad38")
_GEO_BOX = bytes.fromhex("b14bf8bd083d4b43a5ae8cd7d5a6ce03")


def read_jpeg2000(stream: BinaryIO, size: int, max_pixels: int) -> Image:
    """Read a JPEG 2000 file or a codestream: what `wavelic.jpeg2000.channels` turns into gray or RGB, up to 31 bits.

    A file that wavelic wrote is decoded as `wavelic.decode` does.

    Raises:
        ImageError: the file is too large.
        FormatError: it is damaged.
        UnsupportedError: its samples or colours are of a kind that is not supported.
        ModelError: it is of codec lifting, and the weights it names are not installed.
    """
    stream.seek(0)
    data = stream.read()
    limits = replace(DEFAULT_LIMITS, max_pixels=min(max_pixels, DEFAULT_LIMITS.max_pixels))
    jp2 = parse_jpeg2000(data, limits)
    check_size(jp2.width, jp2.height, max_pixels)
    if any(uuid.identifier == LIFTING_BOX for uuid in jp2.uuids):
        image: Image = import_module("wavelic").open(data).decode()  # the codec is a room above this one
        return image
    channels = channels_of(jp2)
    stored = Stored(jp2.codestream, jp2.header, threads=default_threads(), limits=limits)
    pixels = read_picture(stored, channels, Rect(0, 0, jp2.width, jp2.height))
    remarks = list(channels.remarks)
    metadata = metadata_of(jp2, channels.colour, len(channels.channels), remarks)
    return Image(pixels, metadata, tuple(remarks))


def metadata_of(jp2: Jp2, colour: Colour, channels: int, remarks: list[str]) -> Metadata:
    """Return the metadata of a JPEG 2000 file.

    Args:
        jp2: the parsed file.
        colour: its colour specification that counts.
        channels: of the picture.
        remarks: what is left out is appended.
    """
    uuids: dict[bytes, bytes] = {}
    for uuid in jp2.uuids:
        uuids.setdefault(uuid.identifier, uuid.data)
    icc = colour.icc
    if colour.code_points is not None:
        try:
            icc = profiles.from_cicp(*colour.code_points, channels)
        except ValueError as error:
            remarks.append(f"{error}; the samples are taken for sRGB")
    exif = next((uuids[kind] for kind in EXIF_BOXES if uuids.get(kind)), None)
    if any(box.kind == b"xml " for box in jp2.boxes):
        remarks.append("an XML box is left out")
    if _GEO_BOX in uuids:
        remarks.append("the georeference (GeoJP2) is left out")
    return Metadata(
        icc or None,
        exif.removeprefix(b"Exif\0\0") if exif else None,
        uuids.get(XMP_BOX) or None,
        iptc_of(uuids.get(IPTC_BOX)),
        Resolution.checked(*jp2.resolution) if jp2.resolution else None,
    )
