"""Containers for wavelet coefficients, and their Mallat layout in one array.

A container holds everything its inverse transform needs: the bands, the size, the wavelet, the normalisation and the
coordinate of the first sample.  Levels are in the order of computation: ``levels[0]`` is the finest (level 1),
``levels[-1]`` the coarsest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from wavelic.errors import UsageError
from wavelic.wavelets.geometry import level_sizes2d
from wavelic.wavelets.schemes import Normalization


@dataclass(frozen=True)
class Coefficients1d:
    """Multi-level decomposition along one axis.

    Attributes:
        low: the low band after the last level.
        highs: the high bands, ``highs[0]`` the finest.
        size: number of samples along ``axis`` before the transform.
        axis: the axis as a negative index; -1 is the last.
        wavelet: "haar", "5/3" or "9/7".
        normalization: scale of the bands, see `schemes`.
        start: absolute coordinate of the first sample.
    """

    low: Tensor
    highs: tuple[Tensor, ...]
    size: int
    axis: int
    wavelet: str
    normalization: Normalization
    start: int = 0


@dataclass(frozen=True)
class Bands2d:
    """The three detail bands of one 2-D level.

    Attributes:
        lh: high-pass vertically (along H), low-pass horizontally: horizontal stripes.  Shape (..., h_high, w_low).
        hl: high-pass horizontally (along W), low-pass vertically: vertical stripes.  Shape (..., h_low, w_high).
        hh: high-pass along both axes.  Shape (..., h_high, w_high).
    """

    lh: Tensor
    hl: Tensor
    hh: Tensor


@dataclass(frozen=True)
class Coefficients2d:
    """Multi-level 2-D decomposition of a tensor (..., H, W).

    Attributes:
        low: the low band after the last level, (..., h, w).
        levels: the detail bands, ``levels[0]`` the finest.
        size: (H, W) before the transform.
        wavelet: "haar", "5/3" or "9/7".
        normalization: scale of the bands, see `schemes`.
        start: absolute (row, column) of the first sample.
    """

    low: Tensor
    levels: tuple[Bands2d, ...]
    size: tuple[int, int]
    wavelet: str
    normalization: Normalization
    start: tuple[int, int] = (0, 0)

    def map(self, function: Callable[[Tensor], Tensor]) -> Coefficients2d:
        """Apply ``function`` to every band.

        Args:
            function: maps a band to a tensor of the same height and width.

        Returns:
            The decomposition with the new bands.
        """
        levels = tuple(Bands2d(function(b.lh), function(b.hl), function(b.hh)) for b in self.levels)
        return replace(self, low=function(self.low), levels=levels)


@dataclass(frozen=True)
class Coefficients3d:
    """Decomposition of (..., C, H, W): along the channels first, then of every channel band in the plane.

    With one level each, the eight bands of 3DM-WeConvene are ``low.low`` (LLL), ``low.levels[0].lh`` (LLH), ...,
    ``highs[0].low`` (HLL), ..., ``highs[0].levels[0].hh`` (HHH).  The first letter is the channel direction; the other
    two are those of `Bands2d` (LH is high-pass vertically).

    Attributes:
        low: the low channel band.
        highs: the high channel bands, ``highs[0]`` the finest channel level.
        channels: C before the transform.
    """

    low: Coefficients2d
    highs: tuple[Coefficients2d, ...]
    channels: int


def to_mallat(coefficients: Coefficients2d) -> Tensor:
    """Arrange all bands in one tensor: the low band top left, hl to its right, lh below it, hh diagonally below.

    Args:
        coefficients: a 2-D decomposition of any number of levels.

    Returns:
        The bands as (..., H, W), the size of the transformed tensor.

    Examples:
        >>> from wavelic.wavelets import dwt2
        >>> coefficients = dwt2(torch.arange(12.0).reshape(3, 4), "haar", normalization="jpeg2000")
        >>> to_mallat(coefficients)
        tensor([[ 2.5000,  4.5000, -1.0000, -1.0000],
                [ 8.5000, 10.5000, -1.0000, -1.0000],
                [-4.0000, -4.0000,  0.0000,  0.0000]])
    """
    array = coefficients.low
    for bands in reversed(coefficients.levels):
        top = torch.cat((array, bands.hl), dim=-1)
        bottom = torch.cat((bands.lh, bands.hh), dim=-1)
        array = torch.cat((top, bottom), dim=-2)
    return array


def from_mallat(
    array: Tensor,
    wavelet: str,
    levels: int,
    normalization: Normalization = "orthonormal",
    start: tuple[int, int] = (0, 0),
) -> Coefficients2d:
    """Cut one array in Mallat layout into its bands; the inverse of `to_mallat`.

    Args:
        array: (..., H, W) with H, W >= 1.
        wavelet: the wavelet of the coefficients: "haar", "5/3" or "9/7".
        levels: number of levels in the array.
        normalization: scale of the coefficients, see `schemes`.
        start: absolute (row, column) of the first sample of the transformed tensor.

    Returns:
        The decomposition; its bands are views into ``array``.

    Raises:
        UsageError: ``array`` is empty or has fewer than two dimensions.
    """
    if array.dim() < 2 or 0 in array.shape[-2:]:
        raise UsageError(f"an array of shape {tuple(array.shape)} holds no bands; expected (..., H, W) with H, W >= 1")
    size = (array.shape[-2], array.shape[-1])
    details = []
    for sizes in level_sizes2d(size, levels, start):
        rows, columns = sizes.low
        height, width = rows + sizes.lh[0], columns + sizes.hl[1]
        details.append(
            Bands2d(
                lh=array[..., rows:height, :columns],
                hl=array[..., :rows, columns:width],
                hh=array[..., rows:height, columns:width],
            )
        )
        array = array[..., :rows, :columns]
    return Coefficients2d(array, tuple(details), size, wavelet, normalization, start)
