"""Decoding a large JPEG 2000 file in windows, so that what it takes beyond its own samples does not grow with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wavelic.codecs.carrier_file import CarrierFile
from wavelic.codecs.opened import Progress, Region, reduced_region

if TYPE_CHECKING:
    from wavelic.models.lifting import LiftingTransform

#: Samples of the result up to which it is decoded in one piece.
ONE_PIECE = 1 << 24
#: Sides of the windows beyond.  With learned steps a window sees some 900 samples to every side, which count as well.
PLAIN_WINDOW = 4096
LEARNED_WINDOW = 2560


def read_large(
    carrier: CarrierFile,
    transform: LiftingTransform | None,
    reduce: int,
    layers: int | None,
    region: Region | None,
    threads: int,
    progress: Progress | None = None,
) -> NDArray[np.unsignedinteger]:
    """As `CarrierFile.read`, in windows if the result has more than `ONE_PIECE` pixels.

    ``progress(done, total)`` counts them.  Arguments as checked by the caller; raises as `CarrierFile.read`.
    """
    left, top, width, height = reduced_region(region, carrier.level_dimensions[0], reduce)
    if width * height <= ONE_PIECE:
        pixels = carrier.read(transform, reduce=reduce, max_layers=layers, region=region, threads=threads)
        if progress:
            progress(1, 1)
        return pixels
    side = PLAIN_WINDOW if transform is None else LEARNED_WINDOW
    result = np.empty((height, width, carrier.channels), np.uint8 if carrier.box.depth == 8 else np.uint16)
    windows = [(x, y) for y in range(0, height, side) for x in range(0, width, side)]
    step = 2**reduce
    full_width, full_height = carrier.level_dimensions[0]
    for done, (x, y) in enumerate(windows):
        right, bottom = min(x + side, width), min(y + side, height)
        first_x, first_y = (left + x) * step, (top + y) * step
        part = (
            first_x,
            first_y,
            min((left + right) * step, full_width) - first_x,
            min((top + bottom) * step, full_height) - first_y,
        )
        window = carrier.read(transform, reduce=reduce, max_layers=layers, region=part, threads=threads)
        result[y:bottom, x:right] = window
        if progress:
            progress(done + 1, len(windows))
    return result
