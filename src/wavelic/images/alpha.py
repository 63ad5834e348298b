"""The payload of an ALPH chunk: an alpha plane without loss.

Byte 0 is the method.  0: every sample is the same, and follows as u8 or u16 big-endian.  1: a PNG file follows, gray,
of the plane's size and depth, with no chunks but IHDR, IDAT and IEND.
"""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import PIL.Image

from wavelic.errors import FormatError, LimitError, UsageError
from wavelic.images.image import MAX_SIDE
from wavelic.images.readers.checks import MAX_PIXELS
from wavelic.images.writers.png import SIGNATURE, write_png

_CONSTANT, _PNG = 0, 1


def encode_alpha(alpha: np.ndarray, bit_depth: int) -> bytes:
    """`alpha` (height, width), uint8 for `bit_depth` 8 or uint16 for 16, as bytes.  Raises UsageError otherwise."""
    if alpha.ndim != 2 or bit_depth not in (8, 16) or alpha.dtype != f"uint{bit_depth}" or not alpha.size:
        raise UsageError(
            f"alpha {alpha.shape} {alpha.dtype} at {bit_depth} bits, expected (height, width) of that depth"
        )
    if alpha.min() == alpha.max():
        return bytes([_CONSTANT]) + int(alpha[0, 0]).to_bytes(bit_depth // 8, "big")
    return bytes([_PNG]) + write_png(alpha[:, :, np.newaxis], level=9)


def decode_alpha(payload: bytes, width: int, height: int, bit_depth: int, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """The (height, width) plane, uint8 or uint16, that `encode_alpha` was given.

    Raises FormatError when the payload is not exactly a plane of that size and depth, LimitError when the plane is
    above `max_pixels`; what is allocated follows from the arguments, never from the payload.
    """
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE and width * height <= max_pixels):
        raise LimitError(f"alpha of {width} x {height}, expected at most {max_pixels} pixels; raise max_pixels")
    if not payload:
        raise FormatError("the alpha chunk is empty, expected a method byte; the file is damaged")
    method, body = payload[0], payload[1:]
    if method == _CONSTANT and len(body) == bit_depth // 8:
        return np.full((height, width), int.from_bytes(body, "big"), f"uint{bit_depth}")
    if method != _PNG:
        raise FormatError(f"alpha method {method} with {len(body)} bytes, expected 0 or 1; upgrade wavelic")
    header = struct.pack(">IIBBBBB", width, height, bit_depth, 0, 0, 0, 0)
    _check_png(body, header, height * (1 + width * bit_depth // 8))
    try:
        with PIL.Image.open(io.BytesIO(body), formats=["PNG"]) as picture:
            plane = np.array(picture)
    except Exception as error:  # Pillow on a damaged stream; the header is known to be good
        raise FormatError("the alpha chunk does not decode; the file is damaged, get it again") from error
    return plane.astype(f"uint{bit_depth}", copy=False)


def _check_png(data: bytes, header: bytes, size: int) -> None:
    """Raise FormatError unless `data` is a plain gray PNG of exactly that header and size.

    It must have IDAT chunks and IEND and nothing else, all CRCs right, and inflate to exactly `size` bytes (Pillow
    takes fewer for an image with black rows).
    """
    kinds: list[bytes] = []
    rows: list[bytes] = []
    offset = len(SIGNATURE)
    good = data.startswith(SIGNATURE)
    while good and offset + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, offset)
        body = data[offset + 8 : offset + 8 + length]
        offset += 12 + length
        good = data[offset - 4 : offset] == struct.pack(">I", zlib.crc32(body, zlib.crc32(kind)))
        good = good and (kinds != [] or body == header) and (kind != b"IEND" or length == 0)
        kinds.append(kind)
        rows.append(body)
    good = good and offset == len(data) and kinds[:1] == [b"IHDR"] and kinds[-1:] == [b"IEND"]
    if not good or set(kinds[1:-1]) != {b"IDAT"} or not _inflates_to(b"".join(rows[1:-1]), size):
        raise FormatError("the alpha chunk is not the plain gray PNG expected for this image; the file is damaged")


def _inflates_to(data: bytes, size: int) -> bool:
    inflate = zlib.decompressobj()
    try:
        rows = inflate.decompress(data, size + 1)  # a bomb stops here
    except zlib.error:
        return False
    return len(rows) == size and inflate.eof and not inflate.unused_data
