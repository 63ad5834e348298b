"""Decoding a large JPEG 2000 file so that memory beyond its samples does not grow with it, or only little.

Plain files, and parts of any file, are decoded in windows that know nothing of each other.  With learned steps a window
sees some 900 samples to every side, through all levels, which cost more than the window itself.  A whole image is
therefore decoded level by level (`level_windows`): coefficients of the whole image, 4 bytes for every sample, but
nothing is done twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wavelic.codec.opened import Progress, Region, check_layers, reduced_region
from wavelic.lifting.jp2.file import CarrierFile

if TYPE_CHECKING:
    from wavelic.lifting.transform.transform import LiftingTransform

#: Pixels up to which a region, or an image without learned steps, is decoded in one piece.
ONE_PIECE = 1 << 24
#: Pixels from which on a whole image with learned steps is decoded level by level: as fast, in half the memory.
BY_LEVELS = 1 << 22
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
    """As `CarrierFile.read`, in parts if the result has more than `ONE_PIECE` or `BY_LEVELS` pixels.

    ``progress(done, total)`` counts them.  Arguments as checked by the caller; raises as `CarrierFile.read`.
    """
    wanted = reduced_region(region, carrier.level_dimensions[0], reduce)
    left, top, width, height = wanted
    learned = transform is not None and bool(transform.level.radii)
    whole = wanted == (0, 0, *carrier.level_dimensions[reduce]) and reduce < carrier.levels
    if transform is not None and learned and whole and width * height > BY_LEVELS:
        from wavelic.lifting.jp2.large_decode import read_by_levels

        return read_by_levels(carrier, transform, reduce, check_layers(layers, carrier.layers), threads, progress)
    if width * height <= ONE_PIECE:
        pixels = carrier.read(transform, reduce=reduce, max_layers=layers, region=region, threads=threads)
        if progress:
            progress(1, 1)
        return pixels
    side = LEARNED_WINDOW if learned else PLAIN_WINDOW
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
