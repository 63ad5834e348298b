"""Training the 3DM-WeConvene networks: one lambda as published, or all rates with gain units."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from wavelic.codec.weights import Card
from wavelic.errors import UsageError
from wavelic.nn.calibration import calibrate_activations
from wavelic.nn.exact import set_quantised
from wavelic.threedm.config import CONFIGS
from wavelic.threedm.entropy import RATE_UNIT, RATES
from wavelic.threedm.network import CodecNetwork, Network, make_network
from wavelic.threedm.objective import REFERENCES, RateDistortion, Terms
from wavelic.threedm.stage import ThreedmStage
from wavelic.training.data import PackedImages, to_batch
from wavelic.training.stages import Recipe, Stage
from wavelic.training.task import Task, named, uniform

_START_CROPS = 48
_CALIBRATION_CROPS = 16
#: Weight of the loss of the prior's quantiles, which nothing else depends on: small beside a clipped gradient's norm.
_QUANTILE_WEIGHT = 1e-3


class TrainedNetwork(nn.Module):
    """A network with its objective.

    Args:
        network: what is trained.
        stage: how.
    """

    def __init__(self, network: Network, stage: ThreedmStage) -> None:
        super().__init__()
        self.network, self.stage = network, stage
        reference = REFERENCES.get(stage.distortion, 1.0)
        lambda_ = reference if network.config.gains else stage.lambda_ or reference
        weights = stage.low_weight, stage.high_weight
        self.objective = RateDistortion(lambda_, stage.distortion, weights, stage.balance)

    def forward(self, crops: Tensor, rate: Tensor | None, noise: torch.Generator | None = None) -> Terms:
        """Measure crops.

        Args:
            crops: uint8 (N, 3, H, W), sides multiples of 64.
            rate: octaves of lambda above the reference, (N,); not looked at without gain units.
            noise: source of the uniform noise.

        Returns:
            The terms; in evaluation of pictures with 8 bits.
        """
        images = crops.float() / 255
        rate = rate if self.network.config.gains else None
        output = self.network(images, rate, noise, self.stage.bfloat16 and self.training)
        if not self.training:
            rounded = output.reconstruction.mul(255).round().clamp(0, 255) / 255
            output = type(output)(rounded, output.bits, output.hyper_bits)
        return self.objective(output, images, self.network.plan, rate)


@torch.no_grad()
def calibrate(network: CodecNetwork, images: Tensor, rates: Tensor) -> None:
    """Choose the units of the entropy model's activations from what they reach on images; quantise from now on.

    Args:
        network: trained in floats.
        images: (N, 3, H, W) in 0..1, sides multiples of 64.
        rates: of each image, (N,), in octaves.
    """
    mode = network.training
    network.eval()
    calibrate_activations(network.entropy, lambda: network(images, rates))
    network.train(mode)


class ThreedmTask(Task):
    """One stage of a `ThreedmStage` recipe."""

    objective: TrainedNetwork
    stage: ThreedmStage

    def __init__(self, recipe: Recipe, stage: Stage) -> None:
        super().__init__(recipe, stage)
        network: Any = make_network(named(recipe.model, CONFIGS))
        self.objective = TrainedNetwork(network.to(memory_format=torch.channels_last), self.stage)
        if isinstance(network, CodecNetwork):
            set_quantised(network.entropy, self.stage.quantised)

    @property
    def rates(self) -> tuple[float, float]:
        """Lowest and highest octaves above the reference that crops are trained at."""
        if self.stage.lambda_ > 0:
            octaves = math.log2(self.stage.lambda_ / REFERENCES[self.stage.distortion])
            return octaves, octaves
        bound = RATES / RATE_UNIT
        if not -bound <= self.stage.lowest <= self.stage.highest <= bound:
            raise UsageError(
                f"rates from {self.stage.lowest} to {self.stage.highest} octaves; expected {-bound}..{bound}, rising"
            )
        return self.stage.lowest, self.stage.highest

    def parameter_groups(self) -> list[dict[str, Any]]:
        """The network, and the quantiles of the prior, as in the public code of the predecessor."""
        quantiles = self.objective.network.prior.quantiles
        others = [p for p in self.objective.parameters() if p is not quantiles and p.requires_grad]
        return [{"params": others, "scale": 1.0}, {"params": [quantiles], "scale": self.stage.quantile_scale}]

    @property
    def capturable(self) -> bool:
        """With squared error; the gradient of MS-SSIM could not be recorded on the GPU that it was tried on."""
        return self.stage.distortion == "mse"

    def start(self, previous: dict[str, Tensor] | None, data: PackedImages) -> None:
        """From earlier weights, else with shortcut and scales fitted to crops."""
        device = next(self.objective.parameters()).device
        network = self.objective.network
        crops = to_batch(data.random_crops(_START_CROPS, self.stage.crop, self.recipe.seed, 10**9), device)
        images = crops.float() / 255
        if previous is None:
            network.start_from(images)
        else:
            self.objective.load_state_dict(previous)
        if isinstance(network, CodecNetwork) and self.stage.quantised and not self.stage.calibrated:
            rates = torch.linspace(*self.rates, _CALIBRATION_CROPS, device=device)
            calibrate(network, images[:_CALIBRATION_CROPS], rates)

    def installed(self, card: Card) -> dict[str, Tensor]:
        """All of the state but the density of z, which starts anew."""
        if not isinstance(self.objective.network, CodecNetwork):
            return super().installed(card)
        from wavelic.threedm.weights import float_state

        return {f"network.{key}": value for key, value in float_state(card).items()}

    def losses(self, wrapped: nn.Module, crops: Tensor, fraction: float, noise: torch.Generator) -> dict[str, Tensor]:
        """Loss, bits per pixel, the part of z in them, and distortion."""
        rate = uniform(*self.rates, crops, noise)
        terms: Terms = wrapped(crops, rate, noise)
        loss = terms.loss + _QUANTILE_WEIGHT * self.objective.network.prior.quantile_loss()
        name = "mse" if self.stage.distortion == "mse" else "dissimilarity"
        return {"loss": loss, "bpp": terms.bpp.mean(), "hyper": terms.hyper_bpp, name: terms.distortion.mean()}

    @torch.no_grad()
    def validate(self, average: nn.Module, held_out: PackedImages) -> dict[str, Any]:
        """Mean loss, and bpp, bits of each subband and quality at every validation rate, of central crops."""
        crops = held_out.centre_crops(self.stage.crop)[: self.stage.validation_crops]
        average.eval()
        device = next(average.parameters()).device
        low, high = self.rates
        loss, rows = 0.0, []
        rates = [rate for rate in self.stage.validation_rates if low <= rate <= high] or [low]
        for rate in rates:
            seen = []
            for crop in crops:
                terms: Terms = average(to_batch(crop[None], device), torch.full((1,), rate, device=device))
                seen.append(terms)
                loss += float(terms.loss) / (len(crops) * len(rates))
            row = {"rate": rate, "bpp": _mean(float(t.bpp) for t in seen)}
            row["quality"] = _mean(self._decibels(float(t.distortion)) for t in seen)
            row["hyper"] = _mean(float(t.hyper_bpp) for t in seen)
            row |= {band: _mean(float(t.band_bpp[band]) for t in seen) for band in seen[0].band_bpp}
            rows.append(row)
        average.train()
        return {"loss": loss, "rates": rows}

    def _decibels(self, distortion: float) -> float:
        """PSNR, or MS-SSIM on the logarithmic scale that is usual for it."""
        peak = 255.0**2 if self.stage.distortion == "mse" else 1.0
        return 10 * math.log10(peak / max(distortion, 1e-9))


def _mean(values: Any) -> float:
    every = list(values)
    return sum(every) / len(every)
