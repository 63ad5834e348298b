"""JPEG 2000's reversible 5/3 transform: integers to integers, exactly invertible (ITU-T T.800, F.3.8.2 and F.4.8.2).

    high[n] = x[2n + 1] - floor((x[2n] + x[2n + 2]) / 2)
    low[n]  = x[2n]     + floor((high[n - 1] + high[n] + 2) / 4)

with whole-sample symmetric extension.  The inverse subtracts the same integers again, so it is exact even where the
int32 arithmetic wraps around; coefficients are meaningful while |x| < 2^28.  Since floors do not commute, the order of
the axes matters: rows of one level are transformed after columns in the analysis (vertical, then horizontal), as in the
standard.  One sample alone passes if its coordinate is even and is doubled if it is odd.
"""

from __future__ import annotations

import torch
from torch import Tensor

from wavelic.wavelets.lifting import even_odd, neighbour_slices
from wavelic.wavelets.schemes import Step

INTEGER_DTYPES = (torch.int32, torch.int64)

_PREDICT = Step("high", 1.0, 1.0)
_UPDATE = Step("low", 1.0, 1.0)


def analyze_reversible(x: Tensor, axis: int, start: int) -> tuple[Tensor, Tensor]:
    """Split integers into a low and a high band.

    Args:
        x: int32 or int64 tensor.
        axis: negative index of the axis.
        start: absolute coordinate of the first sample along ``axis``.

    Returns:
        (low, high).
    """
    low, high = (half.clone() for half in even_odd(x, axis, start))
    if x.shape[axis] == 1:
        return low, high * 2
    high -= _neighbour_sum(_PREDICT, high, low, axis, start) >> 1
    low += (_neighbour_sum(_UPDATE, low, high, axis, start) + 2) >> 2
    return low, high


def synthesize_reversible(low: Tensor, high: Tensor, axis: int, start: int) -> Tensor:
    """Merge a low and a high band of integers; the exact inverse of `analyze_reversible`.

    Args:
        low: low band.
        high: high band.
        axis: negative index of the axis.
        start: absolute coordinate of the first sample along ``axis``.

    Returns:
        The signal.
    """
    shape = list(low.shape)
    shape[axis] += high.shape[axis]
    x = low.new_empty(shape)
    even, odd = even_odd(x, axis, start)
    if shape[axis] == 1:
        even.copy_(low)
        odd.copy_(high >> 1)
        return x
    low = low - ((_neighbour_sum(_UPDATE, low, high, axis, start) + 2) >> 2)
    even.copy_(low)
    odd.copy_(high + (_neighbour_sum(_PREDICT, high, low, axis, start) >> 1))
    return x


def _neighbour_sum(step: Step, target: Tensor, source: Tensor, axis: int, start: int) -> Tensor:
    """Sum of the two neighbours of every target, which lie in the other half."""
    total = torch.zeros_like(target)
    targets, sources = target.shape[axis], source.shape[axis]
    target_first = (step.target == "low") == (start % 2 == 0)
    for _, first, last, begin in neighbour_slices(step, targets, sources, target_first, 0, targets):
        total.narrow(axis, first, last - first).add_(source.narrow(axis, begin, last - first))
    return total
