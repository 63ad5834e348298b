"""The coefficients themselves: PyWavelets, the formulas of the standard, gains and energy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import pywt
import torch
from wavelet_signals import SIZES, arrays, noise

from wavelic.wavelets import dwt1, dwt2, dwt3

SQRT2 = math.sqrt(2.0)


# Outside oracle: PyWavelets.  Its bior2.2 is 5/3 and its bior4.4 is 9/7, both in our "orthonormal" scale, with the
# opposite sign of the high band.  Mode "reflect" is whole-sample symmetric extension; it computes more samples than
# there are, so our bands begin at an index of 1 and 2.
PYWT_SIGN = -1
PYWT_REFLECT_SHIFT = {"bior2.2": 1, "bior4.4": 2}


@pytest.mark.parametrize("size", SIZES)
def test_haar_is_pywavelets_haar(size: int) -> None:
    if size == 1:
        return  # one sample passes unchanged here, PyWavelets extends it
    x = noise(2, size)
    ours = dwt1(x, "haar")
    low, high = pywt.dwt(x.numpy(), "haar", mode="symmetric")
    assert np.allclose(ours.low, low, rtol=0, atol=1e-12)
    assert np.allclose(ours.highs[0], high[:, : size // 2], rtol=0, atol=1e-12)
    assert np.allclose(high[:, size // 2 :], 0.0, rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", [(2, 2), (8, 6), (64, 48), (70, 34)])
def test_haar_is_pywavelets_haar_in_2d(size: tuple[int, int]) -> None:
    x = noise(3, *size)
    for levels in (1, 2):
        if any(side % (1 << levels) for side in size):
            continue
        ours = dwt2(x, "haar", levels)
        theirs = pywt.wavedec2(x.numpy(), "haar", level=levels)
        assert np.allclose(ours.low, theirs[0], rtol=0, atol=1e-12)
        for bands, (horizontal, vertical, diagonal) in zip(reversed(ours.levels), theirs[1:], strict=True):
            assert np.allclose(bands.lh, horizontal, rtol=0, atol=1e-12)
            assert np.allclose(bands.hl, vertical, rtol=0, atol=1e-12)
            assert np.allclose(bands.hh, diagonal, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("ours", "theirs"), [("5/3", "bior2.2"), ("9/7", "bior4.4")])
def test_biorthogonal_wavelets_are_pywavelets_in_the_interior(ours: str, theirs: str) -> None:
    x = noise(64)
    c = dwt1(x, ours)
    low, high = pywt.dwt(x.numpy(), theirs, mode="periodization")
    middle = slice(6, 26)
    assert np.allclose(c.low[middle], low[middle], rtol=0, atol=1e-10)
    assert np.allclose(c.highs[0][middle], PYWT_SIGN * high[middle], rtol=0, atol=1e-10)


@pytest.mark.parametrize(("ours", "theirs"), [("5/3", "bior2.2"), ("9/7", "bior4.4")])
@pytest.mark.parametrize("size", [16, 17, 40, 41])
def test_whole_sample_symmetric_extension_is_pywavelets_reflect(ours: str, theirs: str, size: int) -> None:
    """PyWavelets' mode "reflect" extends like JPEG 2000; its bands begin earlier, so ours are found inside."""
    x = noise(size)
    c = dwt1(x, ours)
    low, high = pywt.dwt(x.numpy(), theirs, mode="reflect")
    first = PYWT_REFLECT_SHIFT[theirs]
    assert np.allclose(c.low, low[first : first + len(c.low)], rtol=0, atol=1e-10)
    assert np.allclose(c.highs[0], PYWT_SIGN * high[first : first + len(c.highs[0])], rtol=0, atol=1e-10)


@pytest.mark.parametrize(("ours", "theirs"), [("5/3", "bior2.2"), ("9/7", "bior4.4")])
def test_2d_interior_agrees_with_pywavelets(ours: str, theirs: str) -> None:
    x = noise(64, 48)
    bands = arrays(dwt2(x, ours))
    low, details = pywt.dwt2(x.numpy(), theirs, mode="periodization")
    inside = (slice(6, 26), slice(6, 18))
    signs = (1, PYWT_SIGN, PYWT_SIGN, 1)
    for band, expected, sign in zip(bands, (low, *details), signs, strict=True):
        assert np.allclose(band[inside], sign * expected[inside], rtol=0, atol=1e-10)


@pytest.mark.parametrize("size", [6, 7, 30, 31])
def test_legall_follows_its_formula(size: int) -> None:
    """The textbook loop of ITU-T T.800 (floats), written sample by sample."""
    x = noise(size).tolist()

    def at(i: int) -> float:
        i = abs(i)
        return x[2 * (size - 1) - i if i >= size else i]

    def detail(i: int) -> float:
        return at(i) - (at(i - 1) + at(i + 1)) / 2

    c = dwt1(torch.tensor(x, dtype=torch.float64), "5/3", normalization="jpeg2000")
    assert c.highs[0].tolist() == pytest.approx([detail(i) for i in range(1, size, 2)], abs=1e-12)
    lows = [at(i) + (detail(i - 1) + detail(i + 1)) / 4 for i in range(0, size, 2)]
    assert c.low.tolist() == pytest.approx(lows, abs=1e-12)


def test_reversible_rounds_as_the_standard_says() -> None:
    x = torch.tensor([7, 2, -5, 4, 1, 0, 9], dtype=torch.int32)
    c = dwt1(x, "5/3", 1, "reversible")
    # 2 - floor(2/2), 4 - floor(-4/2), 0 - floor(10/2); 7 + floor(4/4), -5 + floor(9/4), 1 + floor(3/4), 9 + floor(-8/4)
    assert c.highs[0].tolist() == [1, 6, -5]
    assert c.low.tolist() == [8, -3, 1, 7]
    assert dwt1(x[:1], "5/3", 1, "reversible", start=1).highs[0].tolist() == [14]


@pytest.mark.parametrize("wavelet", ["haar", "5/3", "9/7"])
@pytest.mark.parametrize("size", [2, 3, 8, 31, 64])
def test_gains(wavelet: str, size: int) -> None:
    constant = torch.ones(size, dtype=torch.float64)
    alternating = torch.tensor([(-1.0) ** i for i in range(size)], dtype=torch.float64)
    for normalization, dc, nyquist in (("jpeg2000", 1.0, 2.0), ("orthonormal", SQRT2, SQRT2)):
        c = dwt1(constant, wavelet, 1, normalization)
        assert torch.allclose(c.low, torch.full_like(c.low, dc), rtol=0, atol=1e-9)
        assert c.highs[0].abs().max() < 1e-9
        c = dwt1(alternating, wavelet, 1, normalization)
        sign = 1.0 if wavelet == "haar" else -1.0
        assert torch.allclose(c.highs[0], torch.full_like(c.highs[0], sign * nyquist), rtol=0, atol=1e-9)
        assert c.low[: size // 2].abs().max() < 1e-9


def test_97_orthonormal_scale_is_that_of_the_bare_steps() -> None:
    """low x K, high / K with K = 1.149604398860241 on unscaled lifting steps."""
    jpeg2000, orthonormal = (dwt1(noise(32), "9/7", 1, n) for n in ("jpeg2000", "orthonormal"))
    bare_low, bare_high = jpeg2000.low * 1.230174104914001, jpeg2000.highs[0] / 1.230174104914001
    assert torch.allclose(orthonormal.low, bare_low * 1.149604398860241, rtol=1e-9)
    assert torch.allclose(orthonormal.highs[0], bare_high / 1.149604398860241, rtol=1e-9)


@pytest.mark.parametrize("wavelet", ["haar", "5/3", "9/7"])
def test_orientation(wavelet: str) -> None:
    alternating = torch.tensor([1.0, -1.0] * 8, dtype=torch.float64)
    horizontal_stripes = dwt2(alternating[:, None].expand(16, 16), wavelet).levels[0]
    vertical_stripes = dwt2(alternating[None, :].expand(16, 16), wavelet).levels[0]
    checkerboard = dwt2(alternating[:, None] * alternating, wavelet).levels[0]
    for bands, name in ((horizontal_stripes, "lh"), (vertical_stripes, "hl"), (checkerboard, "hh")):
        for other in ("lh", "hl", "hh"):
            assert (getattr(bands, other).abs().max() > 1) == (other == name)


def test_haar_preserves_energy() -> None:
    x = noise(2, 8, 32, 64)
    for coefficients in (dwt2(x, "haar", 4), dwt2(x.float(), "haar", 4)):
        energy = sum(float(band.double().square().sum()) for band in arrays(coefficients))
        assert energy == pytest.approx(float(x.square().sum()), rel=1e-6)
    c = dwt3(x, "haar", 2, 3)
    energy = sum(float(band.square().sum()) for part in (c.low, *c.highs) for band in arrays(part))
    assert energy == pytest.approx(float(x.square().sum()), rel=1e-12)
