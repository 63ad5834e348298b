"""Learned lifting transforms: the acceptance tests of structures, operators, supports and windows."""

from __future__ import annotations

import pytest
import torch
from lifting_transforms import TABLE_3, bands, random_transform
from torch import nn

from wavelic.errors import ModelError, UsageError
from wavelic.lifting.structures import build_lifting, structure_names
from wavelic.lifting.transform.levels import HybridLevel
from wavelic.lifting.transform.proposal_opacity import ProposalOpacity, u16
from wavelic.papers.lifting_zoo.iwave import IWaveOperator, PBlock
from wavelic.papers.lifting_zoo.side_by_side import f18
from wavelic.wavelets import Bands2d, Coefficients2d, dwt2, idwt2

torch.set_num_threads(1)

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


def weights(transform: nn.Module) -> int:
    return sum(parameter.numel() for parameter in transform.parameters())


# Names, sizes, supports


def test_every_name_of_the_paper_is_there() -> None:
    assert set(structure_names()) == set(EXACT)
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
        for size in ((1, 1), (1, 9), (6, 1), (2, 2), (3, 5), (17, 30)):
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


# What JP2 files rely on


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
    """What JP2 files rely on: the base transform of idwt2(coefficients) is the coefficients."""
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
