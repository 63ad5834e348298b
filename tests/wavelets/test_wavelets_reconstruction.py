"""Perfect reconstruction over the whole product space of wavelets, sizes, levels, starts and dtypes."""

from __future__ import annotations

import pytest
import torch
from wavelet_signals import FLOAT_KINDS, SIZES, integers, noise

from wavelic.wavelets import dwt1, dwt2, dwt3, idwt1, idwt2, idwt3


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-4)])
@pytest.mark.parametrize(("wavelet", "normalization"), FLOAT_KINDS)
def test_perfect_reconstruction_1d(wavelet: str, normalization: str, dtype: torch.dtype, tolerance: float) -> None:
    for size in SIZES:
        x = noise(3, size, dtype=dtype)
        for levels in (0, 1, 2, 5):
            for start in (0, 1):
                back = idwt1(dwt1(x, wavelet, levels, normalization, start=start))
                assert back.dtype == dtype
                assert (back - x).abs().max() < tolerance


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-4)])
@pytest.mark.parametrize(("wavelet", "normalization"), FLOAT_KINDS)
def test_perfect_reconstruction_2d(wavelet: str, normalization: str, dtype: torch.dtype, tolerance: float) -> None:
    for height in SIZES if dtype == torch.float64 else SIZES[::5]:
        width = height * 29 % 70 + 1  # every width once, odd and even against odd and even
        x = noise(2, height, width, dtype=dtype)
        for levels in (1, 3, 6):
            start = (height // 2 % 2, levels % 2)
            back = idwt2(dwt2(x, wavelet, levels, normalization, start=start))
            assert (back - x).abs().max() < tolerance


def test_perfect_reconstruction_reversible() -> None:
    for height in SIZES:
        width = height * 29 % 70 + 1
        x = integers(2, height, width)
        for levels in (1, 2, 6):
            coefficients = dwt2(x, "5/3", levels, "reversible", start=(height // 2 % 2, levels % 2))
            assert coefficients.low.dtype == torch.int32
            assert torch.equal(idwt2(coefficients), x)


def test_reversible_is_exact_even_where_int32_wraps() -> None:
    x = torch.tensor([[2**31 - 1, -(2**31), 2**31 - 1, 2**31 - 1, -(2**31), -(2**31), 5]], dtype=torch.int32)
    assert torch.equal(idwt1(dwt1(x, "5/3", 3, "reversible")), x)


@pytest.mark.parametrize(("wavelet", "normalization"), [*FLOAT_KINDS, ("5/3", "reversible")])
def test_perfect_reconstruction_3d(wavelet: str, normalization: str) -> None:
    for channels in (1, 2, 3, 5, 8):
        shape = (2, channels, 7, 10)
        x = integers(*shape) if normalization == "reversible" else noise(*shape)
        for levels, channel_levels in ((1, 1), (2, 2), (0, 1), (3, 0)):
            back = idwt3(dwt3(x, wavelet, levels, channel_levels, normalization))
            assert (back - x).abs().max() < 1e-10
