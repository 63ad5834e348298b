"""g_a, g_s and h_a of 3DM-WeConvene, with gain units and a linear shortcut where a configuration asks for them.

Figure 2 of the paper (``docs/threedm.md`` says what is printed there and what follows from parameter counts):

    image /1 -> RBS, ResGroup, WaveletConv /2, ResGroup, WaveletConv /4, ResGroup, conv3 /8 -> latent y
    y -> DWT -> coefficients /16 -> WaveletConv /32, ResGroup, conv3 /64 -> z
    decoded coefficients -> inverse DWT -> RBU, ResGroup, WaveletConv /4, ResGroup, WaveletConv /2, ResGroup,
        sub-pixel conv /1 -> image

Gain units: coefficient channel c is multiplied by 2^(a_c + b_c r) before it is rounded and divided by
2^(a'_c + b'_c r) after it is decoded, where r is the rate in octaves of lambda (Cui et al., *Asymmetric gained deep
image compression with continuous rate adaptation*, CVPR 2021, with gains that are exponential in the rate everywhere
instead of between trained points).  g_a and g_s see r as one more channel.

Shortcut: a linear transform of blocks of 8 x 8 pixels beside g_a, and its inverse beside g_s.  It starts as the
Karhunen-Loeve transform of training crops, while the last layers of g_a and g_s start at zero: before training the
network is a block transform codec.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from wavelic.errors import UsageError
from wavelic.nn.blocks import ResidualBlockDown, ResidualBlockUp, ResidualGroup, SubpixelConv, conv
from wavelic.nn.wavelet_conv import WaveletConv, channel_transform
from wavelic.threedm.config import Config
from wavelic.threedm.swin import WindowAttentionGroup

#: Image sides must be multiples of it: z lives at 1/64.
STRIDE = 64
#: Side of the blocks of the shortcut: a latent lives at 1/8.
BLOCK = 8
#: Gains double for every two octaves of lambda, at first: the step of a uniform quantiser is proportional to
#: 1 / sqrt(lambda) where rates are high.
FIRST_SLOPE = 0.5
#: Quantiser step in grey levels at r = 0, lambda = 2^-7, of a network with a shortcut that is not trained yet: about
#: where its objective is smallest on training crops.
FIRST_STEP = 96.0


class Transform(nn.Module):
    """Analysis, synthesis and hyper-analysis.

    Args:
        config: their sizes.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config, self.plan = config, config.plan()
        n, m, s = config.width, config.latent, config.first_stride
        rate = int(config.gains)
        self.analysis = nn.Sequential(
            ResidualBlockDown(3 + rate, n, s),
            self._group(0),
            self._layer(n, n),
            self._group(1),
            self._layer(n, n),
            self._group(2),
            conv(n, m, 3, 2 // s),
        )
        self.synthesis = nn.Sequential(
            ResidualBlockUp(m + rate, n, 1),
            self._group(2),
            self._layer(n, n, transposed=True),
            self._group(1),
            self._layer(n, n, transposed=True),
            self._group(0),
            SubpixelConv(n, 3, 2),
        )
        hyper_group = ResidualGroup(n, config.hyper_blocks)
        self.hyper_analysis = nn.Sequential(self._layer(4 * m, n), hyper_group, conv(n, config.hyper, 3, 2))
        if config.gains:
            first = torch.stack((torch.zeros(4 * m), torch.full((4 * m,), FIRST_SLOPE)))
            self.gain, self.inverse_gain = nn.Parameter(first), nn.Parameter(first.clone())
        if config.shortcut:
            samples = 3 * BLOCK**2
            self.block_analysis = nn.Parameter(torch.zeros(samples, m))
            self.block_synthesis = nn.Parameter(torch.zeros(m, samples))
            last = self.synthesis[-1]
            assert isinstance(last, SubpixelConv)
            for layer in (self.analysis[-1], last.conv):
                for parameter in layer.parameters():
                    nn.init.zeros_(parameter)

    def _group(self, resolution: int) -> nn.Module:
        group = ResidualGroup if self.config.group == "residual" else WindowAttentionGroup
        return group(self.config.width, self.config.blocks[resolution])

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

    @torch.no_grad()
    def start_from(self, images: Tensor) -> None:
        """Set the shortcut to the Karhunen-Loeve transform of blocks of images.

        Args:
            images: (N, 3, H, W) in 0..1, sides multiples of 8.
        """
        if not self.config.shortcut:
            return
        blocks = pixel_unshuffle(images - 0.5, BLOCK).permute(0, 2, 3, 1).flatten(0, 2).double()
        _, vectors = torch.linalg.eigh(blocks.t() @ blocks)
        basis = vectors.flip(1)[:, : self.config.latent]
        basis = torch.cat((basis, basis.new_zeros(len(basis), self.config.latent - basis.shape[1])), 1)
        # the strongest components become the low band of the channel transform, the others the high band
        if self.config.split == "3d":
            _, forward, back = channel_transform(self.config.latent, self.config.latent_wavelet, 1)
        else:
            back = torch.eye(self.config.latent, dtype=torch.float64)
            if self.config.split == "polyphase":
                half = self.config.latent // 2
                order = torch.arange(self.config.latent).view(2, half).t().flatten()
                back = back[:, order]
            forward = back.t()
        unit = 255 / FIRST_STEP
        self.block_analysis.copy_(basis @ back.to(basis.device) * unit)
        self.block_synthesis.copy_(forward.to(basis.device) @ basis.t() / unit)

    def coefficients(self, x: Tensor, rate: Tensor | None = None) -> Tensor:
        """Wavelet coefficients of the latent of images, in quantiser steps.

        Args:
            x: (N, 3, H, W) in 0..1; sides multiples of 16, of 64 where a hyperprior is to be made of the result.
            rate: r of every image, (N,), for networks with gain units.

        Returns:
            float32 (N, 4 * latent, H/16, W/16).

        Raises:
            UsageError: another shape.
        """
        x = checked_sides(x, 16).contiguous(memory_format=torch.channels_last)
        y = self.analysis(_with_rate(x, rate) if self.config.gains else x).float()
        if self.config.shortcut:
            with torch.autocast(x.device.type, enabled=False):
                blocks = pixel_unshuffle(x.float() - 0.5, BLOCK).permute(0, 2, 3, 1)
                y = y + (blocks @ self.block_analysis).permute(0, 3, 1, 2)
        coefficients = self.plan.analysis(y)
        return coefficients * _gains(self.gain, rate) if self.config.gains else coefficients

    def reconstruct(self, decoded: Tensor, rate: Tensor | None = None) -> Tensor:
        """Images of decoded coefficients.

        Args:
            decoded: (N, 4 * latent, H/16, W/16), in quantiser steps.
            rate: as in `coefficients`.

        Returns:
            float32 (N, 3, H, W), unclipped, nominally 0..1.
        """
        if self.config.gains:
            decoded = decoded / _gains(self.inverse_gain, rate)
        y = self.plan.synthesis(decoded).contiguous(memory_format=torch.channels_last)
        x = self.synthesis(_with_rate(y, rate) if self.config.gains else y).float()
        if self.config.shortcut:
            with torch.autocast(x.device.type, enabled=False):
                blocks = (y.permute(0, 2, 3, 1) @ self.block_synthesis).permute(0, 3, 1, 2)
                x = x + pixel_shuffle(blocks, BLOCK) + 0.5
        return x


def checked_sides(x: Tensor, multiple: int = STRIDE) -> Tensor:
    """Return images, or raise UsageError unless they are (N, 3, H, W) with sides that are multiples of a number."""
    if x.dim() != 4 or x.shape[1] != 3 or x.shape[2] % multiple or x.shape[3] % multiple or 0 in x.shape:
        raise UsageError(f"images of shape {tuple(x.shape)}; expected (N, 3, H, W), H and W multiples of {multiple}")
    return x


def _with_rate(x: Tensor, rate: Tensor | None) -> Tensor:
    """``x`` and the rate as one more channel."""
    plane = _column(rate).expand(x.shape[0], 1, *x.shape[2:]).to(x.dtype)
    return torch.cat((x, plane), 1).contiguous(memory_format=torch.channels_last)


def _gains(exponents: Tensor, rate: Tensor | None) -> Tensor:
    """Factors (N, C, 1, 1) of exponents a and slopes b, (2, C)."""
    return torch.exp2(exponents[0][:, None, None] + exponents[1][:, None, None] * _column(rate))


def _column(rate: Tensor | None) -> Tensor:
    if rate is None:
        raise UsageError("a network with gain units needs the rate of every image; give one")
    return rate[:, None, None, None]
