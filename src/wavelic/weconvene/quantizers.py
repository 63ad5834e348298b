"""Quantizers of `weconvene` in floats, and the rate of what they give: for training and for judging.

A quantizer takes values minus the mean of their distribution, in quantiser steps, and that distribution's scale; it
returns symbols, with a gradient to the values, and their bits.  `Network.code` calls it for every slice.  Files are
coded with `wavelic.weconvene.rdoq.quantise`, in the costs of the integer tables.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from wavelic.nn.gdn import lower_bound
from wavelic.nn.likelihood import round_straight_through
from wavelic.weconvene.units import LOG2_LOWEST, PER_OCTAVE, SCALES

#: (values minus mean, log2 scale), of one shape -> (symbols, bits of each).
Quantizer = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Coded:
    """The symbols of an encoder with rate-distortion optimised quantisation, for judging; without gradient.

    Attributes:
        rdoq_lambda: squared error in steps squared that a bit is worth; 0 rounds to nearest.
    """

    rdoq_lambda: float = 0.0

    def __call__(self, offset: Tensor, log2_scale: Tensor) -> tuple[Tensor, Tensor]:
        """See `Quantizer`."""
        symbols = quantize_by_cost(offset, log2_scale, self.rdoq_lambda)
        return symbols, logistic_bits(symbols, log2_scale)


@dataclass(frozen=True)
class Noisy:
    """For training: rounded symbols with the gradient of the identity, and the rate of values with uniform noise.

    Attributes:
        noise: source of the noise.
    """

    noise: torch.Generator | None = None

    def __call__(self, offset: Tensor, log2_scale: Tensor) -> tuple[Tensor, Tensor]:
        """See `Quantizer`."""
        return round_straight_through(offset), logistic_bits(_with_noise(offset, self.noise), log2_scale)


@dataclass(frozen=True)
class CodedInTraining:
    """For the last stage of training: `Coded` symbols with the gradient of the identity, and their true rate.

    The scales learn from the symbols; the means and the analysis get the gradient of values with noise, which whole
    numbers do not have.

    Attributes:
        rdoq_lambda: as in `Coded`.
        noise: source of the noise.
    """

    rdoq_lambda: float
    noise: torch.Generator | None = None

    def __call__(self, offset: Tensor, log2_scale: Tensor) -> tuple[Tensor, Tensor]:
        """See `Quantizer`."""
        symbols = quantize_by_cost(offset, log2_scale, self.rdoq_lambda)
        noisy = logistic_bits(_with_noise(offset, self.noise), log2_scale.detach())
        bits = logistic_bits(symbols, log2_scale) + (noisy - noisy.detach())
        return offset + (symbols - offset).detach(), bits


def logistic_bits(values: Tensor, log2_scale: Tensor) -> Tensor:
    """Compute -log2 of the mass of a zero-mean logistic distribution on the unit bin around each value.

    With a = |value| / scale and h = 1 / (2 scale) the mass is sinh h / (cosh a + cosh h), of which the logarithm is
    taken term by term: exact and with a gradient far out in the tails.

    Args:
        values: of any shape, in steps.
        log2_scale: of the distribution, broadcast; bounded as the tables are.

    Returns:
        Bits, float32, or float64 for such values.
    """
    if values.dtype != torch.float64:
        values, log2_scale = values.float(), log2_scale.float()
    bounded = -lower_bound(-lower_bound(log2_scale, LOG2_LOWEST), -(LOG2_LOWEST + SCALES / PER_OCTAVE))
    inverse = torch.exp2(-bounded)
    a, h = values.abs() * inverse, 0.5 * inverse
    top = torch.maximum(a, h)
    denominator = torch.exp(a - top) + torch.exp(-a - top) + torch.exp(h - top) + torch.exp(-h - top)
    return (top + torch.log(denominator) - h - torch.log1p(-torch.exp(-2 * h))) * (1 / math.log(2))


@torch.no_grad()
def quantize_by_cost(offset: Tensor, log2_scale: Tensor, rdoq_lambda: float) -> Tensor:
    """Choose symbols as `wavelic.weconvene.rdoq.quantise` does, by the costs of a logistic distribution.

    Args:
        offset: values minus the mean, in steps.
        log2_scale: of the distribution, broadcast.
        rdoq_lambda: squared error in steps squared that a bit is worth; 0 rounds to nearest.

    Returns:
        The nearest whole number, or the next one towards zero where squared error + rdoq_lambda * bits is smaller.
    """
    nearest = offset.round()
    if not rdoq_lambda:
        return nearest
    lower = nearest - nearest.sign()
    saved = logistic_bits(nearest, log2_scale) - logistic_bits(lower, log2_scale)
    return torch.where((offset - lower).square() - (offset - nearest).square() < rdoq_lambda * saved, lower, nearest)


def _with_noise(offset: Tensor, noise: torch.Generator | None) -> Tensor:
    return offset + torch.rand(offset.shape, generator=noise, device=offset.device) - 0.5
