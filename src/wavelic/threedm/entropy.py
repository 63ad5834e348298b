"""Hyper-synthesis and 3DWeChARM in 8-bit integers: what a decoder computes before it knows the symbols of a slice.

The wiring is that of figures 5 and 6 of the paper, with these changes so that results are the same on every machine
(`wavelic.nn.exact`); ``docs/threedm.md`` has the list:

- all activations are ReLUs; the sigmoid of the attention's gate is the clipped line min(1, ReLU(x)), and the tanh of
  the latent residual prediction (LRP) is a clipped line as well;
- h_s is sub-pixel convolutions and residual blocks, without wavelet layers and GDN;
- networks see a decoded value v as log2(1 + |v|), in one of two feature maps by its sign;
- the scale is a logarithm, to which each channel adds a base that is linear in the rate.

One description serves training and coding: `EntropyModel` with layers of `QuantConv2d` computes in floats, with layers
of `ExactConv2d` in integers.  `EntropyModel.forward` is the one walk over slices that training, encoder and decoder
share.

Units of the integers: activations 1/32 or as their layer says; coefficients, means and LRP 1/64 quantiser step; log2
scales 1/64 octave; rates 1/32 octave of lambda.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import cast

import torch
from torch import Tensor, nn

from wavelic.nn.exact import LIMIT, Conv, ExactConv2d, QuantConv2d
from wavelic.nn.likelihood import round_straight_through
from wavelic.threedm.config import Config
from wavelic.threedm.plan import Slice, SlicePlan
from wavelic.threedm.slice_nets import Attention, HyperSynthesis, ParameterLayers

#: Units of a coefficient in quantiser steps, of an octave of scale, of an octave of the rate, and of an input feature.
VALUE, SCALE_UNIT, RATE_UNIT, FEATURE = 64, 64, 32, 32
#: Rates go from -RATES to RATES, in 1/32 octave of lambda: six octaves.
RATES = 96
#: Largest residual in steps.
MAX_VALUE = 1 << 20
#: Scales of the tables: SCALES of them, PER_OCTAVE for an octave, from 2^LOG2_LOWEST steps.
LOG2_LOWEST, PER_OCTAVE, SCALES = -3.2, 5, 60
#: Scales reach several octaves: without it the last layer would learn slower than the others.
HEAD_SCALE = 2.0
_MAX_MEAN = float(1 << 11)
#: Largest rounding error that LRP predicts: below half a step, so that decoded values still tell their symbols.
MAX_ERROR = 0.5 - 1 / VALUE

#: (slice, mean, log2 scale or table) -> its decoded values before LRP, in the units of the mean.
CodeSlice = Callable[[Slice, Tensor, Tensor], Tensor]


@cache
def _log_table() -> Tensor:
    """uint8 feature of every magnitude in 1/64 step, up to where it is clamped."""
    magnitudes = torch.arange(VALUE * (1 << (LIMIT // FEATURE + 1)) + 1, dtype=torch.float64) / VALUE
    return (FEATURE * torch.log2(1 + magnitudes)).round().clamp(max=LIMIT).to(torch.uint8)


def features(values: Tensor) -> Tensor:
    """Return what networks see of decoded values: positive ones, then negative ones.

    Args:
        values: (N, C, h, w); float32 in steps, or int32 in 1/64 step.

    Returns:
        (N, 2 C, h, w); float32, with a gradient at zero too, or uint8 in units of 1/32.
    """
    if values.is_floating_point():
        both = torch.cat((values.clamp(min=0), (-values).clamp(min=0)), 1)
        octaves = torch.log2(1 + both).clamp(max=LIMIT / FEATURE)
        return round_straight_through(octaves * FEATURE) / FEATURE
    table = _log_table().to(values.device)
    log = table[values.abs().clamp(max=len(table) - 1)]
    zero = log.new_zeros(())
    return torch.cat((torch.where(values > 0, log, zero), torch.where(values < 0, log, zero)), 1)


class SliceNets(nn.Module):
    """Mean, scale and LRP of one slice (figure 6).

    Args:
        plan: the order of coding.
        number: which of its slices.
        config: sizes.
        layer: `QuantConv2d` or `ExactConv2d`.
    """

    def __init__(self, plan: SlicePlan, number: int, config: Config, layer: Conv) -> None:
        super().__init__()
        part = plan.slices[number]
        known = plan.latent + 2 * sum(earlier.channels for earlier in plan.slices[: part.support])
        depth = config.attention_blocks, config.attention_units
        widths = part.features, part.channels, plan.kernels, config.hidden
        self.mean_attention = Attention(known, part.features, config.attention, *depth, layer)
        self.mean_net = ParameterLayers(*widths, layer)
        self.scale_attention = Attention(known, part.features, config.attention, *depth, layer)
        self.scale_net = ParameterLayers(*widths, layer)
        seen = 2 * (plan.low_channels if part.sees_low else 0) + part.features + 2 * part.channels
        self.residual_net = ParameterLayers(seen, part.channels, plan.kernels, config.hidden, layer)

    def predict(self, means: Tensor, scales: Tensor, support: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Compute the networks' mean and scale of the slice, float32, and the features that `correct` needs."""
        seen: Tensor = self.mean_attention(torch.cat((means, *support), 1))
        scale = self.scale_net(self.scale_attention(torch.cat((scales, *support), 1)))
        return self.mean_net(seen).float(), HEAD_SCALE * scale.float(), seen

    def correct(self, values: Tensor, seen: Tensor, low: list[Tensor]) -> Tensor:
        """Add the predicted rounding error, at most MAX_ERROR, to decoded values; ``low``: features of low bands."""
        error = self.residual_net(torch.cat((*low, seen, features(values)), 1)).float().clamp(-MAX_ERROR, MAX_ERROR)
        if values.is_floating_point():
            return values + error
        return values + (error * VALUE).round().to(torch.int32)


class EntropyModel(nn.Module):
    """h_s and the slice nets.

    Args:
        config: sizes.
        layer: `QuantConv2d` to train, `ExactConv2d` to code.

    Attributes:
        base: log2 scale of every coefficient channel at r = 0, and its slope per octave of the rate, (2, 4 * latent);
            int32 in 1/64 octave where the layers are exact.
    """

    base: Tensor

    def __init__(self, config: Config, layer: Conv = QuantConv2d) -> None:
        super().__init__()
        self.plan, self.exact = config.plan(), layer is ExactConv2d
        self.hyper_means = HyperSynthesis(config, layer)
        self.hyper_scales = HyperSynthesis(config, layer)
        self.slices = nn.ModuleList(
            SliceNets(self.plan, number, config, layer) for number in range(len(self.plan.slices))
        )
        base = torch.zeros(2, 4 * config.latent)
        if self.exact:
            self.register_buffer("base", base.to(torch.int32))
        else:
            self.base = nn.Parameter(base)

    @torch.no_grad()
    def start_from(self, coefficients: Tensor, slopes: Tensor) -> None:
        """Start from the scales of coefficients at r = 0, (N, 4 * latent, h, w), and the slopes of their gains."""
        self.base[0] = torch.log2(coefficients.std((0, 2, 3)).clamp_min(2.0**LOG2_LOWEST))
        self.base[1] = slopes

    def forward(self, z: Tensor, rate: Tensor, code: CodeSlice) -> Tensor:
        """Walk through the plan: predict a slice, let ``code`` code it, correct it, go on.

        Args:
            z: decoded hyper-latents, (N, hyper, h/4, w/4): float32, or int32 if the layers are exact.
            rate: of every image, (N,): float32 in octaves, or int32 in 1/32 octave.
            code: called for every slice in coding order.

        Returns:
            The decoded coefficients (N, 4 * latent, h, w): float32 in steps, or int32 in 1/64 step.
        """
        octaves = (rate + RATES).to(torch.uint8) if self.exact else rate + RATES / RATE_UNIT
        batch, _, height, width = z.shape
        z = z * VALUE if self.exact else z
        x = torch.cat((features(z), octaves[:, None, None, None].expand(batch, 1, height, width)), 1)
        x = x.contiguous(memory_format=torch.channels_last)
        means, scales = self.hyper_means(x), self.hyper_scales(x.clone())
        decoded: list[Tensor] = []
        known: list[Tensor] = []
        for part, module in zip(self.plan.slices, self.slices, strict=True):
            nets = cast(SliceNets, module)
            mean, scale, seen = nets.predict(means, scales, known[: part.support])
            values = code(part, *self._location_and_scale(part, mean, scale, rate))
            low = known[: self.plan.low_slices] if part.sees_low else []
            decoded.append(nets.correct(values, seen, low))
            known.append(features(decoded[-1]))
        return torch.cat(decoded, 1)

    def _location_and_scale(self, part: Slice, mean: Tensor, scale: Tensor, rate: Tensor) -> tuple[Tensor, Tensor]:
        """What a slice is coded with: mean and log2 scale in floats, or mean in 1/64 step and table 0..SCALES-1."""
        base, slope = (row[part.start : part.stop, None, None] for row in self.base)
        rates = rate[:, None, None, None]
        if not self.exact:
            return mean, scale + base + slope * rates
        start = base + ((slope * rates + RATE_UNIT // 2) >> (RATE_UNIT.bit_length() - 1))
        octaves = (scale.clamp(-64, 64) * SCALE_UNIT).round_().to(torch.int32) + start
        octaves -= round(LOG2_LOWEST * SCALE_UNIT)
        table = (octaves.mul_(PER_OCTAVE).add_(SCALE_UNIT // 2) >> (SCALE_UNIT.bit_length() - 1)).clamp_(0, SCALES - 1)
        location = (mean.clamp(-_MAX_MEAN, _MAX_MEAN) * VALUE).round_().to(torch.int32)
        return location, table.to(torch.uint8)

    @torch.no_grad()
    def set_exponents(self, outputs: dict[nn.Module, int]) -> None:
        """Set the units of all activations: 2^exponent to 1.0, from those that suit each layer's outputs."""
        for module in self.modules():
            if isinstance(module, Attention | HyperSynthesis | ParameterLayers):
                module.set_exponents(outputs)


def integers_of(trained: EntropyModel, config: Config) -> EntropyModel:
    """Return the entropy model in integers that a trained one stands for."""
    result = EntropyModel(config, ExactConv2d)
    for layer, twin in zip(trained.modules(), result.modules(), strict=True):
        if isinstance(layer, QuantConv2d):
            twin.load_state_dict(ExactConv2d.from_float(layer).state_dict())
    result.base.copy_((trained.base.detach().double() * SCALE_UNIT).round())
    return result
