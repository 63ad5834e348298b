"""3DM-WeConvene, the 2-D WeConvene it grew from, the paper's ablations, and the network of the codec `3dm`.

Fu, Liang, Fang, Han, Liang and Zhang, *3DM-WeConvene: Learned Image Compression with 3D Multi-Level Wavelet-Domain
Convolution and Entropy Model* (2025), and *WeConvene* (ECCV 2024).  Both networks here have g_a, g_s and h_a of
`wavelic.threedm.transform`; what is computed before a symbol can be decoded differs:

    WeConvene       as published, in floats: z -> WaveletConv /32, ResGroup, sub-pixel conv /16 -> means, and the same
                    again -> scales; slices by `wavelic.threedm.slices`
    CodecNetwork    trained in floats to run in integers (`wavelic.threedm.entropy`)
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from wavelic.nn.blocks import ResidualGroup, SubpixelConv
from wavelic.nn.gdn import lower_bound
from wavelic.nn.likelihood import FactorizedPrior, gaussian_bits, round_straight_through
from wavelic.nn.precision import has_bfloat16
from wavelic.threedm.config import Config, config_named
from wavelic.threedm.entropy import LOG2_LOWEST, PER_OCTAVE, SCALES, EntropyModel
from wavelic.threedm.plan import Slice
from wavelic.threedm.slices import CodeSlice, SliceCoder
from wavelic.threedm.transform import Transform, checked_sides


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


class Network(Transform):
    """A network with its rate: what both kinds have in common.

    In training mode the rate is that of values with uniform noise, while everything that is computed from quantised
    values sees them rounded about their mean with a straight-through gradient.  In evaluation mode both are rounded,
    and the reconstruction is the one a decoder makes.

    Args:
        config: sizes and choices.
    """

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.prior = FactorizedPrior(config.hyper)

    @abstractmethod
    def walk(self, z: Tensor, rate: Tensor | None, code: CodeSlice) -> Tensor:
        """Decode coefficients (N, 4 * latent, h, w) slice by slice, from decoded ``z`` (N, hyper, h/4, w/4)."""

    @abstractmethod
    def bits_of(self, values: Tensor, mean: Tensor, scale: Tensor) -> Tensor:
        """Code length of the values of a slice, given what `walk` predicts of them."""

    def forward(
        self,
        x: Tensor,
        rate: Tensor | None = None,
        noise: torch.Generator | None = None,
        autocast: bool = False,
    ) -> Output:
        """Compute a pass.

        Args:
            x: (N, 3, H, W) in 0..1, sides multiples of 64.
            rate: r of every image, (N,), for networks with gain units.
            noise: source of the uniform noise.
            autocast: convolutions compute in bfloat16; wavelet transforms, GDN and likelihoods do not.

        Returns:
            Reconstruction and bits.

        Raises:
            UsageError: another shape, or no rate where one is needed.
        """
        with torch.autocast(x.device.type, torch.bfloat16, enabled=autocast and has_bfloat16(x.device)):
            coefficients = self.coefficients(checked_sides(x), rate)
            z = self.hyper_analysis(coefficients).float()
            medians = self.prior.medians
            rounded = round_straight_through(z - medians) + medians
            hyper_bits = self.prior.bits(_noisy(z, noise) if self.training else rounded)
            bits: list[Tensor] = []

            def estimate(part: Slice, mean: Tensor, scale: Tensor) -> Tensor:
                values, mean = coefficients[:, part.start : part.stop], mean.float()
                quantised = round_straight_through(values - mean) + mean
                cost = self.bits_of(_noisy(values, noise) if self.training else quantised, mean, scale.float())
                bits.append(cost.sum((2, 3)))
                return quantised

            decoded = self.walk(rounded, rate, estimate)
            return Output(self.reconstruct(decoded, rate), torch.cat(bits, 1), hyper_bits.sum((1, 2, 3)))


class WeConvene(Network):
    """The network of a configuration as published: entropy networks in floats.

    Args:
        config: sizes and choices; ``exact`` is not looked at.
    """

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.hyper_means = self._hyper_synthesis()
        self.hyper_scales = self._hyper_synthesis()
        self.slices = SliceCoder(self.plan, config.attention, config.hidden)

    def _hyper_synthesis(self) -> nn.Sequential:
        c = self.config
        up = self._layer(c.hyper, c.width, transposed=True)
        return nn.Sequential(up, ResidualGroup(c.width, c.hyper_blocks), SubpixelConv(c.width, c.latent, 2))

    def walk(self, z: Tensor, rate: Tensor | None, code: CodeSlice) -> Tensor:
        """Hyper-synthesis of decoded ``z``, then the walk through all slices with ``code``."""
        del rate
        z = z.clone(memory_format=torch.channels_last)  # layout may decide how convolutions round: always the same one
        return self.slices(self.hyper_means(z), self.hyper_scales(z), code)

    def bits_of(self, values: Tensor, mean: Tensor, scale: Tensor) -> Tensor:
        """Code length under Gaussians with these standard deviations."""
        return gaussian_bits(values, mean, scale)


class CodecNetwork(Network):
    """The network of the codec `3dm`, to be trained: its entropy model in floats.

    Args:
        config: sizes and choices.
    """

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.entropy = EntropyModel(config)

    @torch.no_grad()
    def start_from(self, images: Tensor) -> None:
        """Fit the shortcut, and the starting scales of the entropy model, to images (N, 3, H, W) in 0..1."""
        super().start_from(images)
        rate = images.new_zeros(len(images))
        slopes = self.gain[1] if self.config.gains else torch.zeros_like(self.entropy.base[1])
        self.entropy.start_from(self.coefficients(images, rate), slopes)

    def walk(self, z: Tensor, rate: Tensor | None, code: CodeSlice) -> Tensor:
        """The walk of the entropy model on whole numbers; without gain units the rate counts as 0."""
        return self.entropy(z - self.prior.medians, z.new_zeros(len(z)) if rate is None else rate, code)

    def bits_of(self, values: Tensor, mean: Tensor, scale: Tensor) -> Tensor:
        """Code length under Gaussians with standard deviations 2^scale, within those that there are tables for."""
        return gaussian_bits(values, mean, torch.exp2(-lower_bound(-scale, -(LOG2_LOWEST + SCALES / PER_OCTAVE))))


def _noisy(x: Tensor, generator: torch.Generator | None) -> Tensor:
    return x + (torch.rand(x.shape, generator=generator, device=x.device, dtype=x.dtype) - 0.5)


def make_network(config: Config) -> Network:
    """Build the network of a configuration with new weights."""
    return CodecNetwork(config) if config.exact else WeConvene(config)


def network_named(name: str) -> Network:
    """Build the network called ``name`` with new weights.

    Raises:
        ModelError: there is none.
    """
    return make_network(config_named(name))
