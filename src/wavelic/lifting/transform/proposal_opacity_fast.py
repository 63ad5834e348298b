"""A proposal-opacity network without gradients, in float32, or in bfloat16 where the processor multiplies it faster.

Opacities are smooth and proposals are small beside the samples they correct, so eight bits of mantissa cost a few
hundredths of a gray level.  A convolution here gives the same bits for a sample wherever a window begins, so windows
still equal crops.  Filters of few inputs run over shifted rows as channels, which is up to twice as fast.

bfloat16 does not forgive differences: where an input lies between two of its numbers the last bit of a float32 decides
which one it becomes, and that is 0.4 % of it.  `LiftingTransform.deploy` says which levels can afford that.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from wavelic.lifting.transform.proposal_opacity import OFFSET, ProposalOpacity, ResidualBlock
from wavelic.nn.fused import conv_relu


def half_is_fast() -> bool:
    """Whether this processor has instructions for products of bfloat16."""
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(capabilities.get(name) is True for name in ("avx512_bf16", "amx_bf16"))


def fast_operator(operator: ProposalOpacity, dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
    """``operator.forward`` with its weights as they are now: (B, inputs, H + 2r, W + 2r) -> (B, outputs, H, W)."""

    def packed(weight: Tensor) -> Tensor:
        return weight.detach().to(dtype).contiguous(memory_format=torch.channels_last)

    shape = operator.shape
    kernel: Tensor = operator.first.weight
    if shape.zero_sum_input:
        kernel = kernel - kernel.mean((-3, -2, -1), keepdim=True)
    first, last = packed(_by_rows(kernel)), packed(operator.last.weight)
    residual = [block for block in operator.blocks if isinstance(block, ResidualBlock)]
    blocks = [(packed(block.first.weight), packed(block.second.weight)) for block in residual]
    taps = operator.proposals()
    single, phases = shape.inputs == 1, _columns_at_once(shape.outputs * shape.channels, shape.support)
    taps = packed(_by_column(_by_rows(taps) if single else taps, phases))
    # sums over the channels of an output, as a convolution with ones
    sums = torch.block_diag(*torch.ones(operator.outputs, 1, shape.channels, device=taps.device))
    pick = packed(sums[:, :, None, None])

    def run(x: Tensor) -> Tensor:
        x = x.to(dtype).contiguous(memory_format=torch.channels_last)
        width = x.shape[-1] - shape.support + 1
        wide = functional.pad(x, (0, -width % phases)) if width % phases else x
        wide = functional.conv2d(_rows(wide, shape.support) if single else wide, taps, stride=(1, phases))
        proposals = _together(wide, phases)[..., :width]
        maps = conv_relu(_rows(x, shape.first), first)
        for inner, outer in blocks:
            inside = functional.conv2d(conv_relu(maps, inner), outer)
            maps = inside.add_(maps[..., 2:-2, 2:-2]).relu_()
        evidence = conv_relu(maps, last).add_(OFFSET)
        share = functional.conv2d(evidence, pick).float()
        return functional.conv2d(evidence.mul_(proposals), pick).float().div_(share)

    return run


def _by_rows(weight: Tensor) -> Tensor:
    """Filters (O, I, K, K) for `_rows`: (O, K * I, 1, K)."""
    return weight.transpose(1, 2).flatten(1, 2).unsqueeze(2)


def _columns_at_once(outputs: int, side: int) -> int:
    """How many neighbouring columns a filter of that many outputs and that width finds cheapest at once: 1 or 3.

    Outputs are counted in sixteens; finding several columns needs taps for the columns all of them see.
    """
    return min((1, 3), key=lambda phases: -(-phases * outputs // 16) * (side + phases - 1) / phases)


def _by_column(weight: Tensor, phases: int) -> Tensor:
    """Filters (O, I, R, K) for every phases-th column, (phases * O, I, R, K + phases - 1): column by column."""
    return torch.cat([functional.pad(weight, (phase, phases - 1 - phase)) for phase in range(phases)])


def _together(x: Tensor, phases: int) -> Tensor:
    """What `_by_column` filters find, (B, phases * O, H, W), as (B, O, H, phases * W); a view in channels_last."""
    batch, _, height, width = x.shape
    return x.permute(0, 2, 3, 1).reshape(batch, height, width * phases, -1).permute(0, 3, 1, 2)


def _rows(x: Tensor, side: int) -> Tensor:
    """(B, I, H, W) -> (B, side * I, H - side + 1, W): every row with the ``side - 1`` rows below it as channels."""
    height = x.shape[-2] - side + 1
    return torch.cat([x[:, :, k : k + height] for k in range(side)], 1).contiguous(memory_format=torch.channels_last)
