"""Operators as the paper sizes them: F18, and T_L2H as three separate networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from wavelic.lifting.transform.proposal_opacity import OperatorShape, ProposalOpacity


class SideBySide(nn.Module):
    """Operators of one radius that read the same input, their outputs concatenated: T_L2H as three separate nets."""

    def __init__(self, operators: Sequence[ProposalOpacity]) -> None:
        super().__init__()
        self.operators = nn.ModuleList(operators)
        self.radius = operators[0].radius
        self.outputs = sum(operator.outputs for operator in operators)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H + 2 radius, W + 2 radius) -> (B, outputs, H, W)."""
        return torch.cat([operator(x) for operator in self.operators], 1)


def f18(inputs: int, channels: int, *, last: int = 5, compact: bool = False) -> OperatorShape:
    """Sizes fitted to the paper's table III: width 18, N inside the blocks, 5x5 ends and 3 blocks (compact: 3x3, 2)."""
    shape = OperatorShape(inputs, 1, channels, 18, channels, blocks=3, first=5, last=last)
    return replace(shape, blocks=2, first=3, last=min(last, 3)) if compact else shape
