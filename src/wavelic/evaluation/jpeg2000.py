"""The JPEG 2000 anchors, and their rate at a given Lagrangian slope.

`lowest_cost` allocates rate between pictures as a constant quantiser step does in other codecs: one Lagrangian slope
for the whole set, instead of one rate for pictures that need very different rates.  The smaller files a layered
codestream contains come from `wavelic.jpeg2000.without_packet_lengths`: complete legal codestreams, whose length is the
true price of their layers.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

from wavelic.evaluation.anchor import Anchor, library_version, pillow_decode
from wavelic.evaluation.metrics import bits_per_pixel, mse_rgb
from wavelic.jpeg2000 import without_packet_lengths

_JPEG2000 = {
    "no_jp2": True,
    "irreversible": True,
    "mct": 1,
    "num_resolutions": 6,
    "codeblock_size": (64, 64),
    "progression": "LRCP",
}
_JPEG2000_TEXT = "9/7, ICT, 5 levels, 64x64 code-blocks, one precinct, raw codestream"
_JPEG2000_RATES = (0.05, 0.08, 0.125, 0.2, 0.3, 0.45, 0.7, 1.0, 1.5, 2.2)
_RGB_BITS = 24


def lowest_cost(
    encode_at: Callable[[float], bytes],
    cost_of: Callable[[bytes], float],
    lowest_rate: float = 0.01,
    highest_rate: float = 8.0,
    evaluations: int = 11,
) -> bytes:
    """Find the encoding of least Lagrangian cost (distortion + slope x rate), by golden-section search over log rate.

    Distortion is a nearly convex function of rate, so the cost has one valley; ripples of the rate control leave the
    result within a few tenths of a percent of the valley.

    Args:
        encode_at: maps a rate in bits per pixel to a file.
        cost_of: maps a file to its Lagrangian cost.
        lowest_rate: lower end of the search, bits per pixel.
        highest_rate: upper end of the search, bits per pixel.
        evaluations: encodings to try; 11 narrow an interval of a factor 800 to 5 %.

    Returns:
        The file.
    """
    golden = (math.sqrt(5) - 1) / 2
    low, high = math.log(lowest_rate), math.log(highest_rate)

    def attempt(log_rate: float) -> tuple[float, bytes]:
        data = encode_at(math.exp(log_rate))
        return cost_of(data), data

    left, right = high - golden * (high - low), low + golden * (high - low)
    at_left, at_right = attempt(left), attempt(right)
    best = min(at_left, at_right, key=lambda pair: pair[0])
    for _ in range(evaluations - 2):
        if at_left[0] < at_right[0]:
            high, right, at_right = right, left, at_left
            left = high - golden * (high - low)
            at_left = attempt(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + golden * (high - low)
            at_right = attempt(right)
        best = min(best, at_left, at_right, key=lambda pair: pair[0])
    return best[1]


def _jpeg2000_file(pixels: np.ndarray, rates: tuple[float, ...], **more: Any) -> bytes:
    """One codestream with a quality layer per rate in bits per pixel, ascending."""
    buffer = io.BytesIO()
    ratios = [_RGB_BITS / rate for rate in rates]
    Image.fromarray(pixels).save(
        buffer, "JPEG2000", quality_mode="rates", quality_layers=ratios, **{**_JPEG2000, **more}
    )
    return buffer.getvalue()


def _jpeg2000_rate_encode(pixels: np.ndarray, rate: float) -> bytes:
    return _jpeg2000_file(pixels, (rate,), no_jp2=False)


def _jpeg2000_slope_encode(pixels: np.ndarray, slope: float) -> bytes:
    height, width = pixels.shape[:2]

    def cost_of(data: bytes) -> float:
        return mse_rgb(pixels, pillow_decode(data)) + slope * bits_per_pixel(len(data), width, height)

    return lowest_cost(lambda rate: without_packet_lengths(_jpeg2000_file(pixels, (rate,))), cost_of)


def _jpeg2000_layer_encode(pixels: np.ndarray, layers: float) -> bytes:
    return without_packet_lengths(_jpeg2000_file(pixels, _JPEG2000_RATES, plt=True), round(layers))


def jpeg2000_anchors() -> list[Anchor]:
    """Make the anchors at equal rate, at equal slope, and by dropped layers, in this order."""
    version = library_version("jpg_2000").replace("jpg_2000", "OpenJPEG")
    return [
        Anchor(
            name="jpeg2000-default",
            label="JPEG 2000, fixed rate",
            description=f"JPEG 2000 {_JPEG2000_TEXT.replace('raw codestream', '.jp2')}, one layer, same rate for every "
            f"picture (opj_compress -I -r); {version}",
            parameter="bpp",
            settings=_JPEG2000_RATES,
            encode=_jpeg2000_rate_encode,
            decode=pillow_decode,
            coarsest=0.01,
            finest=16,
        ),
        Anchor(
            name="jpeg2000",
            label="JPEG 2000, equal slope",
            description=f"JPEG 2000 {_JPEG2000_TEXT} without comment, one layer, each picture at the same slope "
            f"d(MSE)/d(bpp); {version}",
            parameter="slope",
            settings=(4800, 2400, 1200, 600, 300, 150, 75, 37, 18, 9),
            encode=_jpeg2000_slope_encode,
            decode=pillow_decode,
            coarsest=100000,
            finest=0.01,
        ),
        Anchor(
            name="jpeg2000-layers",
            label="JPEG 2000, layers dropped",
            description=f"JPEG 2000 {_JPEG2000_TEXT}, one codestream of {len(_JPEG2000_RATES)} layers per picture, "
            f"lower rates by dropping layers (PLT and comment not counted); {version}",
            parameter="layers",
            settings=tuple(range(1, len(_JPEG2000_RATES) + 1)),
            encode=_jpeg2000_layer_encode,
            decode=pillow_decode,
            coarsest=1,
            finest=len(_JPEG2000_RATES),
            integer=True,
        ),
    ]
