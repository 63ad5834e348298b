"""WaveletConv: convolutions that act on wavelet subbands, from a feature map to a feature map (3DM-WeConv, WeConv).

3DM-WeConvene, section III-A and figures 3-4; the two-dimensional layer is that of Fu et al., *WeConvene* (ECCV 2024).
What the papers leave open (GDN, separate 1x1 convolutions for LH, HL and HH, weights not shared between channel bands)
is settled by the parameter counts they print; ``docs/weconvene.md`` has the arithmetic.

    c = LeakyReLU(conv3(x))                          with the stride; sub-pixel convolution to go up
    channel DWT, then 2-D DWT of c; in every channel band (two with one channel level):
        low band:               conv3, GDN
        LH, HL, HH of a level:  conv1 each, one GDN over the three
    inverse 2-D DWT, inverse channel DWT, plus the skip of x (conv1 with the stride; sub-pixel convolution to go up)

What makes it fast is layout.  Everything is channels-last, where 1x1 convolutions, the mixing of the GDN and the
channel DWT are matrix products over rows of pixels, and one 2-D DWT serves all channel bands, since transforms along
different axes commute.  The channel DWT as a C x C matrix does more arithmetic than lifting, but at 128 channels it
takes as long as Haar lifting and a third of 9/7 lifting, which along the innermost axis read every other number; and
the product with the inverse matrix adds the skip as well.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, pad

from wavelic.errors import UsageError
from wavelic.nn.blocks import GAMMA_INIT, SLOPE, SubpixelConv, conv, skip_connection
from wavelic.nn.gdn import GDN
from wavelic.nn.traced import analyze, every, extended, is_tracing, synthesize
from wavelic.wavelets import WAVELETS, Bands2d, Coefficients1d, dwt1, dwt2, idwt1, idwt2, level_sizes


class SubbandConv(nn.Module):
    """Convolution and GDN over the spatial subbands of one channel band: one low band, or LH, HL and HH.

    Args:
        channels: of each subband.
        subbands: number of subbands in and out.
        kernel: 1 for a 1x1 convolution of each; else one kernel x kernel convolution over all of them together.
        inverse: multiply by the norm (IGDN) instead of dividing.
    """

    def __init__(self, channels: int, subbands: int, kernel: int, inverse: bool) -> None:
        super().__init__()
        total = subbands * channels
        self.pointwise = nn.ModuleList(nn.Linear(channels, channels) for _ in range(subbands if kernel == 1 else 0))
        self.joint = conv(total, total, kernel) if kernel > 1 else None
        self.norm = GDN(total, inverse, gamma_init=GAMMA_INIT)

    def forward(self, *subbands: Tensor) -> tuple[Tensor, ...]:
        """Compute as many (N, C, h, w) tensors as there are subbands, from as many."""
        if self.joint is not None:
            y = self.joint(torch.cat(subbands, 1) if len(subbands) > 1 else subbands[0])
        else:
            mixed = [layer(x.permute(0, 2, 3, 1)) for layer, x in zip(self.pointwise, subbands, strict=True)]
            y = torch.cat(mixed, -1).permute(0, 3, 1, 2)
        return self.norm(y).chunk(len(subbands), 1)


class ChannelBandConv(nn.ModuleList):
    """One `SubbandConv` for every channel band: weights are not shared between channel bands.

    Args:
        sizes: channels of each channel band.
        subbands: number of spatial subbands in and out.
        kernel: 1 for a 1x1 convolution of each subband; else one kernel x kernel convolution over all of them together.
        inverse: multiply by the norm (IGDN) instead of dividing.
    """

    def __init__(self, sizes: list[int], subbands: int, kernel: int, inverse: bool) -> None:
        super().__init__(SubbandConv(size, subbands, kernel, inverse) for size in sizes)
        self.sizes = sizes

    def forward(self, *subbands: Tensor) -> tuple[Tensor, ...]:
        """Compute as many (N, C, h, w) tensors as there are subbands, from as many; C holds all channel bands."""
        if len(self) == 1:
            return self[0](*subbands)
        cut = zip(*(subband.split(self.sizes, 1) for subband in subbands), strict=True)
        results = [layer(*channel_band) for layer, channel_band in zip(self, cut, strict=True)]
        return tuple(torch.cat(parts, 1) for parts in zip(*results, strict=True))


class WaveletConv(nn.Module):
    """Convolution in the wavelet domain: a drop-in for a strided, plain or transposed convolution.

    (N, in, H, W) -> (N, out, ceil(H / stride), ceil(W / stride)), or (N, out, H * stride, W * stride) if transposed;
    any float tensor, any H and W from 1.  Maps whose sides are no multiples of 2^levels are extended by replication
    for the 2-D DWT and cropped after it.

    The paper's 3DM-WeConv is the default.  Its WeConv is ``levels=1, channel_levels=0, high_kernel=3``;
    ``levels=0, channel_levels=0`` is a residual block without wavelets.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        stride: 1, or the factor by which both sides shrink.
        transposed: upsample by ``stride`` instead, with IGDN in place of GDN; the layer of a decoder.
        wavelet: "haar", "5/3" or "9/7", in orthonormal scaling.
        levels: of the 2-D DWT (2 in the paper).
        channel_levels: of the DWT along the channels (1 in the paper; 0 is the 2-D layer).
        high_kernel: 1, or 3 for one 3x3 convolution over all three high bands (the 2-D layer; "3 x 3" in table II).
        unused_parameters: own a further 3x3 convolution that is never called and takes no gradient, as the public 2-D
            layer does; only there so that published parameter counts can be reproduced.

    Raises:
        UsageError: an argument out of range, or an input that is not (N, in, H, W).

    Examples:
        In a network of your own it stands where a strided convolution and its activation stood:

        >>> before = nn.Sequential(nn.Conv2d(3, 16, 5, 2, 2), nn.ReLU(), nn.Conv2d(16, 32, 3, stride=2, padding=1))
        >>> after = nn.Sequential(nn.Conv2d(3, 16, 5, 2, 2), nn.ReLU(), WaveletConv(16, 32, stride=2, wavelet="9/7"))
        >>> image = torch.rand(1, 3, 65, 47)
        >>> before(image).shape == after(image).shape
        True
    """

    channel_analysis: Tensor
    channel_synthesis: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int = 1,
        *,
        transposed: bool = False,
        wavelet: str = "haar",
        levels: int = 2,
        channel_levels: int = 1,
        high_kernel: int = 1,
        unused_parameters: bool = False,
    ) -> None:
        super().__init__()
        _check_arguments(in_channels, out_channels, stride, wavelet, levels, channel_levels, high_kernel)
        self.in_channels, self.wavelet, self.levels = in_channels, wavelet, levels
        if transposed:
            self.enter: nn.Module = SubpixelConv(in_channels, out_channels, stride)
            self.skip: nn.Module = SubpixelConv(in_channels, out_channels, stride)
        else:
            self.enter = conv(in_channels, out_channels, 3, stride)
            self.skip = skip_connection(in_channels, out_channels, stride)
        self.sizes, analysis, synthesis = channel_transform(out_channels, wavelet, channel_levels)
        self.register_buffer("channel_analysis", analysis, persistent=False)
        self.register_buffer("channel_synthesis", synthesis, persistent=False)
        self.low = ChannelBandConv(self.sizes, 1, 3, transposed)
        self.high = nn.ModuleList(ChannelBandConv(self.sizes, 3, high_kernel, transposed) for _ in range(levels))
        if unused_parameters:
            self.unused = conv(out_channels, out_channels, 3).requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the layer.

        Args:
            x: (N, in, H, W).

        Returns:
            (N, out, H', W').

        Raises:
            UsageError: another shape.
        """
        if x.dim() != 4 or x.shape[1] != self.in_channels:
            raise UsageError(f"input has shape {tuple(x.shape)}; expected (N, {self.in_channels}, H, W)")
        x = x.contiguous(memory_format=torch.channels_last)
        y, skip = leaky_relu(self.enter(x), SLOPE, inplace=True), self.skip(x)
        transforming: AbstractContextManager[object] = nullcontext()
        if torch.is_autocast_enabled(x.device.type):
            y, skip = y.float(), skip.float()  # convolutions may compute in bfloat16, the transforms do not
            transforming = torch.autocast(x.device.type, enabled=False)
        if len(self.sizes) == 1:
            return self._convolve_subbands(y) + skip
        batch, channels, height, width = y.shape
        with transforming:
            y = (_pixels(y) @ self.channel_analysis.to(y.dtype)).view(batch, height, width, channels)
        y = _pixels(self._convolve_subbands(y.permute(0, 3, 1, 2)))
        out, synthesis = _pixels(skip), self.channel_synthesis.to(y.dtype)
        # What a skip convolution gave is nobody else's: the sum goes there.
        own = not isinstance(self.skip, nn.Identity) and out.dtype == y.dtype
        with transforming:
            y = out.addmm_(y, synthesis) if own else torch.addmm(out.to(y.dtype), y, synthesis)
        return y.view(batch, height, width, channels).permute(0, 3, 1, 2)

    def _convolve_subbands(self, x: Tensor) -> Tensor:
        """2-D DWT, convolutions and GDN in every subband, inverse 2-D DWT; all channel bands at once."""
        if is_tracing():
            return self._convolve_traced(x)
        height, width = x.shape[-2:]
        coefficients = dwt2(_extend(x, 1 << self.levels), self.wavelet, self.levels)
        (low,) = self.low(coefficients.low)
        levels = tuple(
            Bands2d(*layer(bands.lh, bands.hl, bands.hh))
            for layer, bands in zip(self.high, coefficients.levels, strict=True)
        )
        return idwt2(replace(coefficients, low=low, levels=levels))[..., :height, :width]

    def _convolve_traced(self, x: Tensor) -> Tensor:
        """Do the same with the transforms of `traced`, level by level."""
        height, width = x.shape[-2:]
        low, levels = extended(x, 1 << self.levels), []
        for layer in self.high:
            low, bands = analyze(low, self.wavelet)
            levels.append(Bands2d(*layer(bands.lh, bands.hl, bands.hh)))
        (low,) = self.low(low)
        for bands in reversed(levels):
            low = synthesize(low, bands, self.wavelet)
        return every(low, 1, (height, width))


def channel_transform(channels: int, wavelet: str, levels: int) -> tuple[list[int], Tensor, Tensor]:
    """DWT along the channels as matrices, for products with rows of pixels.

    Args:
        channels: C.
        wavelet: "haar", "5/3" or "9/7".
        levels: number of levels along the channels.

    Returns:
        Sizes of the channel bands, the low band first, then the high bands from the finest, empty ones left out; the
        analysis A, where ``row @ A`` gives the bands one after another; and its inverse S.  Both (C, C), float64.

    Examples:
        >>> sizes, analysis, synthesis = channel_transform(5, "9/7", 2)
        >>> sizes, torch.allclose(analysis @ synthesis, torch.eye(5, dtype=torch.float64))
        ([2, 2, 1], True)
    """
    cut = level_sizes(channels, levels)
    sizes = [cut[-1][0] if cut else channels, *(high for _, high in cut)]
    units = torch.eye(channels, dtype=torch.float64)
    forward = dwt1(units, wavelet, levels)
    low, *highs = units.split(sizes, -1)
    synthesis = idwt1(Coefficients1d(low, tuple(highs), channels, -1, wavelet, "orthonormal"))
    return [size for size in sizes if size], torch.cat((forward.low, *forward.highs), -1), synthesis


def _pixels(x: Tensor) -> Tensor:
    """(N, C, H, W) as (N * H * W, C): a view if ``x`` is channels-last."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def _extend(x: Tensor, multiple: int) -> Tensor:
    bottom, right = -x.shape[-2] % multiple, -x.shape[-1] % multiple
    return pad(x, (0, right, 0, bottom), mode="replicate") if bottom or right else x


def _check_arguments(
    in_channels: int, out_channels: int, stride: int, wavelet: str, levels: int, channel_levels: int, high_kernel: int
) -> None:
    if min(in_channels, out_channels, stride) < 1:
        raise UsageError(f"in={in_channels}, out={out_channels}, stride={stride}; give numbers of at least 1")
    if min(levels, channel_levels) < 0:
        raise UsageError(f"levels={levels}, channel_levels={channel_levels}; give numbers of at least 0")
    if wavelet not in WAVELETS:
        raise UsageError(f"unknown wavelet {wavelet!r}; choose one of {', '.join(map(repr, WAVELETS))}")
    if high_kernel not in (1, 3):
        raise UsageError(f"high_kernel={high_kernel}; choose 1 or 3")
