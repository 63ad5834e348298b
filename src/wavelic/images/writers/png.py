"""PNG files of 8 and 16 bits per sample and any of the four channel counts; Pillow writes 16 bits only for gray."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from wavelic.images.icc import cicp
from wavelic.images.metadata import Metadata, Resolution

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
_BLOCK_BYTES = 1 << 20  # filter about this much of the image at a time


def write_png(pixels: np.ndarray, metadata: Metadata | None = None, level: int = 6) -> bytes:
    """A PNG file of `pixels` (height, width, channels), uint8 or uint16; `level` is zlib's, 0..9."""
    return b"".join(png_pieces(pixels.shape, pixels.dtype, [pixels], metadata, level))


def png_pieces(
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    bands: Iterable[np.ndarray],
    metadata: Metadata | None = None,
    level: int = 6,
) -> Iterator[bytes]:
    """A PNG file in pieces: an image of `shape` (height, width, channels) that comes in `bands` of whole rows."""
    metadata = metadata or Metadata()
    height, width, channels = shape
    header = struct.pack(">IIBBBBB", width, height, 8 * dtype.itemsize, _COLOUR_TYPES[channels], 0, 0, 0)
    yield SIGNATURE + _chunk(b"IHDR", header)
    for kind, data in _ancillary(metadata):
        yield _chunk(kind, data)
    deflate = zlib.compressobj(level)
    compressed = (deflate.compress(block) for block in _filtered(bands))
    yield from (_chunk(b"IDAT", data) for data in compressed if data)
    yield _chunk(b"IDAT", deflate.flush()) + _chunk(b"IEND", b"")


def _ancillary(metadata: Metadata) -> Iterator[tuple[bytes, bytes]]:
    """The chunks of the metadata, in an order that PNG admits."""
    if metadata.icc:
        points = cicp(metadata.icc)
        if points is not None and points[2] == 0:  # HDR, for readers that know it; the others have the profile
            yield b"cICP", bytes(points)
        yield b"iCCP", b"ICC profile\0\0" + zlib.compress(metadata.icc)
    if metadata.resolution:
        sides = metadata.resolution.per_metre if metadata.resolution.absolute else _ratio(metadata.resolution)
        yield b"pHYs", struct.pack(">IIB", *sides, metadata.resolution.absolute)
    if metadata.exif:
        yield b"eXIf", metadata.exif
    if metadata.xmp:
        yield b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + metadata.xmp
    if metadata.iptc:  # as ImageMagick and ExifTool have it, since PNG has no chunk for IPTC
        digits = metadata.iptc.hex()
        lines = "\n".join(digits[i : i + 72] for i in range(0, len(digits), 72))
        text = f"\niptc\n{len(metadata.iptc):8d}\n{lines}\n"
        yield b"zTXt", b"Raw profile type iptc\0\0" + zlib.compress(text.encode("ascii"))


def _ratio(resolution: Resolution) -> tuple[int, int]:
    """The two sides as the smallest whole numbers of their ratio."""
    ratio = (resolution.x / resolution.y).limit_denominator(1 << 15)
    return max(1, ratio.numerator), max(1, ratio.denominator)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _filtered(bands: Iterable[np.ndarray]) -> Iterator[bytes]:
    """Rows after PNG's filters, each with the filter of least absolute sum (the heuristic of the specification)."""
    last: np.ndarray | None = None
    for current, step in _rows(bands):
        above = np.zeros_like(current)
        above[1:] = current[:-1]
        if last is not None:
            above[0] = last
        last = current[-1].copy()
        candidates = _candidates(current, above, step)
        costs = [np.minimum(rows, 0 - rows).sum(axis=1, dtype=np.int64) for rows in candidates]  # as signed bytes
        best = np.argmin(costs, axis=0)
        out = np.empty((len(current), 1 + current.shape[1]), np.uint8)
        out[:, 0] = best
        for kind, filtered in enumerate(candidates):
            out[best == kind, 1:] = filtered[best == kind]
        yield out.tobytes()


def _rows(bands: Iterable[np.ndarray]) -> Iterator[tuple[np.ndarray, int]]:
    """Blocks of rows as big-endian bytes (rows, bytes of a row), and the bytes of a pixel."""
    for band in bands:
        block = max(1, _BLOCK_BYTES // band[0].nbytes) if len(band) else 1
        for start in range(0, len(band), block):
            part = band[start : start + block]
            samples = np.ascontiguousarray(part, ">u2" if band.itemsize == 2 else "u1")
            yield samples.view(np.uint8).reshape(len(part), -1), band.shape[2] * band.itemsize


def _candidates(current: np.ndarray, above: np.ndarray, step: int) -> list[np.ndarray]:
    """The rows under filters None, Sub, Up, Average, Paeth; `step` is the size of a pixel in bytes."""
    left, corner = np.zeros_like(current), np.zeros_like(current)
    left[:, step:] = current[:, :-step]
    corner[:, step:] = above[:, :-step]
    a, b, c = left.astype(np.int16), above.astype(np.int16), corner.astype(np.int16)
    to_left, to_above, to_corner = np.abs(b - c), np.abs(a - c), np.abs(a + b - 2 * c)
    nearest = np.where(to_above <= to_corner, above, corner)
    paeth = np.where((to_left <= to_above) & (to_left <= to_corner), left, nearest)
    average = ((a + b) >> 1).astype(np.uint8)
    return [current, current - left, current - above, current - average, current - paeth]
