"""Lifting level of a small even plane, with its four bands in one tensor: half as many calls as `plane`.

Where bands fit in the cache, the cost is the number of calls and not memory traffic.  With the bands in one tensor
(2 row halves, 2 column halves, ...) a horizontal step is one addition for both row halves, a vertical step one for both
column halves, and the split into phases is one multiplication by four gains.  Every sample goes through the same
additions and multiplications in the same order as in `plane`, so the results are the same, to the bit.
"""

from __future__ import annotations

import torch
from torch import Tensor

from wavelic.wavelets.lifting import lift
from wavelic.wavelets.memory import is_channels_last
from wavelic.wavelets.schemes import Step

Four = tuple[Tensor, Tensor, Tensor, Tensor]

# Elements of a plane beyond which strips that stay in the cache are better.
MOST_ELEMENTS = 1 << 20
_DTYPES = (torch.float32, torch.float64)  # others would round a gain that is held in a tensor


def suits(x: Tensor, start: tuple[int, int]) -> bool:
    """Whether a plane has the size, alignment and dtype this module handles.

    Args:
        x: (..., H, W).
        start: absolute (row, column) of its first sample.

    Returns:
        True for even sizes and coordinates, float32 or float64, and at most MOST_ELEMENTS elements, on a CPU.
    """
    even = all(number % 2 == 0 for number in (*x.shape[-2:], *start))
    return even and x.dtype in _DTYPES and 0 < x.numel() <= MOST_ELEMENTS and x.device.type == "cpu"


def analyze_quad(x: Tensor, steps: tuple[Step, ...], gains: list[float]) -> Four:
    """Compute one level of a plane that `suits`.

    Args:
        x: (..., H, W).
        steps: the scaled lifting steps.
        gains: of low, lh, hl, hh, applied before the steps.

    Returns:
        The bands (low, lh, hl, hh), each (..., H/2, W/2).
    """
    quad = _empty_quad(x)
    torch.mul(_phases(x), _in_place(gains, x), out=quad)
    lift(quad[:, 0], quad[:, 1], steps, -1, 0, inverse=False, swap=False)
    lift(quad[0], quad[1], steps, -2, 0, inverse=False, swap=False)
    return quad[0, 0], quad[1, 0], quad[0, 1], quad[1, 1]


def synthesize_quad(bands: Four, x: Tensor, steps: tuple[Step, ...], gains: list[float]) -> None:
    """Invert `analyze_quad`, into ``x``.

    Args:
        bands: (low, lh, hl, hh).
        x: (..., H, W), written.
        steps: the scaled lifting steps.
        gains: of low, lh, hl, hh, applied after the steps.
    """
    low, lh, hl, hh = bands
    quad = _empty_quad(x)
    for half, (left, right) in zip(quad, ((low, hl), (lh, hh)), strict=True):
        half[0].copy_(left)
        half[1].copy_(right)
    lift(quad[0], quad[1], steps, -2, 0, inverse=True, swap=False)
    lift(quad[:, 0], quad[:, 1], steps, -1, 0, inverse=True, swap=False)
    torch.mul(quad, _in_place(gains, x), out=_phases(x))


def _phases(x: Tensor) -> Tensor:
    """(..., H, W) as (2 row parities, 2 column parities, ..., H/2, W/2), a view."""
    split = x.view(*x.shape[:-2], x.shape[-2] // 2, 2, x.shape[-1] // 2, 2)
    return split.movedim((-3, -1), (0, 1))


def _empty_quad(like: Tensor) -> Tensor:
    """Memory for the four bands of ``like``, each in its memory format."""
    size = (like.shape[-2] // 2, like.shape[-1] // 2)
    if not is_channels_last(like):
        return like.new_empty((2, 2, *like.shape[:-2], *size))
    batch, channels = like.shape[:2]
    return like.new_empty((2, 2, batch, *size, channels)).movedim(-1, 3)


def _in_place(gains: list[float], like: Tensor) -> Tensor:
    """Arrange the gains of low, lh, hl, hh as `_phases` arranges their samples, ready to be broadcast."""
    low, lh, hl, hh = gains
    return like.new_tensor([[low, hl], [lh, hh]]).view(2, 2, *(1,) * like.dim())
