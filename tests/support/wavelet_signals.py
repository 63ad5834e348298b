"""Signals and shorthands the wavelet tests share."""

from __future__ import annotations

import torch

from wavelic.wavelets import Coefficients2d

FLOAT_KINDS = [(w, n) for w in ("haar", "5/3", "9/7") for n in ("jpeg2000", "orthonormal")]
SIZES = range(1, 71)


def noise(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """Uniform numbers in [0, 1)."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def integers(*shape: int, seed: int = 0) -> torch.Tensor:
    """int32 numbers of up to 21 bits with sign."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-(1 << 20), 1 << 20, shape, generator=generator, dtype=torch.int32)


def arrays(coefficients: Coefficients2d) -> list[torch.Tensor]:
    """The low band, then lh, hl, hh of every level."""
    return [coefficients.low, *(band for b in coefficients.levels for band in (b.lh, b.hl, b.hh))]
