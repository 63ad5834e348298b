"""How far learned lifting sees: footprints, extension of bands, windows, strips."""

from __future__ import annotations

import pytest
import torch
from lifting_transforms import TABLE_3, bands, random_transform
from torch import Tensor

from wavelic.errors import UsageError
from wavelic.lifting.transform import operators as lifting_operators
from wavelic.lifting.transform.grid import Axis, merge, split
from wavelic.lifting.transform.receptive_field import region_of_support
from wavelic.lifting.transform.transform import build_lifting
from wavelic.lifting.transform.windows import synthesize_window, window_axes
from wavelic.wavelets import Coefficients2d

torch.set_num_threads(1)


@pytest.mark.parametrize("name", TABLE_3)
def test_region_of_support_is_that_of_table_3(name: str) -> None:
    assert region_of_support(build_lifting(name)) == TABLE_3[name][1]


def extent(gradient: Tensor, dim: int) -> tuple[int, int]:
    """First and last row (dim -2) or column (-1) that is not exactly zero."""
    others = (0, 1, -1) if dim == -2 else (0, 1, -2)
    hit = (gradient != 0).sum(others).nonzero().flatten()
    return int(hit[0]), int(hit[-1])


@pytest.mark.parametrize("name", ["Hybrid(5/3)-5c", "Hybrid(9/7)-5c", "Hybrid(9/7)-9c-compact", "Hybrid(9/7)-U16"])
@pytest.mark.parametrize("dim", [-2, -1])
def test_footprints_of_the_hybrid(name: str, dim: int) -> None:
    """One level: 4R+3 or 4R+7 pixels see an LL' sample, a detail sample sees 4R+5 or 4R+9."""
    transform = random_transform(name)
    radius = sum(transform.level.radii)
    base = {"5/3": 5, "9/7": 9}[transform.base]
    k = 26
    size = (4 * k, 60) if dim == -2 else (60, 4 * k)
    position = (k, 15) if dim == -2 else (15, k)
    x = torch.randn(1, 1, *size, dtype=torch.float64, requires_grad=True)
    details = transform.analysis(x, 1).levels[0]
    footprints = []
    for band in (details.lh, details.hl, details.hh):
        (gradient,) = torch.autograd.grad(band[0, 0, position[0], position[1]], x, retain_graph=True)
        footprints.append(extent(gradient, dim))
    first, last = min(f for f, _ in footprints), max(end for _, end in footprints)
    assert last - first + 1 == 4 * radius + base
    one_sided = max(2 * k + 1 - first, last - (2 * k + 1))
    assert 2 * one_sided == region_of_support(transform)

    with torch.no_grad():
        coefficients = transform.analysis(x, 1)
        changed = coefficients.low.clone()
        changed[0, 0, position[0], position[1]] += 1
        moved = Coefficients2d(changed, coefficients.levels, coefficients.size, transform.base, "jpeg2000")
        first, last = extent(transform.synthesis(moved) - transform.synthesis(coefficients), dim)
    assert last - first + 1 == 4 * radius + base - 2


@pytest.mark.parametrize("name", ["Custom-4S-5c", "Custom-5S-5c"])
def test_footprint_of_the_custom_structures_stays_within_table_3(name: str) -> None:
    transform = random_transform(name, 0.5)
    k = 62
    x = torch.randn(1, 1, 4 * k, 24, dtype=torch.float64, requires_grad=True)
    low = transform.analysis(x, 1).low
    (gradient,) = torch.autograd.grad(low[0, 0, k, 6], x)
    first, last = extent(gradient, -2)
    one_sided = max(2 * k - first, last - 2 * k)
    assert one_sided <= transform.level.reach
    assert 2 * one_sided <= region_of_support(transform)
    assert 2 * one_sided >= 160  # the four steps of radius 10 are all there


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7, 8])
@pytest.mark.parametrize("start", [0, 1, 4, 7])
def test_bands_extend_as_the_mirrored_signal_does(size: int, start: int) -> None:
    """Against the definition: mirror the signal, split it by parity, compare."""
    axis = Axis(start, size)
    signal = torch.arange(size)
    period = max(1, 2 * (size - 1))

    def mirrored(coordinate: int) -> int:
        offset = (coordinate - start) % period
        return int(signal[min(offset, period - offset)])

    even, odd = split(signal[None, :, None], -2, start)
    for kind, band in (("low", even.flatten()), ("high", odd.flatten())):
        assert axis.is_empty(kind) == (len(band) == 0)
        if len(band):
            first, stop = axis.span(kind)
            found = band[axis.extension(kind, first - 9, stop + 9)].tolist()
            assert found == [mirrored(2 * i + (kind == "high")) for i in range(first - 9, stop + 9)]
    assert torch.equal(merge(even, odd, -2, start), signal[None, :, None])


@pytest.mark.parametrize("name", ["Hybrid(9/7)-U16", "Hybrid(5/3)-5c", "Custom-4S-5c", "iWave++-P-U", "iWave-U-P"])
def test_a_window_of_the_synthesis_is_its_crop(name: str) -> None:
    transform = random_transform(name, 0.5)
    with torch.no_grad():
        levels = 2 if name.startswith(("Custom", "iWave")) else 3
        coefficients = transform.analysis(torch.rand(1, 1, 203, 150, dtype=torch.float64) - 0.5, levels)
        coefficients = coefficients.map(lambda band: band.round(decimals=1))
        whole = transform.synthesis(coefficients)
        for x, y, width, height in ((0, 0, 7, 9), (51, 77, 20, 33), (149, 202, 1, 1), (100, 0, 50, 12)):
            window = synthesize_window(transform, coefficients, (x, y, width, height))
            torch.testing.assert_close(window, whole[..., y : y + height, x : x + width], rtol=0, atol=1e-9)


def test_windows_need_no_more_than_their_margins() -> None:
    transform = build_lifting("Hybrid(9/7)-U16")
    plan = window_axes(transform, (100_000, 100_000), 5, (50_000, 50_000, 512, 512))
    assert plan[0][0].size == 512 + 2 * transform.level.reach
    computed = sum(rows.size * columns.size for rows, columns in plan)
    assert computed < 2.2 * 512**2
    for region in ((0, 0, 0, 1), (-1, 0, 4, 4), (99_999, 0, 2, 1)):
        with pytest.raises(UsageError):
            window_axes(transform, (100_000, 100_000), 5, region)


def test_strips_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    transform = random_transform("Hybrid(9/7)-U16")
    x = torch.rand(1, 2, 90, 70, dtype=torch.float64) - 0.5
    with torch.no_grad():
        whole = transform.analysis(x, 3)
        monkeypatch.setattr(lifting_operators, "STRIP_SAMPLES", 300)
        strips = transform.analysis(x, 3)
    for a, b in zip(bands(whole), bands(strips), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)
