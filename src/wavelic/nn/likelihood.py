"""Differentiable code lengths of quantised values: Gaussians with given parameters, and a factorised prior.

Balle, Minnen, Singh, Hwang and Johnston, *Variational image compression with a scale hyperprior* (ICLR 2018): section 3
for the uniform noise that stands for the quantiser, appendix 6.1 for the factorised prior.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from wavelic.entropy import TableSet, factorized_tables
from wavelic.nn.constants import constant
from wavelic.nn.gdn import lower_bound

SCALE_BOUND = 0.11  # smallest standard deviation: below it, the middle bin has nearly all the mass
LIKELIHOOD_BOUND = 1e-9


def round_straight_through(x: Tensor) -> Tensor:
    """Round to the nearest integers, with the gradient of the identity (straight-through estimator).

    Args:
        x: tensor of any shape.

    Returns:
        Whole numbers, in the shape and dtype of ``x``.
    """
    return x + (x.round() - x).detach()


def gaussian_bits(values: Tensor, mean: Tensor, scale: Tensor) -> Tensor:
    """Code length of values under Gaussians: -log2 of the mass of N(mean, scale) on the unit bin around each value.

    No value costs more than -log2(LIKELIHOOD_BOUND), about 30 bits.

    Args:
        values: in quantiser steps, any shape.
        mean: of each value's Gaussian.
        scale: its standard deviation, bounded below by SCALE_BOUND, with a gradient that lets it rise again.

    Returns:
        Bits of each value, float32 or better.
    """
    distance = (values - mean).abs()
    distance = distance if distance.dtype == torch.float64 else distance.float()
    unit = lower_bound(scale.to(distance.dtype), SCALE_BOUND) * math.sqrt(2.0)
    # erfc, unlike torch.special.ndtr, is exact in the tail: in float32 the latter is 0 from 5.4 deviations on
    mass = 0.5 * (torch.erfc((distance - 0.5) / unit) - torch.erfc((distance + 0.5) / unit))
    return -torch.log2(lower_bound(mass, LIKELIHOOD_BOUND))


class FactorizedPrior(nn.Module):
    """Learned density per channel, independent of position and of the other channels.

    The cumulative of channel c is the logistic function of ``logits``, a small monotone network.  With widths (3, 3, 3,
    3) there are 61 parameters per channel, of which 3 are the quantiles at TAIL_MASS / 2, 1/2 and 1 - TAIL_MASS / 2.
    The middle one, the median, is where values are rounded about; `quantile_loss` fits them.

    Args:
        channels: C of the (N, C, H, W) values.
        widths: of the hidden layers.
        spread: initial half-width of the density, in quantiser steps.
    """

    TAIL_MASS = 1e-9

    def __init__(self, channels: int, widths: tuple[int, ...] = (3, 3, 3, 3), spread: float = 10.0) -> None:
        super().__init__()
        sizes = (1, *widths, 1)
        layers = list(pairwise(sizes))
        step = spread ** (1.0 / len(layers))
        # softplus of the initial matrices is 1 / (step * outputs): together they divide by ``spread``
        self.matrices = nn.ParameterList(
            torch.full((channels, after, before), math.log(math.expm1(1.0 / (step * after))))
            for before, after in layers
        )
        self.biases = nn.ParameterList(torch.rand(channels, after, 1) - 0.5 for _, after in layers)
        self.factors = nn.ParameterList(torch.zeros(channels, after, 1) for _, after in layers[:-1])
        self.quantiles = nn.Parameter(torch.tensor([-spread, 0.0, spread]).repeat(channels, 1))

    @property
    def channels(self) -> int:
        """Number of channels."""
        return self.quantiles.shape[0]

    @property
    def medians(self) -> Tensor:
        """Median of each channel, (1, C, 1, 1), without gradient."""
        return self.quantiles[None, :, 1, None, None].detach()

    def logits(self, values: Tensor) -> Tensor:
        """Logits of the cumulative distribution.

        Args:
            values: (C, n), in quantiser steps.

        Returns:
            (C, n), rising with the values.
        """
        return self._logits(values, self._density())

    def _density(self) -> list[Tensor]:
        """All parameters except the quantiles."""
        return [*self.matrices, *self.biases, *self.factors]

    def _logits(self, values: Tensor, density: list[Tensor]) -> Tensor:
        layers = len(self.matrices)
        matrices, biases, factors = density[:layers], density[layers : 2 * layers], density[2 * layers :]
        x = values.unsqueeze(1)
        for layer, (matrix, bias) in enumerate(zip(matrices, biases, strict=True)):
            x = softplus(matrix) @ x + bias
            if layer < len(factors):
                x = torch.addcmul(x, torch.tanh(factors[layer]), torch.tanh(x))
        return x.squeeze(1)

    def bits(self, values: Tensor) -> Tensor:
        """Code length of values: -log2 of the mass on the unit bin around each.

        Args:
            values: (N, C, H, W), in quantiser steps.

        Returns:
            Bits of each value, float32 or better.
        """
        flat = values.transpose(0, 1).flatten(1)
        flat = flat if flat.dtype == torch.float64 else flat.float()
        lower, upper = self.logits(flat - 0.5), self.logits(flat + 0.5)
        # in the upper tail both cumulatives round to 1: mirror them into the lower tail
        sign = -torch.sign(lower + upper).detach()
        mass = (torch.sigmoid(sign * upper) - torch.sigmoid(sign * lower)).abs()
        cost = -torch.log2(lower_bound(mass, LIKELIHOOD_BOUND))
        return cost.view(values.shape[1], values.shape[0], *values.shape[2:]).transpose(0, 1)

    def quantile_loss(self) -> Tensor:
        """Loss that moves the quantiles, and nothing else, to where they belong; zero when they are there."""
        frozen = [parameter.detach() for parameter in self._density()]
        tail = math.log(2.0 / self.TAIL_MASS - 1.0)
        return (self._logits(self.quantiles, frozen) - constant((-tail, 0.0, tail), self.quantiles)).abs().sum()

    @torch.no_grad()
    def tables(self, tail_mass: float = 2.0**-16, radius: int = 1 << 11) -> TableSet:
        """Make integer tables of symbols k that stand for median + k.

        Floats are used here; store the result with the weights.

        Args:
            tail_mass: largest mass of a table's escape entry, unless the table would reach beyond ``radius``.
            radius: largest absolute symbol of a table.

        Returns:
            One table per channel.
        """
        double = [parameter.double() for parameter in self._density()]
        edges = torch.arange(-radius, radius + 2, dtype=torch.float64, device=self.quantiles.device) - 0.5
        logits = self._logits(self.quantiles[:, 1:2].double() + edges, double)
        cumulative = torch.sigmoid(logits).cpu().numpy()
        beyond = torch.sigmoid(-logits).cpu().numpy()
        weights, offsets, escapes = [], [], []
        for below, above in zip(cumulative, beyond, strict=True):
            first = max(0, int(np.searchsorted(below, tail_mass / 2, side="right")) - 1)
            last = min(len(below) - 1, len(below) - int(np.searchsorted(above[::-1], tail_mass / 2, side="right")))
            last = max(last, first + 1)
            mass = np.where(below[:-1] < 0.5, np.diff(below), -np.diff(above)).clip(min=0.0)
            weights.append(mass[first:last])
            offsets.append(first - radius)
            escapes.append(float(below[first] + above[last]))
        return factorized_tables(weights, offsets, escape_weights=escapes)
