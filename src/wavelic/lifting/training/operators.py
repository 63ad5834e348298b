"""Proposal-opacity operators computed for training: the same numbers, gradients at a third of the time.

Three things cost most of a training step on a CPU and are done by hand here:

* the gradient of a wide filter with respect to one input channel: a convolution with one output channel keeps one lane
  of sixteen busy, so blocks of neighbouring samples are computed as channels of a strided convolution;
* the gradient of a residual block's crop, which autograd fills with zeros and adds;
* the opacity branch and the gradient of the wide filters' input, which may run in bfloat16: opacities are smooth
  functions and blend in float32.  The proposals stay in float32, since T_L2H takes small differences of a large low
  band.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from wavelic.lifting.training.oracle import Oracle
from wavelic.lifting.transform.proposal_opacity import OFFSET, ProposalOpacity, ResidualBlock
from wavelic.lifting.transform.transform import LiftingTransform

_WRAPPED = ".operator."


def wide_input_gradient(gradient: Tensor, taps: Tensor) -> Tensor:
    """Gradient of ``conv2d(x, taps)`` with respect to x: (B, o, h, w), (o, i, K, K) -> (B, i, h + K - 1, w + K - 1).

    Input samples come in blocks of s x s; a block needs a window of s + K - 1 samples of the gradient, and its s*s*i
    samples are the output channels of a convolution of stride s.
    """
    outputs, inputs, size, _ = taps.shape
    block = 4 if inputs == 1 else 2
    high, wide = gradient.shape[-2] + size - 1, gradient.shape[-1] + size - 1
    before = -high % block, -wide % block  # computed and dropped, so that whole blocks cover the rest
    window = block + size - 1
    flipped = taps.flip((-2, -1)).transpose(0, 1)
    kernel = taps.new_zeros(block, block, inputs, outputs, window, window)
    for row in range(block):
        for column in range(block):
            kernel[row, column, :, :, row : row + size, column : column + size] = flipped
    kernel = (
        kernel.reshape(-1, outputs, window, window).to(gradient.dtype).contiguous(memory_format=torch.channels_last)
    )
    margins = size - 1 + before[0], size - 1 + before[1]
    blocks = functional.conv2d(gradient, kernel, stride=block, padding=margins)
    rows, columns = (high + before[0]) // block, (wide + before[1]) // block
    blocks = blocks[..., :rows, :columns].unflatten(1, (block, block, inputs))  # (B, r, c, i, rows, columns)
    x = blocks.permute(0, 3, 4, 1, 5, 2).reshape(gradient.shape[0], inputs, rows * block, columns * block)
    return x[..., before[0] :, before[1] :]


def _weight_gradient(gradient: Tensor, x: Tensor, kernel: Tensor) -> Tensor:
    return _gradients(gradient, x, kernel, [False, True, False])[1]


def _input_gradient(gradient: Tensor, x: Tensor, kernel: Tensor) -> Tensor:
    return _gradients(gradient, x, kernel, [True, False, False])[0]


def _gradients(gradient: Tensor, x: Tensor, kernel: Tensor, which: list[bool]) -> tuple[Tensor, ...]:
    result: tuple[Tensor, ...] = torch.ops.aten.convolution_backward(
        gradient, x, kernel, None, [1, 1], [0, 0], [1, 1], False, [0, 0], 1, which
    )
    return result


class _WideConvolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, taps: Tensor, dtype: torch.dtype) -> Tensor:
        ctx.save_for_backward(x, taps)
        ctx.dtype = dtype
        return functional.conv2d(x, taps)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, taps = ctx.saved_tensors
        gradient = gradients[0].contiguous(memory_format=torch.channels_last)
        to_x = wide_input_gradient(gradient.to(ctx.dtype), taps).to(x.dtype) if ctx.needs_input_grad[0] else None
        return to_x, _weight_gradient(gradient, x, taps), None


class _Residual(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, first: Tensor, second: Tensor) -> Tensor:
        inner = functional.conv2d(x, first).relu_()
        out = functional.conv2d(inner, second).add_(x[..., 2:-2, 2:-2]).relu_()
        ctx.save_for_backward(x, inner, out, first, second)
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, inner, out, first, second = ctx.saved_tensors
        gradient = torch.ops.aten.threshold_backward(gradients[0], out, 0)
        to_second = _weight_gradient(gradient, inner, second)
        to_inner = torch.ops.aten.threshold_backward(_input_gradient(gradient, inner, second), inner, 0)
        to_first = _weight_gradient(to_inner, x, first)
        to_x = _input_gradient(to_inner, x, first)
        to_x[..., 2:-2, 2:-2] += gradient
        return to_x, to_first, to_second


class _Blend(torch.autograd.Function):
    """Equation 5: raw opacities before the last ReLU and proposals, (B, G, N, h, w) each, to (B, G, h, w)."""

    @staticmethod
    def forward(ctx: Any, raw: Tensor, proposals: Tensor) -> Tensor:
        evidence = raw.to(proposals.dtype).clamp_(min=0).add_(OFFSET)
        total = evidence.sum(2)
        out = (evidence * proposals).sum(2).div_(total)
        ctx.save_for_backward(evidence, proposals, total, out)
        ctx.dtype = raw.dtype
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        evidence, proposals, total, out = ctx.saved_tensors
        scaled = (gradients[0] / total).unsqueeze(2)
        to_raw = (proposals - out.unsqueeze(2)).mul_(scaled).to(ctx.dtype)
        return to_raw.mul_(evidence > OFFSET), evidence.mul_(scaled)


class TrainedOperator(nn.Module):
    """A `ProposalOpacity` with the gradients of this file; what it computes and its weights are the same."""

    def __init__(self, operator: ProposalOpacity, bfloat16: bool) -> None:
        super().__init__()
        self.operator = operator
        self.radius, self.outputs = operator.radius, operator.outputs
        self.dtype = torch.bfloat16 if bfloat16 else None
        self.kinds: tuple[tuple[str, str], ...] = ()  # rows and columns of each output, for the oracle
        self.oracle: Oracle | None = None

    def forward(self, x: Tensor) -> Tensor:
        """As `ProposalOpacity.forward`."""
        operator = self.operator
        x = x.contiguous(memory_format=torch.channels_last)
        groups = (operator.outputs, operator.shape.channels)
        taps = operator.proposals().contiguous(memory_format=torch.channels_last)
        proposals = _WideConvolution.apply(x, taps, self.dtype or x.dtype)
        proposals = proposals.unflatten(1, groups)
        if self.oracle is not None:
            maps = [self.oracle.at((proposals.shape[-2], proposals.shape[-1]), kinds) for kinds in self.kinds]
            evidence = torch.stack(maps, 1) + OFFSET
            return (evidence * proposals).sum(2) / evidence.sum(2)
        blended: Tensor = _Blend.apply(self.raw(x).unflatten(1, groups), proposals)
        return blended

    def raw(self, x: Tensor) -> Tensor:
        """The opacity branch before its last ReLU: (B, outputs * channels, h, w)."""
        operator = self.operator
        kernel: Tensor = operator.first.weight
        if operator.shape.zero_sum_input:
            kernel = kernel - kernel.mean((-3, -2, -1), keepdim=True)
        dtype = self.dtype or x.dtype
        maps = functional.conv2d(x, kernel).to(dtype).relu_()
        for block in operator.blocks:
            assert isinstance(block, ResidualBlock)
            maps = _Residual.apply(maps, _cast(block.first.weight, dtype), _cast(block.second.weight, dtype))
        return functional.conv2d(maps, _cast(operator.last.weight, dtype))


def _cast(weight: Tensor, dtype: torch.dtype) -> Tensor:
    return weight.to(dtype).contiguous(memory_format=torch.channels_last)


# What an operator's outputs are, by its name in its level; the numbers are those of three operators side by side.
_DETAILS = ("low", "high"), ("high", "low"), ("high", "high")
_KINDS: dict[str, tuple[tuple[str, str], ...]] = {
    "high_to_low": (("low", "low"),),
    "low_to_high": _DETAILS,
    **{str(number): (kinds,) for number, kinds in enumerate(_DETAILS)},
    "predict_vertical": (("high", "full"),),
    "update_vertical": (("low", "full"),),
}


def use_trained_operators(transform: LiftingTransform, bfloat16: bool) -> LiftingTransform:
    """Replace every proposal-opacity operator of ``transform`` by its `TrainedOperator`; the others stay."""
    for module in list(transform.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, ProposalOpacity) and not isinstance(module, TrainedOperator):
                operator = TrainedOperator(child, bfloat16)
                operator.kinds = _KINDS.get(name, ())
                setattr(module, name, operator)
    return transform


def trained_operators(transform: LiftingTransform) -> list[TrainedOperator]:
    """The `TrainedOperator` modules inside ``transform``."""
    return [module for module in transform.modules() if isinstance(module, TrainedOperator)]


def freeze_first_proposals(transform: LiftingTransform) -> None:
    """Make the first proposal of every output the operator's base filter, and keep it there."""
    for operator in trained_operators(transform):
        taps = operator.operator.taps
        channels = operator.operator.shape.channels
        mask = (torch.arange(len(taps)) % channels != 0).to(taps.dtype).view(-1, 1, 1, 1)
        with torch.no_grad():
            taps.mul_(mask)
        taps.register_hook(lambda gradient, mask=mask: gradient * mask.to(gradient.device))


def plain_state(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a transform with `TrainedOperator` under the names they have without."""
    return {name.replace(_WRAPPED, "."): value for name, value in state.items()}
