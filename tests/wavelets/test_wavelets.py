"""The wavelet transforms as functions of their arguments: axes, windows, sizes, layouts, dtypes, misuse."""

from __future__ import annotations

import pytest
import torch
from wavelet_signals import FLOAT_KINDS, SIZES, arrays, integers, noise

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
    level_sizes,
    level_sizes2d,
    split_size,
    to_mallat,
)


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2, -3])
def test_any_axis_is_the_last_axis_of_the_transposed(axis: int) -> None:
    x = noise(5, 6, 7)
    moved = dwt1(x.movedim(axis, -1), "9/7", 2)
    direct = dwt1(x, "9/7", 2, axis=axis)
    assert torch.equal(direct.low.movedim(axis, -1), moved.low)
    assert all(torch.equal(a.movedim(axis, -1), b) for a, b in zip(direct.highs, moved.highs, strict=True))


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
