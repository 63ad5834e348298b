"""Files that Pillow opens -> `Image`, without losing bits, metadata or the caller's memory."""

from __future__ import annotations

import io
import os
import stat
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np
import PIL.Image

from wavelic.errors import ImageError, WavelicError
from wavelic.images.depth import deep_samples, stored_depth
from wavelic.images.image import MAX_SIDE, Image, Metadata
from wavelic.images.mapped import mapped

Source = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO

#: Largest image read by default, in pixels.  Pillow's own guard (PIL.Image.MAX_IMAGE_PIXELS, twice) applies too.
MAX_PIXELS = 2**28

#: Raster formats read through Pillow.  Left out: formats that run another program (EPS, WMF) and stubs.
INPUT_FORMATS = (
    "PNG", "JPEG", "TIFF", "WEBP", "AVIF", "JPEG2000", "BMP", "DIB", "GIF", "PPM", "QOI", "SGI", "TGA", "PCX"
)  # fmt: skip

#: How far a byte can go: deflate yields at most 1032 bytes from one; a JPEG spends at least a bit on 64 pixels.
_DEFLATE_RATIO = 1032
_JPEG_PIXELS_PER_BYTE = 512

_PLAIN_MODES = {"L": "L", "LA": "LA", "RGB": "RGB", "RGBA": "RGBA", "1": "L", "P": "RGB", "PA": "RGBA"}
_REMEDIES = {
    "CMYK": "convert it to RGB with its ICC profile",
    "LAB": "convert it to RGB",
    "YCbCr": "convert it to RGB",
    "HSV": "convert it to RGB",
    "F": "scale it to 16-bit unsigned",
    "La": "undo the premultiplied alpha",
    "RGBa": "undo the premultiplied alpha",
}
_ORIENTATION, _EXIF_IFD, _GPS_IFD = 274, 0x8769, 0x8825
#: Tags of a TIFF file that describe the photograph and not the file's layout.
_TIFF_EXIF_TAGS = (270, 271, 272, _ORIENTATION, 305, 306, 315, 33432)


def load_image(source: Source, *, max_pixels: int = MAX_PIXELS) -> Image:
    """The image in a file, in bytes or in an open binary stream.

    8 bits per sample and fewer give uint8, 16 give uint16; bilevel becomes gray, a palette RGB, a transparent colour
    alpha.  ICC, Exif and XMP are kept as bytes, and an Exif orientation is not applied.
    Raises ImageError, naming what to convert, for anything that is not one still image of 1..65535 pixels a side and
    at most `max_pixels` in all: a missing, empty, damaged or foreign file, animation, CMYK, Lab, float.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        return _load(io.BytesIO(source), "the image", max_pixels)
    if not isinstance(source, str | os.PathLike):
        name = str(getattr(source, "name", "the image"))
        return _load(source if source.seekable() else io.BytesIO(source.read()), name, max_pixels)
    name = os.fspath(source)
    try:
        if not stat.S_ISREG(os.stat(name).st_mode):
            raise ImageError(f"{name} is a folder or a device, expected an image file; name a file")
        with open(name, "rb") as stream:
            return _load(stream, name, max_pixels)
    except FileNotFoundError as error:
        raise ImageError(f"{name} does not exist, expected an image file; check the name") from error
    except (OSError, ValueError) as error:
        raise ImageError(f"{name} cannot be read ({_one_line(error)}); check its permissions") from error


def _load(stream: BinaryIO, name: str, max_pixels: int) -> Image:
    size = stream.seek(0, io.SEEK_END)
    if size == 0:
        raise ImageError(f"{name} is empty, expected an image; get it again")
    stream.seek(0)
    with _pillow_errors(name), PIL.Image.open(stream, formats=INPUT_FORMATS) as picture:
        _check_picture(picture, stream, size, max_pixels)
        depth = stored_depth(picture, stream)
        metadata = metadata_of(picture)
        orientation = picture.getexif().get(_ORIENTATION) if picture.format == "TIFF" else None
        pixels = deep_samples(picture, depth, stream) if depth > 8 else plain_samples(picture)
        pixels = np.ascontiguousarray(_as_stored(pixels, orientation))
    return Image(mapped(pixels), metadata)


@contextmanager
def _pillow_errors(name: str) -> Iterator[None]:
    """Decoders on damaged files raise nearly anything; the caller sees one error with the file's name."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except WavelicError as error:
        raise type(error)(f"{name}: {error}") from error
    except PIL.UnidentifiedImageError as error:
        expected = "PNG, JPEG, TIFF, WebP, AVIF, JPEG 2000, BMP, GIF or PPM"
        raise ImageError(f"{name} is not an image wavelic reads, expected {expected}; convert it to PNG") from error
    except PIL.Image.DecompressionBombError as error:
        remedy = "raise PIL.Image.MAX_IMAGE_PIXELS if you trust it"
        raise ImageError(f"{name} has more pixels than Pillow's limit allows; {remedy}") from error
    except Exception as error:
        raise ImageError(f"{name} is damaged or cut short ({_one_line(error)}); get it again") from error


def _check_picture(picture: Any, stream: BinaryIO, size: int, max_pixels: int) -> None:
    """Raise ImageError for a picture wavelic does not code, judging by its header: nothing is decoded yet."""
    width, height = picture.size
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
        raise ImageError(f"the image is {width} x {height}, expected sides 1..{MAX_SIDE}; crop or split it")
    if width * height > max_pixels:
        raise ImageError(f"the image has {width * height} pixels, above the limit {max_pixels}; raise max_pixels")
    if picture.format == "JPEG" and width * height > size * _JPEG_PIXELS_PER_BYTE:
        raise ImageError(f"the image is cut short: {size} bytes cannot hold {width} x {height} pixels; get it again")
    if picture.format == "PNG":
        stream.seek(12)
        kind, _, _, depth, colour = struct.unpack(">4sIIBB", stream.read(14))
        if kind != b"IHDR":
            raise ImageError("the PNG file does not start with its header IHDR, as expected; get it again")
        row = (width * depth * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(colour, 1) + 7) // 8
        if row * height > size * _DEFLATE_RATIO:
            raise ImageError(
                f"the image is cut short: {size} bytes cannot hold {width} x {height} pixels; get it again"
            )
    if getattr(picture, "is_animated", False) and picture.format != "MPO":
        raise ImageError("the file has several frames or pages, expected one; extract the one to code")
    if picture.mode not in _PLAIN_MODES and not picture.mode.startswith("I"):  # integers: deep_samples decides
        remedy = _REMEDIES.get(picture.mode, "convert it to PNG")
        raise ImageError(f"the image is {picture.mode}, expected gray, RGB, RGBA or a palette; {remedy}")


def can_be_plain(mode: str) -> bool:
    """Whether `plain_samples` takes this Pillow mode."""
    return mode in _PLAIN_MODES


def plain_samples(picture: Any) -> np.ndarray:
    """(height, width, channels) uint8 of a Pillow image with 8 bits or fewer."""
    mode = _PLAIN_MODES[picture.mode]
    if "transparency" in picture.info:
        mode = {"L": "LA", "RGB": "RGBA"}.get(mode, mode)
    if picture.mode == "1" and mode == "LA":  # Pillow has no such conversion
        return np.array(picture.convert("RGBA"))[:, :, 2:]
    samples = np.array(picture if picture.mode == mode else picture.convert(mode))
    return samples if samples.ndim == 3 else samples[:, :, np.newaxis]


def _as_stored(pixels: np.ndarray, orientation: object) -> np.ndarray:
    """Undo what Pillow does to TIFF alone: it applies the orientation while it decodes."""
    turned = pixels.swapaxes(0, 1) if orientation in (5, 6, 7, 8) else pixels
    if orientation in (3, 4, 6, 7):
        turned = turned[::-1]
    return turned[:, ::-1] if orientation in (2, 3, 7, 8) else turned


def metadata_of(picture: Any) -> Metadata:
    """ICC, Exif and XMP of a Pillow image as raw bytes."""
    exif = _tiff_exif(picture) if picture.format == "TIFF" else picture.info.get("exif")
    return Metadata(
        icc=_raw(picture.info.get("icc_profile")),
        exif=_raw(exif.removeprefix(b"Exif\0\0")) if isinstance(exif, bytes) else None,
        xmp=_raw(picture.info.get("xmp")),
    )


def _raw(value: object) -> bytes | None:
    return value if isinstance(value, bytes) and value else None


def _tiff_exif(picture: Any) -> bytes | None:
    """A TIFF file is its own Exif block, pixels and all: copy the tags that describe the photograph."""
    source = picture.getexif()
    kept = PIL.Image.Exif()
    for tag in _TIFF_EXIF_TAGS:
        if tag in source:
            kept[tag] = source[tag]
    for tag in (_EXIF_IFD, _GPS_IFD):
        if values := source.get_ifd(tag):
            kept[tag] = values
    return kept.tobytes() if kept else None


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
