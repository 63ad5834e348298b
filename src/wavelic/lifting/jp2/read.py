"""Decoding a carrier file: stock decode, forward wavelet, learned synthesis, colour; of everything or of a window.

A window needs little of the fine levels and much of the coarse ones: at five levels some 850 samples on every side.
The stock decoder is asked for both apart, the coarse ones at a reduced size.  So it is for the whole image, that both
begin with the same bits.  That needs `LiftingTransform.finer_bits`; without, all levels come from one decode.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wavelic.codec.opened import Region, reduced_region
from wavelic.lifting.jp2.pixels import decoded_codes, from_codes, luma_of, mapped, matching, to_pixels
from wavelic.lifting.jp2.with_extra_bits import finer
from wavelic.lifting.transform.grid import Axis
from wavelic.lifting.transform.structures import FixedLevel
from wavelic.lifting.transform.transform import LiftingTransform
from wavelic.lifting.transform.windows import Axes, LevelBands, signals_of, synthesize_pieces, window_axes
from wavelic.wavelets import dwt2

if TYPE_CHECKING:
    from wavelic.lifting.jp2.file import CarrierFile

#: How many of the finest levels come from the decode at full size, if the others are decoded apart.
FINE_LEVELS = 2
_BASE_REACH = 4  # half the longest filter, as `Level.reach`


def read_pixels(
    file: CarrierFile,
    transform: LiftingTransform | None,
    reduce: int,
    max_layers: int,
    region: Region | None,
    threads: int,
) -> NDArray[np.unsignedinteger]:
    """What `CarrierFile.read` returns, without the opacity of the box; arguments checked, as there."""
    transform = matching(transform, file.box)
    x, y, width, height = reduced_region(region, file.level_dimensions[0], reduce)
    wanted: Axes = (Axis(y, height), Axis(x, width))
    with torch.inference_mode():
        if isinstance(transform.level, FixedLevel):
            pixels = mapped(decoded_codes(file, wanted, reduce, max_layers, threads), file.box)
            return pixels[..., list(file.jp2.order)] if file.jp2.order else pixels
        return _Reading([finer(file, transform)], transform, reduce, max_layers, threads).pixels(wanted)[0]


def likeness(file: CarrierFile) -> Hashable:
    """Equal for files that `read_alike` can decode together: geometry, wavelet, model and mapping."""
    header = file.header
    return header.width, header.height, header.levels, header.components, replace(file.box, alpha=None)


def read_alike(
    files: Sequence[CarrierFile], transform: LiftingTransform, threads: int
) -> list[NDArray[np.unsignedinteger]]:
    """`read_pixels` of all of several files of one `likeness` with learned steps; the networks run once for all."""
    transform = matching(transform, files[0].box)
    width, height = files[0].level_dimensions[0]
    with torch.inference_mode():
        reading = _Reading([finer(file, transform) for file in files], transform, 0, None, threads)
        return reading.pixels((Axis(0, height), Axis(0, width)))


class _Reading:
    """One request for samples that need the learned synthesis, of each of some files.

    files: of one `likeness`, as `finer` gives them.  max_layers: None for all.
    """

    def __init__(
        self,
        files: Sequence[CarrierFile],
        transform: LiftingTransform,
        reduce: int,
        max_layers: int | None,
        threads: int,
    ) -> None:
        self.files, self.file, self.transform, self.reduce = files, files[0], transform, reduce
        self._how = max_layers, threads
        self.levels = self.file.levels - reduce
        self.device = next(transform.parameters()).device
        # Luma alone is synthesised: what that adds to the luma is added to every component of the stock samples.
        self.luma = transform.luma_only or len(self.file.header.components) == 1

    def pixels(self, wanted: Axes) -> list[NDArray[np.unsignedinteger]]:
        """Samples (rows, columns, channels) of every image at this resolution."""
        width, height = self.file.level_dimensions[self.reduce]
        whole: Axes = (Axis(0, height), Axis(0, width))
        if wanted == whole and not decoded_apart(self.transform, self.levels):
            planes, part = self._planes(whole, 0), whole
            coefficients = dwt2(self._components(planes), self.transform.base, self.levels, "jpeg2000")
            if not self.luma:
                planes = []
            result = self.transform.synthesis(coefficients, finest=self.reduce + 1).cpu()
        else:
            planes, part, result = self._in_pieces(wanted, (height, width))
        box = self.file.box
        if not self.luma:
            return [to_pixels(image[None], box.depth, box.base) for image in result]
        top, left = wanted[0].start - part[0].start, wanted[1].start - part[1].start
        inner = slice(top, top + wanted[0].size), slice(left, left + wanted[1].size)
        every = [[plane[inner] for plane in colours] for colours in planes]
        return [
            mapped(colours, box, image[0] - luma_of(colours, box)) for colours, image in zip(every, result, strict=True)
        ]

    def _in_pieces(self, wanted: Axes, size: tuple[int, int]) -> tuple[list[list[Tensor]], Axes, Tensor]:
        """Codes at this resolution (if only luma is synthesised) and their rows and columns; the components (N, C, ...)
        wanted."""
        rows, columns = wanted
        region = columns.start, rows.start, columns.size, rows.size
        plan = window_axes(self.transform, size, self.levels, region, finest=self.reduce + 1)
        apart = decoded_apart(self.transform, self.levels)
        groups = [(0, FINE_LEVELS), (FINE_LEVELS, self.levels)] if apart else [(0, self.levels)]
        pieces: list[LevelBands] = []
        read: list[tuple[list[list[Tensor]], Axes]] = []
        for first, stop in groups:
            whole = -(-size[0] // 2**first), -(-size[1] // 2**first)
            axes = signal_window(plan[first:stop], whole, wanted)
            planes = self._planes(axes, first)
            start = axes[0].start, axes[1].start
            coefficients = dwt2(self._components(planes), self.transform.base, stop - first, "jpeg2000", start=start)
            signals = signals_of(axes, stop - first + 1)
            pieces += [LevelBands(*pair) for pair in zip(signals, coefficients.levels, strict=False)]
            read.append((planes if self.luma and not first else [], axes))
            del planes
        low = coefficients.low, signals[-1]
        result = synthesize_pieces(self.transform, plan, wanted, pieces, low, self.reduce + 1)
        return *read[0], result.cpu()

    def _planes(self, axes: Axes, level: int) -> list[list[Tensor]]:
        return [decoded_codes(file, axes, self.reduce + level, *self._how) for file in self.files]

    def _components(self, planes: Sequence[Sequence[Tensor]]) -> Tensor:
        """The components that are synthesised, (N, C, h, w)."""
        box = self.file.box
        if self.luma:
            return torch.stack([luma_of(colours, box) for colours in planes])[:, None].to(self.device)
        every = [from_codes(colours, box) for colours in planes]
        return (every[0] if len(every) == 1 else torch.cat(every)).to(self.device)


def decoded_apart(transform: LiftingTransform, levels: int) -> bool:
    """Whether the levels beyond `FINE_LEVELS` come from a decode of their own."""
    return transform.finer_bits > 0 and levels > FINE_LEVELS


def signal_window(plan: Sequence[Axes], size: tuple[int, int], wanted: Axes) -> Axes:
    """Which rows and columns of a signal determine all coefficients that a window's synthesis uses of its levels.

    plan: of these levels, from `window_axes`.  size: (height, width) of the signal.  wanted: returned if there are no
    levels.  From the coarsest level up: a level's bands are right where its signal is right for the reach of the base
    wavelet around them, and its signal is right where the bands above it are.
    """
    needed = wanted
    for level in reversed(range(len(plan))):
        last = level == len(plan) - 1
        both = plan[level] if last else tuple(map(_union, plan[level], map(_doubled, needed)))
        whole = (-(-size[0] // 2**level), -(-size[1] // 2**level))
        rows, columns = (_widened(axis, limit) for axis, limit in zip(both, whole, strict=True))
        needed = rows, columns
    return needed


def _doubled(axis: Axis) -> Axis:
    return Axis(2 * axis.start, 2 * axis.size)


def _union(a: Axis, b: Axis) -> Axis:
    first = min(a.start, b.start)
    return Axis(first, max(a.start + a.size, b.start + b.size) - first)


def _widened(axis: Axis, limit: int) -> Axis:
    first = max(0, axis.start - _BASE_REACH)
    return Axis(first, min(limit, axis.start + axis.size + _BASE_REACH) - first)
