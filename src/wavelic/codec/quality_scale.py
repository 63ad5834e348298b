"""What a quality means in JPEG 2000 files: the rate at which they have the mean PSNR of the default codec's files.

The rates were measured on validation images by ``python -m benchmarks.studies.quality_scale`` and lie in
quality_scale.json, for qualities in steps of ten; between them the logarithm of the rate is linear in the quality.
"""

from __future__ import annotations

import json
import math
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

#: The measured table.
TABLE = Path(__file__).with_name("quality_scale.json")


@cache
def _curve(codec: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Qualities and log2 of bits per pixel, both rising."""
    table = json.loads(TABLE.read_text())
    return np.array(table["qualities"], np.float64), np.log2(table["bpp"][codec])


def quality_to_bpp(quality: float, codec: str) -> float:
    """Convert a quality 0..100 to bits per pixel for the colour samples.

    Args:
        quality: 0..100.
        codec: one of the table, "lifting" or "jp2".
    """
    return float(2.0 ** np.interp(quality, *_curve(codec)))


def bpp_to_quality(bpp: float, codec: str) -> float:
    """Convert bits per pixel to a quality, clipped to 0..100.

    Args:
        bpp: bits per pixel for the colour samples.
        codec: one of the table.
    """
    qualities, rates = _curve(codec)
    return float(np.interp(math.log2(bpp), rates, qualities))
