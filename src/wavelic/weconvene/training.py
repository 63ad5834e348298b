"""Training `weconvene-s`: one set of weights for all rates."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from wavelic.codec.weights import Card
from wavelic.training.data import PackedImages, to_batch
from wavelic.training.stages import Recipe, Stage
from wavelic.training.task import Task
from wavelic.weconvene.configs import SMALL_PLANS
from wavelic.weconvene.network import WeConveneSmall
from wavelic.weconvene.stage import WeconveneStage
from wavelic.weconvene.subbands import LEVELS
from wavelic.weconvene.weights import load_small

_START_CROPS = 48


class SmallObjective(nn.Module):
    """The model with its rate-distortion objective, in units in which every rate counts about alike.

    J = step^balance * (w1 R_low + w2 R_high + D / (rate_weight * step^2)), R in bits and D the squared error of all
    colours per pixel: equation 1, and equation 2 with w1, w2, of the paper; its ``lambda`` is
    1 / (rate_weight * step^2).
    """

    def __init__(self, model: WeConveneSmall, stage: WeconveneStage) -> None:
        super().__init__()
        self.model, self.stage = model, stage

    def forward(
        self, crops: Tensor, log2_step: Tensor, noise: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """uint8 (N, 3, H, W), (N,) -> loss, bits per pixel and mean squared error per sample of each crop, (N,)."""
        rgb = crops.float()
        with torch.autocast(rgb.device.type, torch.bfloat16, enabled=self.stage.bfloat16 and self.training):
            subbands = self.model.analysis(rgb, log2_step)
            quantised, bits = self.model.code(subbands, log2_step, noise)
            result = self.model.synthesis(quantised, log2_step)
        if not self.training:
            result = result.round().clamp(0, 255)
        pixels = rgb.shape[2] * rgb.shape[3]
        error = (result - rgb).square().flatten(1).sum(1) / pixels
        weights = torch.ones(LEVELS, device=rgb.device) * self.stage.high_weight
        weights[LEVELS // 2 :] = self.stage.low_weight
        rate = (bits * weights[:, None]).sum(0) / pixels
        step = torch.exp2(log2_step)
        loss = (rate + error / (self.stage.rate_weight * step.square())) * (step / 64) ** self.stage.balance
        return loss, bits.sum(0) / pixels, error / 3


def float_state(card: Card) -> dict[str, Tensor]:
    """Float state of a `WeConveneSmall` from its weights; the entropy model comes back from its integers."""
    model = load_small(card)
    state = {key: value for key, value in model.network.state_dict().items() if not key.startswith("entropy.")}
    return state | {f"entropy.{key}": value for key, value in model.entropy.float_state().items()}


class WeconveneTask(Task):
    """One stage of a `WeconveneStage` recipe."""

    objective: SmallObjective
    stage: WeconveneStage

    def __init__(self, recipe: Recipe, stage: Stage) -> None:
        super().__init__(recipe, stage)
        model: Any = WeConveneSmall(SMALL_PLANS[recipe.model])
        self.objective = SmallObjective(model.to(memory_format=torch.channels_last), self.stage)

    def start(self, previous: dict[str, Tensor] | None, data: PackedImages) -> None:
        """From earlier weights, else with scales measured on crops."""
        if previous is not None:
            self.objective.load_state_dict(previous)
            return
        device = next(self.objective.parameters()).device
        crops = data.random_crops(_START_CROPS, self.stage.crop, self.recipe.seed, 10**9)
        self.objective.model.start_from(to_batch(crops, device).float())

    def installed(self, card: Card) -> dict[str, Tensor]:
        """All of the state; see `float_state`."""
        return {f"model.{key}": value for key, value in float_state(card).items()}

    def losses(self, wrapped: nn.Module, crops: Tensor, fraction: float, noise: torch.Generator) -> dict[str, Tensor]:
        """Loss, bits per pixel and mean squared error in 8-bit units."""
        low, high = math.log2(self.stage.finest), math.log2(self.stage.coarsest)
        share = torch.rand(len(crops), generator=noise, device=crops.device)
        loss, bpp, mse = wrapped(crops, low + (high - low) * share, noise)
        return {"loss": loss.mean(), "bpp": bpp.mean(), "mse": mse.mean()}

    @torch.no_grad()
    def validate(self, average: nn.Module, held_out: PackedImages) -> dict[str, Any]:
        """Mean loss, and bpp and PSNR at every validation step, of the central crops of twice the training size."""
        crops = held_out.centre_crops(self.stage.crop)[:32]
        average.eval()
        loss, rows = 0.0, []
        for step in self.stage.validation_steps:
            bpp = psnr = 0.0
            for crop in crops:
                batch = to_batch(crop[None], next(average.parameters()).device)
                terms = average(batch, torch.full((1,), math.log2(step), device=batch.device))
                loss += float(terms[0]) / (len(crops) * len(self.stage.validation_steps))
                bpp += float(terms[1]) / len(crops)
                psnr += 10 * math.log10(255**2 / float(terms[2])) / len(crops)
            rows.append({"step": step, "bpp": bpp, "psnr": psnr})
        average.train()
        return {"loss": loss, "rates": rows}
