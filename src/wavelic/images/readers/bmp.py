"""BMP -> `Image`: samples by Pillow; colours and resolution by the header's own fields (versions 4 and 5)."""

from __future__ import annotations

import struct
from typing import BinaryIO

import numpy as np

from wavelic.images import icc as profiles
from wavelic.images.image import Image
from wavelic.images.metadata import MAX_METADATA, Metadata, Resolution
from wavelic.images.readers.pillow import check_mode, open_picture, plain_samples

_FILE_HEADER = 14
_VERSION_4, _VERSION_5 = 108, 124
_CALIBRATED, _EMBEDDED, _LINKED = b"\0\0\0\0", b"DEBM", b"KNIL"  # as the bytes stand in the file
_FIXED_2_30 = 1 << 30


def read_bmp(stream: BinaryIO, size: int, max_pixels: int) -> Image:
    """Read a BMP file: gray, RGB, palette, or RGBA where its masks say so."""
    with open_picture(stream, "BMP", max_pixels) as picture:
        check_mode(picture)
        pixels = np.ascontiguousarray(plain_samples(picture))
    stream.seek(_FILE_HEADER)
    header = stream.read(_VERSION_5)
    (length,) = struct.unpack_from("<I", header)
    resolution = None
    if length >= 40:
        resolution = Resolution.from_metre(*struct.unpack_from("<ii", header, 24))
    icc, remarks = _colour(stream, header, length, pixels.shape[2])
    return Image(pixels, Metadata(icc=icc, resolution=resolution), remarks)


def _colour(stream: BinaryIO, header: bytes, length: int, channels: int) -> tuple[bytes | None, tuple[str, ...]]:
    """The profile and remarks."""
    kind = header[56:60] if length >= _VERSION_4 else b""
    if kind == _CALIBRATED:
        values = struct.unpack_from("<9i3I", header, 60)
        if not any(values):
            return None, ()
        points = _primaries(values[:9])
        gamma = sum(values[9:]) / 3 / 65536
        if points is None or not 0.01 <= gamma <= 100 or len({round(g, -2) for g in values[9:]}) != 1:
            return None, ("the end points and gammas of the BMP header have no profile; they are left out",)
        return profiles.from_gamma(gamma, points, channels), ()
    if kind == _LINKED:
        return None, ("the BMP file names a colour profile in another file; it is left out",)
    if kind == _EMBEDDED and length >= _VERSION_5:
        start, count = struct.unpack_from("<II", header, 112)
        stream.seek(_FILE_HEADER + start)
        profile = stream.read(min(count, MAX_METADATA))
        if len(profile) == count and profiles.colour_space(profile):
            return profile, ()
        return None, ("the colour profile in the BMP file is damaged and left out",)
    return None, ()


def _primaries(values: tuple[int, ...]) -> profiles.Primaries | None:
    """Primaries of the end points, XYZ of red, green and blue; white is their sum."""
    corners = [tuple(v / _FIXED_2_30 for v in values[i : i + 3]) for i in (0, 3, 6)]
    corners.insert(0, tuple(sum(axis) for axis in zip(*corners, strict=True)))
    if any(sum(xyz) <= 0 for xyz in corners):
        return None
    white, red, green, blue = ((xyz[0] / sum(xyz), xyz[1] / sum(xyz)) for xyz in corners)
    points = profiles.Primaries(white, red, green, blue)
    return points if profiles.is_sound(points) else None
