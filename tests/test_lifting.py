"""Learned lifting transforms: the acceptance tests of structures, operators, supports and windows."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from wavelic.errors import ModelError, UsageError
from wavelic.models.lifting import STRUCTURES, LiftingTransform, build_lifting
from wavelic.models.lifting_structures import FusedLevel, HybridLevel
from wavelic.models.lifting_support import region_of_support
from wavelic.models.lifting_window import synthesize_window, window_axes
from wavelic.nn import lifting_operators
from wavelic.nn.lifting_grid import Axis, merge, split
from wavelic.nn.lifting_iwave import IWaveOperator, PBlock
from wavelic.nn.proposal_opacity import ProposalOpacity, f18, u16
from wavelic.wavelets import Bands2d, Coefficients2d, dwt2, idwt2

torch.set_num_threads(1)

# Table III: thousands of parameters, region of support.
TABLE_3 = {
    "Hybrid(5/3)-5c": (35, 78),
    "Hybrid(9/7)-5c": (35, 82),
    "Hybrid(5/3)-9c": (63, 78),
    "Hybrid(9/7)-9c": (63, 82),
    "Hybrid(9/7)-9c-compact": (35, 54),
    "Custom-4S-5c": (38, 162),
    "Custom-4MS-5c": (55, 202),
    "Custom-5S-5c": (73, 234),
    "Custom-4S-9c": (69, 162),
    "Custom-4MS-9c": (98, 202),
    "Custom-5S-9c": (133, 234),
}
# The layer tables of docs/lifting.md, exactly.
EXACT = {
    "LeGall-5/3": 0,
    "CDF-9/7": 0,
    "PO-P-U": 68_868,
    "iWave-P-U": 4 * 29_088,
    "iWave++-P-U": 4 * 4_945,
    "PO-U-P": 17_217,
    "iWave-U-P": 29_088,
    "PO-Hybrid(9/7)": 61_938,
    "Hybrid(5/3)-5c": 35_610,
    "Hybrid(9/7)-5c": 35_610,
    "Hybrid(5/3)-9c": 61_938,
    "Hybrid(9/7)-9c": 61_938,
    "Hybrid(9/7)-9c-compact": 12_339 + 21_735,
    "Custom-4S-5c": 39_060,
    "Custom-4MS-5c": 54_135,
    "Custom-5S-5c": 74_670,
    "Custom-4S-9c": 68_868,
    "Custom-4MS-9c": 94_923,
    "Custom-5S-9c": 130_806,
    "Hybrid(9/7)-U16": 15_507 + 13_059,
}
# One name per structure, operator topology and base.
DISTINCT = [
    "LeGall-5/3",
    "iWave-P-U",
    "iWave++-P-U",
    "PO-U-P",
    "iWave-U-P",
    "Hybrid(5/3)-5c",
    "Hybrid(9/7)-9c-compact",
    "Hybrid(9/7)-U16",
    "Custom-4S-5c",
    "Custom-5S-5c",
]


def random_transform(name: str, scale: float = 1.0, dtype: torch.dtype = torch.float64) -> LiftingTransform:
    """The transform with weights far from their initial values: learned steps of the size of the image."""
    torch.manual_seed(7)
    transform = build_lifting(name)
    with torch.no_grad():
        for parameter in transform.parameters():
            fan_in = max(1, parameter[0].numel())
            parameter.copy_(scale * torch.randn_like(parameter) * math.sqrt(2 / fan_in))
    return transform.to(dtype)


def weights(transform: nn.Module) -> int:
    return sum(parameter.numel() for parameter in transform.parameters())


def bands(coefficients: Coefficients2d) -> list[Tensor]:
    return [coefficients.low, *(b for level in coefficients.levels for b in (level.lh, level.hl, level.hh))]


# Names, sizes, supports


def test_every_name_of_the_paper_is_there() -> None:
    assert set(STRUCTURES) == set(EXACT)
    with pytest.raises(ModelError, match="CDF-9/7"):
        build_lifting("CDF-5/3")


@pytest.mark.parametrize("name", EXACT)
def test_weight_counts(name: str) -> None:
    count = weights(build_lifting(name))
    assert count == EXACT[name]
    if name in TABLE_3:
        assert abs(count / 1000 / TABLE_3[name][0] - 1) < 0.04


def test_weight_counts_of_operators() -> None:
    assert weights(IWaveOperator()) == 29_088
    assert weights(PBlock()) == 4_945
    assert weights(ProposalOpacity(f18(3, 9, compact=True))) == f18(3, 9, compact=True).weights == 12_339
    assert weights(ProposalOpacity(u16(3, 1, last=3))) == u16(3, 1, last=3).weights == 15_507
    assert weights(ProposalOpacity(u16(1, 3, last=1))) == u16(1, 3, last=1).weights == 13_059


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


# The base wavelets


@pytest.mark.parametrize("name", ["LeGall-5/3", "CDF-9/7"])
def test_gains_of_the_base(name: str) -> None:
    transform = build_lifting(name)
    flat = transform.analysis(torch.full((1, 1, 64, 64), 0.3, dtype=torch.float64), 5)
    assert (flat.low - 0.3).abs().max() < 1e-12
    assert max(float(band.abs().max()) for band in bands(flat)[1:]) < 1e-12
    alternating = torch.tensor([1.0, -1.0], dtype=torch.float64).repeat(32)
    rows = transform.analysis(alternating[:, None].expand(64, 64)[None, None], 1).levels[0]
    columns = transform.analysis(alternating[None].expand(64, 64)[None, None], 1).levels[0]
    assert (rows.lh.abs() - 2).abs().max() < 1e-12
    assert (columns.hl.abs() - 2).abs().max() < 1e-12


@pytest.mark.parametrize(
    ("name", "low", "side", "diagonal"),
    [
        (
            "LeGall-5/3",
            (1.5, 2.75, 5.375, 10.6875, 21.3437),
            (1.0383, 1.5922, 2.9197, 5.7028, 11.3367),
            (0.7188, 0.9219, 1.5859, 3.0430, 6.0215),
        ),
        (
            "CDF-9/7",
            (1.9659, 4.1224, 8.4167, 16.9356, 33.9249),
            (1.0113, 1.9968, 4.1834, 8.5341, 17.1667),
            (0.5202, 0.9672, 2.0793, 4.3005, 8.6867),
        ),
    ],
)
def test_synthesis_norms_of_the_base(name: str, low: tuple, side: tuple, diagonal: tuple) -> None:
    transform = build_lifting(name)
    for level in range(1, 6):
        size = 1024 if level == 5 else 512
        zero = transform.analysis(torch.zeros(1, 1, size, size, dtype=torch.float64), level)
        for band, norms in (("low", low), ("lh", side), ("hl", side), ("hh", diagonal)):
            target = zero.low if band == "low" else getattr(zero.levels[-1], band)
            middle = target.shape[-1] // 2
            target[0, 0, middle, middle] = 1
            norm = float(transform.synthesis(zero).norm())
            target[0, 0, middle, middle] = 0
            assert norm == pytest.approx(norms[level - 1], rel=1e-3), (band, level)


@pytest.mark.parametrize("name", ["Hybrid(5/3)-5c", "Hybrid(9/7)-U16"])
def test_zero_proposals_give_exactly_the_base(name: str) -> None:
    transform = build_lifting(name)
    with torch.no_grad():
        for operator in (m for m in transform.modules() if isinstance(m, ProposalOpacity)):
            operator.taps.zero_()
    x = torch.rand(2, 3, 37, 50)
    expected = dwt2(x, transform.base, 3, "jpeg2000")
    for found, wanted in zip(bands(transform.analysis(x, 3)), bands(expected), strict=True):
        assert torch.equal(found, wanted)


@pytest.mark.parametrize("name", ["Custom-4S-5c", "Custom-4MS-5c", "Custom-5S-5c"])
@pytest.mark.parametrize("start", [(0, 0), (1, 0), (3, 5)])
def test_predict_update_operators_contain_legall_5_3(name: str, start: tuple[int, int]) -> None:
    """Without its learned part every P and U is LeGall's: right taps, right neighbours, right edges, right signs."""
    transform = build_lifting(name).double()
    with torch.no_grad():
        for operator in (m for m in transform.modules() if isinstance(m, ProposalOpacity)):
            operator.taps.zero_()
    x = torch.rand(1, 2, 27, 34, dtype=torch.float64)
    expected = dwt2(x, "5/3", 2, "jpeg2000", start=start)
    for found, wanted in zip(bands(transform.analysis(x, 2, start=start)), bands(expected), strict=True):
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-7)  # the taps are float32


@pytest.mark.parametrize("name", ["Hybrid(9/7)-9c-compact", "Custom-5S-5c"])
def test_new_weights_start_near_the_base(name: str) -> None:
    torch.manual_seed(0)
    transform = build_lifting(name)
    x = torch.rand(1, 1, 64, 64) - 0.5
    expected = dwt2(x, transform.base, 2, "jpeg2000")
    for found, wanted in zip(bands(transform.analysis(x, 2)), bands(expected), strict=True):
        assert (found - wanted).abs().max() < 0.06


# Reconstruction


@pytest.mark.parametrize("name", DISTINCT)
@pytest.mark.parametrize("start", [(0, 0), (1, 2)])
def test_perfect_reconstruction(name: str, start: tuple[int, int]) -> None:
    transform = random_transform(name, 0.7)
    with torch.no_grad():
        for size in ((1, 1), (1, 9), (6, 1), (2, 2), (3, 5), (17, 30), (40, 33)):
            x = torch.rand(2, 2, *size, dtype=torch.float64) - 0.5
            coefficients = transform.analysis(x, 5, start=start)
            expected = dwt2(x, "5/3", 5, "jpeg2000", start=start) if min(size) > 1 else None
            if expected is not None:
                assert [b.shape for b in bands(coefficients)] == [b.shape for b in bands(expected)]
            assert (transform.synthesis(coefficients) - x).abs().max() < 1e-10


def test_perfect_reconstruction_of_every_size() -> None:
    transform = random_transform("Hybrid(9/7)-U16")
    single = random_transform("Hybrid(9/7)-U16", 0.5, torch.float32)
    with torch.no_grad():
        for side in range(1, 71):
            x = torch.rand(1, 1, side, 71 - side, dtype=torch.float64) - 0.5
            assert (transform.synthesis(transform.analysis(x, 5)) - x).abs().max() < 1e-10
            if side % 10 == 0:
                y = x.float()
                assert (single.synthesis(single.analysis(y, 5)) - y).abs().max() < 1e-4


def test_the_learned_steps_do_something_at_every_level() -> None:
    transform = random_transform("Hybrid(9/7)-U16", dtype=torch.float32)
    x = torch.rand(1, 1, 96, 96) - 0.5
    with torch.no_grad():
        found, base = transform.analysis(x, 5), dwt2(x, "9/7", 5, "jpeg2000")
    for a, b in zip(bands(found), bands(base), strict=True):
        assert (a - b).abs().mean() > 0.01


@pytest.mark.parametrize("keep_update", [False, True])
def test_the_fused_level_is_invertible_with_and_without_its_last_update(keep_update: bool) -> None:
    level = random_transform("Custom-5S-5c", 0.7).level
    assert isinstance(level, FusedLevel)
    level.keep_update = keep_update
    x = torch.rand(1, 1, 21, 28, dtype=torch.float64)
    with torch.no_grad():
        low, details = level.analyze(x, (0, 1))
        assert (level.synthesize(low, details, (0, 1)) - x).abs().max() < 1e-12


def test_components_and_batch_are_independent() -> None:
    transform = random_transform("Hybrid(9/7)-U16")
    x = torch.rand(2, 3, 20, 22, dtype=torch.float64)
    with torch.no_grad():
        together = transform.analysis(x, 2)
        alone = transform.analysis(x[1:, 2:], 2)
    for a, b in zip(bands(together), bands(alone), strict=True):
        torch.testing.assert_close(a[1:, 2:], b)


def test_wrong_shapes_are_usage_errors() -> None:
    transform = build_lifting("CDF-9/7")
    with pytest.raises(UsageError, match="batch, components"):
        transform.analysis(torch.zeros(8, 8))
    with pytest.raises(UsageError, match="at least 0"):
        transform.analysis(torch.zeros(1, 1, 8, 8), -1)
    good = transform.analysis(torch.zeros(1, 1, 8, 9), 1)
    wrong = Bands2d(good.levels[0].hl, good.levels[0].lh, good.levels[0].hh)
    with pytest.raises(UsageError, match="band lh"):
        transform.synthesis(Coefficients2d(good.low, (wrong,), (8, 9), "9/7", "jpeg2000"))


# Constraints of the operators


@pytest.mark.parametrize("name", ["Hybrid(5/3)-5c", "Hybrid(9/7)-U16", "Custom-4S-5c", "Custom-5S-5c", "PO-U-P"])
def test_a_constant_image_has_no_details(name: str) -> None:
    transform = random_transform(name)
    with torch.no_grad():
        coefficients = transform.analysis(torch.full((1, 1, 45, 38), 0.4, dtype=torch.float64), 3)
    assert max(float(band.abs().max()) for band in bands(coefficients)[1:]) < 1e-6  # fixed taps are float32
    assert (coefficients.low - 0.4).abs().max() < 1e-6


def test_opacities_sum_to_one_and_ignore_brightness_and_contrast() -> None:
    torch.manual_seed(1)
    operator = build_lifting("Custom-4S-9c").level.predict_vertical
    assert isinstance(operator, ProposalOpacity)
    x = 40 * torch.randn(1, 1, 48, 48)
    with torch.no_grad():
        opacities = operator.opacities(x)
        assert (opacities.sum(2) - 1).abs().max() < 1e-5
        assert opacities.min() > 0
        strong = operator.evidence(x).sum(2, keepdim=True) > 10
        assert strong.float().mean() > 0.5
        assert ((operator.opacities(100 * x) - opacities).abs() * strong).max() < 0.01
        assert (operator.opacities(x + 30) - opacities).abs().max() < 1e-3


def test_an_operator_is_the_blend_of_its_proposals() -> None:
    """Equation 5 and figure 5 written out for one sample."""
    torch.manual_seed(2)
    operator = ProposalOpacity(u16(3, 2, last=3)).double()
    x = torch.randn(1, 3, 13, 14, dtype=torch.float64)
    with torch.no_grad():
        found = operator(x)
        assert found.shape == (1, 2, 1, 2)
        opacities = operator.opacities(x)
        for output in range(2):
            for column in range(2):
                window = x[0, :, :, column : column + 13]
                taps = operator.proposals().unflatten(0, (2, 9))[output]
                answers = (taps * window).sum((-3, -2, -1))
                expected = (opacities[0, output, :, 0, column] * answers).sum()
                torch.testing.assert_close(found[0, output, 0, column], expected)


# Extension and windows


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


def test_a_reduced_picture_is_the_low_band_of_its_level() -> None:
    transform = random_transform("Hybrid(9/7)-U16")
    x = torch.rand(1, 1, 77, 90, dtype=torch.float64)
    with torch.no_grad():
        deep = transform.analysis(x, 4)
        for level in range(1, 4):
            top = Coefficients2d(
                deep.low, deep.levels[level:], tuple(transform.analysis(x, level).low.shape[-2:]), "9/7", "jpeg2000"
            )
            torch.testing.assert_close(transform.synthesis(top), transform.analysis(x, level).low)


def test_the_pseudo_image_carries_the_coefficients() -> None:
    """What the carrier relies on: the base transform of idwt2(coefficients) is the coefficients."""
    transform = random_transform("Hybrid(9/7)-U16", 0.3)
    x = torch.rand(1, 3, 60, 51, dtype=torch.float64) - 0.5
    with torch.no_grad():
        coefficients = transform.analysis(x, 5)
        again = dwt2(idwt2(coefficients), transform.base, 5, "jpeg2000")
        torch.testing.assert_close(transform.synthesis(again), x)


def test_gradients_reach_every_weight() -> None:
    for name in ("Hybrid(9/7)-U16", "Custom-5S-5c", "iWave-U-P"):
        transform = build_lifting(name)
        coefficients = transform.analysis(torch.rand(1, 1, 32, 32) - 0.5, 2)
        sum(band.square().sum() for band in bands(coefficients)).backward()
        assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in transform.parameters())
        assert all(bool((p.grad != 0).any()) for p in transform.parameters())


def test_hybrid_is_the_structure_of_figure_3() -> None:
    """LL' = LL - T(details), details' = details - T(LL'), written out with the whole-band operators."""
    transform = random_transform("Hybrid(9/7)-U16")
    level = transform.level
    assert isinstance(level, HybridLevel)
    x = torch.rand(1, 1, 64, 64, dtype=torch.float64) - 0.5
    with torch.no_grad():
        base = dwt2(x, "9/7", 1, "jpeg2000")
        found = transform.analysis(x, 1)
        stack = torch.cat([base.levels[0].hl, base.levels[0].lh, base.levels[0].hh], 1)
        inner = level.high_to_low(stack)  # without extension: the samples 6 from the edges
        torch.testing.assert_close(found.low[..., 6:-6, 6:-6], base.low[..., 6:-6, 6:-6] - inner)
        hl, lh, hh = level.low_to_high(found.low).split(1, 1)
        for name, prediction in (("hl", hl), ("lh", lh), ("hh", hh)):
            expected = getattr(base.levels[0], name)[..., 5:-5, 5:-5] - prediction
            torch.testing.assert_close(getattr(found.levels[0], name)[..., 5:-5, 5:-5], expected)
