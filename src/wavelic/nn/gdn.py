"""Generalised divisive normalisation (GDN) and its inverse.

Ballé, Laparra, Simoncelli, *Density modeling of images using a generalized normalization transformation* (2015),
reference [12] of the WCAE paper.

On a CPU the layer is bound by memory, not arithmetic: written with plain tensor operations it streams eight maps of
the input's size through main memory.  `_Normalize` therefore works on blocks of pixels that stay in the cache, in the
channels-last layout where the mixing over channels is a small matrix product.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from wavelic.nn.traced import is_tracing

_OFFSET = 2.0**-18  # keeps the square reparametrisation away from a vanishing gradient
_PEDESTAL = _OFFSET**2
_BLOCK_ELEMENTS = 1 << 16  # 256 KiB of float32: a handful of blocks fit in a core's second-level cache


class _LowerBound(torch.autograd.Function):
    """max(x, bound), with a gradient that also passes where it would push x back above the bound."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, bound: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.bound = bound
        return x.clamp_min(bound)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        (gradient,) = gradients
        return gradient * ((x >= ctx.bound) | (gradient < 0)), None


def lower_bound(x: Tensor, bound: float) -> Tensor:
    """Elementwise ``max(x, bound)`` whose gradient below the bound passes only where it raises ``x``.

    Args:
        x: tensor of any shape.
        bound: the lower bound.

    Returns:
        A tensor of the shape of ``x``.
    """
    return _LowerBound.apply(x, bound) if torch.is_grad_enabled() else x.clamp_min(bound)


def _blocks(x: Tensor) -> list[slice]:
    """Runs of pixels of (pixels, channels) to process at a time; all at once on devices without a cache to stay in."""
    pixels, channels = x.shape
    step = max(1, _BLOCK_ELEMENTS // channels) if x.device.type == "cpu" else max(1, pixels)
    return [slice(start, start + step) for start in range(0, pixels, step)]


class _Normalize(torch.autograd.Function):
    """y = x * n^p on (pixels, channels), n = beta + x^2 gamma^T, p = -1/2 (GDN) or +1/2 (IGDN)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, gamma: Tensor, beta: Tensor, inverse: bool) -> Tensor:
        y, factor = torch.empty_like(x), torch.empty_like(x)
        mixing = gamma.t().contiguous()
        for block in _blocks(x):
            norm = torch.addmm(beta, x[block].square(), mixing)
            torch.sqrt(norm, out=factor[block]) if inverse else torch.rsqrt(norm, out=factor[block])
            torch.mul(x[block], factor[block], out=y[block])
        ctx.save_for_backward(x, gamma, factor)
        ctx.inverse = inverse
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        x, gamma, factor = ctx.saved_tensors
        gradient = gradients[0].contiguous()
        grad_x, grad_gamma = torch.empty_like(x), torch.zeros_like(gamma)
        grad_beta = gamma.new_zeros(gamma.shape[0])
        for block in _blocks(x):
            xs, gs, fs = x[block], gradient[block], factor[block]
            # d(n^p)/dn = p n^(p-1): with f = n^p this is 1/(2f) for p = 1/2 and -f^3/2 for p = -1/2
            inner = gs * xs
            grad_norm = inner.div_(fs).mul_(0.5) if ctx.inverse else inner.mul_(fs).mul_(fs).mul_(fs).mul_(-0.5)
            torch.mul(gs, fs, out=grad_x[block])
            grad_x[block].addcmul_(xs, grad_norm @ gamma, value=2.0)
            grad_gamma.addmm_(grad_norm.t(), xs.square())
            grad_beta += grad_norm.sum(0)
        return grad_x, grad_gamma, grad_beta, None


def _normalized(x: Tensor, gamma: Tensor, beta: Tensor, inverse: bool) -> Tensor:
    """What `_Normalize` computes, to the bit, where no gradient is wanted: without a map of what it divides by."""
    if torch.is_grad_enabled():
        result: Tensor = _Normalize.apply(x, gamma, beta, inverse)
        return result
    y, mixing = torch.empty_like(x), gamma.t().contiguous()
    for block in _blocks(x):
        norm = torch.addmm(beta, x[block].square(), mixing)
        torch.mul(x[block], norm.sqrt_() if inverse else norm.rsqrt_(), out=y[block])
    return y


class GDN(nn.Module):
    """Generalised divisive normalisation: ``y_i = x_i / sqrt(beta_i + sum_j gamma_ij x_j^2)``.

    The result is channels-last.  The computation runs in float32 (float64 if given) even under autocast: squares and
    small betas do not survive bfloat16.

    Args:
        channels: C of the (N, C, H, W) input; the layer has C^2 + C parameters.
        inverse: multiply instead of dividing (IGDN, the form for the synthesis).
        beta_min: lower bound of beta, which keeps the square root differentiable.
        gamma_init: initial diagonal of gamma; beta starts at 1.

    Examples:
        >>> GDN(3)(torch.zeros(1, 3, 2, 2)).abs().max().item()
        0.0
    """

    def __init__(self, channels: int, inverse: bool = False, beta_min: float = 1e-6, gamma_init: float = 1e-3) -> None:
        super().__init__()
        self.inverse = inverse
        self.beta_bound = (beta_min + _PEDESTAL) ** 0.5
        self.beta = nn.Parameter((torch.ones(channels) + _PEDESTAL).sqrt())
        self.gamma = nn.Parameter((gamma_init * torch.eye(channels) + _PEDESTAL).sqrt())

    def forward(self, x: Tensor) -> Tensor:
        """Compute (N, C, H, W) -> (N, C, H, W)."""
        with torch.autocast(device_type=x.device.type, enabled=False):
            x = x if x.dtype == torch.float64 else x.float()
            beta = lower_bound(self.beta, self.beta_bound).square() - _PEDESTAL
            gamma = lower_bound(self.gamma, _OFFSET).square() - _PEDESTAL
            batch, channels, height, width = x.shape
            if is_tracing():  # blocks that fit a cache are the compiler's business
                norm = conv2d(x.square(), gamma.to(x.dtype)[..., None, None], beta.to(x.dtype))
                return x * (norm.sqrt() if self.inverse else norm.rsqrt())
            pixels = x.permute(0, 2, 3, 1).reshape(-1, channels)
            y = _normalized(pixels, gamma.to(x.dtype), beta.to(x.dtype), self.inverse)
            return y.view(batch, height, width, channels).permute(0, 3, 1, 2)
