"""Wavelet layers under torch.compile and torch.export, autocast, channels_last, and with deterministic gradients."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

from wavelic.nn import WaveletConv, WTConv2d
from wavelic.nn.traced import analyze, synthesize
from wavelic.wavelets import dwt2

LAYERS = {
    "down": lambda: WaveletConv(4, 8, 2, levels=1),
    "up": lambda: WaveletConv(4, 3, 2, wavelet="9/7", transposed=True, levels=1, channel_levels=0, high_kernel=3),
    "deep": lambda: WaveletConv(4, 6, wavelet="9/7"),
    "public": lambda: WTConv2d(4, 4, 5, wt_levels=2),
    "depthwise": lambda: WTConv2d(4, 4, 3, 2, wt_levels=1, wt_type="5/3"),
}


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)


@pytest.mark.parametrize("wavelet", ["haar", "5/3", "9/7"])
@pytest.mark.parametrize("size", [(2, 2), (8, 6), (4, 10)])
def test_the_traced_transforms_are_those_of_the_package(wavelet: str, size: tuple[int, int]) -> None:
    x = torch.randn(2, 3, *size, dtype=torch.float64)
    low, bands = analyze(x, wavelet)
    expected = dwt2(x, wavelet)
    torch.testing.assert_close(low, expected.low)
    for name in ("lh", "hl", "hh"):
        torch.testing.assert_close(getattr(bands, name), getattr(expected.levels[0], name))
    torch.testing.assert_close(synthesize(low, bands, wavelet), x)


def gradients(layer: nn.Module, run: object, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    layer.zero_grad()
    x = x.clone().requires_grad_()
    y = run(x)  # type: ignore[operator]
    y.square().sum().backward()
    return y.detach(), x.grad, *(parameter.grad.clone() for parameter in layer.parameters())


@pytest.mark.parametrize("name", ["down", "up", "public", "depthwise"])
def test_compiled_layers_give_the_same_results_and_gradients(name: str) -> None:
    """As one graph without breaks.  The backend stops before a C++ compiler, which a reader's machine may lack."""
    layer, x = LAYERS[name](), torch.randn(2, 4, 9, 14)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    for got, expected in zip(gradients(layer, compiled, x), gradients(layer, layer, x), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", LAYERS)
def test_one_exported_program_is_for_any_size(name: str) -> None:
    """Odd and even sides, and more pictures, in a program that was traced with none of them."""
    layer, free = LAYERS[name]().eval(), torch.export.Dim.AUTO
    program = torch.export.export(layer, (torch.zeros(2, 4, 45, 67),), dynamic_shapes=({0: free, 2: free, 3: free},))
    run = program.module()
    for count, *size in ((1, 48, 64), (3, 46, 33), (1, 17, 19), (2, 45, 67), (1, 32, 128)):
        x = torch.randn(count, 4, *size)
        torch.testing.assert_close(run(x), layer(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", LAYERS)
def test_autocast_channels_last_and_determinism(name: str) -> None:
    layer, x = LAYERS[name](), torch.randn(2, 4, 12, 10)
    expected = layer(x)
    torch.testing.assert_close(layer(x.to(memory_format=torch.channels_last)), expected, rtol=1e-5, atol=1e-6)
    with torch.autocast("cpu", torch.bfloat16):
        low_precision = layer(x)
    torch.testing.assert_close(low_precision.float(), expected, rtol=0.1, atol=0.1)
    torch.use_deterministic_algorithms(True)
    try:
        first, second = gradients(layer, layer, x), gradients(layer, layer, x)
    finally:
        torch.use_deterministic_algorithms(False)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_the_layers_come_without_the_codecs() -> None:
    code = "import sys, wavelic.nn; print(*{n.split('.')[1] for n in sys.modules if n.startswith('wavelic.')})"
    rooms = set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())
    assert "nn" in rooms
    assert not rooms & {"api", "codec", "entropy", "images", "training", "weconvene", "lifting", "wcae", "threedm"}
