"""Samples of more than 8 bits, which Pillow halves without a word when an image has more than one channel.

Pillow's C decoders can keep either byte of a 16-bit sample: raw mode `RGB;16B` takes the first of each pair of bytes
and `RGB;16L` the second.  So a 16-bit PNG or TIFF is decoded twice, and every filter, predictor, compression and
interlacing that Pillow knows comes with it.
"""

from __future__ import annotations

import sys
from typing import Any, BinaryIO

import numpy as np
import PIL.Image

from wavelic.errors import ImageError

#: Pillow modes whose 16 bits can be had in full, by format.
_DEEP_MODES = {
    "PNG": ("I;16", "RGB", "RGBA"),
    "TIFF": ("I;16", "I;16B", "RGB", "RGBA"),
    "PPM": ("I", "RGB"),
    "JPEG2000": ("I;16",),
}
_PROBED_BYTES = 1 << 16  # the boxes that tell the depth of JPEG 2000 and AVIF are near the start
_BITS_PER_SAMPLE, _PHOTOMETRIC, _PLANAR, _EXTRA_SAMPLES, _SAMPLE_FORMAT = 258, 262, 284, 338, 339


def stored_depth(picture: Any, stream: BinaryIO) -> int:
    """Bits per sample in the file, which may be more than Pillow would return; 8 where less is stored.

    `picture` is the Pillow image just opened from `stream`, not decoded yet.
    """
    if picture.format == "TIFF":
        return max(8, *(int(bits) for bits in picture.tag_v2.get(_BITS_PER_SAMPLE, (1,))))
    if picture.format == "PNG":
        return 16 if ";16" in str(picture.tile[0].args) else 8
    if picture.format == "PPM":
        maximum = picture.tile[0].args[1] if isinstance(picture.tile[0].args, tuple) else 255
        return 16 if picture.mode.startswith("I") else max(8, int(maximum).bit_length())
    if picture.format == "SGI":
        return 8 * _read_at(stream, 3, 1)[0]
    start = _read_at(stream, 0, _PROBED_BYTES)
    if picture.format == "JPEG2000":
        size = start.find(b"\xff\x4f\xff\x51")  # SOC, SIZ: the components' depths follow their count
        components = int.from_bytes(start[size + 40 : size + 42], "big")
        depths = start[size + 42 : size + 42 + 3 * components : 3]
        return max(8, *((depth & 0x7F) + 1 for depth in depths)) if size >= 0 and depths else 8
    if picture.format == "AVIF":
        box = start.find(b"av1C")
        return 8 if box < 0 or not start[box + 6] & 0x40 else 12 if start[box + 6] & 0x20 else 10
    return 8


def deep_samples(picture: Any, depth: int, stream: BinaryIO) -> np.ndarray:
    """The (height, width, channels) uint16 samples of `picture`, whose stored depth is above 8.

    Raises ImageError where the depth is not 16 or Pillow gives no way to all the bits.
    """
    kind, mode = picture.format, picture.mode
    if depth != 16 or mode not in _DEEP_MODES.get(kind, ()):
        raise ImageError(
            f"{depth}-bit samples of mode {mode} in {kind}, expected 8 bits, or 16 in a gray, RGB or RGBA PNG or TIFF;"
            " convert the image to a 16-bit PNG"
        )
    if kind == "PPM" and mode == "RGB":
        return _portable_pixmap(picture, stream)
    if mode.startswith("I"):
        return _gray(picture)
    if kind == "PNG" and picture.tile[0].args == "LA;16B":  # a 16-bit gray+alpha row has the bytes of an RGBA row
        return _decode(stream, "RGBA").view(">u2").astype(np.uint16)
    if kind == "TIFF":
        _check_tiff(picture)
        raw = picture.tile[0].args[0]
        first, second = _decode(stream, mode + ";16B"), _decode(stream, mode + ";16L")
        if raw.endswith("L") or (raw.endswith("N") and sys.byteorder == "little"):
            first, second = second, first
        return _join(first, second)
    samples = _join(_decode(stream, mode + ";16B"), _decode(stream, mode + ";16L"))
    return _with_transparent_colour(samples, picture.info.get("transparency"))


def _decode(stream: BinaryIO, rawmode: str) -> np.ndarray:
    """The bytes Pillow returns when told that the file holds `rawmode`: (height, width, channels), uint8."""
    stream.seek(0)
    picture: Any = PIL.Image.open(stream)
    picture.tile = [
        tile._replace(args=(rawmode, *tile.args[1:]) if isinstance(tile.args, tuple) else rawmode)
        for tile in picture.tile
    ]
    picture.info.pop("transparency", None)
    return np.array(picture)


def _join(high: np.ndarray, low: np.ndarray) -> np.ndarray:
    samples = high.astype(np.uint16)
    samples <<= 8
    samples |= low
    return samples


def _gray(picture: Any) -> np.ndarray:
    # Pillow shows 16-bit PGM as 32-bit integers within 0..65535, and TIFF's WhiteIsZero as if it were BlackIsZero
    samples = np.array(picture).astype(np.uint16)[:, :, np.newaxis]
    if picture.format == "TIFF" and picture.tag_v2.get(_PHOTOMETRIC) == 0:
        samples = 65535 - samples
    return _with_transparent_colour(samples, picture.info.get("transparency"))


def _with_transparent_colour(samples: np.ndarray, colour: object) -> np.ndarray:
    """PNG's tRNS: the one colour that is transparent becomes alpha 0, every other 65535."""
    if not isinstance(colour, int | tuple):
        return samples
    alpha = np.where((samples == np.array(colour)).all(axis=2, keepdims=True), 0, 65535)
    return np.concatenate([samples, alpha.astype(np.uint16)], axis=2)


def _portable_pixmap(picture: Any, stream: BinaryIO) -> np.ndarray:
    tile = picture.tile[0]
    if tile.codec_name != "ppm" or tile.args[1] != 65535:
        raise ImageError(f"PPM with a maximum of {tile.args[1]}, expected 255 or 65535 in binary; convert it to a PNG")
    shape = (picture.height, picture.width, 3)
    size = 6 * picture.height * picture.width
    data = _read_at(stream, tile.offset, size)
    if len(data) < size:
        raise ImageError(f"the image is cut short: {len(data)} bytes of samples, expected {size}; get it again")
    return np.frombuffer(data, ">u2").reshape(shape).astype(np.uint16)


def _check_tiff(picture: Any) -> None:
    tags = picture.tag_v2
    if tags.get(_PLANAR, 1) != 1:
        raise ImageError("16-bit TIFF with separate planes, expected interleaved samples; convert it to a 16-bit PNG")
    if set(tags.get(_SAMPLE_FORMAT, (1,))) != {1}:
        raise ImageError("TIFF with signed or float samples, expected unsigned integers; convert it to a 16-bit PNG")
    if tags.get(_EXTRA_SAMPLES, (2,)) not in ((2,), 2) or ";16" not in str(picture.tile[0].args[0]):
        raise ImageError("16-bit TIFF with premultiplied or unspecified alpha; convert it to a 16-bit PNG")


def _read_at(stream: BinaryIO, offset: int, size: int) -> bytes:
    stream.seek(offset)
    return stream.read(size)
