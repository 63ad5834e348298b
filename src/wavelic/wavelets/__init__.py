"""Haar, LeGall 5/3 and CDF 9/7 wavelets by lifting, in torch.

Examples:
    >>> import torch
    >>> image = torch.rand(1, 3, 65, 47)
    >>> coefficients = dwt2(image, "9/7", levels=3)
    >>> coefficients.low.shape, coefficients.levels[0].hh.shape
    (torch.Size([1, 3, 9, 6]), torch.Size([1, 3, 32, 23]))
    >>> torch.allclose(idwt2(coefficients), image, atol=1e-5)
    True
"""

from wavelic.wavelets.coefficients import (
    Bands2d,
    Coefficients1d,
    Coefficients2d,
    Coefficients3d,
    from_mallat,
    to_mallat,
)
from wavelic.wavelets.geometry import BandSizes2d, level_sizes, level_sizes2d, low_start, split_size
from wavelic.wavelets.schemes import NORMALIZATIONS, WAVELETS, Normalization
from wavelic.wavelets.transforms import dwt1, dwt2, dwt3, idwt1, idwt2, idwt3

__all__ = [
    "NORMALIZATIONS",
    "WAVELETS",
    "BandSizes2d",
    "Bands2d",
    "Coefficients1d",
    "Coefficients2d",
    "Coefficients3d",
    "Normalization",
    "dwt1",
    "dwt2",
    "dwt3",
    "from_mallat",
    "idwt1",
    "idwt2",
    "idwt3",
    "level_sizes",
    "level_sizes2d",
    "low_start",
    "split_size",
    "to_mallat",
]
