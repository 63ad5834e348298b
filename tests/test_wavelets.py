"""The wavelet room: perfect reconstruction over the whole product space, outside oracles, derivatives."""

from __future__ import annotations

import math

import numpy as np
import pytest
import pywt
import torch

from wavelic.errors import UsageError
from wavelic.wavelets import (
    Bands2d,
    Coefficients1d,
    Coefficients2d,
    dwt1,
    dwt2,
    dwt3,
    from_mallat,
    idwt1,
    idwt2,
    idwt3,
    level_sizes,
    level_sizes2d,
    split_size,
    to_mallat,
)
from wavelic.wavelets import plane as plane_module
from wavelic.wavelets import serial as serial_module

FLOAT_KINDS = [(w, n) for w in ("haar", "5/3", "9/7") for n in ("jpeg2000", "orthonormal")]
SIZES = range(1, 71)
SQRT2 = math.sqrt(2.0)


def noise(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def integers(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-(1 << 20), 1 << 20, shape, generator=generator, dtype=torch.int32)


def arrays(coefficients: Coefficients2d) -> list[torch.Tensor]:
    return [coefficients.low, *(band for b in coefficients.levels for band in (b.lh, b.hl, b.hh))]


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
    for height in SIZES:
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


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2, -3])
def test_any_axis_is_the_last_axis_of_the_transposed(axis: int) -> None:
    x = noise(5, 6, 7)
    moved = dwt1(x.movedim(axis, -1), "9/7", 2)
    direct = dwt1(x, "9/7", 2, axis=axis)
    assert torch.equal(direct.low.movedim(axis, -1), moved.low)
    assert all(torch.equal(a.movedim(axis, -1), b) for a, b in zip(direct.highs, moved.highs, strict=True))


@pytest.mark.parametrize(("wavelet", "normalization"), FLOAT_KINDS)
@pytest.mark.parametrize("size", [(8, 12), (9, 7), (1, 6), (5, 1), (2, 3), (33, 64)])
def test_the_blocked_plane_transform_is_the_1d_transform_twice(
    wavelet: str, normalization: str, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plane_module, "STRIP_ELEMENTS", 1)  # strips of two rows, one plane at a time
    for start in ((0, 0), (1, 0), (0, 1), (3, 5)):
        x = noise(3, *size)
        rows = dwt1(x, wavelet, 1, normalization, axis=-2, start=start[0])
        low = dwt1(rows.low, wavelet, 1, normalization, start=start[1])
        high = dwt1(rows.highs[0], wavelet, 1, normalization, start=start[1])
        bands = arrays(dwt2(x, wavelet, 1, normalization, start=start))
        for band, expected in zip(bands, (low.low, high.low, low.highs[0], high.highs[0]), strict=True):
            assert band.shape == expected.shape
            assert torch.allclose(band, expected, rtol=0, atol=1e-12)
        assert torch.allclose(idwt2(dwt2(x, wavelet, 1, normalization, start=start)), x, rtol=0, atol=1e-12)


def test_strips_and_threads_do_not_change_a_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    x = noise(3, 90, 130, dtype=torch.float32)
    whole = dwt2(x, "9/7", 3)
    back = idwt2(whole)
    monkeypatch.setattr(plane_module, "STRIP_ELEMENTS", 700)
    monkeypatch.setattr(serial_module, "SERIAL_ELEMENTS", 1)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        strips = dwt2(x, "9/7", 3)
        assert all(torch.equal(a, b) for a, b in zip(arrays(whole), arrays(strips), strict=True))
        assert torch.equal(idwt2(strips), back)
        assert torch.get_num_threads() == 2
        with torch.inference_mode():
            assert torch.equal(idwt2(dwt2(x, "9/7", 3)), back)
        leaf = x.clone().requires_grad_()
        idwt2(dwt2(leaf, "9/7", 3)).square().sum().backward()
        assert torch.allclose(leaf.grad, 2 * x, atol=1e-4)
    finally:
        torch.set_num_threads(threads)


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


@pytest.mark.parametrize(("wavelet", "normalization"), FLOAT_KINDS)
def test_linearity(wavelet: str, normalization: str) -> None:
    x, y = noise(11, 14, seed=1), noise(11, 14, seed=2)
    parts = zip(*(arrays(dwt2(z, wavelet, 2, normalization)) for z in (x, y, 3 * x - 2 * y)), strict=True)
    assert all(torch.allclose(3 * a - 2 * b, c, rtol=0, atol=1e-12) for a, b, c in parts)


@pytest.mark.parametrize(("wavelet", "normalization"), [*FLOAT_KINDS, ("5/3", "reversible")])
@pytest.mark.parametrize("start", [1, 2, 3, 6, 7])
def test_a_window_gives_the_coefficients_of_the_whole(wavelet: str, normalization: str, start: int) -> None:
    """Away from its borders a window that knows its coordinate has the coefficients of the signal it was cut from."""
    whole = integers(96) if normalization == "reversible" else noise(96)
    window = whole[start : start + 64]
    levels, margin = 2, 4
    all_of_it = dwt1(whole, wavelet, levels, normalization)
    part = dwt1(window, wavelet, levels, normalization, start=start)
    at = start
    for high, whole_high in zip(part.highs, all_of_it.highs, strict=True):
        first = at // 2  # absolute number of the window's first high sample
        assert torch.allclose(high[margin:-margin], whole_high[first + margin : first + len(high) - margin], atol=1e-12)
        at = -(-at // 2)
    expected = all_of_it.low[at + margin : at + len(part.low) - margin]
    assert torch.allclose(part.low[margin:-margin], expected, rtol=0, atol=1e-12)


def test_sizes() -> None:
    for size in SIZES:
        for start in range(4):
            evens = sum(1 for i in range(start, start + size) if i % 2 == 0)
            assert split_size(size, start) == (evens, size - evens)
        assert split_size(size) == (-(-size // 2), size // 2)
    assert level_sizes(70, 8)[-1] == (1, 0)
    shapes = level_sizes2d((11, 6), 2, (1, 0))
    c = dwt2(noise(11, 6), "9/7", 2, start=(1, 0))
    for shape, bands in zip(shapes, c.levels, strict=True):
        assert (shape.lh, shape.hl, shape.hh) == tuple(tuple(b.shape) for b in (bands.lh, bands.hl, bands.hh))
    assert tuple(c.low.shape) == shapes[-1].low


@pytest.mark.parametrize("wavelet", ["haar", "5/3", "9/7"])
def test_one_sample_passes_through(wavelet: str) -> None:
    x = torch.tensor([[3.5]])
    for normalization in ("jpeg2000", "orthonormal"):
        c = dwt2(x, wavelet, 3, normalization)
        assert torch.equal(c.low, x)
        assert all(band.numel() == 0 for band in arrays(c)[1:])
    assert dwt1(x, wavelet, 1, "jpeg2000", start=1).highs[0].item() == 7.0


@pytest.mark.parametrize("size", [(8, 8), (7, 9), (1, 5), (23, 16)])
def test_mallat_layout(size: tuple[int, int]) -> None:
    for levels in (0, 1, 3):
        c = dwt2(noise(2, *size), "5/3", levels, start=(1, 0))
        packed = to_mallat(c)
        assert packed.shape == (2, *size)
        again = from_mallat(packed, "5/3", levels, start=(1, 0))
        assert all(torch.equal(a, b) for a, b in zip(arrays(c), arrays(again), strict=True))
        assert torch.equal(idwt2(again), idwt2(c))
    assert torch.equal(from_mallat(packed, "5/3", 1).low, packed[..., : -(-size[0] // 2), : -(-size[1] // 2)])


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
    assert torch.autograd.gradgradcheck(lambda z: sum(b.square().sum() for b in analysis(z)), x)


@pytest.mark.parametrize("wavelet", ["haar", "5/3", "9/7"])
def test_derivatives_along_channels(wavelet: str) -> None:
    x = noise(1, 5, 2, 2).requires_grad_()
    assert torch.autograd.gradcheck(lambda z: idwt3(dwt3(z, wavelet, 1, 2)), x)
    assert torch.autograd.gradcheck(lambda z: dwt1(z, wavelet, 2, axis=1, start=1).highs, x)


@pytest.mark.parametrize("wavelet", ["haar", "5/3", "9/7"])
@pytest.mark.parametrize("size", [(16, 24), (15, 9)])
def test_channels_last_changes_only_the_layout(wavelet: str, size: tuple[int, int]) -> None:
    x = noise(2, 3, *size, dtype=torch.float32)
    x_last = x.contiguous(memory_format=torch.channels_last)
    plain, last = dwt2(x, wavelet, 2), dwt2(x_last, wavelet, 2)
    for a, b in zip(arrays(plain), arrays(last), strict=True):
        assert torch.equal(a, b)
        assert b.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(idwt2(plain), idwt2(last))
    assert idwt2(last).is_contiguous(memory_format=torch.channels_last)
    gradients = []
    for z in (x, x_last):
        z = z.clone().requires_grad_()
        sum((band.square() * (i + 1)).sum() for i, band in enumerate(arrays(dwt2(z, wavelet, 2)))).backward()
        gradients.append(z.grad)
    assert torch.allclose(gradients[0], gradients[1], atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_keeps_its_dtype(dtype: torch.dtype) -> None:
    x = noise(1, 2, 16, 18).to(dtype)
    for wavelet in ("haar", "9/7"):
        back = idwt2(dwt2(x, wavelet, 2))
        assert back.dtype == dtype
        assert (back - x).abs().max() < 0.05


def test_inputs_are_left_alone_and_views_are_welcome() -> None:
    x = noise(3, 20, 26)
    before = x.clone()
    c = dwt2(x, "9/7", 2)
    kept = [band.clone() for band in arrays(c)]
    idwt2(c)
    assert torch.equal(x, before)
    assert all(torch.equal(a, b) for a, b in zip(arrays(c), kept, strict=True))
    view = x.transpose(0, 2)[1:, ::2]
    expected = dwt2(view.contiguous(), "9/7", 2)
    assert all(torch.equal(a, b) for a, b in zip(arrays(dwt2(view, "9/7", 2)), arrays(expected), strict=True))
    swapped = dwt2(x.transpose(1, 2), "9/7", 1).levels[0]
    assert torch.allclose(swapped.lh.transpose(1, 2), dwt2(x, "9/7", 1).levels[0].hl, rtol=0, atol=1e-12)


def test_batches_are_independent() -> None:
    x = noise(2, 3, 4, 9, 8)
    whole = arrays(dwt2(x, "9/7", 2))
    single = arrays(dwt2(x[1, 2, 3], "9/7", 2))
    assert all(torch.equal(a[1, 2, 3], b) for a, b in zip(whole, single, strict=True))


def test_map_applies_to_every_band() -> None:
    c = dwt2(noise(3, 9, 10), "9/7", 2)
    assert torch.allclose(idwt2(c.map(lambda band: 2 * band)), 2 * idwt2(c))


GOOD = dwt1(torch.rand(8), "5/3", 2)


@pytest.mark.parametrize(
    "action",
    [
        lambda: dwt2(torch.rand(4, 4), "db4"),
        lambda: dwt2(torch.rand(4, 4), "9/7", normalization="l2"),
        lambda: dwt2(torch.rand(4, 4), "9/7", normalization="reversible"),
        lambda: dwt2(torch.rand(4, 4), "5/3", normalization="reversible"),
        lambda: dwt2(torch.zeros(4, 4, dtype=torch.int32), "5/3"),
        lambda: dwt2(torch.rand(4, 4), levels=-1),
        lambda: dwt2(torch.rand(4, 4), levels=1.0),
        lambda: dwt2(torch.rand(4)),
        lambda: dwt2(torch.rand(4, 0)),
        lambda: dwt1(torch.rand(4), axis=1),
        lambda: dwt1(torch.rand(4), start=-1),
        lambda: dwt3(torch.rand(4, 4)),
        lambda: idwt1(Coefficients1d(GOOD.low, GOOD.highs[::-1], 8, -1, "5/3", "orthonormal")),
        lambda: idwt1(Coefficients1d(GOOD.low, GOOD.highs, 9, -1, "5/3", "orthonormal")),
        lambda: idwt2(Coefficients2d(torch.rand(2, 2), (Bands2d(*torch.rand(3, 2, 3)),), (4, 4), "5/3", "jpeg2000")),
        lambda: from_mallat(torch.rand(4), "haar", 1),
    ],
)
def test_misuse_is_a_one_line_usage_error(action: object) -> None:
    with pytest.raises(UsageError) as caught:
        action()  # type: ignore[operator]
    assert "\n" not in str(caught.value)
