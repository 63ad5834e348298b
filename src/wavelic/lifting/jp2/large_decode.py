"""The whole of a large file with learned steps, level by level."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wavelic.codec.opened import Progress, Region
from wavelic.lifting.jp2.box import reduce_plane
from wavelic.lifting.jp2.file import CarrierFile
from wavelic.lifting.jp2.level_windows import Start, block_size, count_windows, merge_levels, split_levels
from wavelic.lifting.jp2.pixels import decoded_codes, from_codes, matching, to_pixels
from wavelic.lifting.jp2.read import FINE_LEVELS, decoded_apart
from wavelic.lifting.jp2.with_extra_bits import finer
from wavelic.lifting.transform.grid import Axis
from wavelic.lifting.transform.transform import LiftingTransform
from wavelic.memory import give_back
from wavelic.wavelets import Bands2d, Coefficients2d, dwt2


def read_by_levels(
    carrier: CarrierFile, transform: LiftingTransform, reduce: int, layers: int, threads: int, progress: Progress | None
) -> NDArray[np.unsignedinteger]:
    """As `CarrierFile.read` for all of an image, of one with fewer levels left out than it has.

    Beyond the result this needs some 14 bytes per pixel of an RGB image.  ``progress(done, total)`` counts windows.
    """
    transform = matching(transform, carrier.box)
    carrier = finer(carrier, transform)
    width, height = carrier.level_dimensions[reduce]
    levels = carrier.levels - reduce
    alpha = carrier.alpha()  # before the synthesis: cheap, and it may be damaged
    colours = len(carrier.header.components)
    depth, base = carrier.box.depth, carrier.box.base
    device = next(transform.parameters(), torch.empty(0)).device
    result = np.empty((height, width, carrier.channels), np.uint8 if depth == 8 else np.uint16)
    if alpha is not None:
        result[..., colours] = reduce_plane(alpha, reduce, (0, 0, width, height))
    total, steps = 2 * count_windows((height, width), levels), 0

    def done() -> None:
        nonlocal steps
        steps += 1
        if progress:
            progress(steps, total)

    def split(x: Tensor, start: Start, number: int) -> Coefficients2d:
        return dwt2(x, base, 1, "jpeg2000", start=start)

    def merge(coefficients: Coefficients2d, number: int) -> Tensor:
        return transform.synthesis(coefficients.map(lambda band: band.to(device)), finest=reduce + number).cpu()

    def sink(top: int, left: int, samples: Tensor) -> None:
        window = to_pixels(samples, depth, base)
        result[top : top + window.shape[0], left : left + window.shape[1], :colours] = window

    reach = transform.plain.reach
    with torch.inference_mode():
        details: list[Bands2d] = []
        stops = (FINE_LEVELS, levels) if decoded_apart(transform, levels) else (levels,)  # as `read` does
        for stop in stops:
            first = len(details)
            size = -(-height // 2**first), -(-width // 2**first)
            source = _ReadAhead(carrier, reduce + first, layers, threads, block_size(reach))
            low, more = split_levels(source, colours, size, stop - first, split, reach, done)
            details += more
            del source, more
        merge_levels(low, details, (height, width), base, merge, transform.level.reach, sink, done)
    give_back()
    return result


class _ReadAhead:
    """A source of windows that decodes a block of them at once, for a walk in the order of `level_windows`."""

    def __init__(self, carrier: CarrierFile, reduce: int, layers: int, threads: int, block: tuple[int, int]) -> None:
        self._how = reduce, layers, threads
        self._carrier, self._block = carrier, block
        self._width, self._height = carrier.level_dimensions[reduce]
        self._codes: list[Tensor] = []
        self._area: Region = (0, 0, 0, 0)

    def __call__(self, rows: slice, columns: slice) -> Tensor:
        x, y, width, height = self._area
        if not (x <= columns.start and columns.stop <= x + width and y <= rows.start and rows.stop <= y + height):
            self._decode(rows.start, columns.start)
            x, y, width, height = self._area
        there = slice(rows.start - y, rows.stop - y), slice(columns.start - x, columns.stop - x)
        return from_codes(torch.stack([plane[there] for plane in self._codes]), self._carrier.box)

    def _decode(self, top: int, left: int) -> None:
        self._codes = []  # not two at once
        height, width = min(self._block[0], self._height - top), min(self._block[1], self._width - left)
        self._codes = decoded_codes(self._carrier, (Axis(top, height), Axis(left, width)), *self._how)
        self._area = left, top, width, height
