"""Derivatives of the wavelet transforms, first and second."""

from __future__ import annotations

import pytest
import torch
from wavelet_signals import FLOAT_KINDS, arrays, noise

from wavelic.wavelets import Bands2d, Coefficients2d, dwt1, dwt2, dwt3, idwt2, idwt3


@pytest.mark.parametrize(("wavelet", "normalization"), FLOAT_KINDS)
@pytest.mark.parametrize("size", [(4, 6), (5, 3), (1, 4), (2, 2)])
def test_derivatives(wavelet: str, normalization: str, size: tuple[int, int]) -> None:
    x = noise(2, *size).requires_grad_()

    def analysis(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(band for band in arrays(dwt2(x, wavelet, 2, normalization)) if band.numel())

    template = dwt2(x.detach(), wavelet, 1, normalization)

    def synthesis(low: torch.Tensor, lh: torch.Tensor, hl: torch.Tensor, hh: torch.Tensor) -> torch.Tensor:
        return idwt2(Coefficients2d(low, (Bands2d(lh, hl, hh),), template.size, wavelet, normalization))

    bands = [band.clone().requires_grad_() for band in arrays(template)]
    assert torch.autograd.gradcheck(analysis, x)
    assert torch.autograd.gradcheck(synthesis, bands)
    if size != (4, 6):  # which takes four times the time of the others
        assert torch.autograd.gradgradcheck(lambda z: sum(b.square().sum() for b in analysis(z)), x)


@pytest.mark.parametrize("wavelet", ["haar", "5/3", "9/7"])
def test_derivatives_along_channels(wavelet: str) -> None:
    x = noise(1, 5, 2, 2).requires_grad_()
    assert torch.autograd.gradcheck(lambda z: idwt3(dwt3(z, wavelet, 1, 2)), x)
    assert torch.autograd.gradcheck(lambda z: dwt1(z, wavelet, 2, axis=1, start=1).highs, x)
