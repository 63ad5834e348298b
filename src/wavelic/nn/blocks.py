"""Convolutional building blocks of the WeConvene models: residual blocks, sub-pixel convolutions, parameter nets.

Cheng, Sun, Takeuchi and Katto, *Learned image compression with discretized Gaussian mixture likelihoods and attention
modules* (CVPR 2020) for the residual blocks with strides; Shi et al. (CVPR 2016) for the sub-pixel convolution; Minnen
and Singh, *Channel-wise autoregressive entropy models* (ICIP 2020) for the parameter nets and latent residual
prediction; 3DM-WeConvene, sections III-A and III-B.

All convolutions have a bias, zero padding of k // 2 and PyTorch's default initialisation.  All blocks map
(N, in, H, W) float tensors of any range to (N, out, H', W') and keep channels_last.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import leaky_relu, pixel_shuffle

from wavelic.errors import UsageError
from wavelic.nn.gdn import GDN
from wavelic.nn.traced import every, is_tracing

SLOPE = 0.01  # of every LeakyReLU
GAMMA_INIT = 0.1  # initial diagonal of every GDN of these models


def conv(in_channels: int, out_channels: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """Make a convolution with an odd kernel and zero padding.

    It maps (N, in, H, W) to (N, out, ceil(H / stride), ceil(W / stride)).

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel: side of the kernel, odd.
        stride: factor by which both sides shrink.
        groups: groups of channels that do not mix.

    Returns:
        The layer, with a bias.

    Raises:
        UsageError: a 1x1 convolution with a stride; torch's own is not safe, see `skip_connection`.
    """
    if kernel == 1 and stride > 1:
        raise UsageError(f"a 1x1 convolution with stride {stride}; use `Subsample` before one without")
    return nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, groups=groups)


class SubpixelConv(nn.Module):
    """Sub-pixel convolution: 3x3 to out * factor^2 channels, then pixel shuffle.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        factor: by which both sides grow.
    """

    def __init__(self, in_channels: int, out_channels: int, factor: int) -> None:
        super().__init__()
        self.factor = factor
        self.conv = conv(in_channels, out_channels * factor**2, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Compute (N, in, H, W) -> (N, out, factor * H, factor * W)."""
        x = self.conv(x)
        return x if self.factor == 1 else pixel_shuffle(x, self.factor)


class Subsample(nn.Module):
    """Subsampling: every ``stride``-th sample in both directions.

    Args:
        stride: distance of the samples that stay.
    """

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Return a view (N, C, ceil(H / stride), ceil(W / stride)) of (N, C, H, W); a copy where it is traced."""
        return every(x, self.stride) if is_tracing() else x[..., :: self.stride, :: self.stride]


def skip_connection(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """Make the skip of a residual block: identity where shapes allow it, else a 1x1 convolution with the stride.

    The stride is taken first: on CPUs, the backward pass of a channels-last 1x1 convolution with stride 2 writes beyond
    its memory for some channel counts (8 and 12, not 16 or 128; torch 2.13).

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        stride: factor by which both sides shrink.

    Returns:
        The module.
    """
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    if stride == 1:
        return conv(in_channels, out_channels, 1)
    return nn.Sequential(Subsample(stride), conv(in_channels, out_channels, 1))


class ResidualBlock(nn.Module):
    """Residual block: two 3x3 convolutions, each followed by LeakyReLU, plus the skip; nothing after the sum.

    ResidualBlock(128, 128) has 295,168 parameters.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.first = conv(in_channels, out_channels, 3)
        self.second = conv(out_channels, out_channels, 3)
        self.skip = skip_connection(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Compute (N, in, H, W) -> (N, out, H, W)."""
        y = leaky_relu(self.first(x), SLOPE, inplace=True)
        return leaky_relu(self.second(y), SLOPE, inplace=True) + self.skip(x)


class ResidualGroup(nn.Sequential):
    """Residual blocks of equal width in a row, without an outer skip ("ResGroup").

    Args:
        channels: C of input and output.
        blocks: number of blocks; 3 in the paper.
    """

    def __init__(self, channels: int, blocks: int = 3) -> None:
        super().__init__(*(ResidualBlock(channels, channels) for _ in range(blocks)))


class ResidualBlockDown(nn.Module):
    """Residual block that downsamples ("RBS"): conv3 with a stride, LeakyReLU, conv3, GDN, plus the skip.

    RBS(3, 128, 1) has 168,192 parameters.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        stride: factor by which both sides shrink.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 2) -> None:
        super().__init__()
        self.first = conv(in_channels, out_channels, 3, stride)
        self.second = conv(out_channels, out_channels, 3)
        self.norm = GDN(out_channels, gamma_init=GAMMA_INIT)
        self.skip = skip_connection(in_channels, out_channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Compute (N, in, H, W) -> (N, out, ceil(H / stride), ceil(W / stride))."""
        y = leaky_relu(self.first(x), SLOPE, inplace=True)
        return self.norm(self.second(y)) + self.skip(x)


class ResidualBlockUp(nn.Module):
    """Residual block that upsamples ("RBU"): sub-pixel convolution, LeakyReLU, conv3, IGDN, plus a sub-pixel skip.

    RBU(320, 128, 1) has 901,632 parameters: the skip is a convolution even where the factor is 1.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        factor: by which both sides grow.
    """

    def __init__(self, in_channels: int, out_channels: int, factor: int = 2) -> None:
        super().__init__()
        self.first = SubpixelConv(in_channels, out_channels, factor)
        self.second = conv(out_channels, out_channels, 3)
        self.norm = GDN(out_channels, inverse=True, gamma_init=GAMMA_INIT)
        self.skip = SubpixelConv(in_channels, out_channels, factor)

    def forward(self, x: Tensor) -> Tensor:
        """Compute (N, in, H, W) -> (N, out, factor * H, factor * W)."""
        y = leaky_relu(self.first(x), SLOPE, inplace=True)
        return self.norm(self.second(y)) + self.skip(x)


class ParameterNet(nn.Sequential):
    """Three convolutions with GELU between them: the "ParamNet" and the latent residual prediction of a slice.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernels: the three kernel sizes; (3, 1, 1) in 3DM-WeConvene ("some 1x1 convolutions"), (3, 3, 3) in WeConvene.
        hidden: widths after the first and second convolution.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernels: tuple[int, int, int], hidden: tuple[int, int] = (224, 128)
    ) -> None:
        super().__init__(
            conv(in_channels, hidden[0], kernels[0]),
            nn.GELU(),
            conv(hidden[0], hidden[1], kernels[1]),
            nn.GELU(),
            conv(hidden[1], out_channels, kernels[2]),
        )
