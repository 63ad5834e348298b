"""Networks of `wavelic.threedm.entropy`, in floats or in 8-bit integers: attention, parameter nets, hyper-synthesis.

Layers whose results are added to each other share one unit; what enters other networks beside features of decoded
values is in units of 1/32, as those are.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle

from wavelic.nn.exact import LIMIT, Conv, QuantConv2d
from wavelic.threedm.config import Config

#: Exponent of the unit of what enters a network: 1/32.
SHARED = 5
#: Exponent of the unit of a gate, 1/256: its largest value is 255/256.
_GATE = 8


class Residual(nn.Module):
    """relu(x + last(... first(x))): a residual block or a bottleneck unit.

    Args:
        *layers: convolutions with ReLU; the last one adds ``x`` before its own.
    """

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Tensor:
        """Compute (N, C, H, W) -> the same shape; the memory of ``x`` may be reused."""
        y = x
        for layer in self.layers[:-1]:
            y = layer(y)
        result: Tensor = self.layers[-1](y, x)
        return result


def residual_block(width: int, layer: Conv) -> Residual:
    """Make a residual block of two 3x3 convolutions."""
    return Residual(layer(width, width, 3), layer(width, width, 3))


def bottleneck_unit(width: int, layer: Conv) -> Residual:
    """Make a bottleneck unit: 1x1, 3x3 and 1x1 convolutions, half the width inside."""
    inner = max(1, width // 2)
    return Residual(layer(width, inner), layer(inner, inner, 3), layer(inner, width))


class Attention(nn.Module):
    """Gated residual module: relu(conv1(relu(t + trunk(t) * gate(t)))) with t = relu(conv1(x)) and gate in 0..1.

    The gate is the clipped line min(255/256, relu(conv1 + 1/2 at first)) in place of a sigmoid, so that product and sum
    are whole numbers of one unit after one rounding.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        width: channels of t.
        blocks: residual blocks in the gate.
        units: bottleneck units in the trunk, and as many in the gate.
        layer: `QuantConv2d` or `ExactConv2d`.
    """

    def __init__(self, in_channels: int, out_channels: int, width: int, blocks: int, units: int, layer: Conv) -> None:
        super().__init__()
        self.enter = layer(in_channels, width)
        self.trunk = nn.Sequential(*(bottleneck_unit(width, layer) for _ in range(units)))
        gate_blocks = [residual_block(width, layer) for _ in range(blocks)]
        gate_units = [bottleneck_unit(width, layer) for _ in range(units)]
        self.gate = nn.Sequential(*gate_blocks, *gate_units)
        self.gate_out = layer(width, width)
        self.leave = layer(width, out_channels)
        if isinstance(self.gate_out, QuantConv2d):
            assert self.gate_out.bias is not None
            nn.init.constant_(self.gate_out.bias, 0.5)

    def forward(self, x: Tensor) -> Tensor:
        """Compute (N, in, H, W) -> (N, out, H, W), not negative."""
        t = self.enter(x)
        trunk, gate = self.trunk(t.clone()), self.gate_out(self.gate(t.clone()))
        result: Tensor = self.leave(self._gated(t, trunk, gate))
        return result

    def _gated(self, t: Tensor, trunk: Tensor, gate: Tensor) -> Tensor:
        """Sum t + trunk * gate: one rounding, half up, to the unit of t and trunk."""
        if not t.is_floating_point():
            product = (trunk.to(torch.int32) * gate + (1 << (_GATE - 1))) >> _GATE
            return (product + t).clamp_(max=LIMIT).to(torch.uint8)
        y = t + trunk * gate.clamp(max=LIMIT / 2**_GATE)
        if isinstance(self.enter, QuantConv2d) and self.enter.quantised:
            unit = torch.exp2(self.enter.exponents[1].float())
            y = torch.minimum(y, (LIMIT / unit).to(y.dtype))
            y = y + (torch.floor(y.detach() * unit + 0.5) / unit - y.detach())
        return y

    def set_exponents(self, outputs: dict[nn.Module, int]) -> None:
        """Set the units of all layers, see `EntropyModel.set_exponents`."""
        stream = [*self.trunk, *self.gate]
        shared = _set_stream(self.enter, stream, outputs)
        _set(self.enter, SHARED, shared)
        _set(self.gate_out, shared, _GATE)
        _set(self.leave, shared, SHARED)


class ParameterLayers(nn.Sequential):
    """Three convolutions: the parameter nets and the LRP of a slice; ends in zeros before training.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernels: the three kernel sizes.
        hidden: widths after the first and second convolution.
        layer: `QuantConv2d` or `ExactConv2d`.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernels: Sequence[int], hidden: tuple[int, int], layer: Conv
    ) -> None:
        last = layer(hidden[1], out_channels, kernels[2], relu=False)
        for parameter in last.parameters():
            nn.init.zeros_(parameter)
        super().__init__(layer(in_channels, hidden[0], kernels[0]), layer(hidden[0], hidden[1], kernels[1]), last)

    def set_exponents(self, outputs: dict[nn.Module, int]) -> None:
        """Set the units of all layers, see `EntropyModel.set_exponents`."""
        _set_chain(list(self), SHARED, SHARED, outputs)


class HyperSynthesis(nn.Module):
    """h_s: features of z at 1/64 to features at 1/16: sub-pixel convolution, residual blocks, sub-pixel convolution.

    Args:
        config: sizes.
        layer: `QuantConv2d` or `ExactConv2d`.
    """

    def __init__(self, config: Config, layer: Conv) -> None:
        super().__init__()
        width = config.width
        self.enter = layer(2 * config.hyper + 1, 4 * width, 3)
        self.blocks = nn.Sequential(*(residual_block(width, layer) for _ in range(config.hyper_blocks)))
        self.leave = layer(width, 4 * config.latent, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Compute (N, 2 * hyper + 1, h, w) -> (N, latent, 4 h, 4 w), not negative."""
        y = self.blocks(pixel_shuffle(self.enter(x), 2).contiguous(memory_format=torch.channels_last))
        return pixel_shuffle(self.leave(y), 2).contiguous(memory_format=torch.channels_last)

    def set_exponents(self, outputs: dict[nn.Module, int]) -> None:
        """Set the units of all layers, see `EntropyModel.set_exponents`."""
        shared = _set_stream(self.enter, list(self.blocks), outputs)
        _set(self.enter, SHARED, shared)
        _set(self.leave, shared, SHARED)


def _set(layer: nn.Module, inputs: int, output: int) -> None:
    assert isinstance(layer, QuantConv2d)
    layer.exponents[0], layer.exponents[1] = inputs, output


def _set_chain(chain: Sequence[nn.Module], inputs: int, output: int, outputs: dict[nn.Module, int]) -> None:
    """Units of layers behind each other: each one's output is the next one's input."""
    units = [inputs, *(outputs[layer] for layer in chain[:-1]), output]
    for layer, (before, after) in zip(chain, pairwise(units), strict=True):
        _set(layer, before, after)


def _set_stream(enter: nn.Module, blocks: Sequence[nn.Module], outputs: dict[nn.Module, int]) -> int:
    """Units of residual blocks behind ``enter``: all that is added up has the coarsest of its units, returned."""
    chains = [list(block.layers) for block in blocks if isinstance(block, Residual)]
    shared = min(outputs[layer] for layer in (enter, *(chain[-1] for chain in chains)))
    for chain in chains:
        _set_chain(chain, shared, shared, outputs)
    return shared
