"""`Image` -> files: PNG, TIFF and PPM at 8 and 16 bits without loss, WebP and BMP at 8; JPEG for sharing."""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

import PIL.Image

from wavelic.errors import OutputError, UsageError, WavelicError
from wavelic.images.image import CHANNEL_NAMES, MAX_SIDE, Image
from wavelic.images.orientation import upright
from wavelic.images.output import atomic_output
from wavelic.images.readers.pillow import fitted
from wavelic.images.writers.bands import BAND_FORMATS, split_bands, write_bands
from wavelic.images.writers.jpeg import with_jfif
from wavelic.images.writers.png import write_png
from wavelic.images.writers.tiff import write_tiff

_BMP_RESOLUTION = 38  # where the header has samples per metre
#: Pillow's options: what wavelic decoded is not degraded by a second codec where the format allows it.
_PILLOW_OPTIONS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"lossless": True, "exact": True},
    "BMP": {},
}


def _png(image: Image) -> bytes:
    return write_png(image.pixels, image.metadata)


def _tiff(image: Image) -> bytes:
    return write_tiff(image.pixels, image.metadata)


def _ppm(image: Image) -> bytes:
    maximum = 2**image.bit_depth - 1
    header = f"P{5 if image.channels == 1 else 6}\n{image.width} {image.height}\n{maximum}\n"
    return header.encode("ascii") + image.pixels.astype(image.pixels.dtype.newbyteorder(">")).tobytes()


def _jpeg(image: Image) -> bytes:
    return with_jfif(_pillow("JPEG", image), image.metadata)


def _webp(image: Image) -> bytes:
    return _pillow("WEBP", image)


def _bmp(image: Image) -> bytes:
    data = bytearray(_pillow("BMP", image))
    resolution = image.metadata.resolution
    if resolution and resolution.absolute:
        struct.pack_into("<ii", data, _BMP_RESOLUTION, *resolution.per_metre)
    return bytes(data)


def _pillow(name: str, image: Image) -> bytes:
    pixels = image.pixels[:, :, 0] if image.channels == 1 else image.pixels
    stream = io.BytesIO()
    metadata = image.metadata
    exif = b"Exif\0\0" + metadata.exif if metadata.exif else None
    blocks = {"icc_profile": metadata.icc, "exif": exif, "xmp": metadata.xmp} if name != "BMP" else {}
    options = _PILLOW_OPTIONS[name] | {key: block for key, block in blocks.items() if block}
    PIL.Image.fromarray(pixels).save(stream, name, **options)
    return stream.getvalue()


@dataclass(frozen=True)
class OutputFormat:
    """A file format `save_image` writes: its extensions and what it can hold.

    Attributes:
        extensions: of its files; the first is the usual one.
        channels: the channel counts it holds.
        depths: the bits per sample it holds.
        write: makes a file of an image.
        keeps: the fields of `Metadata` it has a place for.
        max_side: the longest side it holds, in samples.
    """

    extensions: tuple[str, ...]
    channels: tuple[int, ...]
    depths: tuple[int, ...]
    write: Callable[[Image], bytes]
    keeps: frozenset[str] = frozenset({"icc", "exif", "xmp", "iptc", "resolution"})
    max_side: int = MAX_SIDE


OUTPUT_FORMATS: dict[str, OutputFormat] = {
    "png": OutputFormat((".png",), (1, 2, 3, 4), (8, 16), _png),
    "tiff": OutputFormat((".tif", ".tiff"), (1, 2, 3, 4), (8, 16), _tiff),
    "jpeg": OutputFormat((".jpg", ".jpeg"), (1, 3), (8,), _jpeg, max_side=65500),
    "webp": OutputFormat((".webp",), (1, 3, 4), (8,), _webp, frozenset({"icc", "exif", "xmp"}), 16383),
    "bmp": OutputFormat((".bmp",), (1, 3), (8,), _bmp, frozenset({"resolution"})),
    "ppm": OutputFormat((".ppm", ".pgm", ".pnm"), (1, 3), (8, 16), _ppm, frozenset()),
}
_BLOCK_NAMES = {"icc": "colour profile", "exif": "Exif", "xmp": "XMP", "iptc": "IPTC", "resolution": "resolution"}


def save_image(
    image: Image, target: str | os.PathLike[str] | BinaryIO, *, format: str | None = None, force: bool = False
) -> None:
    """Write `image` to a file, which appears complete or not at all, or to an open binary stream.

    PNG, TIFF and JPEG keep all metadata, WebP all but IPTC and resolution, BMP the resolution, PPM nothing; see
    `left_out`.  Where Exif is not kept, the samples are turned upright.  JPEG is written at quality 95, 4:4:4.

    Args:
        image: what is written.
        target: a path, or a binary stream.
        format: a key of `OUTPUT_FORMATS`; without it the extension decides, and a stream gets PNG.
        force: replace a file that exists.

    Raises:
        UsageError: the format is unknown or cannot hold the image.
        OutputError: the file exists, or cannot be written.
    """
    if not isinstance(target, str | os.PathLike):
        write_image(image, target, (format or "png").lower())
        return
    name = (format or _format_of(os.fspath(target))).lower()
    with atomic_output(target, force=force) as stream:  # first, to refuse an existing file before the work
        write_image(image, stream, name)


def write_image(image: Image, stream: BinaryIO, format: str) -> None:
    """Write `image` to an open binary stream as a file of that format, a key of `OUTPUT_FORMATS`.

    PNG, TIFF and PPM are written in bands, without a second copy of the samples; TIFF seeks in the stream where that
    is possible.  Raises like `save_image`.
    """
    kind, image = _admitted(image, format)
    if format not in BAND_FORMATS:
        stream.write(_written(kind, image, format))
        return
    with _refusals(format):
        write_bands(stream, format, image.pixels.shape, image.pixels.dtype, split_bands(image.pixels), image.metadata)


def encode_image(image: Image, format: str) -> bytes:
    """Return the bytes of `image` as a file of that format, a key of `OUTPUT_FORMATS`.  Raises like `save_image`."""
    kind, image = _admitted(image, format)
    return _written(kind, image, format)


def left_out(image: Image, format: str) -> tuple[str, ...]:
    """Return what a file of that format will not hold of the image's metadata, one sentence at most.

    An orientation is never lost: without Exif the samples are turned.
    """
    lost = [_BLOCK_NAMES[name] for name in image.metadata.blocks() if name not in OUTPUT_FORMATS[format].keeps]
    return (f"{format} has no place for: {', '.join(lost)}",) if lost else ()


def _admitted(image: Image, format: str) -> tuple[OutputFormat, Image]:
    """The format, if it is one and can hold the image, and the image as it is written."""
    kind = OUTPUT_FORMATS.get(format)
    if kind is None:
        raise UsageError(f"image format {format!r}, expected one of {', '.join(OUTPUT_FORMATS)}; choose one of them")
    if image.channels not in kind.channels or image.bit_depth not in kind.depths or _is_deep_gray_alpha(image, format):
        what = f"{image.bit_depth}-bit {CHANNEL_NAMES[image.channels]}"
        raise UsageError(f"{format} cannot hold {what}; write png, or convert depth or drop alpha first")
    if max(image.width, image.height) > kind.max_side:
        raise UsageError(
            f"{format} cannot hold {image.width} x {image.height}, its sides are at most {kind.max_side}; write png"
        )
    return kind, fitted(image if "exif" in kind.keeps else upright(image))


def _written(kind: OutputFormat, image: Image, format: str) -> bytes:
    """The file; Pillow writes it to memory, so that whatever it raises is about the image."""
    try:
        return kind.write(image)
    except WavelicError:
        raise
    except Exception as error:
        raise _refusal(format, error) from error


@contextmanager
def _refusals(format: str) -> Iterator[None]:
    try:
        yield
    except (WavelicError, OSError):  # what is wrong with the stream is told by whoever opened it
        raise
    except Exception as error:  # Pillow, on metadata too long for the format or not parseable
        raise _refusal(format, error) from error


def _refusal(format: str, error: Exception) -> OutputError:
    reason = " ".join(str(error).split())[:120] or type(error).__name__
    return OutputError(f"{format} cannot hold the image or its metadata ({reason}); write png, or strip the metadata")


def _is_deep_gray_alpha(image: Image, format: str) -> bool:
    """16-bit gray+alpha TIFF exists on paper, but hardly any reader opens it, Pillow included."""
    return format == "tiff" and image.channels == 2 and image.bit_depth == 16


def _format_of(path: str) -> str:
    extension = os.path.splitext(path)[1].lower()
    for name, kind in OUTPUT_FORMATS.items():
        if extension in kind.extensions:
            return name
    known = " ".join(e for kind in OUTPUT_FORMATS.values() for e in kind.extensions)
    raise UsageError(f"file extension {extension!r} of {path}, expected one of {known}; rename it or give a format")
