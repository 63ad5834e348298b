"""The two operator topologies the proposal-opacity network is compared with.

iWave: Ma et al., *iWave: CNN-based wavelet-like transform for image compression* (IEEE TMM 2019).  iWave++: Ma et al.,
*End-to-end optimized versatile image compression with wavelet-like transform* (IEEE TPAMI 2020).  Written from the
layer tables; convolutions are "valid" and the caller extends the input, as for `ProposalOpacity`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

_IWAVE_STD = 0.01  # of all initial weights
_STEM, _BOTTLENECK, _GROWTH, _DENSE_LAYERS = 24, 48, 12, 4
_P_BLOCK_WIDTH = 16


class IWaveOperator(nn.Module):
    """The dense predictor of iWave: 3x3 stem, four dense layers, 1x1 head; tanh, no biases, 29,088 weights."""

    radius = 1 + _DENSE_LAYERS
    outputs = 1

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, _STEM, 3, bias=False)
        widths = [_STEM + _GROWTH * layer for layer in range(_DENSE_LAYERS)]
        self.narrow = nn.ModuleList(nn.Conv2d(width, _BOTTLENECK, 1, bias=False) for width in widths)
        self.grow = nn.ModuleList(nn.Conv2d(_BOTTLENECK, _GROWTH, 3, bias=False) for _ in widths)
        self.head = nn.Conv2d(_STEM + _GROWTH * _DENSE_LAYERS, 1, 1, bias=False)
        for convolution in (m for m in self.modules() if isinstance(m, nn.Conv2d)):
            nn.init.normal_(convolution.weight, std=_IWAVE_STD)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 1, H + 10, W + 10) -> (B, 1, H, W)."""
        x = self.stem(x)
        for narrow, grow in zip(self.narrow, self.grow, strict=True):
            grown = grow(torch.tanh(narrow(torch.tanh(x))))
            x = torch.cat([x[..., 1:-1, 1:-1], grown], 1)
        return self.head(torch.tanh(x))


class PBlock(nn.Module):
    """The predictor of iWave++: four 3x3 convolutions with biases, tanh, one skip; 4,945 parameters."""

    radius = 4
    outputs = 1

    def __init__(self) -> None:
        super().__init__()
        width = _P_BLOCK_WIDTH
        self.first = nn.Conv2d(1, width, 3)
        self.second = nn.Conv2d(width, width, 3)
        self.third = nn.Conv2d(width, width, 3)
        self.last = nn.Conv2d(width, 1, 3)
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            else:
                nn.init.xavier_normal_(parameter)
        nn.init.normal_(self.last.weight, std=_IWAVE_STD)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 1, H + 8, W + 8) -> (B, 1, H, W)."""
        first = self.first(x)
        x = self.third(torch.tanh(self.second(torch.tanh(first))))
        return self.last(x + first[..., 2:-2, 2:-2])
