"""A window of an image: its pseudo-image decoded around it, forward wavelet, learned synthesis.

A window needs little of the fine levels and much of the coarse ones: at five levels some 850 samples on every side.
libopenjp2 is asked for both apart, the coarse ones at a reduced size.  So it is for the whole image, that both begin
with the same bits.  That needs `StoredImage.with_extra_bits`; of a reversible codestream, which has none, all levels
come from one decode.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wavelic.lifting.jp2.samples import from_codes, to_pixels
from wavelic.lifting.jp2.stored_image import StoredImage
from wavelic.lifting.transform.grid import Axis
from wavelic.lifting.transform.levels import BASE_RADIUS
from wavelic.lifting.transform.transform import LiftingTransform
from wavelic.lifting.transform.windows import Axes, LevelBands, signals_of, synthesize_pieces, window_axes
from wavelic.wavelets import dwt2

#: How many of the finest levels come from the decode at full size; the others are decoded apart.
FINE_LEVELS = 2


def level_groups(stored: StoredImage, levels: int) -> list[tuple[int, int]]:
    """Return which levels come from one decode: [first, stop) of each group, counted from 0 for the finest."""
    if stored.has_extra_bits and levels > FINE_LEVELS:
        return [(0, FINE_LEVELS), (FINE_LEVELS, levels)]
    return [(0, levels)]


def synthesize_window(
    images: Sequence[StoredImage], transform: LiftingTransform, window: Axes, reduce: int
) -> list[NDArray[np.unsignedinteger]]:
    """Decode one window of images of equal geometry and mapping.

    Args:
        images: as `StoredImage.with_extra_bits` gives them.
        transform: with learned steps.
        window: rows and columns at the reduced size.
        reduce: how often both sides are halved.

    Returns:
        Pixels (rows, columns, components) of every image, uint8 or uint16.
    """
    first_image = images[0]
    header, box = first_image.header, first_image.box
    device = next(transform.parameters()).device
    levels, finest = header.levels - reduce, reduce + 1
    size = -(-header.height // 2**reduce), -(-header.width // 2**reduce)
    rows, columns = window
    plan = window_axes(
        transform, size, levels, (columns.start, rows.start, columns.size, rows.size), len(header.components), finest
    )
    pieces: list[LevelBands] = []
    low: tuple[Tensor, Axes]
    for first, stop in level_groups(first_image, levels):
        whole = -(-size[0] // 2**first), -(-size[1] // 2**first)
        axes = signal_window(plan[first:stop], whole, window, BASE_RADIUS[transform.base])
        components = [from_codes(image.planes(axes, reduce + first), box) for image in images]
        x = (components[0] if len(components) == 1 else torch.cat(components)).to(device)
        del components
        start = axes[0].start, axes[1].start
        coefficients = dwt2(x, transform.base, stop - first, "jpeg2000", start=start)
        signals = signals_of(axes, stop - first + 1)
        pieces += [LevelBands(*pair) for pair in zip(signals, coefficients.levels, strict=False)]
        low = coefficients.low, signals[-1]
    result = synthesize_pieces(transform, plan, window, pieces, low, finest).cpu()
    return [to_pixels(picture[None], box.depth, box.base) for picture in result]


def signal_window(plan: Sequence[Axes], size: tuple[int, int], wanted: Axes, base_radius: int) -> Axes:
    """Return the rows and columns of a signal that determine all coefficients a window's synthesis uses of its levels.

    From the coarsest level up: a level's bands are right where its signal is right for the radius of the base wavelet
    around them, and its signal is right where the bands above it are.

    Args:
        plan: of these levels, from `window_axes`.
        size: (height, width) of the signal.
        wanted: returned if there are no levels.
        base_radius: of the base wavelet.
    """
    needed = wanted
    for level in reversed(range(len(plan))):
        last = level == len(plan) - 1
        both = plan[level] if last else tuple(map(_union, plan[level], map(_doubled, needed)))
        whole = (-(-size[0] // 2**level), -(-size[1] // 2**level))
        rows, columns = (_widened(axis, limit, base_radius) for axis, limit in zip(both, whole, strict=True))
        needed = rows, columns
    return needed


def _doubled(axis: Axis) -> Axis:
    return Axis(2 * axis.start, 2 * axis.size)


def _union(a: Axis, b: Axis) -> Axis:
    first = min(a.start, b.start)
    return Axis(first, max(a.start + a.size, b.start + b.size) - first)


def _widened(axis: Axis, limit: int, margin: int) -> Axis:
    first = max(0, axis.start - margin)
    return Axis(first, min(limit, axis.start + axis.size + margin) - first)
