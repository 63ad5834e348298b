"""Synthesising a window of an image from the coefficients around it.

Every level needs, beyond what is wanted of it, as many samples as its synthesis can see (`Level.reach`).  The margins
follow from the layer sizes; nothing is tuned.  Coordinates are absolute, so a sample of a window is computed from the
same numbers by the same operations as in the whole image.
"""

from __future__ import annotations

from torch import Tensor

from wavelic.errors import UsageError
from wavelic.models.lifting import LiftingTransform
from wavelic.nn.lifting_grid import Axis, Kind
from wavelic.wavelets import Bands2d, Coefficients2d

Axes = tuple[Axis, Axis]  # rows, columns
Region = tuple[int, int, int, int]  # x, y, width, height, relative to the first sample


def window_axes(
    transform: LiftingTransform, size: tuple[int, int], levels: int, region: Region, start: tuple[int, int] = (0, 0)
) -> list[Axes]:
    """What to synthesise at every level so that ``region`` of an image of ``size`` (height, width) comes out right.

    Returns, for level 1 first, the rows and columns of that level's signal to compute; those of level 1 contain the
    region, those of a later level contain the low band of the one before.  Raises UsageError if the region is empty or
    not a part of the image.
    """
    x, y, width, height = region
    if min(x, y) < 0 or min(width, height) < 1 or x + width > size[1] or y + height > size[0]:
        raise UsageError(f"region {region} is not a part of an image of {size[1]}x{size[0]}; give x, y, width, height")
    wanted: Axes = (Axis(start[0] + y, height), Axis(start[1] + x, width))
    plan = []
    for whole in _signals(size, levels, start):
        rows, columns = (_widened(w, all_, transform.level.reach) for w, all_ in zip(wanted, whole, strict=True))
        plan.append((rows, columns))
        wanted = _low((rows, columns))
    return plan


def synthesize_window(transform: LiftingTransform, coefficients: Coefficients2d, region: Region) -> Tensor:
    """The part ``region`` (x, y, width, height) of ``transform.synthesis(coefficients)``: (N, C, height, width).

    Equal to the crop up to the rounding of convolutions of different size.  Memory and time grow with the region, not
    with the image.  Raises UsageError as `window_axes` does.
    """
    c = coefficients
    plan = window_axes(transform, c.size, len(c.levels), region, c.start)
    signals = _signals(c.size, len(c.levels), c.start)
    x, y, width, height = region
    wanted = [(Axis(c.start[0] + y, height), Axis(c.start[1] + x, width)), *map(_low, plan)]
    image: Axes = (Axis(c.start[0], c.size[0]), Axis(c.start[1], c.size[1]))
    low = _crop(c.low, _low(signals[-1]) if signals else image, wanted[-1])
    for level in reversed(range(len(plan))):
        rows, columns = plan[level]
        bands = Bands2d(
            _crop_band(c.levels[level].lh, signals[level], plan[level], ("high", "low")),
            _crop_band(c.levels[level].hl, signals[level], plan[level], ("low", "high")),
            _crop_band(c.levels[level].hh, signals[level], plan[level], ("high", "high")),
        )
        part = Coefficients2d(
            low, (bands,), (rows.size, columns.size), c.wavelet, c.normalization, (rows.start, columns.start)
        )
        low = _crop(transform.synthesis(part), plan[level], wanted[level])
    return low


def _signals(size: tuple[int, int], levels: int, start: tuple[int, int]) -> list[Axes]:
    """Rows and columns of the signal every level splits."""
    signals: list[Axes] = []
    axes: Axes = (Axis(start[0], size[0]), Axis(start[1], size[1]))
    for _ in range(levels):
        signals.append(axes)
        axes = _low(axes)
    return signals


def _widened(wanted: Axis, whole: Axis, reach: int) -> Axis:
    first = max(whole.start, wanted.start - reach)
    stop = min(whole.start + whole.size, wanted.start + wanted.size + reach)
    return Axis(first, stop - first)


def _band(axis: Axis, kind: Kind) -> Axis:
    """The samples of one kind as an axis of their own."""
    first, stop = axis.span(kind)
    return Axis(first, stop - first)


def _low(axes: Axes) -> Axes:
    return _band(axes[0], "low"), _band(axes[1], "low")


def _crop(stored: Tensor, have: Axes, want: Axes) -> Tensor:
    """The part of ``stored``, which covers ``have``, that covers ``want``."""
    top, left = want[0].start - have[0].start, want[1].start - have[1].start
    return stored[..., top : top + want[0].size, left : left + want[1].size]


def _crop_band(stored: Tensor, signal: Axes, part: Axes, kinds: tuple[Kind, Kind]) -> Tensor:
    have = _band(signal[0], kinds[0]), _band(signal[1], kinds[1])
    return _crop(stored, have, (_band(part[0], kinds[0]), _band(part[1], kinds[1])))
