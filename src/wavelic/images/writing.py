"""`Image` -> files: PNG, TIFF and PPM at 8 and 16 bits without loss, WebP and BMP at 8; JPEG for sharing."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

import PIL.Image

from wavelic.errors import OutputError, UsageError, WavelicError
from wavelic.images.bands import BAND_FORMATS, split_bands, write_bands
from wavelic.images.image import CHANNEL_NAMES, Image, Metadata
from wavelic.images.output import atomic_output
from wavelic.images.png import write_png
from wavelic.images.tiff import write_tiff

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


def _pillow(name: str) -> Callable[[Image], bytes]:
    def write(image: Image) -> bytes:
        pixels = image.pixels[:, :, 0] if image.channels == 1 else image.pixels
        stream = io.BytesIO()
        options = _PILLOW_OPTIONS[name] | _pillow_metadata(image.metadata)
        PIL.Image.fromarray(pixels).save(stream, name, **options)
        return stream.getvalue()

    return write


def _pillow_metadata(metadata: Metadata) -> dict[str, bytes]:
    exif = b"Exif\0\0" + metadata.exif if metadata.exif else None
    blocks = {"icc_profile": metadata.icc, "exif": exif, "xmp": metadata.xmp}
    return {name: block for name, block in blocks.items() if block}


@dataclass(frozen=True)
class OutputFormat:
    """A file format `save_image` writes: its extensions and what it can hold."""

    extensions: tuple[str, ...]
    channels: tuple[int, ...]
    depths: tuple[int, ...]
    write: Callable[[Image], bytes]


OUTPUT_FORMATS: dict[str, OutputFormat] = {
    "png": OutputFormat((".png",), (1, 2, 3, 4), (8, 16), _png),
    "tiff": OutputFormat((".tif", ".tiff"), (1, 2, 3, 4), (8, 16), _tiff),
    "jpeg": OutputFormat((".jpg", ".jpeg"), (1, 3), (8,), _pillow("JPEG")),
    "webp": OutputFormat((".webp",), (1, 3, 4), (8,), _pillow("WEBP")),
    "bmp": OutputFormat((".bmp",), (1, 3), (8,), _pillow("BMP")),
    "ppm": OutputFormat((".ppm", ".pgm", ".pnm"), (1, 3), (8, 16), _ppm),
}


def save_image(
    image: Image, target: str | os.PathLike[str] | BinaryIO, *, format: str | None = None, force: bool = False
) -> None:
    """Write `image` to a file, which appears complete or not at all, or to an open binary stream.

    `format` is a key of `OUTPUT_FORMATS`; without it the extension decides, and a stream gets PNG.  PNG, TIFF, JPEG
    and WebP keep ICC, Exif and XMP; BMP and PPM cannot.  JPEG is written at quality 95, 4:4:4.
    Raises UsageError if the format is unknown or cannot hold the image, OutputError if the file exists (without
    `force`) or cannot be written.
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
    kind = _admitted(image, format)
    if format not in BAND_FORMATS:
        stream.write(_written(kind, image, format))
        return
    with _refusals(format):
        write_bands(stream, format, image.pixels.shape, image.pixels.dtype, split_bands(image.pixels), image.metadata)


def encode_image(image: Image, format: str) -> bytes:
    """The bytes of `image` as a file of that format, a key of `OUTPUT_FORMATS`.  Raises like `save_image`."""
    return _written(_admitted(image, format), image, format)


def _admitted(image: Image, format: str) -> OutputFormat:
    """The format, if it is one and can hold the image."""
    kind = OUTPUT_FORMATS.get(format)
    if kind is None:
        raise UsageError(f"image format {format!r}, expected one of {', '.join(OUTPUT_FORMATS)}; choose one of them")
    if image.channels not in kind.channels or image.bit_depth not in kind.depths or _is_deep_gray_alpha(image, format):
        what = f"{image.bit_depth}-bit {CHANNEL_NAMES[image.channels]}"
        raise UsageError(f"{format} cannot hold {what}; write png, or convert depth or drop alpha first")
    return kind


def _written(kind: OutputFormat, image: Image, format: str) -> bytes:
    with _refusals(format):
        return kind.write(image)


@contextmanager
def _refusals(format: str) -> Iterator[None]:
    try:
        yield
    except (WavelicError, OSError):  # what is wrong with the stream is told by whoever opened it
        raise
    except Exception as error:  # Pillow, on metadata too long for the format or not parseable
        reason = " ".join(str(error).split())[:120]
        raise OutputError(f"{format} refuses the image or its metadata ({reason}); write png or strip it") from error


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
