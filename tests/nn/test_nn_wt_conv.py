"""WTConv2d: the paper's formulas, the public layer's state dict, strides, sizes."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, pad

from wavelic.errors import UsageError
from wavelic.nn import WTConv2d
from wavelic.wavelets import dwt2, idwt2


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)


def trained(*arguments: Any, **options: Any) -> WTConv2d:
    """A layer with all parameters drawn, since the initial factors are all the same."""
    layer = WTConv2d(*arguments, **options)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.normal_()
    return layer.double()


def from_the_formulas(layer: WTConv2d, x: Tensor) -> Tensor:
    """The Haar layer at stride 1 as the paper writes it: the DWT as a strided convolution with four 2x2 filters."""
    channels, state = layer.in_channels, layer.state_dict()
    root = 1 / math.sqrt(2)
    low, high = torch.tensor([root, root], dtype=x.dtype), torch.tensor([root, -root], dtype=x.dtype)
    filters = torch.stack([torch.outer(rows, columns) for columns in (low, high) for rows in (low, high)])
    filters = filters[:, None].repeat(channels, 1, 1, 1)

    def level(x: Tensor, number: int) -> Tensor:
        if number == len(layer.wavelet_convs):
            return torch.zeros_like(x)
        extended = pad(x, (0, x.shape[-1] % 2, 0, x.shape[-2] % 2))
        bands = conv2d(extended, filters, stride=2, groups=channels)
        kernel = state[f"wavelet_convs.{number}.weight"]
        mixed = conv2d(bands, kernel, padding="same", groups=4 * channels) * state[f"wavelet_scale.{number}.weight"]
        mixed[:, ::4] += level(bands[:, ::4], number + 1)
        return conv_transpose2d(mixed, filters, stride=2, groups=channels)[..., : x.shape[-2], : x.shape[-1]]

    base = conv2d(x, state["base_conv.weight"], state.get("base_conv.bias"), padding="same", groups=channels)
    return base * state["base_scale.weight"] + level(x, 0)


@pytest.mark.parametrize("size", [(1, 1), (8, 12), (7, 10), (13, 9)])
@pytest.mark.parametrize(("kernel", "levels", "bias"), [(5, 1, True), (3, 3, False), (4, 2, True), (3, 0, True)])
def test_haar_is_what_the_paper_writes(size: tuple[int, int], kernel: int, levels: int, bias: bool) -> None:
    layer = trained(3, 3, kernel, bias=bias, wt_levels=levels)
    x = torch.randn(2, 3, *size, dtype=torch.float64)
    torch.testing.assert_close(layer(x), from_the_formulas(layer, x))


@pytest.mark.parametrize("wavelet", ["5/3", "9/7"])
def test_lifting_wavelets_with_kernels_that_do_nothing_give_the_input(wavelet: str) -> None:
    layer = WTConv2d(2, 2, 3, bias=False, wt_levels=3, wt_type=wavelet)
    for convolution in layer.wavelet_convs:
        nn.init.dirac_(convolution.weight, groups=8)  # type: ignore[arg-type]
    nn.init.zeros_(layer.base_conv.weight)
    x = torch.randn(1, 2, 13, 22)
    torch.testing.assert_close(layer(x), 0.1 * x + _rest(x, wavelet), rtol=0, atol=1e-6)


def _rest(x: Tensor, wavelet: str) -> Tensor:
    """With factor 0.1 at every level, the low band of level l comes back l times: 0.1 of it more for each."""
    total = torch.zeros_like(x)
    low, sizes = x, []
    for _ in range(2):
        sizes.append(low.shape[-2:])
        low = pad(low, (0, low.shape[-1] % 2, 0, low.shape[-2] % 2), mode="replicate")
        low = dwt2(low, wavelet).low
        up = 0.1 * low
        for size in reversed(sizes):
            whole = dwt2(torch.zeros(*up.shape[:2], 2 * up.shape[-2], 2 * up.shape[-1]), wavelet)
            up = idwt2(whole.__class__(up, whole.levels, whole.size, wavelet, "orthonormal"))[..., : size[0], : size[1]]
        total = total + up
    return total


@pytest.mark.parametrize("wavelet", ["db1", "5/3", "9/7"])
@pytest.mark.parametrize("stride", [2, 3])
@pytest.mark.parametrize("size", [(1, 1), (8, 12), (7, 10)])
@pytest.mark.parametrize("kernel", [3, 4])
def test_a_stride_leaves_out_samples(wavelet: str, stride: int, size: tuple[int, int], kernel: int) -> None:
    layer = trained(2, 2, kernel, stride, wt_levels=2, wt_type=wavelet)
    x = torch.randn(2, 2, *size, dtype=torch.float64)
    plain = trained(2, 2, kernel, wt_levels=2, wt_type=wavelet)
    state = {name: value for name, value in layer.state_dict().items() if name != "stride_filter"}
    plain.load_state_dict(state)
    torch.testing.assert_close(layer(x), plain(x)[..., ::stride, ::stride])


def test_the_state_dict_is_that_of_the_public_layer() -> None:
    """Names and shapes as the authors' layer of 8 channels, kernel 5, stride 2, two levels, saves them."""
    state = WTConv2d(8, 8, 5, 2, wt_levels=2).state_dict()
    assert {name: tuple(value.shape) for name, value in state.items()} == {
        "wt_filter": (32, 1, 2, 2),
        "iwt_filter": (32, 1, 2, 2),
        "stride_filter": (8, 1, 1, 1),
        "base_conv.weight": (8, 1, 5, 5),
        "base_conv.bias": (8,),
        "base_scale.weight": (1, 8, 1, 1),
        "wavelet_convs.0.weight": (32, 1, 5, 5),
        "wavelet_convs.1.weight": (32, 1, 5, 5),
        "wavelet_scale.0.weight": (1, 32, 1, 1),
        "wavelet_scale.1.weight": (1, 32, 1, 1),
    }
    assert state["wt_filter"][:4, 0].tolist() == [
        [[0.5, 0.5], [0.5, 0.5]],
        [[0.5, 0.5], [-0.5, -0.5]],
        [[0.5, -0.5], [0.5, -0.5]],
        [[0.5, -0.5], [-0.5, 0.5]],
    ]


def test_filters_of_another_wavelet_are_refused() -> None:
    layer = WTConv2d(4, 4)
    layer.load_state_dict(WTConv2d(4, 4).half().state_dict())
    for other in (-layer.state_dict()["wt_filter"], torch.rand(16, 1, 4, 4)):
        with pytest.raises(RuntimeError, match="not that of Haar; use weights trained"):
            layer.load_state_dict(layer.state_dict() | {"wt_filter": other})
    with pytest.raises(RuntimeError, match="not that of Haar"):
        WTConv2d(4, 4, wt_type="9/7").load_state_dict(layer.state_dict())


def test_gradients() -> None:
    layer, x = trained(2, 2, 3, 2, wt_levels=2), torch.randn(1, 2, 5, 7, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer, (x,))
    layer(x).sum().backward()
    assert all(parameter.grad is not None for parameter in layer.parameters())


@pytest.mark.parametrize(
    "arguments",
    [
        {"out_channels": 5},
        {"in_channels": 0, "out_channels": 0},
        {"kernel_size": 0},
        {"stride": 0},
        {"wt_levels": -1},
        {"wt_type": "bior4.4"},
    ],
)
def test_wrong_arguments(arguments: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="; "):
        WTConv2d(**({"in_channels": 4, "out_channels": 4} | arguments))


def test_wrong_input() -> None:
    with pytest.raises(UsageError, match=r"expected \(N, 4, H, W\)"):
        WTConv2d(4, 4)(torch.zeros(4, 8, 8))
