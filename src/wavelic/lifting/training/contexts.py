"""Estimate of what the JPEG 2000 block coder spends: adaptive code lengths in contexts like its own.

The coder codes a coefficient's bit planes with probabilities adapted to how significant its eight neighbours are: those
before it in the scan down to the current plane, the others down to the plane above (ITU-T T.800, annex D).  Here the
magnitude index of a coefficient is coded with a histogram chosen by the same neighbours and by the density of a wider
window, which stands for the adaptation within a code block.  Summed over an image this is within some percent of the
real coder's bytes from 0.1 to 1 bit per pixel, where zero-order code lengths are far off.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional

SYMBOLS = 16  # magnitudes 0..15; larger ones have an Elias gamma tail
_NEAR = (0.5, 1.5, 2.5, 4.5, 7.5, 12.5, 20.5)
_WIDE = (0.004, 0.02, 0.06, 0.15, 0.4)
_REACH = 7
_LARGEST = 6.0  # neighbours count no more than this
CONTEXTS = (len(_NEAR) + 1) * (len(_WIDE) + 1)


def contexts(u: Tensor) -> Tensor:
    """Context number of every coefficient of a band (N, 1, h, w) in quantiser steps: int64, 0..CONTEXTS - 1."""
    magnitude = u.detach().abs().floor_()
    height, width = u.shape[-2:]
    p = functional.pad(magnitude.clamp(max=_LARGEST), (1, 1, 1, 1))

    def at(row: int, column: int) -> Tensor:
        return p[..., 1 + row : 1 + row + height, 1 + column : 1 + column + width]

    p_coarse = (p / 2).floor_().mul_(2)

    def later(row: int, column: int) -> Tensor:
        return p_coarse[..., 1 + row : 1 + row + height, 1 + column : 1 + column + width]

    near = 2 * (at(-1, 0) + at(0, -1) + later(1, 0) + later(0, 1)) + at(-1, -1) + at(-1, 1) + later(1, -1) + later(1, 1)
    capped = magnitude.clamp(max=3)
    wide = _window_sum(capped).sub_(capped)
    rows, columns = (_window_sum(u.new_ones(shape)) for shape in ((1, 1, height, 1), (1, 1, 1, width)))
    wide /= (rows * columns - 1).clamp_(min=1)
    near_class = torch.bucketize(near, near.new_tensor(_NEAR))
    return near_class * (len(_WIDE) + 1) + torch.bucketize(wide, wide.new_tensor(_WIDE))


def _window_sum(x: Tensor) -> Tensor:
    """Sums over windows of 2 _REACH + 1 samples a side, zeros beyond the edges."""
    side = 2 * _REACH + 1
    x = functional.avg_pool2d(x, (side, 1), 1, (_REACH, 0), divisor_override=1)
    return functional.avg_pool2d(x, (1, side), 1, (0, _REACH), divisor_override=1)


class _Lengths(nn.Module, ABC):
    """Code lengths from running counts of what was coded so far; a row for every class of coefficients.

    classes: number of rows.  decay: of the counts, per update.
    """

    counts: Tensor

    def __init__(self, classes: int, decay: float = 0.99) -> None:
        super().__init__()
        self.decay = decay
        self.register_buffer("counts", torch.zeros(classes, SYMBOLS, dtype=torch.float64))

    @abstractmethod
    def rows(self, bands: list[Tensor]) -> list[Tensor]:
        """The class of every coefficient, int64 of the bands' shapes; bands in quantiser steps, finest level first."""

    @abstractmethod
    def smoothed(self) -> Tensor:
        """Counts that leave no symbol without probability."""

    @torch.no_grad()
    def update(self, bands: list[Tensor], rows: list[Tensor]) -> None:
        """Count the magnitudes of bands in quantiser steps, in the classes ``rows``."""
        counts = torch.zeros_like(self.counts).view(-1)
        for u, row in zip(bands, rows, strict=True):
            symbol = u.abs().floor().clamp_(max=SYMBOLS - 1).long()
            counts += torch.bincount((row * SYMBOLS + symbol).flatten(), minlength=len(counts))
        self.counts.mul_(self.decay).add_(counts.view_as(self.counts))

    @torch.no_grad()
    def lengths(self) -> Tensor:
        """Bits of the magnitudes 0..15 with their signs, (classes, SYMBOLS)."""
        counts = self.smoothed()
        bits = -torch.log2(counts / counts.sum(1, keepdim=True))
        bits[:, 1:] += 1
        return bits.float()


class BandLengths(_Lengths):
    """Zero-order code lengths: one histogram per band (spec 4.2).  Overstates what a context coder spends."""

    def rows(self, bands: list[Tensor]) -> list[Tensor]:
        """The number of the band."""
        return [torch.full(band.shape, number, device=band.device) for number, band in enumerate(bands)]

    def smoothed(self) -> Tensor:
        """0.01 per symbol."""
        return self.counts + 0.01


class ContextLengths(_Lengths):
    """Code lengths in the contexts of `contexts`, the same for all bands."""

    def __init__(self, bands: int, decay: float = 0.99) -> None:
        super().__init__(CONTEXTS, decay)

    def rows(self, bands: list[Tensor]) -> list[Tensor]:
        """`contexts` of every band."""
        return [contexts(band) for band in bands]

    def smoothed(self) -> Tensor:
        """A context seen too rarely borrows from its row of the same neighbours, and that from all."""
        counts = self.counts.view(len(_NEAR) + 1, len(_WIDE) + 1, SYMBOLS)
        overall = counts.sum((0, 1)) + 0.1
        row = counts.sum(1) + 20 * (overall / overall.sum())
        full = counts + 20 * (row / row.sum(-1, keepdim=True))[:, None]
        return full.view(CONTEXTS, SYMBOLS)
