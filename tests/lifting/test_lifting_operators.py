"""The networks in the lifting steps: weights, equation 5, constraints that hold for any weights."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from lifting_transforms import bands, random_transform

from wavelic.lifting.transform.proposal_opacity import ProposalOpacity, u16
from wavelic.lifting.transform.transform import SINGLE_FROM, LiftingTransform, build_lifting
from wavelic.lifting.weights import load_lifting

torch.set_num_threads(1)


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


def shipped(dtype: torch.dtype) -> LiftingTransform:
    transform = copy.deepcopy(load_lifting("lifting"))
    transform.deploy(dtype)
    return transform


def test_deployed_networks_give_what_the_networks_give() -> None:
    x = torch.rand(1, 3, 150, 130, generator=torch.Generator().manual_seed(5)) - 0.5
    fast, rough = shipped(torch.float32), shipped(torch.bfloat16)
    plain = copy.deepcopy(fast).to("cpu")  # moving ends it
    with torch.inference_mode():
        expected = bands(plain.analysis(x, 5))
        for found, band in zip(bands(fast.analysis(x, 5)), expected, strict=True):
            torch.testing.assert_close(found, band, rtol=0, atol=2e-6)
        differences = [float((a - b).abs().max()) for a, b in zip(bands(rough.analysis(x, 5)), expected, strict=True)]
    assert 1e-4 < max(differences) < 0.02


def test_coarse_levels_do_not_enlarge_the_last_bits_of_coefficients() -> None:
    """Parts of a file give coefficients that differ in these; of the fine levels in bfloat16 every other bit counts."""
    torch.manual_seed(6)
    transform = shipped(torch.bfloat16)
    with torch.inference_mode():
        c = transform.analysis(torch.rand(1, 3, 200, 180) - 0.5, 3, finest=SINGLE_FROM)
        noisy = replace(c, low=c.low + 5e-7 * torch.randn_like(c.low))
        assert (
            transform.synthesis(noisy, finest=SINGLE_FROM) - transform.synthesis(c, finest=SINGLE_FROM)
        ).abs().max() < 1e-5
        assert (transform.synthesis(noisy) - transform.synthesis(c)).abs().max() > 1e-4
