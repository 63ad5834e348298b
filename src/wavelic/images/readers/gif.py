"""GIF -> `Image`: one frame by Pillow; colour profile and XMP from the application extensions, which Pillow skips."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from wavelic.images import icc as profiles
from wavelic.images.image import Image
from wavelic.images.metadata import MAX_METADATA, Metadata
from wavelic.images.readers.pillow import check_mode, check_still, open_picture, plain_samples

_EXTENSION, _APPLICATION, _IMAGE = 0x21, 0xFF, 0x2C
_MAGIC_TRAILER = 258  # bytes behind an XMP packet that let a reader of blocks find the end


def read_gif(stream: BinaryIO, size: int, max_pixels: int) -> Image:
    """Read a GIF file of one frame; a transparent colour becomes alpha.

    Raises:
        ImageError: it is damaged, too large or animated.
    """
    with open_picture(stream, "GIF", max_pixels) as picture:
        check_still(picture)
        check_mode(picture)
        pixels = np.ascontiguousarray(plain_samples(picture))
    icc = xmp = None
    for name, data in _applications(stream):
        if name == b"ICCRGBG1012":
            icc = _blocks(data) or icc
        elif name == b"XMP DataXMP":
            xmp = data[:-_MAGIC_TRAILER] or xmp
    remarks: tuple[str, ...] = ()
    if icc is not None and profiles.colour_space(icc) is None:
        icc, remarks = None, ("the colour profile in the GIF file is damaged and left out",)
    return Image(pixels, Metadata(icc=icc, xmp=xmp), remarks)


def _applications(stream: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """Name and sub-blocks, their length bytes included, of the application extensions."""
    stream.seek(0)
    data = stream.read(MAX_METADATA)
    position = 13 + _table(data[10])
    while position + 1 < len(data):
        if data[position] == _EXTENSION:
            stop = _skip(data, position + 2)
            if data[position + 1] == _APPLICATION and data[position + 2] == 11:
                yield data[position + 3 : position + 14], data[position + 14 : stop]
            position = stop
        elif data[position] == _IMAGE and position + 10 < len(data):
            position = _skip(data, position + 11 + _table(data[position + 9]))
        else:
            return


def _table(flags: int) -> int:
    """Bytes of a colour table, by the flags in front of it."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _skip(data: bytes, position: int) -> int:
    """Where the sub-blocks that begin here end, their terminator included."""
    while position < len(data) and data[position]:
        position += 1 + data[position]
    return position + 1


def _blocks(data: bytes) -> bytes:
    """The payloads of sub-blocks."""
    pieces, position = [], 0
    while position < len(data) and data[position]:
        pieces.append(data[position + 1 : position + 1 + data[position]])
        position += 1 + data[position]
    return b"".join(pieces)
