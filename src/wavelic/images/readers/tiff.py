"""TIFF -> `Image`: pages and tags by tifffile, samples by Pillow where it gives them in full, else by tifffile.

Pillow shows signed samples as unsigned, drops channels it has no name for and takes thumbnails and masks for pages;
so what a page holds is decided by its own tags, and what Pillow opens is compared with that.
"""

from __future__ import annotations

import contextlib
import io
import logging
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import PIL.Image

from wavelic.errors import ImageError
from wavelic.images import icc as profiles
from wavelic.images.exif import orientation_block
from wavelic.images.image import Image, scale_to_full
from wavelic.images.metadata import MAX_METADATA, Metadata, Resolution
from wavelic.images.orientation import turn
from wavelic.images.photoshop import iptc_of
from wavelic.images.readers.checks import check_size
from wavelic.images.readers.joined import Joined
from wavelic.images.readers.pillow import decode_as, joined_bytes, plain_samples

if TYPE_CHECKING:
    from tifffile import TiffPage

_SUBFILE, _OLD_SUBFILE, _BITS, _COMPRESSION, _PHOTOMETRIC, _ORIENTATION = 254, 255, 258, 259, 262, 274
_SAMPLES, _PLANAR, _EXTRA, _FORMAT = 277, 284, 338, 339
_OFFSETS, _COUNTS = (273, 324), (279, 325)
_X, _Y, _UNIT = 282, 283, 296
_XMP, _IPTC, _PHOTOSHOP, _ICC = 700, 33723, 34377, 34675
_TRANSFER, _WHITE, _PRIMARIES = 301, 318, 319
_REDUCED, _MASK = 1, 4
_WHITE_IS_ZERO, _PALETTE = 0, 3
_COLOURS = {0: 1, 1: 1, 2: 3, 3: 1, 6: 3}
_OTHER_COLOURS = {4: "a mask", 5: "CMYK", 8: "Lab", 9: "Lab", 10: "Lab", 32803: "raw sensor data", 34892: "raw"}
_FORMATS = {2: "signed integers", 3: "floating point", 5: "complex", 6: "complex"}
_PREMULTIPLIED, _ALPHA = 1, 2
_MODES = {(1, False): ("1", "L"), (1, True): ("LA",), (3, False): ("RGB",), (3, True): ("RGBA",)}
#: Tags that describe the photograph and not the file's layout.
_EXIF_TAGS = (270, 271, 272, _ORIENTATION, 305, 306, 315, 33432)
_EXIF_DIRECTORIES = (0x8769, 0x8825)
_UNREADABLE = (SyntaxError, ValueError, TypeError, KeyError, OSError, struct.error, OverflowError)  # of Pillow's parser


@dataclass(frozen=True)
class _Layout:
    """What a page's samples are: bits, colour channels, the type of an extra one or None, photometric."""

    bits: int
    colours: int
    extra: int | None
    photometric: int
    planar: bool
    labelled: bool

    @property
    def modes(self) -> tuple[str, ...]:
        """The Pillow modes that show all of it."""
        if self.photometric == _PALETTE:
            return ("P",) if self.extra is None else ("PA",)
        return _MODES[self.colours, self.extra is not None]


def read_tiff(stream: BinaryIO, size: int, max_pixels: int) -> Image:
    """Read a TIFF file of one picture; thumbnails and masks beside it are skipped.

    Raises:
        ImageError: it is damaged, has several pages, is too large, or its samples are of a kind that is not supported.
    """
    import tifffile

    stream.seek(0)
    with _quiet(), contextlib.closing(tifffile.TiffFile(stream)) as file:
        index, page, remarks = _chosen(file)
        check_size(page.imagewidth, page.imagelength, max_pixels)
        layout = _layout(page)
        _check_extent(page, size)
        pixels = _samples(stream, page, index, layout)
        if layout.photometric != _PALETTE and layout.bits not in (1, 2, 4, 8, 16):
            remarks.append(f"samples of {layout.bits} bits are scaled to {8 * pixels.itemsize} bits")
        if layout.extra == _PREMULTIPLIED:
            remarks.append("the premultiplied alpha is undone")
        if not layout.labelled:
            remarks.append("the last channel has no stated meaning and is taken for alpha")
        metadata = _metadata(stream, page, layout, remarks)
    return Image(np.ascontiguousarray(pixels), metadata, tuple(remarks))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep tifffile from logging what is raised here anyway."""
    log = logging.getLogger("tifffile")
    log.addFilter(_nothing)
    try:
        yield
    finally:
        log.removeFilter(_nothing)


def _nothing(record: logging.LogRecord) -> bool:
    return False


#: Directories that are looked at: pictures, thumbnails and masks.
_MAX_PAGES = 256


def _chosen(file: Any) -> tuple[int, TiffPage, list[str]]:
    """Index and page of the picture, and what is to be remarked of the other pages."""
    full: list[tuple[int, TiffPage]] = []
    remarks: list[str] = []
    first: TiffPage | None = None
    seen: set[int] = set()  # places of directories: a damaged file may lead from one to another in a circle
    for index, page in enumerate(file.pages):
        page = page.aspage()
        if page.offset in seen or index >= _MAX_PAGES:
            raise ImageError(f"the TIFF file's directories do not end after {index}; the file is damaged, get it again")
        seen.add(page.offset)
        first = first or page
        kind = int(_value(page, _SUBFILE, 0) or 0)
        if kind & _MASK:
            remarks.append("a page that is a mask is left out")
        elif not kind & _REDUCED and _value(page, _OLD_SUBFILE, 1) != 2:
            full.append((index, page))
        if len(full) > 1:
            raise ImageError("the TIFF file has several pages, which is not supported; extract the one to code")
    if full:
        return (*full[0], remarks)
    if first is None:
        raise ImageError("the TIFF file has no page; it is damaged, get it again")
    if 330 in first.tags:
        raise ImageError(
            "the picture of this TIFF file is in a directory of its own (raw, DNG), which is not supported"
        )
    return 0, first, []


def _layout(page: TiffPage) -> _Layout:
    """What the page holds.  Raises ImageError for what is not supported."""
    photometric = int(_value(page, _PHOTOMETRIC, 1))
    if photometric not in _COLOURS:
        what = _OTHER_COLOURS.get(photometric, f"photometric interpretation {photometric}")
        raise ImageError(f"the image is {what}, which is not supported; convert it to RGB with its colour profile")
    formats = set(_tuple(page, _FORMAT, (1,))) - {4}
    if formats - {1}:
        what = _FORMATS.get(max(formats), f"of sample format {max(formats)}")
        raise ImageError(f"TIFF samples that are {what} are not supported; scale them to 16-bit unsigned integers")
    depths = set(_tuple(page, _BITS, (1,)))
    bits = max(depths)
    if len(depths) != 1 or not 1 <= bits <= 16:
        raise ImageError(
            f"TIFF samples of {sorted(depths)} bits are not supported, expected one of 1..16; convert them"
        )
    count = int(_value(page, _SAMPLES, 1))
    colours = _COLOURS[photometric]
    extras = _tuple(page, _EXTRA, ())
    labelled = len(extras) >= count - colours
    if count - colours not in (0, 1) or (count > colours and labelled and extras[-1] not in (_PREMULTIPLIED, _ALPHA)):
        raise ImageError(
            f"a TIFF with {count} channels, of which {count - colours} have no stated meaning (extra samples), is not "
            "supported; save the picture without them, or mark one as alpha"
        )
    extra = None if count == colours else extras[-1] if labelled else _ALPHA
    return _Layout(bits, colours, extra, photometric, _value(page, _PLANAR, 1) == 2, labelled)


def _check_extent(page: TiffPage, size: int) -> None:
    """Raise ImageError if samples lie beyond the end of the file."""
    for offset, count in zip(page.dataoffsets, page.databytecounts, strict=False):
        if offset + count > size:
            raise ImageError(f"samples up to byte {offset + count} in a TIFF file of {size} bytes; it is cut short, "
                             "get it again")  # fmt: skip
    if page.compression == 1 and sum(page.databytecounts) * 8 < page.imagewidth * page.imagelength:
        raise ImageError("the TIFF file holds fewer samples than its size says; it is damaged, get it again")


def _samples(stream: BinaryIO, page: TiffPage, index: int, layout: _Layout) -> np.ndarray:
    """(height, width, channels), uint8 or uint16 over its full range, as stored."""
    plain = layout.bits in (1, 2, 4, 8) and layout.extra != _PREMULTIPLIED
    if plain and (samples := _by_pillow(stream, page, index, layout)) is not None:
        return samples
    if layout.photometric == _PALETTE:
        raise ImageError(f"a TIFF palette of {layout.bits} bits is not supported; convert it to RGB")
    try:
        samples = page.asarray(maxworkers=1)
    except (ValueError, ImportError) as error:
        if "imagecodecs" not in str(error):
            raise
        fallback = _by_pillow(stream, page, index, layout)
        if fallback is None:
            raise ImageError(
                f"this TIFF compression ({_compression(page)}) with {layout.bits}-bit samples is not supported "
                "without imagecodecs; pip install imagecodecs, or convert the image to PNG"
            ) from error
        return fallback
    samples = np.moveaxis(samples, 0, -1) if page.axes == "SYX" else samples
    samples = samples.reshape(page.imagelength, page.imagewidth, -1)
    if samples.dtype == bool or layout.bits < 8:
        samples = samples.astype(np.uint8)
    if samples.dtype.kind != "u" or samples.shape[2] != layout.colours + (layout.extra is not None):
        raise ImageError(f"TIFF samples {samples.shape} {samples.dtype} are not what its tags say; it is damaged")
    samples = samples.astype(samples.dtype.newbyteorder("="), copy=False)
    samples = scale_to_full(samples, layout.bits) if layout.bits not in (8, 16) else samples
    if layout.photometric == _WHITE_IS_ZERO:
        samples[..., 0] = np.iinfo(samples.dtype).max - samples[..., 0]
    return _unmultiplied(samples) if layout.extra == _PREMULTIPLIED else samples


def _compression(page: TiffPage) -> str:
    """The name of the page's compression, or its number."""
    from tifffile import COMPRESSION

    return COMPRESSION(page.compression).name if page.compression in list(COMPRESSION) else str(page.compression)


def _unmultiplied(samples: np.ndarray) -> np.ndarray:
    """Colours divided by alpha, rounded; 0 where alpha is 0."""
    full = int(np.iinfo(samples.dtype).max)
    alpha = samples[..., -1:].astype(np.uint64)
    colours = samples[..., :-1].astype(np.uint64)
    divided = (colours * (2 * full) + alpha) // np.maximum(2 * alpha, 1)
    result = np.where(alpha == 0, 0, np.minimum(divided, full))
    return np.concatenate([result, alpha], axis=2).astype(samples.dtype)


def _by_pillow(stream: BinaryIO, page: TiffPage, index: int, layout: _Layout) -> np.ndarray | None:
    """The samples as Pillow decodes them, if it shows all channels and bits; None if not."""
    stream.seek(0)
    try:
        picture: Any = PIL.Image.open(stream, formats=["TIFF"])
        picture.seek(index)
    except (PIL.UnidentifiedImageError, SyntaxError, KeyError, EOFError):  # a mode Pillow has no name for
        return None
    if layout.bits == 16:
        return _deep_by_pillow(stream, picture, index, layout)
    if picture.mode not in layout.modes or picture.size != _shown(page):
        return None
    if layout.planar and layout.modes == ("LA",):  # Pillow has no such raw mode
        return None
    samples = plain_samples(picture)
    orientation = int(_value(page, _ORIENTATION, 1) or 1)
    return turn(samples, {6: 8, 8: 6}.get(orientation, orientation))  # Pillow has turned them while decoding


def _shown(page: TiffPage) -> tuple[int, int]:
    """Width and height as Pillow states them before it decodes."""
    size = page.imagewidth, page.imagelength
    return size[::-1] if int(_value(page, _ORIENTATION, 1) or 1) in (5, 6, 7, 8) else size


def _deep_by_pillow(stream: BinaryIO, picture: Any, index: int, layout: _Layout) -> np.ndarray | None:
    raw = str(picture.tile[0].args[0]) if picture.tile else ""
    if index or layout.planar or layout.extra == _PREMULTIPLIED:
        return None
    if picture.mode not in ("RGB", "RGBA") or ";16" not in raw or picture.mode not in layout.modes:
        return None
    first, second = decode_as(stream, picture.mode + ";16B"), decode_as(stream, picture.mode + ";16L")
    little = raw.endswith("L") or (raw.endswith("N") and sys.byteorder == "little")
    samples = joined_bytes(second, first) if little else joined_bytes(first, second)
    orientation = int(picture.tag_v2.get(_ORIENTATION, 1))
    return turn(samples, {6: 8, 8: 6}.get(orientation, orientation))


def _metadata(stream: BinaryIO, page: TiffPage, layout: _Layout, remarks: list[str]) -> Metadata:
    icc = _raw(stream, page, _ICC)
    if icc is None and _TRANSFER in page.tags:
        remarks.append("the transfer function in the TIFF file is left out")
    elif icc is None:
        icc = _by_primaries(page, layout)
    iptc = iptc_of(_raw(stream, page, _IPTC)) or iptc_of(_raw(stream, page, _PHOTOSHOP))
    xmp = _raw(stream, page, _XMP)
    return Metadata(icc, _exif(stream, page, remarks), xmp.rstrip(b"\0") if xmp else None, iptc, _resolution(page))


def _by_primaries(page: TiffPage, layout: _Layout) -> bytes | None:
    """The profile of the tags WhitePoint and PrimaryChromaticities."""
    white, points = _rationals(page, _WHITE), _rationals(page, _PRIMARIES)
    if len(white) != 2 or len(points) != 6:
        return None
    x = [float(value) for value in (*white, *points)]
    primaries = profiles.Primaries((x[0], x[1]), (x[2], x[3]), (x[4], x[5]), (x[6], x[7]))
    return profiles.from_gamma(2.2, primaries, layout.colours) if profiles.is_sound(primaries) else None


def _resolution(page: TiffPage) -> Resolution | None:
    x, y = _rationals(page, _X), _rationals(page, _Y)
    if len(x) != 1 or len(y) != 1:
        return None
    unit = int(_value(page, _UNIT, 2))
    if unit == 2:
        return Resolution.from_dpi(x[0], y[0])
    return Resolution.checked(100 * x[0], 100 * y[0], absolute=unit == 3)


def _exif(stream: BinaryIO, page: TiffPage, remarks: list[str]) -> bytes | None:
    """A TIFF file is its own Exif block, pixels and all: copy the tags that describe the photograph."""
    stream.seek(0)
    start = stream.read(16)
    order = "<" if start[:2] == b"II" else ">"
    big = struct.unpack(order + "H", start[2:4])[0] == 43
    head = (
        start[:8] + struct.pack(order + "Q", page.offset) if big else start[:4] + struct.pack(order + "I", page.offset)
    )
    size = stream.seek(0, io.SEEK_END)
    source = PIL.Image.Exif()
    kept = PIL.Image.Exif()
    with contextlib.suppress(*_UNREADABLE):
        source.load_from_fp(io.BufferedReader(Joined(stream, [head, (len(head), size)])))
        for tag in _EXIF_TAGS:
            if tag in source and (tag, source[tag]) != (_ORIENTATION, 1):
                kept[tag] = source[tag]
        for tag in _EXIF_DIRECTORIES:
            if values := source.get_ifd(tag):
                kept[tag] = values
        return kept.tobytes().removeprefix(b"Exif\0\0") if kept else None
    remarks.append("the Exif tags of the TIFF file cannot be read and are left out, but for the orientation")
    orientation = int(_value(page, _ORIENTATION, 1) or 1)
    return orientation_block(orientation) if 2 <= orientation <= 8 else None


def _value(page: TiffPage, tag: int, default: Any) -> Any:
    found = page.tags.get(tag)
    value = default if found is None else found.value
    return value[0] if isinstance(value, tuple) and value else value


def _tuple(page: TiffPage, tag: int, default: tuple[int, ...]) -> tuple[int, ...]:
    found = page.tags.get(tag)
    value = default if found is None else found.value
    return tuple(int(v) for v in value) if isinstance(value, tuple) else (int(value),)


def _rationals(page: TiffPage, tag: int) -> list[Fraction]:
    """The numbers of a tag of type RATIONAL; none if one is no number."""
    found = page.tags.get(tag)
    if found is None or found.dtype != 5:
        return []
    parts = found.value
    if 0 in parts[1::2]:
        return []
    return [Fraction(n, d) for n, d in zip(parts[::2], parts[1::2], strict=True)]


def _raw(stream: BinaryIO, page: TiffPage, tag: int) -> bytes | None:
    """The bytes of a tag's value as they are in the file."""
    found = page.tags.get(tag)
    if found is None or not 0 < found.valuebytecount <= MAX_METADATA:
        return None
    stream.seek(found.valueoffset)
    return stream.read(found.valuebytecount) or None
