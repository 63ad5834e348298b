"""ResNet-18 and ResNet-34 for pictures of 32 x 32 (He, Zhang, Ren and Sun, CVPR 2016, with a 3x3 stem for CIFAR).

    conv3 -> 4 stages of residual blocks, the first of stages 2, 3 and 4 with stride 2 -> mean over the map -> linear

With 100 classes and a width of 64, ResNet-18 has 11.22 million parameters and ResNet-34 21.33 million.  3DM-WeConvene,
section IV-G.2, replaces the strided 3x3 convolutions: three layers in either network.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from applications.arms import layer_options
from wavelic.nn import replace_strided
from wavelic.nn.blocks import Subsample

#: Residual blocks in each stage.
DEPTHS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}


class BasicBlock(nn.Module):
    """Residual block: two 3x3 convolutions with batch normalisation; a 1x1 convolution as skip where shapes change.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        stride: 1 or 2.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False)
        self.first_norm = nn.BatchNorm2d(out_channels)
        self.second = nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False)
        self.second_norm = nn.BatchNorm2d(out_channels)
        self.skip = nn.Sequential()
        if stride > 1 or in_channels != out_channels:
            projection = nn.Conv2d(in_channels, out_channels, 1, bias=False)
            self.skip = nn.Sequential(Subsample(stride), projection, nn.BatchNorm2d(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        """Compute (N, in, H, W) -> (N, out, ceil(H / stride), ceil(W / stride))."""
        y = relu(self.first_norm(self.first(x)), inplace=True)
        return relu(self.second_norm(self.second(y)) + self.skip(x), inplace=True)


class ResNet(nn.Module):
    """ResNet for small pictures.

    Args:
        depth: 18 or 34.
        width: channels of the first stage, 64 as published; the others have 2, 4 and 8 times as many.
        classes: number of classes.
        arm: "plain", "wavelet" or "twin", see `applications.arms`.
    """

    def __init__(self, depth: int = 18, width: int = 64, classes: int = 100, arm: str = "plain") -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
        )
        stages, channels = [], width
        for number, blocks in enumerate(DEPTHS[depth]):
            wider = width << number
            stage = [BasicBlock(channels, wider, 1 if number == 0 else 2)]
            stage += [BasicBlock(wider, wider, 1) for _ in range(blocks - 1)]
            stages.append(nn.Sequential(*stage))
            channels = wider
        self.stages = nn.Sequential(*stages)
        self.classify = nn.Linear(channels, classes)
        if (options := layer_options(arm)) is not None:
            replace_strided(self, **options)

    def forward(self, x: Tensor) -> Tensor:
        """Compute logits.

        Args:
            x: (N, 3, H, W), standardised.

        Returns:
            (N, classes).
        """
        return self.classify(torch.mean(self.stages(self.stem(x)), (2, 3)))
