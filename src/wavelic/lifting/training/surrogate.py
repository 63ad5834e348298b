"""The true quantiser forward, a smoothed one backward: the substitute for the paper's "backward annealing".

The paper (arXiv 2402.18761) keeps the discontinuous quantiser and coder in the forward pass and softens only the
gradient; its formulas were not published where they could be read.  Here every staircase f(u) = sum_j J_j [u >= j] of
a magnitude u has the derivative

    f'(u) = sum_j J_j k_s(u - j),        k_s(v) = (1 + cos(pi v / s)) / (2 s) for |v| <= s, else 0,

the exact derivative of the staircase smoothed by k_s.  The half-width s <= 1 is annealed: bias falls with it, variance
rises.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

FIRST_JUMP = 1.5  # from 0 to the middle of the first cell; all others are 1


def half_width(fraction: float, last: float = 0.25) -> float:
    """Half-width s at ``fraction`` of a training: 1 for 40 %, then geometric to ``last`` at 80 %, then held."""
    return math.exp(math.log(last) * min(1.0, max(0.0, (fraction - 0.4) / 0.4)))


def kernel(v: Tensor, s: float) -> Tensor:
    """k_s(v): a raised cosine of half-width s and area 1."""
    return (1 + torch.cos((v / s).clamp(-1, 1) * math.pi)) / (2 * s)


def staircase_slope(u: Tensor, lower: Tensor | float, upper: Tensor | float, s: float) -> Tensor:
    """Derivative of a smoothed staircase at u >= 0, for s <= 1.

    lower, upper: the jumps at floor(u) and floor(u) + 1, the only ones within reach; that at 0 is none.
    """
    whole = u.floor()
    above = upper * kernel(u - whole - 1, s)
    return above + torch.where(whole > 0, lower * kernel(u - whole, s), 0)


class _DeadZone(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, u: Tensor, s: float) -> Tensor:
        ctx.save_for_backward(u)
        ctx.s = s
        whole = u.abs().floor()
        return torch.where(whole > 0, (whole + 0.5) * u.sign(), 0)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (u,) = ctx.saved_tensors
        magnitude = u.abs()
        first = torch.where(magnitude < 1, FIRST_JUMP, 1.0)  # the jump at floor(u) + 1
        below = torch.where(magnitude < 2, FIRST_JUMP, 1.0)  # the jump at floor(u)
        return gradients[0] * staircase_slope(magnitude, below, first, ctx.s), None


def dead_zone(u: Tensor, s: float | None = None) -> Tensor:
    """sign(u) (floor(|u|) + 0.5), and 0 inside (-1, 1), as a JPEG 2000 decoder reconstructs.

    The gradient is the smoothed staircase's with half-width ``s`` in (0, 1], or 1 everywhere (straight-through).
    """
    if s is not None:
        quantised: Tensor = _DeadZone.apply(u, s)
        return quantised
    with torch.no_grad():
        whole = u.abs().floor()
        middle = torch.where(whole > 0, (whole + 0.5) * u.sign(), 0)
    return u + (middle - u).detach()


class _Lengths(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, u: Tensor, rows: Tensor, lengths: Tensor, s: float) -> Tensor:
        ctx.save_for_backward(u, rows, lengths)
        ctx.s = s
        last = lengths.shape[1] - 1
        whole = u.abs().floor().clamp_(max=last).long()
        tail = (u.abs().clamp(min=last) / last).log_().mul_(_tail(lengths)[rows])
        return lengths.view(-1)[rows * (last + 1) + whole].add_(tail)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        u, rows, lengths = ctx.saved_tensors
        last = lengths.shape[1] - 1
        magnitude = u.abs()
        jumps = lengths.diff(dim=1, append=lengths[:, -1:] + (_tail(lengths) / last)[:, None])
        jumps = torch.cat([jumps[:, :1] * 0, jumps], 1).view(-1)  # column j: the jump at j
        whole = magnitude.floor().clamp_(max=last).long().add_(rows * (last + 2))
        slope = staircase_slope(magnitude, jumps[whole], jumps[whole + 1], ctx.s)
        slope = torch.where(magnitude < last, slope, _tail(lengths)[rows] / magnitude)
        return gradients[0] * slope * u.sign(), None, None, None


def _tail(lengths: Tensor) -> Tensor:
    """Bits per natural logarithm of the magnitude beyond the table: two a doubling, as an Elias gamma code."""
    return torch.full_like(lengths[:, 0], 2 / math.log(2))


def code_lengths(u: Tensor, rows: Tensor, lengths: Tensor, s: float) -> Tensor:
    """Bits of the quantised coefficients: ``lengths[rows, floor(|u|)]``, with a logarithmic tail beyond the table.

    rows: int64, shape of u: the context of every coefficient.  lengths: (contexts, symbols), bits of the magnitudes
    0, 1, ... with their signs.  The gradient reaches u alone, by the smoothed staircase; lengths and contexts are
    constants (at the empirical distribution the derivative with respect to the probabilities vanishes).
    """
    result: Tensor = _Lengths.apply(u, rows, lengths, s)
    return result
