"""Rates of JPEG 2000 files: what a quality means, and the file that meets a target.

libopenjp2 is told the bytes of a codestream and stays below them, in uneven steps.  What is searched is that budget, in
128 positions an octave, by the search all codecs share.  A quality means bits per pixel for the colour samples, by
`quality_scale`; opacity and metadata come on top.  A rate or a size is that of the whole file.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from wavelic.codec.quality_scale import bpp_to_quality, quality_to_bpp
from wavelic.codec.target import Found, Target, search

_POSITIONS = 128  # an octave of bytes
_LEAST_BYTES = 16.0  # the smallest budget that is tried
_CLOSE, _CLOSE_DB = 0.01, 0.05  # how near to a size, a rate or a PSNR is near enough
_DB_PER_OCTAVE = 3.0  # of rate, usually
_FIRST_BPP, _FIRST_PSNR = 1.0, 36.0  # where the search for a PSNR begins: a photograph has about this at that rate


@dataclass(frozen=True)
class Writer:
    """What a search needs to know of an encoder.

    Attributes:
        pixels: of the image.
        beside: bytes of the file that are not coefficients, about.
        most: bytes beyond which a larger budget changes nothing.
        write: makes the file whose codestream has at most so many bytes for colours.
        psnr: dB of the colour samples that a file decodes to.
        codec: whose scale of qualities it is.
    """

    pixels: int
    beside: int
    most: float
    write: Callable[[float], bytes]
    psnr: Callable[[bytes], float]
    codec: str


def write_at(target: Target, writer: Writer) -> tuple[bytes, float, str]:
    """Write the file that meets a target.

    Args:
        target: what the file is to meet.
        writer: how it is written.

    Returns:
        The file, where on 0..100 it lies, and a line on how well the target was met (empty for a quality).
    """
    if target.kind == "quality":
        return writer.write(quality_to_bpp(target.value, writer.codec) * writer.pixels / 8), target.value, ""
    data, found = _searched(target, writer)
    quality = bpp_to_quality(max(1, len(data) - writer.beside) * 8 / writer.pixels, writer.codec)
    return data, round(quality, 2), found.note(target)


def _searched(target: Target, writer: Writer) -> tuple[bytes, Found]:
    files: dict[int, bytes] = {}

    def measure(position: int) -> float:
        data = files[position] = writer.write(2 ** (position / _POSITIONS))
        if target.kind == "psnr":
            return writer.psnr(data)
        return float(len(data)) if target.kind == "size" else len(data) * 8 / writer.pixels

    if target.kind == "psnr":
        octaves = (target.value - _FIRST_PSNR) / _DB_PER_OCTAVE
        budget, close = writer.pixels / 8 * _FIRST_BPP * 2 ** min(max(octaves, -8.0), 5.0), _CLOSE_DB
        rise = _DB_PER_OCTAVE / _POSITIONS
    else:
        wanted = target.value if target.kind == "size" else target.value * writer.pixels / 8
        budget, close, rise = wanted * (1 - _CLOSE / 2) - writer.beside, _CLOSE, math.log(2) / _POSITIONS
    first, last = _position(_LEAST_BYTES), _position(max(writer.most, 2 * _LEAST_BYTES))
    start = min(max(_position(max(budget, _LEAST_BYTES)), first), last)
    found = search(measure, first, last, target, start=start, rise=rise, close=close)
    return files[found.position], found


def _position(budget: float) -> int:
    return round(_POSITIONS * math.log2(budget))
