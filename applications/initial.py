"""Initial weights with which signals neither die nor explode: layer-sequential unit variance.

Mishkin and Matas, *All you need is a good init* (ICLR 2016): layer by layer, weights are divided by the deviation of
what the layer gives, and biases are zero.  Here in one pass, since every layer sees what those before it give by then.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

LAYERS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


@torch.no_grad()
def scaled(network: nn.Module, x: Tensor, deviation: float = 1.0) -> Tensor:
    """Scale the weights of every linear layer of a network so that its results have one deviation.

    Args:
        network: with any layers, also inside `WaveletConv`.
        x: an input as the network will see them.
        deviation: of the results.

    Returns:
        What the network then gives.

    Examples:
        >>> layers = nn.Sequential(*(nn.Conv2d(8, 8, 3, padding=1) for _ in range(4)))
        >>> x = torch.randn(2, 8, 16, 16)
        >>> round(float(scaled(layers, x, 0.5).std()), 3), round(float(layers(x).std()), 3)
        (0.5, 0.5)
    """
    linear = [layer for layer in network.modules() if isinstance(layer, LAYERS)]
    handles = [layer.register_forward_hook(partial(_scale, deviation)) for layer in linear]
    try:
        result: Tensor = network(x)
    finally:
        for handle in handles:
            handle.remove()
    return result


def octaves_of_noise(channels: int, side: int = 64) -> Tensor:
    """Two fields (2, channels, side, side) of deviation 1, in each octave of frequencies the same, as of pictures."""
    total = torch.zeros(2, channels, side, side)
    cells = 4
    while cells <= side:
        noise = torch.randn(2, channels, cells, cells)
        total += interpolate(noise, size=(side, side), mode="bilinear", align_corners=False)
        cells *= 2
    return total / total.std()


def _scale(deviation: float, layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
    assert isinstance(layer, LAYERS)
    if layer.bias is not None:
        output = output - (layer.bias if isinstance(layer, nn.Linear) else layer.bias[:, None, None])
        layer.bias.zero_()
    factor = deviation / output.std().clamp_min(1e-6)
    layer.weight.mul_(factor)
    return output * factor
