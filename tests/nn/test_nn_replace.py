"""replace_strided: which convolutions are replaced, sizes, devices and modes, errors."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from wavelic.errors import UsageError
from wavelic.nn import WaveletConv, WTConv2d, replace_strided
from wavelic.nn.replace import Strided


class Branches(nn.Module):
    """A block with a skip of its own stride, as ResNet has it."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(4, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.Conv2d(6, 6, 3, 1, 1))
        self.skip = nn.Conv2d(4, 6, 1, 2)
        self.depthwise = nn.Conv2d(6, 6, 3, 2, 1, groups=6)
        self.uneven = nn.Conv2d(6, 6, 3, (1, 2), 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.uneven(self.depthwise(self.body(x) + self.skip(x)))


def test_only_what_the_layer_can_stand_for_is_replaced() -> None:
    network = Branches().double().eval()
    before = network(torch.zeros(1, 4, 21, 18, dtype=torch.float64)).shape
    assert replace_strided(network, wavelet="9/7", levels=1) == ["body.0"]
    layer = network.body[0]
    assert isinstance(layer, WaveletConv)
    assert (layer.wavelet, layer.levels, layer.training) == ("9/7", 1, False)
    assert network(torch.zeros(1, 4, 21, 18, dtype=torch.float64)).shape == before
    with pytest.raises(UsageError, match="no strided convolution"):
        replace_strided(network)  # what is inside the new layer is not touched


@pytest.mark.parametrize("size", [(4, 4), (8, 12), (7, 9), (13, 10)])
@pytest.mark.parametrize(
    "convolution",
    [
        nn.Conv2d(2, 3, 3, 2, 1),
        nn.Conv2d(2, 3, 5, 2, 2),
        nn.Conv2d(2, 3, 4, 2, 1),
        nn.Conv2d(2, 3, 4, 4),
        nn.Conv2d(2, 3, 2, 2, padding="valid"),
        nn.Conv2d(2, 3, 3, 3, 2, dilation=2),
        nn.ConvTranspose2d(2, 3, 4, 2, 1),
        nn.ConvTranspose2d(2, 3, 3, 2, 1),
        nn.ConvTranspose2d(2, 3, 3, 2, 1, 1),
        nn.ConvTranspose2d(2, 3, 5, 3, 1),
    ],
    ids=str,
)
def test_sizes_stay(convolution: Strided, size: tuple[int, int]) -> None:
    network = nn.Sequential(convolution)
    expected = network(torch.zeros(1, 2, *size)).shape
    assert replace_strided(network, levels=1) == ["0"]
    assert network(torch.zeros(1, 2, *size)).shape == expected


@pytest.mark.parametrize(
    "convolution", [nn.Conv2d(2, 3, 7, 2), nn.Conv2d(2, 3, 3, 2, 2), nn.ConvTranspose2d(2, 3, 5, 2)]
)
def test_other_paddings_are_left_alone(convolution: Strided) -> None:
    with pytest.raises(UsageError, match="give a network that contains some"):
        replace_strided(nn.Sequential(convolution))


def test_make_decides() -> None:
    def make(convolution: Strided) -> nn.Module | None:
        if convolution.groups == convolution.in_channels:
            return WTConv2d(convolution.in_channels, convolution.out_channels, 3, 2)
        return None

    network = Branches()
    assert replace_strided(network, make) == ["depthwise"]
    assert isinstance(network.depthwise, WTConv2d)
    assert network(torch.zeros(1, 4, 21, 18)).shape == (1, 6, 6, 3)


def test_one_layer_for_a_convolution_used_twice() -> None:
    shared = nn.Conv2d(3, 3, 3, 2, 1)
    network = nn.Sequential(nn.Sequential(shared), nn.Sequential(shared))
    assert replace_strided(network) == ["0.0", "1.0"]
    assert network[0][0] is network[1][0]
