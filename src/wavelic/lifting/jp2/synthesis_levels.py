"""The whole of a large image with learned steps, level by level."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wavelic.codec.opened import Progress, Region
from wavelic.lifting.jp2.samples import from_codes, to_pixels
from wavelic.lifting.jp2.stored_image import StoredImage
from wavelic.lifting.jp2.synthesis_windows import level_groups
from wavelic.lifting.jp2.windows import Start, block_size, count_windows, merge_levels, split_levels
from wavelic.lifting.transform.grid import Axis
from wavelic.lifting.transform.transform import LiftingTransform
from wavelic.memory import give_back
from wavelic.wavelets import Bands2d, Coefficients2d, dwt2


def synthesize_levels(
    stored: StoredImage,
    transform: LiftingTransform,
    reduce: int,
    pixels: NDArray[np.unsignedinteger],
    progress: Progress | None,
) -> None:
    """Decode all of an image, of one with fewer levels left out than it has.

    Beyond the result this needs some 14 bytes per pixel of an RGB image.

    Args:
        stored: as `StoredImage.with_extra_bits` gives it.
        transform: with learned steps.
        reduce: how often both sides are halved.
        pixels: (height, width, components), uint8 or uint16, written.
        progress: called as ``progress(done, total)`` with windows.
    """
    height, width, components = pixels.shape
    levels = stored.header.levels - reduce
    depth, base = stored.box.depth, stored.box.base
    device = next(transform.parameters(), torch.empty(0)).device
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
        pixels[top : top + window.shape[0], left : left + window.shape[1]] = window

    margin = transform.plain.receptive_radius
    details: list[Bands2d] = []
    for first, stop in level_groups(stored, levels):
        size = -(-height // 2**first), -(-width // 2**first)
        source = _ReadAhead(stored, reduce + first, size, block_size(margin))
        low, more = split_levels(source, components, size, stop - first, split, margin, done)
        details += more
        del source, more
    merge_levels(low, details, (height, width), base, merge, transform.level.receptive_radius, sink, done)
    give_back()


class _ReadAhead:
    """A source of windows that decodes a block of them at once, for a walk in the order of `windows`."""

    def __init__(self, stored: StoredImage, reduce: int, size: tuple[int, int], block: tuple[int, int]) -> None:
        self._stored, self._reduce, self._block = stored, reduce, block
        self._height, self._width = size
        self._codes: list[Tensor] = []
        self._area: Region = (0, 0, 0, 0)

    def __call__(self, rows: slice, columns: slice) -> Tensor:
        x, y, width, height = self._area
        if not (x <= columns.start and columns.stop <= x + width and y <= rows.start and rows.stop <= y + height):
            self._decode(rows.start, columns.start)
            x, y, width, height = self._area
        there = slice(rows.start - y, rows.stop - y), slice(columns.start - x, columns.stop - x)
        return from_codes([plane[there] for plane in self._codes], self._stored.box)

    def _decode(self, top: int, left: int) -> None:
        self._codes = []  # not two at once
        height, width = min(self._block[0], self._height - top), min(self._block[1], self._width - left)
        self._codes = self._stored.planes((Axis(top, height), Axis(left, width)), self._reduce)
        self._area = left, top, width, height
