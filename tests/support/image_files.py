"""Image files made byte by byte, for what no library writes or where the bytes themselves are the test."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterable

import numpy as np
import PIL.Image

COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
_PASSES = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def noise(*shape: int, depth: int = 8, seed: int = 0) -> np.ndarray:
    """Samples of so many bits, all values alike."""
    kind = np.uint8 if depth <= 8 else np.uint16
    return np.random.default_rng(seed).integers(0, 2**depth, shape).astype(kind)


def pillow_bytes(picture: PIL.Image.Image, format: str, **options: object) -> bytes:
    """What Pillow saves."""
    stream = io.BytesIO()
    picture.save(stream, format, **options)
    return stream.getvalue()


def png_chunk(kind: bytes, body: bytes) -> bytes:
    """One PNG chunk."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def packed_rows(samples: np.ndarray, depth: int) -> bytes:
    """Rows (height, columns * channels) of so many bits a sample, most significant first, with filter None."""
    if depth == 16:
        return b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    bits = (samples[:, :, None] >> np.arange(depth - 1, -1, -1)) & 1
    return b"".join(b"\0" + np.packbits(row.ravel()).tobytes() for row in bits.astype(np.uint8))


def png(
    samples: np.ndarray,
    depth: int,
    colour_type: int,
    before: Iterable[tuple[bytes, bytes]] = (),
    after: Iterable[tuple[bytes, bytes]] = (),
    *,
    interlaced: bool = False,
) -> bytes:
    """A PNG of ``samples`` (height, width, channels), with chunks in front of and behind IDAT."""
    height, width, _ = samples.shape
    rows = b""
    for x, y, step_x, step_y in _PASSES if interlaced else [(0, 0, 1, 1)]:
        part = samples[y::step_y, x::step_x]
        if part.size:
            rows += packed_rows(part.reshape(len(part), -1), depth)
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, interlaced)
    chunks = [(b"IHDR", header), *before, (b"IDAT", zlib.compress(rows)), *after, (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(kind, body) for kind, body in chunks)


def chunks_of(data: bytes) -> dict[bytes, bytes]:
    """Kind and payload of a PNG's chunks, IDAT left out."""
    found, position = {}, 8
    while position < len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        if kind != b"IDAT":
            found[kind] = data[position + 8 : position + 8 + length]
        position += 12 + length
    return found


def tiff(
    samples: np.ndarray, order: str = "<", *, bits: int | None = None, planar: bool = False, **tags: object
) -> bytes:
    """A one-strip TIFF of ``samples`` (height, width, channels), uncompressed; ``tag338=2`` and the like add tags.

    Tags of several numbers are tuples; RATIONAL are lists of (numerator, denominator); bytes are UNDEFINED.
    """
    height, width, channels = samples.shape
    bits = bits or 8 * samples.itemsize
    if bits < 8:
        rows = samples.reshape(height, -1)
        body = b"".join(row[1:] for row in (packed_rows(row[None], bits) for row in rows))
    else:
        body = (np.moveaxis(samples, 2, 0) if planar else samples).astype(
            samples.dtype.newbyteorder(order)
        ).tobytes()  # fmt: skip
    plane = len(body) // channels
    entries: dict[int, object] = {
        256: width, 257: height, 258: (bits,) * channels, 259: 1, 262: 2 if channels > 2 else 1,
        273: tuple(range(channels)) if planar else 0, 277: channels, 278: height,
        279: (plane,) * channels if planar else len(body), 284: 2 if planar else 1,
    }  # fmt: skip
    entries |= {int(name.removeprefix("tag")): value for name, value in tags.items()}
    return tiff_directories(order, [(entries, body)])


def tiff_directories(order: str, pages: list[tuple[dict[int, object], bytes]]) -> bytes:
    """A TIFF of several directories, each with its strips right behind it; 273 is replaced by where they lie."""
    data = bytearray((b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8))
    for number, (entries, body) in enumerate(pages):
        start = len(data)
        size = 2 + 12 * len(entries) + 4
        values = [(tag, *_value(entries[tag], order)) for tag in sorted(entries)]
        extra = sum(len(packed) + len(packed) % 2 for *_, packed in values if len(packed) > 4)
        strips = start + size + extra
        planes = entries[273] if isinstance(entries[273], tuple) else (0,)
        places = tuple(strips + index * (len(body) // len(planes)) for index in range(len(planes)))
        values = [(tag, *_value(places if len(places) > 1 else places[0], order)) if tag == 273 else entry
                  for entry in values for tag in [entry[0]]]  # fmt: skip
        table, outside = struct.pack(order + "H", len(values)), b""
        for tag, kind, count, packed in values:
            field = packed.ljust(4, b"\0")
            if len(packed) > 4:
                field = struct.pack(order + "I", start + size + len(outside))
                outside += packed + bytes(len(packed) % 2)
            table += struct.pack(order + "HHI", tag, kind, count) + field
        last = number == len(pages) - 1
        following = 0 if last else strips + len(body) + len(body) % 2
        data += table + struct.pack(order + "I", following) + outside + body + bytes(len(body) % 2)
    return bytes(data)


def _value(value: object, order: str) -> tuple[int, int, bytes]:
    """Type, count and bytes of a tag's value."""
    if isinstance(value, bytes):
        return 7, len(value), value
    if isinstance(value, list):
        return 5, len(value), b"".join(struct.pack(order + "II", *pair) for pair in value)
    numbers = value if isinstance(value, tuple) else (value,)
    kind = "I" if max(numbers) > 65535 else "H"
    return 4 if kind == "I" else 3, len(numbers), struct.pack(f"{order}{len(numbers)}{kind}", *numbers)
