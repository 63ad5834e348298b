"""The two-dimensional orthonormal Haar transform of even-sized images: the cheap path for training.

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


def haar_analysis2d(x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """One orthonormal Haar level of ``x`` (..., H, W), H and W even: low, lh, hl, hh, each (..., H/2, W/2)."""
    return _Analysis.apply(x)


def haar_synthesis2d(low: Tensor, lh: Tensor, hl: Tensor, hh: Tensor) -> Tensor:
    """Inverse of `haar_analysis2d`: four (..., h, w) bands to (..., 2h, 2w)."""
    return _Synthesis.apply(low, lh, hl, hh)


def _analysis(x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    top, bottom = x[..., 0::2, :], x[..., 1::2, :]
    rows_low = top + bottom
    rows_high = top - bottom
    rows_low *= 0.5
    rows_high *= 0.5
    low_left, low_right = rows_low[..., 0::2], rows_low[..., 1::2]
    high_left, high_right = rows_high[..., 0::2], rows_high[..., 1::2]
    return low_left + low_right, high_left + high_right, low_left - low_right, high_left - high_right


def _synthesis(low: Tensor, lh: Tensor, hl: Tensor, hh: Tensor) -> Tensor:
    height, width = low.shape[-2:]
    channels_last = low.dim() == 4 and low.is_contiguous(memory_format=torch.channels_last)
    memory_format = torch.channels_last if channels_last else torch.contiguous_format
    shape = (*low.shape[:-2], height, 2 * width)
    rows_low = torch.empty(shape, dtype=low.dtype, device=low.device, memory_format=memory_format)
    rows_high = torch.empty_like(rows_low)
    torch.add(low, hl, out=rows_low[..., 0::2])
    torch.sub(low, hl, out=rows_low[..., 1::2])
    torch.add(lh, hh, out=rows_high[..., 0::2])
    torch.sub(lh, hh, out=rows_high[..., 1::2])
    rows_low *= 0.5
    rows_high *= 0.5
    shape = (*low.shape[:-2], 2 * height, 2 * width)
    x = torch.empty(shape, dtype=low.dtype, device=low.device, memory_format=memory_format)
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
