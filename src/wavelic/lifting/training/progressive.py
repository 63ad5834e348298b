"""Progressive-selection pre-training: the picture from the first bands alone, for every number of bands.

Equation 8 of arXiv 2402.18761: J_ps = sum_i |x - x_i|^2, x_i synthesised from the first i of the 3 D + 1 bands, coarse
to fine, the others zero; nothing is quantised.  With all bands the error is zero by construction, so 3 D remain.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from wavelic.lifting.transform.transform import LiftingTransform
from wavelic.wavelets import Bands2d, Coefficients2d

NAMES = ("lh", "hl", "hh")


def selections(y: Coefficients2d) -> Coefficients2d:
    """All x_i's coefficients, i = 1 .. 3 D, stacked along the batch axis: (N, ...) -> (3 D N, ...)."""
    count = 3 * len(y.levels)
    levels = []
    for number, bands in enumerate(y.levels):  # number 0: the finest level, whose bands come last
        first = 1 + 3 * (len(y.levels) - 1 - number)
        kept = [torch.arange(1, count + 1, device=y.low.device) > first + place for place in range(3)]
        stacked = (
            (getattr(bands, name)[None] * keep.view(-1, 1, 1, 1, 1).to(y.low)).flatten(0, 1)
            for name, keep in zip(NAMES, kept, strict=True)
        )
        levels.append(Bands2d(*stacked))
    low = y.low[None].expand(count, *y.low.shape).flatten(0, 1)
    return replace(y, low=low, levels=tuple(levels))


def progressive_error(transform: LiftingTransform, y: Coefficients2d, x: Tensor) -> Tensor:
    """J_ps of every image, (N,), for its coefficients y and samples x (N, 1, H, W)."""
    decoded = transform.synthesis(selections(y)).unflatten(0, (-1, len(x)))
    return (decoded - x).square().sum((0, 2, 3, 4))
