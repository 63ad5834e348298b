"""UperNet-50 (Xiao, Liu, Zhou, Jiang and Sun, *Unified perceptual parsing for scene understanding*, ECCV 2018).

    ResNet-50: 7x7 stem and pooling (1/4), stages of 3, 4, 6, 3 bottlenecks at 1/4, 1/8, 1/16, 1/32
    pyramid pooling of the last stage: means over 1, 2, 3 and 6 parts of the map each way, beside the map itself
    feature pyramid: every stage to the same width, summed from coarse to fine, a 3x3 convolution of each
    all four at 1/4 together: 3x3 convolution, dropout, 1x1 convolution to classes, interpolated to the input's size

With 150 classes, a width of 64 and 512 channels in the pyramid there are 64.1 million parameters (no auxiliary head).
3DM-WeConvene, section IV-G.3, replaces "the downsampling modules": here the strided convolutions that are not skips,
the stem and one in each of the stages 2, 3 and 4.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, interpolate, relu

from applications.arms import layer_options
from wavelic.nn import replace_strided
from wavelic.nn.blocks import Subsample

DEPTHS = (3, 4, 6, 3)  # bottlenecks in each stage of ResNet-50
EXPANSION = 4  # channels of a bottleneck's output over those inside
PARTS = (1, 2, 3, 6)  # of the pyramid pooling
DROPOUT = 0.1


def conv_norm_relu(in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Make a convolution without bias, batch normalisation, ReLU."""
    convolution = nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True))


class Bottleneck(nn.Module):
    """1x1, 3x3 (with the stride) and 1x1 convolution with batch normalisation, plus the skip.

    Args:
        in_channels: channels of the input.
        inner: channels inside; the output has four times as many.
        stride: 1 or 2.
    """

    def __init__(self, in_channels: int, inner: int, stride: int) -> None:
        super().__init__()
        out_channels = EXPANSION * inner
        self.body = nn.Sequential(
            *conv_norm_relu(in_channels, inner, 1),
            *conv_norm_relu(inner, inner, 3, stride),
            *conv_norm_relu(inner, out_channels, 1)[:2],
        )
        self.skip = nn.Sequential()
        if stride > 1 or in_channels != out_channels:
            self.skip = nn.Sequential(Subsample(stride), *conv_norm_relu(in_channels, out_channels, 1)[:2])

    def forward(self, x: Tensor) -> Tensor:
        """Compute (N, in, H, W) -> (N, 4 inner, ceil(H / stride), ceil(W / stride))."""
        return relu(self.body(x) + self.skip(x), inplace=True)


class Backbone(nn.Module):
    """ResNet-50 without its classifier.

    Args:
        width: channels of the stem, 64 as published.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.stem = conv_norm_relu(3, width, 7, 2)
        self.pool = nn.MaxPool2d(3, 2, 1)
        stages, channels = [], width
        for number, blocks in enumerate(DEPTHS):
            inner = width << number
            stage = [Bottleneck(channels, inner, 1 if number == 0 else 2)]
            channels = EXPANSION * inner
            stage += [Bottleneck(channels, inner, 1) for _ in range(blocks - 1)]
            stages.append(nn.Sequential(*stage))
        self.stages = nn.ModuleList(stages)
        self.widths = [EXPANSION * width << number for number in range(len(DEPTHS))]

    def forward(self, x: Tensor) -> list[Tensor]:
        """Compute the maps after each stage, finest first."""
        maps = [self.pool(self.stem(x))]
        for stage in self.stages:
            maps.append(stage(maps[-1]))
        return maps[1:]


class PyramidPooling(nn.Module):
    """Means over parts of the map, each mixed by a 1x1 convolution, beside the map; a 3x3 convolution of all.

    Args:
        in_channels: channels of the map.
        channels: of each mean and of the output.
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.mix = nn.ModuleList(conv_norm_relu(in_channels, channels, 1) for _ in PARTS)
        self.fuse = conv_norm_relu(in_channels + len(PARTS) * channels, channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Compute (N, in, H, W) -> (N, channels, H, W)."""
        pooled = [_resized(mix(adaptive_avg_pool2d(x, parts)), x) for mix, parts in zip(self.mix, PARTS, strict=True)]
        return self.fuse(torch.cat((x, *pooled), 1))


class UperNet(nn.Module):
    """Segmentation network: (N, 3, H, W), standardised, to logits (N, classes, H, W); any H and W from 1.

    Args:
        classes: number of classes.
        width: channels of the backbone's stem, 64 as published.
        channels: of the pyramid; 8 times the width as published.
        arm: "plain", "wavelet" or "twin", see `applications.arms`.
    """

    def __init__(self, classes: int = 150, width: int = 64, channels: int | None = None, arm: str = "plain") -> None:
        super().__init__()
        channels = channels or 8 * width
        self.backbone = Backbone(width)
        *finer, coarsest = self.backbone.widths
        self.pooling = PyramidPooling(coarsest, channels)
        self.lateral = nn.ModuleList(conv_norm_relu(width, channels, 1) for width in finer)
        self.smooth = nn.ModuleList(conv_norm_relu(channels, channels, 3) for _ in finer)
        self.fuse = conv_norm_relu(len(DEPTHS) * channels, channels, 3)
        self.classify = nn.Sequential(nn.Dropout2d(DROPOUT), nn.Conv2d(channels, classes, 1))
        if (options := layer_options(arm)) is not None:
            replace_strided(self, **options)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits of every pixel."""
        *finer, coarsest = self.backbone(x)
        coarse = self.pooling(coarsest)
        pyramid = [coarse]
        for lateral, smooth, finer_map in zip(
            reversed(self.lateral), reversed(self.smooth), reversed(finer), strict=True
        ):
            side = lateral(finer_map)
            coarse = side + _resized(coarse, side)
            pyramid.append(smooth(coarse))
        finest = pyramid[-1]
        joined = self.fuse(torch.cat([_resized(level, finest) for level in reversed(pyramid)], 1))
        return _resized(self.classify(joined), x)


def _resized(x: Tensor, like: Tensor) -> Tensor:
    """Interpolate bilinearly to the height and width of another map."""
    return interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)
