"""Training `weconvene`: one set of weights for all rates."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from wavelic.codec.weights import Card
from wavelic.errors import UsageError
from wavelic.nn.calibration import calibrate_activations
from wavelic.nn.exact import set_quantised
from wavelic.training.data import PackedImages, to_batch
from wavelic.training.stages import Recipe, Stage
from wavelic.training.task import Task, named, uniform
from wavelic.weconvene.config import CONFIGS
from wavelic.weconvene.layout import LEVELS
from wavelic.weconvene.ms_ssim import one_minus_ms_ssim
from wavelic.weconvene.network import Network
from wavelic.weconvene.quantizers import Coded, CodedInTraining, Noisy, Quantizer
from wavelic.weconvene.stage import WeconveneStage

_VALIDATED_TOGETHER = 16  # crops, on a GPU
_START_CROPS = 48
_CALIBRATION_CROPS = 16
#: Layers of a block whose results are added to its input.
_ADDING = ("leave", "narrow")


class RateDistortion(nn.Module):
    """The network with its objective, in units in which every rate counts about alike.

    J = step^balance * (w1 R_low + w2 R_high + D / (lambda_ * step^2)), R in bits per pixel and D the squared error of
    all colours per pixel: equation 1, and equation 2 with w1, w2, of 3DM-WeConvene; the paper's lambda is
    1 / (lambda_ * step^2).  With the metric "ms-ssim", D / lambda_ is ms_ssim_weight * (1 - MS-SSIM).
    """

    def __init__(self, network: Network, stage: WeconveneStage) -> None:
        super().__init__()
        self.network, self.stage = network, stage

    def forward(
        self, crops: Tensor, log2_step: Tensor, noise: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """uint8 (N, 3, H, W), (N,) -> loss, bits per pixel and mean squared error per sample of each crop, (N,)."""
        rgb = crops.float()
        autocast = self.stage.bfloat16 and self.training
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.stage.synthesis_only):
            subbands = self.network.analysis(rgb, log2_step, autocast=autocast)
            quantised, bits = self.network.code(subbands, log2_step, self.quantizer(noise), autocast)
        result = self.network.synthesis(quantised, log2_step, autocast)
        if not self.training:
            result = result.round().clamp(0, 255)
        pixels = rgb.shape[2] * rgb.shape[3]
        error = (result - rgb).square().flatten(1).sum(1) / pixels
        weights = torch.ones(LEVELS, device=rgb.device) * self.stage.high_weight
        weights[LEVELS // 2 :] = self.stage.low_weight
        rate = (bits * weights[:, None]).sum(0) / pixels
        step = torch.exp2(log2_step)
        if self.stage.metric == "ms-ssim":
            distortion = self.stage.ms_ssim_weight * one_minus_ms_ssim(result, rgb)
        else:
            distortion = error / self.stage.lambda_
        loss = (rate + distortion / step.square()) * (step / 64) ** self.stage.balance
        return loss, bits.sum(0) / pixels, error / 3

    def quantizer(self, noise: torch.Generator | None) -> Quantizer:
        """What makes symbols, in training and when crops are judged."""
        rdoq_lambda = self.stage.rdoq_lambda
        if not self.training or self.stage.synthesis_only:
            return Coded(rdoq_lambda)
        return CodedInTraining(rdoq_lambda, noise) if rdoq_lambda else Noisy(noise)


@torch.no_grad()
def calibrate(network: Network, rgb: Tensor, log2_steps: Tensor) -> None:
    """Choose the units of the context model's activations from what they reach on images; quantise from now on.

    Args:
        network: trained in floats.
        rgb: (N, 3, H, W), samples 0..255.
        log2_steps: of each image, (N,).
    """

    def run() -> None:
        network.code(network.analysis(rgb, log2_steps), log2_steps, Coded())

    calibrate_activations(network.entropy, run)


def with_longer_synthesis(weights: dict[str, Tensor], own: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights of a network with a shorter g, with further blocks of g that add nothing to their input.

    Args:
        weights: state of an objective.
        own: state of the objective that is to start from them, with new weights.

    Returns:
        ``weights``, and from ``own`` the blocks of g behind the last one that ``weights`` has.
    """
    prefix = "network.g.blocks."
    last = max((int(name.split(".")[3]) for name in weights if name.startswith(prefix)), default=-1)
    further = {k: value for k, value in own.items() if k.startswith(prefix) and int(k.split(".")[3]) > last}
    silent = {name: torch.zeros_like(value) for name, value in further.items() if name.split(".")[4] in _ADDING}
    return weights | further | silent


class WeconveneTask(Task):
    """One stage of a `WeconveneStage` recipe."""

    objective: RateDistortion
    stage: WeconveneStage

    def __init__(self, recipe: Recipe, stage: Stage) -> None:
        super().__init__(recipe, stage)
        if self.stage.metric not in ("mse", "ms-ssim"):
            raise UsageError(f"metric {self.stage.metric!r}; expected 'mse' or 'ms-ssim'")
        network: Any = Network(named(recipe.model, CONFIGS))
        self.objective = RateDistortion(network.to(memory_format=torch.channels_last), self.stage)
        set_quantised(network.entropy, self.stage.quantised)
        if self.stage.synthesis_only:
            network.requires_grad_(False)
            network.g.requires_grad_(True)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Those that are trained."""
        return [{"params": [p for p in self.objective.parameters() if p.requires_grad], "scale": 1.0}]

    @property
    def capturable(self) -> bool:
        """With squared error; the gradient of MS-SSIM could not be recorded on the GPU that it was tried on."""
        return self.stage.metric == "mse"

    def start(self, previous: dict[str, Tensor] | None, data: PackedImages) -> None:
        """From earlier weights, else with scales measured on crops."""
        device = next(self.objective.parameters()).device
        crops = to_batch(data.random_crops(_START_CROPS, self.stage.crop, self.recipe.seed, 10**9), device).float()
        network = self.objective.network
        if previous is None:
            network.start_from(crops)
        else:
            self.objective.load_state_dict(with_longer_synthesis(previous, self.objective.state_dict()))
        if self.stage.quantised and not self.stage.calibrated:
            low, high = math.log2(self.stage.finest), math.log2(self.stage.coarsest)
            steps = torch.linspace(low, high, _CALIBRATION_CROPS, device=device)
            calibrate(network, crops[:_CALIBRATION_CROPS], steps)

    @property
    def relatives(self) -> tuple[str, ...]:
        """Networks that differ in nothing but a g that is as long or shorter."""
        own = self.objective.network.config
        return tuple(
            name
            for name, config in CONFIGS.items()
            if config.synthesis_blocks <= own.synthesis_blocks
            and replace(config, synthesis_blocks=own.synthesis_blocks) == own
        )

    def installed(self, card: Card) -> dict[str, Tensor]:
        """All of the state."""
        from wavelic.weconvene.weights import float_state

        return {f"network.{key}": value for key, value in float_state(card).items()}

    def losses(self, wrapped: nn.Module, crops: Tensor, fraction: float, noise: torch.Generator) -> dict[str, Tensor]:
        """Loss, bits per pixel and mean squared error in 8-bit units."""
        log2_step = uniform(math.log2(self.stage.finest), math.log2(self.stage.coarsest), crops, noise)
        loss, bpp, mse = wrapped(crops, log2_step, noise)
        return {"loss": loss.mean(), "bpp": bpp.mean(), "mse": mse.mean()}

    @torch.no_grad()
    def validate(self, average: nn.Module, held_out: PackedImages) -> dict[str, Any]:
        """Mean loss, and bpp and PSNR at every validation step, of the central crops of twice the training size."""
        crops = held_out.centre_crops(self.stage.crop)[:32]
        average.eval()
        loss, rows = 0.0, []
        device = next(average.parameters()).device
        together = 1 if device.type == "cpu" else _VALIDATED_TOGETHER
        for step in self.stage.validation_steps:
            bpp = psnr = 0.0
            for first in range(0, len(crops), together):
                batch = to_batch(crops[first : first + together], device)
                terms = average(batch, torch.full((len(batch),), math.log2(step), device=device))
                loss += float(terms[0].sum()) / (len(crops) * len(self.stage.validation_steps))
                bpp += float(terms[1].sum()) / len(crops)
                psnr += float((10 * torch.log10(255**2 / terms[2])).sum()) / len(crops)
            rows.append({"step": step, "bpp": bpp, "psnr": psnr})
        average.train()
        return {"loss": loss, "rates": rows}
