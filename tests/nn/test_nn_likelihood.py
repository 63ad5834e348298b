"""Bits of Gaussians and of the factorised prior: values, gradients, tables."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from wavelic.entropy import decode_symbols, encode_symbols
from wavelic.nn.likelihood import FactorizedPrior, gaussian_bits, round_straight_through


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)


def test_gaussian_bits_are_those_of_the_normal_distribution() -> None:
    values, mean, scale = torch.tensor([0.0, 1.0, -3.0]), torch.tensor([0.0, 0.5, 1.0]), torch.tensor([1.0, 2.0, 0.7])
    for v, m, s, bits in zip(values, mean, scale, gaussian_bits(values, mean, scale), strict=True):
        normal = torch.distributions.Normal(m.double(), s.double())
        expected = -math.log2(normal.cdf(v.double() + 0.5) - normal.cdf(v.double() - 0.5))
        assert bits.item() == pytest.approx(expected, rel=1e-4)


def test_gaussian_bits_have_bounds_and_gradients_there() -> None:
    scale = torch.tensor([0.0, 0.0], requires_grad=True)
    bits = gaussian_bits(torch.tensor([0.0, 90.0]), torch.zeros(2), scale)
    assert bits[0] < 1e-4
    assert bits[1].item() == pytest.approx(-math.log2(1e-9), rel=1e-4)
    likely = torch.tensor([0.0], requires_grad=True)
    gaussian_bits(torch.tensor([0.7]), torch.zeros(1), likely).sum().backward()
    assert likely.grad is not None
    assert likely.grad.item() < 0  # a value out of reach asks for a larger scale, also below the bound


def test_straight_through() -> None:
    x = torch.tensor([0.4, 1.6, -2.7], requires_grad=True)
    y = round_straight_through(x)
    assert y.tolist() == [0.0, 2.0, -3.0]
    (y * torch.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [1.0, 2.0, 3.0]


def disturbed(channels: int) -> FactorizedPrior:
    prior = FactorizedPrior(channels, spread=4.0)
    with torch.no_grad():
        for parameter in prior.parameters():
            if parameter is not prior.quantiles:
                parameter.add_(0.3 * torch.randn_like(parameter))
        prior.quantiles[:, 1] = torch.linspace(-1.3, 1.3, channels)
    return prior


def test_prior_is_a_distribution() -> None:
    """Masses of all unit bins sum to one, for densities that are not the initial ones."""
    prior = disturbed(5)
    grid = torch.arange(-400.0, 401.0)[None, None, :, None].expand(1, 5, -1, 1).double()
    masses = 2.0 ** -prior.double().bits(grid)
    torch.testing.assert_close(masses.sum((0, 2, 3)), torch.ones(5).double(), rtol=0, atol=1e-5)
    logits = prior.logits(grid[0, :, :, 0])
    assert (logits.diff(dim=1) > 0).all()


def test_prior_has_61_parameters_per_channel() -> None:
    assert sum(parameter.numel() for parameter in FactorizedPrior(192).parameters()) == 11_712


def test_prior_learns_and_its_quantiles_follow() -> None:
    """Fitted to Laplacian data it comes close to the entropy, and the medians to the true ones."""
    prior = FactorizedPrior(2)
    centres = torch.tensor([0.3, -2.0])[None, :, None, None]
    source = torch.distributions.Laplace(0.0, torch.tensor([1.0, 3.0])[None, :, None, None])
    optimizer = torch.optim.Adam(prior.parameters(), 0.03)
    for _ in range(250):
        values = source.sample(torch.Size([64]))[:, 0] + centres
        loss = prior.bits(values + torch.rand_like(values) - 0.5).mean() + prior.quantile_loss() / 100
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    values = source.sample(torch.Size([4096]))[:, 0] + centres
    bits = prior.bits(values + torch.rand_like(values) - 0.5).mean((0, 2, 3)).tolist()
    for measured, scale in zip(bits, (1.0, 3.0), strict=True):
        assert measured == pytest.approx(math.log2(2 * math.e * scale), abs=0.12)
    torch.testing.assert_close(prior.medians, centres, rtol=0, atol=0.5)


def test_quantile_loss_reaches_nothing_else() -> None:
    prior = disturbed(3)
    prior.quantile_loss().backward()
    assert prior.quantiles.grad is not None
    assert prior.quantiles.grad.abs().min() > 0
    assert all(p.grad is None for p in prior.parameters() if p is not prior.quantiles)


def test_tables_agree_with_the_estimate_and_code() -> None:
    prior = disturbed(6)
    tables = prior.tables()
    assert len(tables) == 6
    symbols = torch.randint(-6, 7, (2, 6, 8, 8))
    index = np.broadcast_to(np.arange(6).reshape(1, -1, 1, 1), symbols.shape)
    data = encode_symbols(symbols.int().numpy(), index, tables)
    assert (decode_symbols(data, index, tables) == symbols.numpy()).all()
    estimate = prior.bits(symbols + prior.medians).sum().item()
    assert 8 * len(data) == pytest.approx(estimate, rel=0.01)


def test_tables_of_far_off_densities() -> None:
    """A median far from the density's mass, and a density much wider than a table may be: escapes, not errors."""
    prior = FactorizedPrior(2, spread=3000.0)
    with torch.no_grad():
        prior.quantiles[0, 1] = 10_000.0
    tables = prior.tables(radius=64)
    symbols = np.array([-10_000, 500, 0, 3])
    index = np.array([0, 1, 0, 1])
    assert (decode_symbols(encode_symbols(symbols, index, tables), index, tables) == symbols).all()
