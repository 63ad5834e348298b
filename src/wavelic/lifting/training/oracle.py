"""Oracle opacities: which proposal should act where, read from the original image by oriented filters.

The paper (arXiv 2402.18761, section IV) trains proposals under fixed "oracle" opacities first: an isotropic map for the
proposal that stays the base filter, and oriented maps from derivative-of-Gaussian filters for the others, at a scale
that doubles from level to level.  Details the paper leaves open are as in the specification, 4.5:

    theta_k = k pi / (N - 1)        D_k = derivative of Gaussian of deviation 2^(d-1) along theta_k
    e_k = Gaussian(2^d) * D_k^2     x_k = max(0, sqrt(e_k) - sqrt(e_perpendicular))     x_0 = mean_k sqrt(e_k) / 2
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional


def gaussian(sigma: float, derivative: bool = False) -> Tensor:
    """Sampled Gaussian of sum 1, half-width ceil(3 sigma); or its derivative, of unit response to a unit slope."""
    radius = math.ceil(3 * sigma)
    t = torch.arange(-radius, radius + 1, dtype=torch.float32)
    weights = torch.exp(-0.5 * (t / sigma) ** 2)
    if not derivative:
        return weights / weights.sum()
    slope = t * weights
    return slope / (slope * t).sum()


def _filtered(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Separable correlation of (N, 1, H, W), edges replicated."""
    x = functional.pad(x, (len(columns) // 2, len(columns) // 2, len(rows) // 2, len(rows) // 2), mode="replicate")
    x = functional.conv2d(x, rows.to(x)[None, None, :, None])
    return functional.conv2d(x, columns.to(x)[None, None, None, :])


def oracle_maps(x: Tensor, level: int, channels: int) -> Tensor:
    """The maps x_0, x_1, ... of one level (1 is the finest) at every pixel: (N, 1, H, W) -> (N, channels, H, W), >= 0.

    channels - 1 orientations must be even in number, so that each has a perpendicular one.
    """
    sigma = 2.0 ** (level - 1)
    smooth, slope, wide = gaussian(sigma), gaussian(sigma, derivative=True), gaussian(2 * sigma)
    horizontal, vertical = _filtered(x, smooth, slope), _filtered(x, slope, smooth)
    products = (horizontal.square(), horizontal * vertical, vertical.square())
    xx, xy, yy = (_filtered(product, wide, wide) for product in products)
    count = channels - 1
    amplitudes = []
    for k in range(count):
        c, s = math.cos(k * math.pi / count), math.sin(k * math.pi / count)
        amplitudes.append((c * c * xx + 2 * c * s * xy + s * s * yy).clamp_min(0).sqrt())
    oriented = [(amplitudes[k] - amplitudes[(k + count // 2) % count]).clamp_min(0) for k in range(count)]
    isotropic = 0.5 * sum(amplitudes[1:], amplitudes[0]) / count
    return torch.cat([isotropic, *oriented], 1)


class Oracle:
    """The maps of one batch of images at the places where operators need them; levels are computed when asked for.

    x: (N, 1, H, W), H and W multiples of 2^levels, first sample at the origin.
    """

    def __init__(self, x: Tensor, channels: int) -> None:
        self.x, self.channels = x.detach(), channels
        self.levels: dict[int, Tensor] = {}

    def at(self, size: tuple[int, int], kinds: tuple[str, str]) -> Tensor:
        """Maps for a band of ``size`` whose rows and columns are "low", "high" or "full" samples: (N, K, h, w)."""
        strides = self.x.shape[-2] // size[0], self.x.shape[-1] // size[1]
        level = max(strides).bit_length() - 1
        if level not in self.levels:
            self.levels[level] = oracle_maps(self.x, level, self.channels)
        first = [stride // 2 if kind == "high" else 0 for stride, kind in zip(strides, kinds, strict=True)]
        return self.levels[level][..., first[0] :: strides[0], first[1] :: strides[1]]
