"""AttentionNet of the slice coders: a gated residual module.

Zou, Song and Zhang, *The devil is in the details* (CVPR 2022), and Liu, Sun and Katto, *Learned image compression with
mixed transformer-CNN architectures* (CVPR 2023), where the first two blocks of the gate are window attention;
WeConvene and 3DM-WeConvene (figure 6) put two residual blocks there, which removes any constraint on sizes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from wavelic.nn.blocks import ResidualBlock, conv


class BottleneckUnit(nn.Module):
    """Residual bottleneck: relu(x + conv1(relu(conv3(relu(conv1(x)))))), at half the width inside.

    A unit of 128 channels has 53,504 parameters.

    Args:
        channels: C of input and output.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = max(1, channels // 2)
        self.body = nn.Sequential(
            conv(channels, inner, 1),
            nn.ReLU(inplace=True),
            conv(inner, inner, 3),
            nn.ReLU(inplace=True),
            conv(inner, channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Compute (N, C, H, W) -> (N, C, H, W), non-negative."""
        return relu(x + self.body(x))


class AttentionNet(nn.Module):
    """Gated residual module: out = conv1(t + trunk(t) * sigmoid(gate(t))) with t = conv1(x).

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        width: channels of t; 128 in the paper, where the module has 927,872 + 128 in + 128 + 129 out parameters.

    Examples:
        >>> AttentionNet(6, 4, width=8)(torch.zeros(2, 6, 5, 3)).shape
        torch.Size([2, 4, 5, 3])
    """

    def __init__(self, in_channels: int, out_channels: int, width: int = 128) -> None:
        super().__init__()
        self.enter = conv(in_channels, width, 1)
        self.trunk = nn.Sequential(*(BottleneckUnit(width) for _ in range(3)))
        self.gate = nn.Sequential(
            ResidualBlock(width, width),
            ResidualBlock(width, width),
            *(BottleneckUnit(width) for _ in range(3)),
            conv(width, width, 1),
        )
        self.leave = conv(width, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Compute (N, in, H, W) -> (N, out, H, W)."""
        t = self.enter(x)
        return self.leave(torch.addcmul(t, self.trunk(t), torch.sigmoid(self.gate(t))))
