"""Smooth stand-ins for what the JPEG 2000 block coder spends on a band.

A band is given in quantiser steps: u = y * norm / step.  All return bits per coefficient, of the shape of u.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

BITS_PER_NAT = 1.4427


def smooth_bits(u: Tensor) -> Tensor:
    """0.5 log2(1 + u^2): the rate of a Gaussian of deviation u at distortion 1; knows no neighbours."""
    return (0.5 * BITS_PER_NAT) * torch.log1p(u.square())


def neighbour_rms(u: Tensor, radius: int = 2) -> Tensor:
    """Root mean square of the other samples of the (2 radius + 1)^2 window, mirrored at the edges; no gradient."""
    with torch.no_grad():
        side = 2 * radius + 1
        squares = functional.pad(u.square(), (radius,) * 4, mode="replicate")
        total = functional.avg_pool2d(squares, side, 1) * side**2 - u.square()
        return (total.clamp_min(0) / (side**2 - 1)).sqrt()


def context_bits(u: Tensor, floor: float = 0.5) -> Tensor:
    """1.44 |u| / (c + 0.5): slope of a Laplacian code length whose scale is the neighbourhood's magnitude c.

    The scale's own term is left out: at the scale that fits, its derivative is zero on average.
    """
    return BITS_PER_NAT * u.abs() / (neighbour_rms(u) + floor)
