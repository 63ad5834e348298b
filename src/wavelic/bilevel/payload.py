"""The DATA payload of codec `bilevel`: one plane of black and white samples.

Byte 0 of a payload is the method.  0: every sample is the same, byte 1 says which.  1: a PNG of one bit a sample.
2: ITU-T T.6 ("Group 4"), as in a TIFF strip of the whole picture, white coded as 0.  The shorter of 1 and 2 is taken.
The last four bytes are the CRC-32C of the picture: its width and height as u16, then its rows, eight samples a byte.
T.6 does not say where it ends, and decoders make a picture of nearly any bytes.
"""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from wavelic.container import crc32c
from wavelic.errors import ChecksumError, FormatError, LimitError, UsageError
from wavelic.images.image import MAX_SIDE, Image
from wavelic.images.readers.checks import MAX_PIXELS

_CONSTANT, _PNG, _T6 = 0, 1, 2
_WHITE = 255
_SIZE, _CRC = struct.Struct(">HH"), struct.Struct(">I")
_ROWS = 256  # looked at together
_STRIP_OFFSETS, _STRIP_LENGTHS, _ROWS_PER_STRIP, _PHOTOMETRIC = 273, 279, 278, 262


def is_bilevel(image: Image) -> bool:
    """Whether the samples are of 8 bits, the colours gray, all of them 0 or 255; alpha may be anything."""
    if image.bit_depth != 8:
        return False
    colour = image.colour()
    parts = (colour[start : start + _ROWS] for start in range(0, image.height, _ROWS))
    return all(_is_bilevel(part) for part in parts)


def _is_bilevel(colour: NDArray[np.uint8]) -> bool:
    first = colour[:, :, :1]
    return bool(((first == 0) | (first == _WHITE)).all() and (colour == first).all())


def encode_bilevel(image: Image) -> bytes:
    """Return the payload of a bilevel picture's colours.

    Raises:
        UsageError: the picture is not bilevel.
    """
    if not is_bilevel(image):
        raise UsageError("the picture has other samples than 8-bit black and white; use a codec for photographs")
    plane = np.ascontiguousarray(image.pixels[:, :, 0])
    return _body(plane) + _CRC.pack(_checksum(plane))


def _checksum(plane: NDArray[np.uint8]) -> int:
    rows = np.packbits(plane, axis=1)
    return crc32c(_SIZE.pack(plane.shape[1], plane.shape[0]) + rows.tobytes())


def _body(plane: NDArray[np.uint8]) -> bytes:
    """The method and its data: what is shortest."""
    if (plane == plane[0, 0]).all():
        return bytes([_CONSTANT, plane[0, 0]])
    picture = PIL.Image.fromarray(plane).convert("1", dither=PIL.Image.Dither.NONE)
    stream = io.BytesIO()
    picture.save(stream, "PNG", optimize=True)
    as_png = bytes([_PNG]) + stream.getvalue()
    as_t6 = bytes([_T6]) + _t6(picture)
    return min(as_t6, as_png, key=len)


def decode_bilevel(payload: bytes, width: int, height: int, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Return the samples (height, width, 1), 0 and 255, that `encode_bilevel` was given.

    Memory follows from the arguments, never from the payload.

    Raises:
        FormatError, ChecksumError: the payload is not a picture of that size.
        LimitError: the picture is larger than ``max_pixels``.
    """
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE and width * height <= max_pixels):
        raise LimitError(f"a picture of {width} x {height}, expected at most {max_pixels} pixels; raise max_pixels")
    plane = _plane(payload[:1], payload[1 : -_CRC.size], width, height)
    if payload[-_CRC.size :] != _CRC.pack(_checksum(plane)):
        raise ChecksumError("the bilevel picture does not have the checksum stated; the file is damaged, get it again")
    return plane[:, :, np.newaxis]


def _plane(method: bytes, body: bytes, width: int, height: int) -> NDArray[np.uint8]:
    """The samples (height, width), 0 and 255, of a payload's method and data."""
    if method == bytes([_CONSTANT]) and body in (b"\0", bytes([_WHITE])):
        return np.full((height, width), body[0], np.uint8)
    if method not in (bytes([_PNG]), bytes([_T6])):
        raise FormatError(f"bilevel method {method.hex() or 'none'}, expected 0, 1 or 2; upgrade wavelic")
    data, format = (body, "PNG") if method == bytes([_PNG]) else (_as_tiff(body, width, height), "TIFF")
    try:
        with PIL.Image.open(io.BytesIO(data), formats=[format]) as picture:
            if picture.size != (width, height) or picture.mode != "1":
                raise FormatError(
                    f"a bilevel picture of {picture.size} and mode {picture.mode}, expected {width} x {height}; "
                    "the file is damaged, get it again"
                )
            plane = np.array(picture)
    except FormatError:
        raise
    except Exception as error:  # Pillow and libtiff on a damaged stream
        raise FormatError("the bilevel picture does not decode; the file is damaged, get it again") from error
    return plane * np.uint8(_WHITE)


def _t6(picture: PIL.Image.Image) -> bytes:
    """The strip of a TIFF file that libtiff writes."""
    stream = io.BytesIO()
    tags = {_ROWS_PER_STRIP: picture.height, _PHOTOMETRIC: 0}
    picture.save(stream, "TIFF", compression="group4", tiffinfo=tags)
    stream.seek(0)
    written: Any = PIL.Image.open(stream, formats=["TIFF"])
    offsets, lengths = written.tag_v2[_STRIP_OFFSETS], written.tag_v2[_STRIP_LENGTHS]
    if len(offsets) != 1 or written.tag_v2[_PHOTOMETRIC] not in (0, 1):
        raise UsageError(f"libtiff wrote {len(offsets)} strips, expected one; report this")
    strip = stream.getvalue()[offsets[0] : offsets[0] + lengths[0]]
    return bytes([written.tag_v2[_PHOTOMETRIC]]) + strip


def _as_tiff(body: bytes, width: int, height: int) -> bytes:
    """A TIFF file around a strip, for libtiff to decode."""
    if len(body) < 2 or body[0] > 1:
        raise FormatError("the bilevel picture has no samples; the file is damaged, get it again")
    strip = body[1:]
    entries = [
        (256, 4, width), (257, 4, height), (258, 3, 1), (259, 3, 4), (_PHOTOMETRIC, 3, body[0]),
        (_STRIP_OFFSETS, 4, 8), (277, 3, 1), (_ROWS_PER_STRIP, 4, height), (_STRIP_LENGTHS, 4, len(strip)),
    ]  # fmt: skip
    directory = 8 + len(strip) + len(strip) % 2
    table = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    head = struct.pack("<2sHI", b"II", 42, directory) + strip + bytes(len(strip) % 2)
    return head + struct.pack("<H", len(entries)) + table + bytes(4)
