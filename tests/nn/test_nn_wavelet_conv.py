"""WaveletConv and the building blocks: parameter counts, shapes, what the layer computes, gradients."""

from __future__ import annotations

import ast
import doctest
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from wavelic.errors import UsageError
from wavelic.nn import attention, blocks, wavelet_conv
from wavelic.nn.attention import AttentionNet, BottleneckUnit
from wavelic.nn.blocks import (
    ParameterNet,
    ResidualBlock,
    ResidualBlockDown,
    ResidualBlockUp,
    ResidualGroup,
    SubpixelConv,
)
from wavelic.nn.wavelet_conv import SubbandConv, WaveletConv
from wavelic.threedm.config import PUBLISHED
from wavelic.threedm.network import network_named
from wavelic.wavelets import Bands2d, Coefficients2d, Coefficients3d, dwt3, idwt3
from wavelic.weconvene.config import CONFIGS as DEFAULT_CONFIGS
from wavelic.weconvene.network import Network

WAVELETS = ("haar", "5/3", "9/7")


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def without_learning(layer: WaveletConv) -> WaveletConv:
    """The layer with identity convolutions and GDNs in all subbands, so that only the transforms remain."""
    for module in layer.modules():
        if isinstance(module, SubbandConv):
            module.norm = nn.Identity()  # type: ignore[assignment]
            for linear in module.pointwise:
                nn.init.eye_(linear.weight)
                nn.init.zeros_(linear.bias)
            if module.joint is not None:
                nn.init.dirac_(module.joint.weight)
                nn.init.zeros_(module.joint.bias)
    return layer


# The building-block table of the specification, counted from public code.
@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: ResidualBlock(128, 128), 295_168),
        (lambda: ResidualGroup(128), 885_504),
        (lambda: ResidualBlockDown(3, 128, 1), 168_192),
        (lambda: ResidualBlockUp(320, 128, 1), 901_632),
        (lambda: BottleneckUnit(128), 53_504),
        (lambda: AttentionNet(320, 200), 927_872 + (128 * 320 + 128) + 129 * 200),
        (
            lambda: ParameterNet(400, 80, (3, 1, 1)),
            (224 * 400 * 9 + 224) + (224 * 128 + 128) + (128 * 80 + 80),
        ),
        (
            lambda: ParameterNet(384, 64, (3, 3, 3)),
            9 * 224 * 384 + 224 + 9 * 224 * 128 + 128 + 9 * 128 * 64 + 64,
        ),
        (lambda: WaveletConv(128, 128, 2), 444_416),
        (lambda: WaveletConv(128, 128, 2, transposed=True), 1_460_992),
        (lambda: WaveletConv(1280, 128, 2), 1_918_976),
        (lambda: WaveletConv(192, 128, 2, transposed=True), 2_050_816),
        (lambda: WaveletConv(128, 128, 2, levels=1), 444_416 - 99_072),
        (lambda: WaveletConv(128, 128, 2, levels=0, channel_levels=0), parameters(ResidualBlockDown(128, 128, 2))),
    ],
)
def test_parameter_counts(make: Any, expected: int) -> None:
    with torch.device("meta"):
        assert parameters(make()) == expected


def test_wavelet_part_of_the_published_layer() -> None:
    with torch.device("meta"):
        layer = WaveletConv(128, 128, 2)
    assert parameters(layer.low) + parameters(layer.high) == 280_320


@pytest.mark.parametrize("wavelet", WAVELETS)
@pytest.mark.parametrize(("stride", "transposed"), [(1, False), (2, False), (3, False), (2, True), (1, True)])
@pytest.mark.parametrize("size", [(1, 1), (5, 8), (7, 2)])
def test_shapes_of_any_size_and_channel_count(
    wavelet: str, stride: int, transposed: bool, size: tuple[int, int]
) -> None:
    for channels_in, channels_out, levels, channel_levels in ((3, 5, 2, 1), (4, 1, 1, 1), (1, 7, 3, 2), (2, 2, 0, 0)):
        layer = WaveletConv(
            channels_in,
            channels_out,
            stride,
            transposed=transposed,
            wavelet=wavelet,
            levels=levels,
            channel_levels=channel_levels,
        )
        y = layer(torch.randn(2, channels_in, *size))
        expected = [n * stride if transposed else -(-n // stride) for n in size]
        assert list(y.shape) == [2, channels_out, *expected]
        assert y.isfinite().all()


@pytest.mark.parametrize("wavelet", WAVELETS)
@pytest.mark.parametrize(
    ("channels", "levels", "channel_levels", "size"), [(8, 2, 1, (16, 24)), (7, 3, 2, (9, 13)), (1, 1, 1, (4, 3))]
)
def test_the_transforms_cancel(
    wavelet: str, channels: int, levels: int, channel_levels: int, size: tuple[int, int]
) -> None:
    layer = WaveletConv(3, channels, 2, wavelet=wavelet, levels=levels, channel_levels=channel_levels)
    without_learning(layer)
    x = torch.randn(2, 3, *size)
    expected = leaky_relu(layer.enter(x), 0.01) + layer.skip(x)
    torch.testing.assert_close(layer(x), expected, rtol=0, atol=1e-5)


class Reference(nn.Module):
    """The layer written from the paper with the 3-D transform of `wavelic.wavelets`, subband by subband."""

    def __init__(self, layer: WaveletConv) -> None:
        super().__init__()
        self.layer = layer

    def channel_band(self, number: int, coefficients: Coefficients2d) -> Coefficients2d:
        (low,) = self.layer.low[number](coefficients.low)
        levels = []
        for level, bands in enumerate(coefficients.levels):
            net = self.layer.high[level][number]  # type: ignore[index]
            mixed = [
                torch.einsum("oi,nihw->nohw", linear.weight, band) + linear.bias[:, None, None]
                for linear, band in zip(net.pointwise, (bands.lh, bands.hl, bands.hh), strict=True)
            ]
            levels.append(Bands2d(*net.norm(torch.cat(mixed, 1)).chunk(3, 1)))
        c = coefficients
        return Coefficients2d(low, tuple(levels), c.size, c.wavelet, c.normalization)

    def forward(self, x: Tensor) -> Tensor:
        y = leaky_relu(self.layer.enter(x), 0.01)
        c = dwt3(y, self.layer.wavelet, self.layer.levels, channel_levels=len(self.layer.sizes) - 1)
        highs = tuple(self.channel_band(number, high) for number, high in enumerate(c.highs, 1))
        return idwt3(Coefficients3d(self.channel_band(0, c.low), highs, c.channels)) + self.layer.skip(x)


@pytest.mark.parametrize("wavelet", WAVELETS)
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("channel_levels", [1, 2])
def test_layout_changes_nothing(wavelet: str, transposed: bool, channel_levels: int) -> None:
    """Output and gradients equal those of the plain transcription, with weights that are not their initial values."""
    layer = WaveletConv(4, 10, 2, transposed=transposed, wavelet=wavelet, channel_levels=channel_levels)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    x = torch.randn(2, 4, 16, 8, requires_grad=True)
    results = []
    for module in (layer, Reference(layer)):
        y = module(x)
        results.append((y, *torch.autograd.grad(y.square().sum(), [x, *layer.parameters()])))
    for ours, expected in zip(*results, strict=True):
        torch.testing.assert_close(ours, expected, rtol=2e-4, atol=2e-4)


def test_weconv_2d_is_the_layer_of_the_public_code() -> None:
    """LL: conv3, GDN; LH, HL, HH: one conv3 and one GDN over the three; Haar; no channel transform."""
    layer = WaveletConv(3, 4, 2, levels=1, channel_levels=0, high_kernel=3)
    x = torch.randn(1, 3, 16, 12)
    y = leaky_relu(layer.enter(x), 0.01)
    a, b, c, d = y[..., ::2, ::2], y[..., ::2, 1::2], y[..., 1::2, ::2], y[..., 1::2, 1::2]
    low = (a + b + c + d) / 2
    high = torch.cat((a + b - c - d, a - b + c - d, a - b - c + d), 1) / 2
    low_net, high_net = layer.low[0], layer.high[0][0]  # type: ignore[index]
    low = low_net.norm(low_net.joint(low))
    lh, hl, hh = high_net.norm(high_net.joint(high)).chunk(3, 1)
    out = torch.empty_like(y)
    out[..., ::2, ::2] = low + lh + hl + hh
    out[..., ::2, 1::2] = low + lh - hl - hh
    out[..., 1::2, ::2] = low - lh + hl - hh
    out[..., 1::2, 1::2] = low - lh - hl + hh
    torch.testing.assert_close(layer(x), out / 2 + layer.skip(x), rtol=1e-5, atol=1e-5)


def test_unused_parameters_are_frozen_and_have_no_effect() -> None:
    layer = WaveletConv(3, 4, 2, unused_parameters=True)
    x = torch.randn(1, 3, 8, 8)
    before = layer(x)
    assert parameters(layer) - parameters(WaveletConv(3, 4, 2)) == 9 * 16 + 4
    torch.nn.init.zeros_(layer.unused.weight)
    assert torch.equal(before, layer(x))
    layer(x).sum().backward()
    assert all((p.grad is not None) == p.requires_grad for p in layer.parameters())


def test_a_classifier_with_the_layer_learns() -> None:
    """Usable in any CNN: stripes against checks is learned in a few steps."""
    rows, columns = torch.meshgrid(torch.arange(12), torch.arange(12), indexing="ij")
    patterns = torch.stack((rows % 2, (rows + columns) % 2)).float()[:, None]
    x, labels = patterns.repeat(4, 1, 1, 1) + 0.3 * torch.randn(8, 1, 12, 12), torch.arange(8) % 2
    net = nn.Sequential(WaveletConv(1, 6, 2, wavelet="5/3"), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    net.append(nn.Linear(6, 2))
    optimizer = torch.optim.Adam(net.parameters(), 0.02)
    losses = []
    for _ in range(25):
        loss = nn.functional.cross_entropy(net(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 < losses[0]


def test_precision_and_layout_of_the_input() -> None:
    layer = WaveletConv(4, 6, 2, wavelet="9/7")
    x = torch.randn(1, 4, 9, 12)
    expected = layer(x)
    torch.testing.assert_close(layer(x.contiguous(memory_format=torch.channels_last)), expected)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(layer(x).float(), expected, rtol=0.1, atol=0.1)
    double = layer.double()(x.double())
    assert double.dtype == torch.float64
    torch.testing.assert_close(double.float(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_blocks_shapes(factor: int) -> None:
    x = torch.randn(1, 5, 6, 7)
    assert SubpixelConv(5, 4, factor)(x).shape == (1, 4, 6 * factor, 7 * factor)
    assert ResidualBlockUp(5, 4, factor)(x).shape == (1, 4, 6 * factor, 7 * factor)
    assert ResidualBlockDown(5, 4, factor)(x).shape == (1, 4, -(-6 // factor), -(-7 // factor))
    assert ParameterNet(5, 3, (3, 1, 1), hidden=(6, 4))(x).shape == (1, 3, 6, 7)


@pytest.mark.parametrize("channels", [8, 12, 16])
def test_strided_skip_is_a_strided_convolution(channels: int) -> None:
    """Same values and gradients as conv1 with a stride, computed in NCHW where torch's own is sound."""
    skip = blocks.skip_connection(channels, channels, 2)
    assert isinstance(skip, nn.Sequential)
    x = torch.randn(2, channels, 17, 12, requires_grad=True)
    ours = skip(x.contiguous(memory_format=torch.channels_last))
    plain = nn.functional.conv2d(x, skip[1].weight, skip[1].bias, stride=2)
    torch.testing.assert_close(ours, plain, rtol=1e-5, atol=1e-5)
    weights = [x, *skip.parameters()]
    for a, b in zip(
        torch.autograd.grad(ours.square().sum(), weights),
        torch.autograd.grad(plain.square().sum(), weights),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


def _is_unsafe(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d) and set(module.kernel_size) == {1} and max(module.stride) > 1


def test_no_1x1_convolution_has_a_stride() -> None:
    """Its backward pass corrupts memory (`skip_connection`): not in any layer or network, not in any source line."""
    assert _is_unsafe(nn.Conv2d(8, 8, 1, 2))
    with torch.device("meta"):
        layers: list[nn.Module] = [WaveletConv(4, 6, 2), WaveletConv(4, 4, 3), ResidualBlockDown(3, 8, 2)]
        layers += [WaveletConv(4, 6, 2, transposed=True), *(network_named(name) for name in PUBLISHED)]
        layers += [Network(config) for config in DEFAULT_CONFIGS.values()]
    assert not [module for layer in layers for module in layer.modules() if _is_unsafe(module)]
    with pytest.raises(UsageError, match="Subsample"):
        blocks.conv(8, 8, 1, 2)
    package = Path(blocks.__file__).parents[1]
    for path in package.rglob("*.py"):
        text = path.read_text()
        tree = ast.walk(ast.parse(text)) if "Conv2d(" in text else ()
        for call in (node for node in tree if isinstance(node, ast.Call)):
            given = dict(enumerate(call.args))
            named = {keyword.arg: keyword.value for keyword in call.keywords}
            kernel, stride = named.get("kernel_size", given.get(2)), named.get("stride", given.get(3))
            if ast.unparse(call.func).endswith("Conv2d") and isinstance(kernel, ast.Constant) and kernel.value == 1:
                assert stride is None or ast.unparse(stride) == "1", f"{path.name}:{call.lineno}"


def test_residual_blocks_with_silent_convolutions_pass_the_skip() -> None:
    x = torch.randn(1, 4, 5, 5)
    for block in (ResidualBlock(4, 4), ResidualBlockDown(4, 4, 1)):
        nn.init.zeros_(block.second.weight)
        nn.init.zeros_(block.second.bias)
        assert torch.equal(block(x), x)


@pytest.mark.parametrize(
    "arguments",
    [
        {"in_channels": 0},
        {"stride": 0},
        {"levels": -1},
        {"channel_levels": -1},
        {"wavelet": "db4"},
        {"high_kernel": 2},
    ],
)
def test_wrong_arguments(arguments: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="; "):
        WaveletConv(**({"in_channels": 2, "out_channels": 2} | arguments))


def test_wrong_input() -> None:
    with pytest.raises(UsageError, match=r"expected \(N, 2, H, W\)"):
        WaveletConv(2, 2)(torch.zeros(1, 3, 4, 4))


@pytest.mark.parametrize("module", [attention, blocks, wavelet_conv])
def test_doctests(module: Any) -> None:
    assert doctest.testmod(module).failed == 0
