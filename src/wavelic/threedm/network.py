"""3DM-WeConvene, the 2-D WeConvene it grew from, the paper's ablations, and a twin without wavelets.

Fu, Liang, Fang, Han, Liang and Zhang, *3DM-WeConvene: Learned Image Compression with 3D Multi-Level Wavelet-Domain
Convolution and Entropy Model* (2025), and *WeConvene* (ECCV 2024).  Figure 2 of the former is this file:

    image /1 -> RBS, ResGroup, WaveletConv /2, ResGroup, WaveletConv /4, ResGroup, conv3 /8 -> latent y
    y -> DWT -> coefficients /16 -> WaveletConv /32, ResGroup, conv3 /64 -> z, coded with a factorised prior
    z -> WaveletConv /32, ResGroup, sub-pixel conv /16 -> means, and the same again -> scales
    coefficients -> slices, each coded given means, scales and earlier slices (`weconvene_slices`)
    decoded coefficients -> inverse DWT -> RBU, ResGroup, WaveletConv /4, ResGroup, WaveletConv /2, ResGroup,
        sub-pixel conv /1 -> image

``docs/weconvene.md`` says which of this is printed in the papers and which follows from their parameter counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import torch
from torch import Tensor, nn

from wavelic.errors import ModelError, UsageError
from wavelic.nn.blocks import ResidualBlockDown, ResidualBlockUp, ResidualGroup, SubpixelConv, conv
from wavelic.nn.likelihood import FactorizedPrior, gaussian_bits, round_straight_through
from wavelic.nn.wavelet_conv import WaveletConv
from wavelic.threedm.config import SPLITS, Slice, SlicePlan, Split, plan_2d, plan_3d
from wavelic.threedm.slices import CodeSlice, SliceCoder

STRIDE = 64  # image sides must be multiples of it: z lives at 1/64


@dataclass(frozen=True)
class WeConveneConfig:
    """Sizes and choices of a network; the defaults are the published 3DM-WeConvene.

    Attributes:
        width: channels of the transforms (N).
        latent: channels of y (M); the coefficients have four times as many.
        hyper: channels of z.
        attention: inner width of the attention modules of a slice.
        hidden: hidden widths of its parameter nets.
        blocks: residual blocks in a group.
        levels, channel_levels, high_kernel, unused_parameters: of the seven `WaveletConv` layers.
        layer_wavelet: of these layers.
        split: of the latent into subbands, see `SlicePlan`.
        latent_wavelet: of that split.
        low_parts: slices per spatial low band.
        high_parts: slices of the joint high bands ("2d" only).
        high_support: how many high slices a high slice sees at most ("3d" and "polyphase" only).
    """

    width: int = 128
    latent: int = 320
    hyper: int = 192
    attention: int = 128
    hidden: tuple[int, int] = (224, 128)
    blocks: int = 3
    levels: int = 2
    channel_levels: int = 1
    high_kernel: int = 1
    unused_parameters: bool = False
    layer_wavelet: str = "9/7"
    split: Split = "3d"
    latent_wavelet: str = "9/7"
    low_parts: int = 2
    high_parts: int = 5
    high_support: int = 3

    def plan(self) -> SlicePlan:
        """The order of coding.  Raises UsageError for channels that cannot be cut as asked."""
        if self.split not in SPLITS:
            raise UsageError(f"unknown split {self.split!r}; choose one of {', '.join(SPLITS)}")
        if self.split == "2d":
            return plan_2d(self.latent, self.latent_wavelet, low_parts=self.low_parts, high_parts=self.high_parts)
        return plan_3d(
            self.latent,
            self.latent_wavelet,
            low_parts=self.low_parts,
            high_support=self.high_support,
            split=self.split,
        )


@dataclass(frozen=True)
class Output:
    """What a pass over a batch of N images gives.

    Attributes:
        reconstruction: (N, 3, H, W), unclipped, nominally 0..1.
        bits: (N, 4 * latent), estimated bits of each coefficient channel in coding order.
        hyper_bits: (N,), estimated bits of z.
    """

    reconstruction: Tensor
    bits: Tensor
    hyper_bits: Tensor


class WeConvene(nn.Module):
    """The network of a configuration.

    In training mode the rate is that of values with uniform noise, while everything that is computed from quantised
    values sees them rounded about their mean with a straight-through gradient.  In evaluation mode both are rounded,
    and the reconstruction is the one a decoder makes.
    """

    def __init__(self, config: WeConveneConfig) -> None:
        super().__init__()
        self.config, self.plan = config, config.plan()
        n, m = config.width, config.latent
        self.analysis = nn.Sequential(
            ResidualBlockDown(3, n, 1),
            self._group(),
            self._layer(n, n),
            self._group(),
            self._layer(n, n),
            self._group(),
            conv(n, m, 3, 2),
        )
        self.synthesis = nn.Sequential(
            ResidualBlockUp(m, n, 1),
            self._group(),
            self._layer(n, n, transposed=True),
            self._group(),
            self._layer(n, n, transposed=True),
            self._group(),
            SubpixelConv(n, 3, 2),
        )
        self.hyper_analysis = nn.Sequential(self._layer(4 * m, n), self._group(), conv(n, config.hyper, 3, 2))
        self.hyper_means = self._hyper_synthesis()
        self.hyper_scales = self._hyper_synthesis()
        self.prior = FactorizedPrior(config.hyper)
        self.slices = SliceCoder(self.plan, config.attention, config.hidden)

    def _group(self) -> ResidualGroup:
        return ResidualGroup(self.config.width, self.config.blocks)

    def _layer(self, before: int, after: int, transposed: bool = False) -> WaveletConv:
        c = self.config
        return WaveletConv(
            before,
            after,
            2,
            transposed=transposed,
            wavelet=c.layer_wavelet,
            levels=c.levels,
            channel_levels=c.channel_levels,
            high_kernel=c.high_kernel,
            unused_parameters=c.unused_parameters and not transposed,
        )

    def _hyper_synthesis(self) -> nn.Sequential:
        c = self.config
        up = self._layer(c.hyper, c.width, transposed=True)
        return nn.Sequential(up, self._group(), SubpixelConv(c.width, c.latent, 2))

    def coefficients(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Wavelet coefficients (N, 4 * latent, H/16, W/16) of the latent of images ``x``, and z (N, hyper, H/64, W/64).

        Args:
            x: (N, 3, H, W) in 0..1; sides multiples of 64.

        Raises:
            UsageError: another shape.
        """
        if x.dim() != 4 or x.shape[1] != 3 or x.shape[2] % STRIDE or x.shape[3] % STRIDE or 0 in x.shape:
            raise UsageError(f"images of shape {tuple(x.shape)}; expected (N, 3, H, W), H and W multiples of {STRIDE}")
        coefficients = self.plan.analysis(self.analysis(x.contiguous(memory_format=torch.channels_last)))
        return coefficients, self.hyper_analysis(coefficients)

    def forward(self, x: Tensor, noise: torch.Generator | None = None) -> Output:
        """``x``: (N, 3, H, W) in 0..1, sides multiples of 64 (else UsageError).  noise: source of the uniform noise."""
        coefficients, z = self.coefficients(x)
        medians = self.prior.medians
        rounded = round_straight_through(z - medians) + medians
        hyper_bits = self.prior.bits(_noisy(z, noise) if self.training else rounded)
        bits: list[Tensor] = []

        def estimate(part: Slice, mean: Tensor, scale: Tensor) -> Tensor:
            values = coefficients[:, part.start : part.stop]
            quantised = round_straight_through(values - mean) + mean
            cost = gaussian_bits(_noisy(values, noise) if self.training else quantised, mean, scale)
            bits.append(cost.sum((2, 3)))
            return quantised

        decoded = self.decode_slices(rounded, estimate)
        return Output(self.reconstruct(decoded), torch.cat(bits, 1), hyper_bits.sum((1, 2, 3)))

    def decode_slices(self, z: Tensor, code: CodeSlice) -> Tensor:
        """Hyper-synthesis of decoded ``z`` (N, hyper, H/64, W/64), then the walk through all slices with ``code``.

        Returns:
            The decoded coefficients (N, 4 * latent, H/16, W/16).
        """
        z = z.clone(memory_format=torch.channels_last)  # layout may decide how convolutions round: always the same one
        return self.slices(self.hyper_means(z), self.hyper_scales(z), code)

    def reconstruct(self, decoded: Tensor) -> Tensor:
        """Images (N, 3, H, W), nominally 0..1, of decoded coefficients (N, 4 * latent, H/16, W/16)."""
        return self.synthesis(self.plan.synthesis(decoded))


def _noisy(x: Tensor, generator: torch.Generator | None) -> Tensor:
    return x + (torch.rand(x.shape, generator=generator, device=x.device, dtype=x.dtype) - 0.5)


_PUBLISHED = WeConveneConfig()
_LAYER_2D = {"levels": 1, "channel_levels": 0, "high_kernel": 3, "unused_parameters": True, "layer_wavelet": "haar"}
_ENTROPY_2D = {"split": "2d", "low_parts": 5}

# The names of the paper's tables; their parameters are in the registry, and the tests count them.
CONFIGS: Mapping[str, WeConveneConfig] = MappingProxyType(
    {
        "3dm-weconvene": _PUBLISHED,
        "3dm-weconvene-1level": replace(_PUBLISHED, levels=1),
        "3dm-weconvene-3x3": replace(_PUBLISHED, high_kernel=3),
        "3dm-weconvene-weconv": replace(_PUBLISHED, **_LAYER_2D),  # type: ignore[arg-type]
        "3dm-weconvene-wecharm": replace(_PUBLISHED, **_ENTROPY_2D),  # type: ignore[arg-type]
        "3dm-weconvene-plain": replace(_PUBLISHED, levels=0, channel_levels=0, split="polyphase"),
        "weconvene-2024": replace(_PUBLISHED, **_LAYER_2D, **_ENTROPY_2D, latent_wavelet="haar"),  # type: ignore[arg-type]
    }
)


def weconvene(name: str) -> WeConvene:
    """The network called ``name`` in CONFIGS with random weights.  Raises ModelError for an unknown name."""
    if name not in CONFIGS:
        raise ModelError(f"no architecture {name!r}; choose one of {', '.join(CONFIGS)}")
    return WeConvene(CONFIGS[name])
