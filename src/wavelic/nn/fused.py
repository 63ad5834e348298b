"""Convolutions without gradients that do what follows them in the same pass over memory.

Where feature maps are larger than the caches, a LeakyReLU or a sum costs as much as a tenth of the convolution before
it.  oneDNN does either while it writes its results, by operations that torch has for its compiler; where they are
missing the same is done one after the other.  In float32 the results are the same numbers, in bfloat16 they are rounded
once less.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, leaky_relu


def conv(layer: nn.Conv2d, x: Tensor, slope: float | None = None) -> Tensor:
    """Convolve, and apply a LeakyReLU if there is a ``slope``.

    Args:
        layer: a convolution with zero padding.
        x: (N, C, h, w), channels last.
        slope: of negative values; None: no LeakyReLU.

    Returns:
        (N, C', h', w'), without gradient.
    """
    if not _usable(x):
        found: Tensor = layer(x)
        return found if slope is None else leaky_relu(found, slope, inplace=True)
    kind, scalars = ("none", []) if slope is None else ("leaky_relu", [slope])
    result: Tensor = torch.ops.mkldnn._convolution_pointwise(x, *_arguments(layer), kind, scalars, "")
    return result


def conv_relu(x: Tensor, weight: Tensor) -> Tensor:
    """Convolve without padding and bias, and set negative values to zero.

    Args:
        x: (N, C, h, w), channels last.
        weight: (C', C, K, L).

    Returns:
        (N, C', h - K + 1, w - L + 1), without gradient.
    """
    if not _usable(x):
        return conv2d(x, weight).relu_()
    numbers = [0, 0], [1, 1], [1, 1], 1
    result: Tensor = torch.ops.mkldnn._convolution_pointwise(x, weight, None, *numbers, "relu", [], "")
    return result


def add_conv(total: Tensor, layer: nn.Conv2d, x: Tensor) -> Tensor:
    """Add the convolution of ``x`` to ``total``, which is changed, and return it; see `conv`."""
    if not _usable(x):
        return total.add_(layer(x))
    add = torch.ops.mkldnn._convolution_pointwise_.binary
    result: Tensor = add(total, x, *_arguments(layer), "add", 1.0, None, [], "")
    return result


def _arguments(layer: nn.Conv2d) -> tuple[object, ...]:
    numbers = (list(values) for values in (layer.padding, layer.stride, layer.dilation))
    return (layer.weight, layer.bias, *numbers, layer.groups)


def _usable(x: Tensor) -> bool:
    if x.device.type != "cpu" or torch.is_grad_enabled() or not torch.backends.mkldnn.enabled:
        return False
    return _works(x.dtype)


@cache
def _works(dtype: torch.dtype) -> bool:
    """Whether this torch has the operations, and they do what is expected of them."""
    layer = nn.Conv2d(8, 8, 1).to(dtype)
    x = torch.linspace(-2, 2, 8 * 16).view(1, 8, 4, 4).to(dtype).contiguous(memory_format=torch.channels_last)
    try:
        with torch.no_grad():
            plain = layer(x)
            fused = torch.ops.mkldnn._convolution_pointwise(x, *_arguments(layer), "leaky_relu", [0.1], "")
            total = torch.ops.mkldnn._convolution_pointwise_.binary(
                x.clone(), x, *_arguments(layer), "add", 1.0, None, [], ""
            )
            return torch.allclose(fused, leaky_relu(plain, 0.1), atol=0.05) and torch.allclose(
                total, x + plain, atol=0.05
            )
    except (AttributeError, RuntimeError, TypeError):
        return False
