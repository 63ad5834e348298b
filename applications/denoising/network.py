"""MIRNet-v2 (Zamir et al., *Learning enriched features for fast image restoration*, TPAMI 2023).

    conv3 -> 4 recursive residual groups -> conv3, plus the input
    group:  2 multi-scale residual blocks, conv3, plus the group's input
    block:  three scales, each half as large as the one above and with 1.5 times the channels.
            A residual context block at each; fusion from the bottom up (selective kernels); the same context blocks
            again; fusion again; conv1 of the top scale, plus the block's input

No convolution has a bias.  With 80 channels and grouped convolutions (1, 2, 4, 4 groups in the four residual groups)
there are 5.86 million parameters.  3DM-WeConvene, section IV-G.4, replaces the resampling layers: seven in each block.
Those of MIRNet-v2 have hardly any parameters (average pooling or bilinear interpolation and a 1x1 convolution), so the
network with `WaveletConv` is several times as large: the arms "wavelet" and "twin" are to be compared with each other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, leaky_relu

from applications.arms import layer_options
from wavelic.nn import WaveletConv

SLOPE = 0.2  # of every LeakyReLU
GROUPS = (1, 2, 4, 4)  # of the 3x3 convolutions, by residual group
BLOCKS = 2  # multi-scale blocks in a residual group
#: Makes a layer from channels to channels.
Resample = Callable[[int, int], nn.Module]


def conv(in_channels: int, out_channels: int, kernel: int, groups: int = 1) -> nn.Conv2d:
    """Make a convolution without bias."""
    return nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2, groups=groups, bias=False)


class Down(nn.Sequential):
    """Average pooling to half the size, then a 1x1 convolution; odd sides are rounded up."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(nn.AvgPool2d(2, ceil_mode=True, count_include_pad=False), conv(in_channels, out_channels, 1))


class Up(nn.Module):
    """1x1 convolution, then bilinear interpolation to twice the size."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.mix = conv(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Compute (N, in, H, W) -> (N, out, 2 H, 2 W)."""
        return interpolate(self.mix(x), scale_factor=2.0, mode="bilinear", align_corners=False)


class ContextBlock(nn.Module):
    """Adds to every position the same vector: attention pooling of the map, then two 1x1 convolutions.

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.attend = conv(channels, 1, 1)
        self.first, self.second = conv(channels, channels, 1), conv(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Compute (N, C, H, W) -> (N, C, H, W)."""
        weights = self.attend(x).flatten(2).softmax(2)  # (N, 1, H W)
        context = (x.flatten(2) @ weights.transpose(1, 2))[..., None]  # (N, C, 1, 1)
        return x + self.second(leaky_relu(self.first(context), SLOPE))


class ResidualContextBlock(nn.Module):
    """Two grouped 3x3 convolutions, a context block, LeakyReLU, plus the input.

    Args:
        channels: C.
        groups: of the convolutions.
    """

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.first, self.second = conv(channels, channels, 3, groups), conv(channels, channels, 3, groups)
        self.context = ContextBlock(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Compute (N, C, H, W) -> (N, C, H, W)."""
        y = self.second(leaky_relu(self.first(x), SLOPE))
        return leaky_relu(self.context(y), SLOPE) + x


class SelectiveFusion(nn.Module):
    """Weighted sum of two maps; the weights of each channel come from both maps' means, by a softmax over the maps.

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = max(channels // 8, 4)
        self.squeeze = conv(channels, inner, 1)
        self.select = nn.ModuleList(conv(inner, channels, 1) for _ in range(2))

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:
        """Compute (N, C, H, W) from two of them."""
        summary = leaky_relu(self.squeeze((fine + coarse).mean((2, 3), keepdim=True)), SLOPE)
        weights = torch.stack([layer(summary) for layer in self.select]).softmax(0)
        return fine * weights[0] + coarse * weights[1]


class MultiScaleBlock(nn.Module):
    """Three scales that exchange what they find, twice.

    Args:
        widths: channels of the three scales, top first.
        groups: of the 3x3 convolutions.
        down: makes a layer to half the size.
        up: makes a layer to twice the size.
    """

    def __init__(self, widths: Sequence[int], groups: int, down: Resample, up: Resample) -> None:
        super().__init__()
        top, middle, bottom = widths
        self.blocks = nn.ModuleList(ResidualContextBlock(width, groups) for width in widths)
        self.to_middle = down(top, middle)
        self.to_bottom = nn.Sequential(down(top, middle), down(middle, bottom))
        self.from_bottom = nn.ModuleList(up(bottom, middle) for _ in range(2))
        self.from_middle = nn.ModuleList(up(middle, top) for _ in range(2))
        self.fuse_middle, self.fuse_top = SelectiveFusion(middle), SelectiveFusion(top)
        self.leave = conv(top, top, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Compute (N, C, H, W) -> (N, C, H, W)."""
        scales = [x, self.to_middle(x), self.to_bottom(x)]
        for from_bottom, from_middle in zip(self.from_bottom, self.from_middle, strict=True):
            top, middle, bottom = (block(scale) for block, scale in zip(self.blocks, scales, strict=True))
            middle = self.fuse_middle(middle, _as_large(from_bottom(bottom), middle))
            scales = [self.fuse_top(top, _as_large(from_middle(middle), top)), middle, bottom]
        return self.leave(scales[0]) + x


class ResidualGroup(nn.Module):
    """Multi-scale blocks and a 3x3 convolution, plus the input."""

    def __init__(self, widths: Sequence[int], groups: int, down: Resample, up: Resample) -> None:
        super().__init__()
        blocks = (MultiScaleBlock(widths, groups, down, up) for _ in range(BLOCKS))
        self.body = nn.Sequential(*blocks, conv(widths[0], widths[0], 3))

    def forward(self, x: Tensor) -> Tensor:
        """Compute (N, C, H, W) -> (N, C, H, W)."""
        return self.body(x) + x


class MIRNetV2(nn.Module):
    """Denoiser: (N, 3, H, W) with noise, in 0..1, to the same without; any H and W from 1.

    Args:
        width: channels of the top scale, 80 as published; the others have 1.5 and 2.25 times as many.
        groups: grouped convolutions of the residual groups; one entry for each group.
        arm: "plain", "wavelet" or "twin", see `applications.arms`.
        widths: channels of the three scales, where they are not 1, 1.5 and 2.25 times the width; multiples of
            the largest number of groups.
    """

    def __init__(
        self,
        width: int = 80,
        groups: Sequence[int] = GROUPS,
        arm: str = "plain",
        widths: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        channels = widths or (width, width * 3 // 2, width * 9 // 4)
        options = layer_options(arm)

        def down(before: int, after: int) -> nn.Module:
            return Down(before, after) if options is None else WaveletConv(before, after, 2, **options)

        def up(before: int, after: int) -> nn.Module:
            return Up(before, after) if options is None else WaveletConv(before, after, 2, transposed=True, **options)

        self.enter = conv(3, channels[0], 3)
        self.body = nn.Sequential(*(ResidualGroup(channels, number, down, up) for number in groups))
        self.leave = conv(channels[0], 3, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the denoised pictures, of the size of the input and not clipped."""
        return self.leave(self.body(self.enter(x))) + x


def _as_large(x: Tensor, like: Tensor) -> Tensor:
    """Cut off the row and column that an odd side gains on its way down and up."""
    return x[..., : like.shape[-2], : like.shape[-1]]
