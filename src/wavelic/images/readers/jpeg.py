"""JPEG -> `Image`: samples by libjpeg, metadata by the file's own segments."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from fractions import Fraction
from typing import BinaryIO

import numpy as np

from wavelic.errors import ImageError
from wavelic.images.image import Image
from wavelic.images.metadata import Metadata, Resolution
from wavelic.images.photoshop import iptc_of
from wavelic.images.readers.pillow import check_mode, metadata_of, open_picture, plain_samples

_PIXELS_PER_BYTE = 512  # a JPEG spends at least a bit on 64 pixels
_SOS, _EOI = 0xDA, 0xD9
_ALONE = (0x01, *range(0xD0, 0xD9))  # markers without a length
_FRAMES = (0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF)
_LOSSLESS_OR_HIERARCHICAL = (0xC3, 0xC5, 0xC6, 0xC7, 0xCB, 0xCD, 0xCE, 0xCF)
_APP0, _APP1, _APP2, _APP13 = 0xE0, 0xE1, 0xE2, 0xED
_LONG_XMP = b"http://ns.adobe.com/xmp/extension/\0"
_PHOTOSHOP = b"Photoshop 3.0\0"


def read_jpeg(stream: BinaryIO, size: int, max_pixels: int) -> Image:
    """Read a JPEG file of ``size`` bytes; of several pictures in one file (MPO) the first.

    Raises:
        ImageError: it is damaged, too large, or of a kind that is not supported (CMYK, lossless, 12 bits).
    """
    found = list(_segments(stream))
    for marker, data in found:
        if marker in _FRAMES and data:
            _check_frame(marker, data[0])
    remarks = []
    with open_picture(stream, "JPEG", max_pixels) as picture:
        if picture.width * picture.height > size * _PIXELS_PER_BYTE:
            raise ImageError(
                f"the image is cut short: {size} bytes cannot hold {picture.width} x {picture.height} pixels; "
                "get it again"
            )
        check_mode(picture)
        others = getattr(picture, "n_frames", 1) - 1
        if others > 0:
            remarks.append(f"the file holds {others} more pictures, which are left out")
        pixels = np.ascontiguousarray(plain_samples(picture))
        basic = metadata_of(picture)
    if any(marker == _APP1 and data.startswith(_LONG_XMP) for marker, data in found):
        remarks.append("the extended part of the XMP packet is left out")
    resources = b"".join(
        data[len(_PHOTOSHOP) :] for marker, data in found if marker == _APP13 and data.startswith(_PHOTOSHOP)
    )
    density = next((_density(data) for marker, data in found if marker == _APP0 and data.startswith(b"JFIF\0")), None)
    return Image(pixels, Metadata(basic.icc, basic.exif, basic.xmp, iptc_of(resources), density), tuple(remarks))


def _check_frame(marker: int, precision: int) -> None:
    if marker in _LOSSLESS_OR_HIERARCHICAL:
        raise ImageError("lossless or hierarchical JPEG is not supported; convert it to PNG")
    if precision != 8:
        raise ImageError(
            f"JPEG of {precision} bits per sample is not supported, expected 8; convert it to a 16-bit PNG"
        )


def _segments(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Marker and payload of the segments in front of the first scan; stops at what is none."""
    stream.seek(2)
    while len(start := stream.read(2)) == 2 and start[0] == 0xFF:
        marker = start[1]
        while marker == 0xFF:  # fill bytes
            marker = (stream.read(1) or b"\xd9")[0]
        if marker in (_SOS, _EOI):
            return
        if marker in _ALONE:
            continue
        length = int.from_bytes(stream.read(2), "big")
        if length < 2:
            return
        yield marker, stream.read(length - 2)


def _density(segment: bytes) -> Resolution | None:
    """The resolution of a JFIF segment: per inch, per centimetre, or a ratio of pixel sides."""
    if len(segment) < 12:
        return None
    unit, x, y = struct.unpack_from(">BHH", segment, 7)
    if unit == 1:
        return Resolution.from_dpi(x, y)
    if not x or not y or unit > 2:
        return None
    return Resolution.checked(Fraction(100 * x), Fraction(100 * y), absolute=unit == 2)
