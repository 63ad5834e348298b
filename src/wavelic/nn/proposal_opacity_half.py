"""A proposal-opacity network without gradients, in bfloat16 where the processor multiplies it twice as fast.

Opacities are smooth and proposals are small beside the samples they correct, so eight bits of mantissa cost a few
hundredths of a grey level.  A convolution here gives the same bits for a sample wherever a window begins, so windows
still equal crops.  Filters of few
inputs run over shifted rows as channels, which is up to twice as fast.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from wavelic.nn.proposal_opacity import OFFSET, ProposalOpacity, ResidualBlock


def half_is_fast() -> bool:
    """Whether this processor has instructions for products of bfloat16."""
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(capabilities.get(name) is True for name in ("avx512_bf16", "amx_bf16"))


def half_operator(operator: ProposalOpacity) -> Callable[[Tensor], Tensor]:
    """``operator.forward`` with its weights as they are now: (B, inputs, H + 2r, W + 2r) -> (B, outputs, H, W)."""
    shape = operator.shape
    kernel: Tensor = operator.first.weight
    if shape.zero_sum_input:
        kernel = kernel - kernel.mean((-3, -2, -1), keepdim=True)
    first, last = _by_rows(kernel), _half(operator.last.weight)
    residual = [block for block in operator.blocks if isinstance(block, ResidualBlock)]
    blocks = [(_half(block.first.weight), _half(block.second.weight)) for block in residual]
    taps = operator.proposals()
    taps = _by_rows(taps) if shape.inputs == 1 else _half(taps)
    # sums over the channels of an output, as a convolution with ones
    sums = torch.block_diag(*torch.ones(operator.outputs, 1, shape.channels, device=taps.device))
    pick = _half(sums[:, :, None, None])

    def run(x: Tensor) -> Tensor:
        x = x.to(torch.bfloat16).contiguous(memory_format=torch.channels_last)
        proposals = functional.conv2d(_rows(x, shape.support) if shape.inputs == 1 else x, taps)
        maps = functional.conv2d(_rows(x, shape.first), first).relu_()
        for inner, outer in blocks:
            inside = functional.conv2d(functional.conv2d(maps, inner).relu_(), outer)
            maps = inside.add_(maps[..., 2:-2, 2:-2]).relu_()
        evidence = functional.conv2d(maps, last).relu_().add_(OFFSET)
        share = functional.conv2d(evidence, pick).float()
        return functional.conv2d(proposals.mul_(evidence), pick).float().div_(share)

    return run


def _half(weight: Tensor) -> Tensor:
    return weight.detach().to(torch.bfloat16).contiguous(memory_format=torch.channels_last)


def _by_rows(weight: Tensor) -> Tensor:
    """Filters (O, I, K, K) for `_rows`: (O, K * I, 1, K)."""
    return _half(weight.transpose(1, 2).flatten(1, 2).unsqueeze(2))


def _rows(x: Tensor, side: int) -> Tensor:
    """(B, I, H, W) -> (B, side * I, H - side + 1, W): every row with the ``side - 1`` rows below it as channels."""
    height = x.shape[-2] - side + 1
    return torch.cat([x[:, :, k : k + height] for k in range(side)], 1).contiguous(memory_format=torch.channels_last)
