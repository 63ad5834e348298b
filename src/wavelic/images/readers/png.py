"""PNG -> `Image` by its own chunks (PNG third edition), wherever they stand; only the samples are decoded by Pillow.

Pillow sees the header, the palette and the samples alone, so that a damaged or unusual ancillary chunk cannot spoil
the picture, and transparency is applied here at every depth.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import BinaryIO

import numpy as np
import PIL.Image

from wavelic.errors import ImageError
from wavelic.images import icc as profiles
from wavelic.images.image import Image
from wavelic.images.metadata import MAX_METADATA, Metadata, Resolution
from wavelic.images.photoshop import iptc_of
from wavelic.images.readers.checks import check_size
from wavelic.images.readers.joined import Joined, Part
from wavelic.images.readers.pillow import decode_as, joined_bytes
from wavelic.images.readers.png_text import TEXT_KINDS, inflated, raw_profile, text_of
from wavelic.images.writers.png import SIGNATURE

_END = b"\0\0\0\0IEND\xaeB`\x82"
_PIXELS = (b"IHDR", b"PLTE", b"IDAT")
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_DEFLATE_RATIO = 1032  # the most bytes that one byte of deflate can yield
_BLOCK = 1 << 20
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_XMP_KEY = b"XML:com.adobe.xmp"
_ORDINARY_TEXT = (b"date:", b"Software", b"exif:", b"icc:", b"png:")  # what converters add by themselves
_HDR_NUMBERS = {b"mDCV": "the colours of its mastering display", b"cLLI": "its content light level"}


@dataclass
class _Png:
    """A file taken apart: header fields, palette, what Pillow is to see, ancillary chunks by kind, remarks."""

    width: int = 0
    height: int = 0
    depth: int = 0
    colour: int = 0
    interlaced: bool = False
    palette: bytes = b""
    parts: list[Part] = field(default_factory=lambda: [SIGNATURE])
    chunks: dict[bytes, list[bytes]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    def first(self, kind: bytes, size: int | None = None) -> bytes | None:
        """The first chunk of that kind, if it has the size that is needed."""
        found = self.chunks.get(kind, [b""])[0]
        return found if found and size in (None, len(found)) else None


def read_png(stream: BinaryIO, size: int, max_pixels: int) -> Image:
    """Read a PNG file of ``size`` bytes.

    Raises:
        ImageError: it is damaged, animated or larger than ``max_pixels``.
    """
    png = _parse(stream, size, max_pixels)
    actl = png.first(b"acTL", 8)
    if actl is not None and int.from_bytes(actl[:4], "big") > 1:
        raise ImageError("the PNG file is animated, which is not supported; extract the frame to code")
    pixels = _samples(png, io.BufferedReader(Joined(stream, [*png.parts, _END])))
    metadata = _metadata(png, pixels.shape[2])
    return Image(np.ascontiguousarray(pixels), metadata, tuple(png.remarks))


def _parse(stream: BinaryIO, size: int, max_pixels: int) -> _Png:
    png = _Png()
    started = ended = False
    position = len(SIGNATURE)
    while not ended:
        stream.seek(position)
        start = stream.read(8)
        length, kind = struct.unpack(">I4s", start) if len(start) == 8 else (0, b"")
        stop = position + 12 + length
        if not kind or stop > size:
            if not started or kind == b"IDAT":
                raise ImageError(f"the PNG file is damaged or cut short after {size} bytes; get it again")
            png.remarks.append("the file is cut short behind its samples: chunks may be missing")
            break
        if position == len(SIGNATURE) and kind != b"IHDR":
            raise ImageError("the PNG file does not start with its header IHDR, as expected; get it again")
        wanted = None if kind == b"IDAT" or length > MAX_METADATA else stream.read(length)
        if _checksum(stream, position + 4, kind, wanted, length) != _read_u32(stream, stop - 4):
            if not kind[0] & 0x20:
                raise ImageError(f"the checksum of PNG chunk {_name(kind)} does not match: it is damaged; get it again")
            png.remarks.append(f"chunk {_name(kind)} is damaged and left out")
        elif kind in _PIXELS:
            png.parts.append((position, stop))
            if kind == b"IHDR":
                _header(png, wanted or b"", size, max_pixels)
            elif kind == b"PLTE":
                png.palette = wanted or b""
            started |= kind == b"IDAT"
        elif kind == b"IEND":
            ended = True
        elif not kind[0] & 0x20:
            raise ImageError(f"critical PNG chunk {_name(kind)} is not supported; convert the image with another tool")
        elif wanted is None:
            png.remarks.append(f"chunk {_name(kind)} of {length} bytes is too long and left out")
        else:
            png.chunks.setdefault(kind, []).append(wanted)
        position = stop
    if not started:
        raise ImageError("the PNG file has no samples (IDAT); it is damaged, get it again")
    return png


def _checksum(stream: BinaryIO, position: int, kind: bytes, data: bytes | None, length: int) -> int:
    """CRC-32 of a chunk's kind and payload, read in blocks if ``data`` is not there."""
    if data is not None:
        return zlib.crc32(data, zlib.crc32(kind))
    stream.seek(position)
    crc, left = 0, length + 4
    while left and (block := stream.read(min(left, _BLOCK))):
        crc, left = zlib.crc32(block, crc), left - len(block)
    return crc


def _read_u32(stream: BinaryIO, position: int) -> int:
    stream.seek(position)
    return int.from_bytes(stream.read(4), "big")


def _header(png: _Png, data: bytes, size: int, max_pixels: int) -> None:
    if len(data) != 13 or png.width:
        raise ImageError("the PNG file has no header IHDR of 13 bytes; it is damaged, get it again")
    png.width, png.height, png.depth, png.colour, method, filters, interlace = struct.unpack(">IIBBBBB", data)
    png.interlaced = bool(interlace)
    if png.depth not in _DEPTHS.get(png.colour, ()) or method or filters or interlace > 1:
        raise ImageError(
            f"PNG colour type {png.colour} at {png.depth} bits, compression {method}, filter {filters}, interlace "
            f"{interlace}: no such PNG is defined; it is damaged, get it again"
        )
    check_size(png.width, png.height, max_pixels)
    if png.height * (png.width * png.depth * _CHANNELS[png.colour] // 8) > size * _DEFLATE_RATIO:
        raise ImageError(
            f"the PNG file is cut short: {size} bytes cannot hold {png.width} x {png.height}; get it again"
        )


def _samples(png: _Png, pixels: BinaryIO) -> np.ndarray:
    """(height, width, channels) with palette and transparency applied."""
    _check_rows(png, pixels)
    transparent = png.first(b"tRNS")
    if png.colour == 3:
        return _palette(png, _plain(pixels), transparent)
    if png.depth == 16:
        samples = _deep(png, pixels)
    else:
        samples = _plain(pixels)
        samples = samples * np.uint8(255) if samples.dtype == bool else samples
        samples = samples.reshape(png.height, png.width, -1)
    if transparent is None or png.colour not in (0, 2):
        return samples
    if len(transparent) != 2 * samples.shape[2]:
        png.remarks.append("chunk tRNS is damaged and left out")
        return samples
    highest = 2**png.depth - 1
    key = np.frombuffer(transparent, ">u2") & highest
    full = np.iinfo(samples.dtype).max
    match = (samples == (key * (full // highest)).astype(samples.dtype)).all(axis=2, keepdims=True)
    return np.concatenate([samples, np.where(match, 0, full).astype(samples.dtype)], axis=2)


def _check_rows(png: _Png, pixels: BinaryIO) -> None:
    """Raise ImageError unless the samples inflate to whole rows; Pillow shows black for what is missing."""
    passes = _ADAM7 if png.interlaced else ((0, 0, 1, 1),)
    expected = 0
    for x, y, step_x, step_y in passes:
        columns, rows = -(-(png.width - x) // step_x), -(-(png.height - y) // step_y)
        if columns > 0 and rows > 0:
            expected += rows * (1 + (columns * png.depth * _CHANNELS[png.colour] + 7) // 8)
    inflate = zlib.decompressobj()
    there = 0
    try:
        for block in _idat(png, pixels):
            while block and not inflate.eof and there <= expected:
                there += len(inflate.decompress(block, _BLOCK))
                block = inflate.unconsumed_tail
        there += len(inflate.flush())
    except zlib.error as error:
        raise ImageError(f"the samples of the PNG file are damaged ({error}); get it again") from error
    if there < expected:
        raise ImageError(
            f"the PNG file has {there} bytes of samples, expected {expected}; it is cut short, get it again"
        )


def _idat(png: _Png, pixels: BinaryIO) -> Iterator[bytes]:
    """The payloads of the IDAT chunks in blocks."""
    position = len(SIGNATURE)
    for part in png.parts[1:]:
        length = part[1] - part[0] if isinstance(part, tuple) else len(part)
        pixels.seek(position + 4)
        if pixels.read(4) == b"IDAT":
            left = length - 12
            while left and (block := pixels.read(min(left, _BLOCK))):
                left -= len(block)
                yield block
        position += length


def _plain(pixels: BinaryIO) -> np.ndarray:
    pixels.seek(0)
    with PIL.Image.open(pixels, formats=["PNG"]) as picture:
        return np.array(picture)


def _deep(png: _Png, pixels: BinaryIO) -> np.ndarray:
    """16-bit samples, which Pillow halves: decoded twice, once for each byte, or as if there were twice as many."""
    if png.colour == 0:
        return _plain(pixels).astype(np.uint16)[:, :, np.newaxis]
    if png.colour == 4:  # a row of 16-bit gray+alpha has the bytes of a row of 8-bit RGBA
        return decode_as(pixels, "RGBA").view(">u2").astype(np.uint16)
    mode = "RGB" if png.colour == 2 else "RGBA"
    return joined_bytes(decode_as(pixels, mode + ";16B"), decode_as(pixels, mode + ";16L"))


def _palette(png: _Png, indices: np.ndarray, transparent: bytes | None) -> np.ndarray:
    colours = np.zeros((256, 3), np.uint8)
    stored = np.frombuffer(png.palette[: 3 * (len(png.palette) // 3)], np.uint8).reshape(-1, 3)[:256]
    if not len(stored) or indices.max(initial=0) >= len(stored):
        raise ImageError(
            f"the palette has {len(stored)} colours, a sample needs more; the file is damaged, get it again"
        )
    colours[: len(stored)] = stored
    if transparent is not None:
        alpha = np.full((256, 1), 255, np.uint8)
        alpha[: len(transparent), 0] = np.frombuffer(transparent[:256], np.uint8)
        colours = np.concatenate([colours, alpha], axis=1)
    return colours[indices.astype(np.uint8)]


def _metadata(png: _Png, channels: int) -> Metadata:
    texts = dict(_texts(png))
    exif = png.first(b"eXIf") or raw_profile(texts, b"exif") or raw_profile(texts, b"APP1")
    xmp = texts.pop(_XMP_KEY, None) or raw_profile(texts, b"xmp")
    iptc = raw_profile(texts, b"iptc") or raw_profile(texts, b"8bim")
    others = [key for key in texts if not key.startswith((*_ORDINARY_TEXT, b"Raw profile type"))]
    if others:
        names = ", ".join(key.decode("latin-1") for key in sorted(others))[:100]
        png.remarks.append(f"text chunks are left out: {names}")
    png.remarks.extend(
        f"{what} ({_name(kind)}) is left out" for kind, what in _HDR_NUMBERS.items() if kind in png.chunks
    )
    return Metadata(
        _colour(png, channels, texts), exif.removeprefix(b"Exif\0\0") if exif else None, xmp, iptc_of(iptc), _phys(png)
    )


def _colour(png: _Png, channels: int, texts: dict[bytes, bytes]) -> bytes | None:
    """The profile, by the precedence of the specification: cICP, iCCP, sRGB, then gAMA and cHRM."""
    profile = _iccp(png) or raw_profile(texts, b"icc") or raw_profile(texts, b"icm")
    points = png.first(b"cICP", 4)
    if points is not None and points[2] == 0:
        try:
            equivalent = profiles.from_cicp(points[0], points[1], points[3] == 1, channels)
        except ValueError as error:
            png.remarks.append(f"{error}; chunk cICP is left out")
        else:
            if profile and equivalent:
                png.remarks.append("chunk cICP goes before the colour profile, which is replaced by its equivalent")
            return equivalent
    if profile is not None or b"sRGB" in png.chunks:
        return profile
    gama, chrm = png.first(b"gAMA", 4), png.first(b"cHRM", 32)
    gamma = int.from_bytes(gama, "big") / 100000 if gama else None
    primaries = None
    if chrm is not None:
        x = [value / 100000 for value in struct.unpack(">8I", chrm)]
        primaries = profiles.Primaries((x[0], x[1]), (x[2], x[3]), (x[4], x[5]), (x[6], x[7]))
    if gamma == 0 or (gamma is not None and not 0.01 <= gamma <= 100):
        png.remarks.append(f"a gamma of {gamma} is not possible; chunk gAMA is left out")
        gamma = None
    if primaries is not None and not profiles.is_sound(primaries):
        png.remarks.append("the primaries of chunk cHRM are not possible; it is left out")
        primaries = None
    return profiles.from_gamma(None if gamma is None else 1 / gamma, primaries, channels)


def _iccp(png: _Png) -> bytes | None:
    chunk = png.first(b"iCCP")
    if chunk is None:
        return None
    profile = inflated(chunk.partition(b"\0")[2][1:])
    if profile is None:
        png.remarks.append("chunk iCCP is damaged and left out")
    return profile


def _phys(png: _Png) -> Resolution | None:
    phys = png.first(b"pHYs", 9)
    if phys is None:
        return None
    x, y, unit = struct.unpack(">IIB", phys)
    if unit == 1:
        return Resolution.from_metre(x, y)
    # the chunk counts samples in a length: so does a resolution
    return Resolution.checked(Fraction(x), Fraction(y), absolute=False) if x and y else None


def _texts(png: _Png) -> Iterator[tuple[bytes, bytes]]:
    """Keyword and text of all text chunks; what does not inflate is left out with a remark."""
    for kind in TEXT_KINDS:
        for chunk in png.chunks.get(kind, ()):
            key, text = text_of(kind, chunk)
            if text is None:
                png.remarks.append(f"text chunk {key[:79].decode('latin-1')} is damaged and left out")
            elif text:
                yield key, text


def _name(kind: bytes) -> str:
    return kind.decode("latin-1") if kind.isalpha() else kind.hex()
