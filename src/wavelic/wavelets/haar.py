"""Orthonormal 2-D Haar transform of images with even sides, the cheapest path and so the one for training.

One level maps every 2x2 block to four numbers by the orthonormal matrix

    low = (a + b + c + d) / 2      a b    (top row)
    lh  = (a + b - c - d) / 2      c d    (bottom row)
    hl  = (a - b + c - d) / 2
    hh  = (a - b - c + d) / 2

so that the adjoint is the inverse: the backward pass of the analysis is the synthesis, and the other way round.
Neither saves anything for the backward pass.  Both keep channels_last when the input has it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from wavelic.wavelets.memory import empty_plane


def haar_analysis2d(x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Compute one orthonormal Haar level.

    Args:
        x: (..., H, W) with H and W even.

    Returns:
        The bands (low, lh, hl, hh), each (..., H/2, W/2).
    """
    return _Analysis.apply(x)


def haar_synthesis2d(low: Tensor, lh: Tensor, hl: Tensor, hh: Tensor) -> Tensor:
    """Invert `haar_analysis2d`.

    Args:
        low: low-pass along both axes, (..., h, w).
        lh: high-pass vertically, the same shape.
        hl: high-pass horizontally, the same shape.
        hh: high-pass along both axes, the same shape.

    Returns:
        The image, (..., 2h, 2w).
    """
    return _Synthesis.apply(low, lh, hl, hh)


def _analysis(x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    height, width = x.shape[-2] // 2, x.shape[-1] // 2
    top, bottom = x[..., 0::2, :], x[..., 1::2, :]
    rows_low = torch.add(top, bottom, out=empty_plane(x, (height, 2 * width)))
    rows_high = torch.sub(top, bottom, out=empty_plane(x, (height, 2 * width)))
    rows_low *= 0.5
    rows_high *= 0.5
    low, lh, hl, hh = (empty_plane(x, (height, width)) for _ in range(4))
    for rows, even, odd in ((rows_low, low, hl), (rows_high, lh, hh)):
        torch.add(rows[..., 0::2], rows[..., 1::2], out=even)
        torch.sub(rows[..., 0::2], rows[..., 1::2], out=odd)
    return low, lh, hl, hh


def _synthesis(low: Tensor, lh: Tensor, hl: Tensor, hh: Tensor) -> Tensor:
    height, width = low.shape[-2:]
    rows_low, rows_high = (empty_plane(low, (height, 2 * width)) for _ in range(2))
    torch.add(low, hl, out=rows_low[..., 0::2])
    torch.sub(low, hl, out=rows_low[..., 1::2])
    torch.add(lh, hh, out=rows_high[..., 0::2])
    torch.sub(lh, hh, out=rows_high[..., 1::2])
    rows_low *= 0.5
    rows_high *= 0.5
    x = empty_plane(low, (2 * height, 2 * width))
    torch.add(rows_low, rows_high, out=x[..., 0::2, :])
    torch.sub(rows_low, rows_high, out=x[..., 1::2, :])
    return x


class _Analysis(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return _analysis(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return _Synthesis.apply(*grads)


class _Synthesis(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, low: Tensor, lh: Tensor, hl: Tensor, hh: Tensor) -> Tensor:
        return _synthesis(low, lh, hl, hh)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return _Analysis.apply(grad)
