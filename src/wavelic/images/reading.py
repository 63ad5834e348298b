"""Image files -> `Image`, without losing bits, metadata or the caller's memory: the reader is chosen by the content."""

from __future__ import annotations

import io
import os
import re
import stat
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import BinaryIO

import PIL.Image

from wavelic.errors import ImageError, WavelicError
from wavelic.images.image import Image
from wavelic.images.mapped import mapped
from wavelic.images.readers.avif import read_avif
from wavelic.images.readers.bmp import read_bmp
from wavelic.images.readers.checks import MAX_PIXELS
from wavelic.images.readers.gif import read_gif
from wavelic.images.readers.jpeg import read_jpeg
from wavelic.images.readers.pillow import fitted, read_pillow
from wavelic.images.readers.png import read_png
from wavelic.images.readers.tiff import read_tiff

Source = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO
Reader = Callable[[BinaryIO, int, int], Image]


def _read_jpeg2000(stream: BinaryIO, size: int, max_pixels: int) -> Image:
    from wavelic.images.readers.jp2 import read_jpeg2000  # with a parser that most programs never need

    return read_jpeg2000(stream, size, max_pixels)


#: What a file of each format begins with, its name for the user, and its reader; in the order they are tried.
_FORMATS: tuple[tuple[re.Pattern[bytes], str, Reader], ...] = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "PNG", read_png),
    (re.compile(rb"\xff\xd8\xff"), "JPEG", read_jpeg),
    (re.compile(rb"II\*\0|MM\0\*|II\+\0|MM\0\+", re.DOTALL), "TIFF", read_tiff),
    (re.compile(rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51"), "JPEG 2000", _read_jpeg2000),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "WebP", partial(read_pillow, format="WEBP")),
    (re.compile(rb"....ftyp(avif|avis|mif1|msf1)", re.DOTALL), "AVIF", read_avif),
    (re.compile(rb"GIF8[79]a"), "GIF", read_gif),
    (re.compile(rb"BM"), "BMP", read_bmp),
    (re.compile(rb"P[1-6fF][\s#]|P0CMYK|PyCMYK|PyP|PyRGBA"), "PPM", partial(read_pillow, format="PPM")),
    (re.compile(rb"qoif"), "QOI", partial(read_pillow, format="QOI")),
    (re.compile(rb"\x01\xda"), "SGI", partial(read_pillow, format="SGI")),
    (re.compile(rb"\x0a[\x00\x02\x03\x05]"), "PCX", partial(read_pillow, format="PCX")),
    (re.compile(rb".[\x00\x01][\x00-\x03\x09-\x0b]", re.DOTALL), "TGA", partial(read_pillow, format="TGA")),
)
_MOST_PIPED = 1 << 32  # bytes of a pipe that are read
_WEAK_MAGIC = ("TGA", "PCX", "SGI")  # formats whose beginning other files may have as well
_UNSUPPORTED = re.compile(
    r"not supported|unsupported|unknown|unrecognized|cannot handle|not implemented", re.IGNORECASE
)


def load_image(source: Source, *, max_pixels: int = MAX_PIXELS) -> Image:
    """Read the image in a file, in bytes or in an open binary stream.

    8 bits per sample and fewer give uint8, more give uint16; bilevel becomes gray, a palette RGB, a transparent colour
    alpha.  ICC, Exif, XMP, IPTC and resolution are kept; colours stated by numbers become an ICC profile.  An Exif
    orientation is kept and not applied.  What is left out or changed is in the image's ``remarks``.

    Args:
        source: a path, the bytes of a file, or a binary stream.
        max_pixels: largest width times height that is read.

    Raises:
        ImageError: the source is missing, empty, damaged or no image, or of a kind that is not supported: animation,
            CMYK, Lab, float, signed samples, sides above 65535; the message says which and what to convert.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        return _load(io.BytesIO(source), "the image", max_pixels)
    if not isinstance(source, str | os.PathLike):
        name = str(getattr(source, "name", "the image"))
        return _load(source if source.seekable() else io.BytesIO(source.read()), name, max_pixels)
    name = os.fspath(source)
    try:
        mode = os.stat(name).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
            raise ImageError(f"{name} is a folder or a device, expected an image file; name a file")
        with open(name, "rb") as stream:
            return _load(stream if stat.S_ISREG(mode) else _piped(stream, name), name, max_pixels)
    except FileNotFoundError as error:
        raise ImageError(f"{name} does not exist, expected an image file; check the name") from error
    except (OSError, ValueError) as error:
        raise ImageError(f"{name} cannot be read ({_one_line(error)}); check its permissions") from error


def _piped(stream: BinaryIO, name: str) -> BinaryIO:
    """All that comes through a pipe."""
    data = stream.read(_MOST_PIPED + 1)
    if len(data) > _MOST_PIPED:
        raise ImageError(f"{name} gives more than {_MOST_PIPED} bytes, expected an image; write it to a file first")
    return io.BytesIO(data)


def _load(stream: BinaryIO, name: str, max_pixels: int) -> Image:
    size = stream.seek(0, io.SEEK_END)
    if size == 0:
        raise ImageError(f"{name} is empty, expected an image; get it again")
    stream.seek(0)
    start = stream.read(16)
    format, reader = next(((f, reader) for magic, f, reader in _FORMATS if magic.match(start)), ("", None))
    if reader is None:
        raise ImageError(_no_image(name))
    with _errors(name, format):
        image = fitted(reader(stream, size, max_pixels))
        return Image(mapped(image.pixels), image.metadata, image.remarks)


@contextmanager
def _errors(name: str, format: str) -> Iterator[None]:
    """Decoders on damaged files raise nearly anything; the caller sees one error with the file's name."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except WavelicError as error:
        kind = type(error) if isinstance(error, ImageError) else ImageError
        raise kind(f"{name}: {error}") from error
    except PIL.UnidentifiedImageError as error:
        if format in _WEAK_MAGIC:
            raise ImageError(_no_image(name)) from error
        raise ImageError(
            f"{name} is no sound {format} file, or of a kind that is not supported; get it again"
        ) from error
    except PIL.Image.DecompressionBombError as error:
        remedy = "raise PIL.Image.MAX_IMAGE_PIXELS if you trust it"
        raise ImageError(f"{name} has more pixels than Pillow's limit allows; {remedy}") from error
    except MemoryError as error:
        raise ImageError(f"{name} needs more memory than there is; crop or split it") from error
    except Exception as error:
        reason = _one_line(error)
        if isinstance(error, NotImplementedError) or _UNSUPPORTED.search(reason):
            raise ImageError(
                f"{name} is {format} of a kind that is not supported ({reason}); convert it to PNG"
            ) from error
        raise ImageError(f"{name} is damaged or cut short ({reason}); get it again") from error


def _no_image(name: str) -> str:
    expected = "PNG, JPEG, TIFF, WebP, AVIF, JPEG 2000, BMP, GIF or PPM"
    return f"{name} is not an image wavelic reads, expected {expected}; convert it to PNG"


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
