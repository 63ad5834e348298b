"""Samples that Pillow decodes, all their bits: 8 bits and fewer as they are, 16 bits by decoding each byte apart.

Pillow halves samples of 16 bits when an image has more than one channel.  Its C decoders can keep either byte of
such a sample: raw mode `RGB;16B` takes the first of each pair of bytes and `RGB;16L` the second.  So a 16-bit PNG or
TIFF is decoded twice, and every filter, predictor, compression and interlacing that Pillow knows comes with it.
"""

from __future__ import annotations

import io
from typing import Any, BinaryIO

import numpy as np
import PIL.Image

from wavelic.errors import ImageError
from wavelic.images import icc as profiles
from wavelic.images.image import Image
from wavelic.images.metadata import Metadata
from wavelic.images.readers.checks import check_size

_PLAIN_MODES = {"L": "L", "LA": "LA", "RGB": "RGB", "RGBA": "RGBA", "1": "L", "P": "RGB", "PA": "RGBA"}
_REMEDIES = {
    "CMYK": "convert it to RGB with its colour profile",
    "LAB": "convert it to RGB",
    "YCbCr": "convert it to RGB",
    "HSV": "convert it to RGB",
    "I": "scale it to 16-bit unsigned",
    "F": "scale it to 16-bit unsigned",
    "La": "undo the premultiplied alpha",
    "RGBa": "undo the premultiplied alpha",
}


def read_pillow(stream: BinaryIO, size: int, max_pixels: int, format: str) -> Image:
    """Read a file of a format that Pillow gives in full: WebP, QOI, PCX, TGA, SGI with 8 bits, PPM."""
    with open_picture(stream, format, max_pixels) as picture:
        depth = _stored_depth(picture, stream)
        check_still(picture)
        if depth > 8:
            pixels = _deep(picture, depth, stream)
        else:
            check_mode(picture)
            pixels = plain_samples(picture)
        return Image(np.ascontiguousarray(pixels), metadata_of(picture))


def open_picture(stream: BinaryIO, format: str, max_pixels: int) -> Any:
    """Open the file as Pillow's image of that format, its size checked; nothing is decoded.

    Raises:
        ImageError: the sides or the pixels are out of range.
    """
    stream.seek(0)
    picture = PIL.Image.open(stream, formats=[format])
    check_size(picture.width, picture.height, max_pixels)
    return picture


def check_still(picture: Any) -> None:
    """Raise ImageError if the Pillow image has several frames."""
    if getattr(picture, "is_animated", False):
        raise ImageError("the file has several frames or pages, which is not supported; extract the one to code")


def check_mode(picture: Any) -> None:
    """Raise ImageError unless `plain_samples` takes the Pillow image."""
    if not can_be_plain(picture.mode):
        remedy = _REMEDIES.get(picture.mode, "convert it to PNG")
        raise ImageError(f"the image is {picture.mode}, expected gray, RGB, RGBA or a palette; {remedy}")


def can_be_plain(mode: str) -> bool:
    """Whether `plain_samples` takes this Pillow mode."""
    return mode in _PLAIN_MODES


def plain_samples(picture: Any) -> np.ndarray:
    """Return (height, width, channels) uint8 of a Pillow image with 8 bits or fewer; a transparent colour is alpha."""
    mode = _PLAIN_MODES[picture.mode]
    if "transparency" in picture.info:
        mode = {"L": "LA", "RGB": "RGBA"}.get(mode, mode)
    if picture.mode == "1" and mode == "LA":  # Pillow has no such conversion
        return np.array(picture.convert("RGBA"))[:, :, 2:]
    samples = np.array(picture if picture.mode == mode else picture.convert(mode))
    return samples if samples.ndim == 3 else samples[:, :, np.newaxis]


def metadata_of(picture: Any) -> Metadata:
    """Return ICC, Exif and XMP of a Pillow image as raw bytes."""
    exif = picture.info.get("exif")
    return Metadata(
        icc=_raw(picture.info.get("icc_profile")),
        exif=_raw(exif.removeprefix(b"Exif\0\0")) if isinstance(exif, bytes) else None,
        xmp=_raw(picture.info.get("xmp")),
    )


def fitted(image: Image) -> Image:
    """Return the image without a colour profile of another colour space, which is remarked."""
    why = profiles.misfit(image.metadata.icc, image.channels) if image.metadata.icc else None
    if why is None:
        return image
    metadata = image.metadata
    kept = Metadata(None, metadata.exif, metadata.xmp, metadata.iptc, metadata.resolution)
    return Image(image.pixels, kept, (*image.remarks, why))


def decode_as(stream: BinaryIO, rawmode: str) -> np.ndarray:
    """Return what Pillow makes of a file when told that it holds ``rawmode``: (height, width, channels), uint8."""
    stream.seek(0)
    picture: Any = PIL.Image.open(stream, formats=["PNG", "TIFF"])
    picture.tile = [
        tile._replace(args=(rawmode, *tile.args[1:]) if isinstance(tile.args, tuple) else rawmode)
        for tile in picture.tile
    ]
    picture.info.pop("transparency", None)
    return np.array(picture)


def joined_bytes(high: np.ndarray, low: np.ndarray) -> np.ndarray:
    """Return 16-bit samples of their high and low bytes."""
    samples = high.astype(np.uint16)
    samples <<= 8
    samples |= low
    return samples


def _raw(value: object) -> bytes | None:
    return value if isinstance(value, bytes) and value else None


def _stored_depth(picture: Any, stream: BinaryIO) -> int:
    """Bits per sample in the file, which may be more than Pillow would return; 8 where less is stored."""
    if picture.format == "PPM":
        maximum = picture.tile[0].args[1] if isinstance(picture.tile[0].args, tuple) else 255
        return 16 if picture.mode.startswith("I") else max(8, int(maximum).bit_length())
    if picture.format == "SGI":
        stream.seek(3)
        return 8 * stream.read(1)[0]
    return 8


def _deep(picture: Any, depth: int, stream: BinaryIO) -> np.ndarray:
    """Samples of a PPM or PGM of more than 8 bits, over the full range of 16."""
    if picture.format != "PPM":
        raise ImageError(
            f"{depth}-bit samples of mode {picture.mode} in {picture.format} are not supported, expected 8 bits; "
            "convert the image to a 16-bit PNG"
        )
    if picture.mode != "RGB":  # Pillow scales the samples of PGM to 0..65535 and shows them as 32-bit integers
        return np.array(picture).astype(np.uint16)[:, :, np.newaxis]
    tile = picture.tile[0]
    if tile.codec_name != "ppm":
        raise ImageError("PPM of more than 8 bits in decimal digits is not supported; write it in binary (P6)")
    maximum = int(tile.args[1])
    size = 6 * picture.height * picture.width
    stream.seek(tile.offset)
    data = stream.read(size)
    if len(data) < size:
        raise ImageError(f"the image is cut short: {len(data)} bytes of samples, expected {size}; get it again")
    samples = np.frombuffer(data, ">u2").reshape(picture.height, picture.width, 3)
    if maximum == 65535:
        return samples.astype(np.uint16)
    table = (np.arange(maximum + 1, dtype=np.uint64) * (2 * 65535) + maximum) // (2 * maximum)
    return table.astype(np.uint16)[np.minimum(samples, maximum)]


def buffered(stream: BinaryIO) -> BinaryIO:
    """The stream itself, or its bytes if it cannot seek."""
    return stream if stream.seekable() else io.BytesIO(stream.read())
