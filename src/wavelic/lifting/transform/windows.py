"""Synthesising a window of an image from the coefficients around it.

Every level needs, beyond what is wanted of it, as many samples as its synthesis can see (`Level.receptive_radius`).
The margins follow from the layer sizes; nothing is tuned.  Coordinates are absolute, so a sample of a window is
computed from the same numbers by the same operations as in the whole image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from wavelic.errors import UsageError
from wavelic.lifting.transform.grid import Axis, Kind
from wavelic.lifting.transform.transform import LiftingTransform
from wavelic.wavelets import Bands2d, Coefficients2d

Axes = tuple[Axis, Axis]  # rows, columns
Region = tuple[int, int, int, int]  # x, y, width, height, relative to the first sample


def window_axes(
    transform: LiftingTransform,
    size: tuple[int, int],
    levels: int,
    region: Region,
    components: int | None = None,
    finest: int = 1,
) -> list[Axes]:
    """Plan a window: what to synthesise at every level so that a region of an image comes out right.

    Args:
        transform: of the synthesis.
        size: (height, width) of the image.
        levels: how many.
        region: (x, y, width, height).
        components: of the image, 1 or 3; None: the plan fits both.
        finest: the number of the first level, as in `LiftingTransform.synthesis`.

    Returns:
        For every level, the finest first, the rows and columns of its signal to compute; those of the finest contain
        the region, those of a later level contain the low band of the one before.

    Raises:
        UsageError: the region is empty or not a part of the image.
    """
    x, y, width, height = region
    if min(x, y) < 0 or min(width, height) < 1 or x + width > size[1] or y + height > size[0]:
        raise UsageError(f"region {region} is not a part of an image of {size[1]}x{size[0]}; give x, y, width, height")
    wanted: Axes = (Axis(y, height), Axis(x, width))
    plan = []
    image: Axes = (Axis(0, size[0]), Axis(0, size[1]))
    for number, whole in enumerate(signals_of(image, levels), finest):
        margin = transform.receptive_radius(number, components)
        rows, columns = (_widened(w, all_, margin) for w, all_ in zip(wanted, whole, strict=True))
        plan.append((rows, columns))
        wanted = _low((rows, columns))
    return plan


@dataclass(frozen=True)
class LevelBands:
    """Details of one level around a window.

    Attributes:
        axes: rows and columns of the signal that has exactly these details.
        details: (N, C, ...).
    """

    axes: Axes
    details: Bands2d


def synthesize_pieces(
    transform: LiftingTransform,
    plan: Sequence[Axes],
    wanted: Axes,
    pieces: Sequence[LevelBands],
    low: tuple[Tensor, Axes],
    finest: int = 1,
) -> Tensor:
    """Synthesise a window of the signal whose levels are these.

    Args:
        transform: of the synthesis.
        plan: from `window_axes`.
        wanted: rows and columns of the window, in absolute coordinates.
        pieces: one per level, the finest first, each covering the plan of its level.
        low: the low band of the last level, and its rows and columns.
        finest: the number of the first level, as in `LiftingTransform.synthesis`.

    Returns:
        (N, C, rows, columns).
    """
    targets = [wanted, *(_low(axes) for axes in plan)]
    signal = _crop(*low, targets[-1])
    for level in reversed(range(len(plan))):
        axes, piece = plan[level], pieces[level]
        bands = Bands2d(
            _crop_band(piece.details.lh, piece.axes, axes, ("high", "low")),
            _crop_band(piece.details.hl, piece.axes, axes, ("low", "high")),
            _crop_band(piece.details.hh, piece.axes, axes, ("high", "high")),
        )
        rows, columns = axes
        part = Coefficients2d(
            signal,
            (bands,),
            (rows.size, columns.size),
            transform.base,
            "jpeg2000",
            (rows.start, columns.start),
        )
        signal = _crop(transform.synthesis(part, finest=finest + level), axes, targets[level])
    return signal


def signals_of(image: Axes, count: int) -> list[Axes]:
    """List rows and columns of the first ``count`` signals: the image, its low band, the low band of that, ..."""
    signals: list[Axes] = []
    for _ in range(count):
        signals.append(image)
        image = _low(image)
    return signals


def _widened(wanted: Axis, whole: Axis, margin: int) -> Axis:
    first = max(whole.start, wanted.start - margin)
    stop = min(whole.start + whole.size, wanted.start + wanted.size + margin)
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
