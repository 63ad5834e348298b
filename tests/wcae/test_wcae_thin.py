"""Thin pictures: what is computed of their repeated rows and columns, and what is wanted of their results."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

import wavelic
from wavelic.wcae.network import WaveletAutoencoder, build_autoencoder


@pytest.fixture(scope="module", params=["wcae", "wcae-64", "nowcae"])
def network(request: pytest.FixtureRequest) -> WaveletAutoencoder:
    torch.manual_seed(0)
    built = build_autoencoder(request.param).eval().requires_grad_(False)
    for value in built.parameters():
        if value.dim() == 4:
            value += 0.02 * torch.randn_like(value)
    return built


def close(found: Tensor, expected: Tensor) -> bool:
    return found.shape == expected.shape and bool((found - expected).abs().max() < 1e-5 * expected.abs().max())


@pytest.mark.parametrize("axis", [2, 3], ids=["rows", "columns"])
@pytest.mark.parametrize("side", [1, 2, 3, 4, 5, 7, 8, 9, 15, 16])
def test_extended_pictures_have_the_latent_of_their_extension(
    network: WaveletAutoencoder, side: int, axis: int
) -> None:
    shape = [2, 3, 3 * network.stride, 3 * network.stride]
    shape[axis] = side
    x = 2 * torch.rand(shape) - 1
    for long in (network.stride, 2 * network.stride):
        extended = x.index_select(axis, torch.arange(long).clamp_(max=side - 1))
        assert close(network.analysis_extended(x, long, axis), network.analysis(extended))


def test_the_first_samples_are_those_of_the_whole(network: WaveletAutoencoder) -> None:
    y = torch.randn(1, network.latent_channels, 3, 4)
    whole = network.synthesis(y)
    for rows, columns in ((1, 1), (1, whole.shape[3]), (whole.shape[2], 1), (2, 7), (5, 2 * network.stride + 1)):
        part = network.synthesis(y, (rows, columns))
        assert 0 <= part.shape[2] - rows <= 1
        assert 0 <= part.shape[3] - columns <= 1
        assert close(part[..., :rows, :columns], whole[..., :rows, :columns])


def test_the_transposed_network_is_for_transposed_pictures(network: WaveletAutoencoder) -> None:
    turned, stride = network.transposed(), network.stride
    x = 2 * torch.rand(2, 3, 2 * stride, 3 * stride) - 1
    y = network.analysis(x)
    assert close(turned.analysis(x.transpose(2, 3)), y.transpose(2, 3))
    assert close(turned.synthesis(y.transpose(2, 3)), network.synthesis(y).transpose(2, 3))
    assert network.transposed() is turned
    assert set(network.state_dict()) == set(build_autoencoder_keys(network))


def build_autoencoder_keys(network: WaveletAutoencoder) -> list[str]:
    """Names of the parameters of a network as it is built."""
    return list(WaveletAutoencoder(network.branches, network.levels).state_dict())


@pytest.mark.parametrize("width", [3, 16, 17, 31])
def test_parts_of_a_few_columns_are_those_of_the_whole(picture, width: int) -> None:
    data = wavelic.encode(picture(300, width), "wcae", quality=60)
    whole = wavelic.decode(data)
    with wavelic.open(data) as file:
        for x, y, columns, rows in ((0, 0, width, 40), (1, 77, 2, 100), (width - 1, 299, 1, 1), (0, 250, width, 50)):
            assert np.array_equal(file.read(region=(x, y, columns, rows)), whole[y : y + rows, x : x + columns])
