"""Training WCAE and NoWCAE: what the loop needs to know about them."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from wavelic.training.data import PackedImages, to_batch
from wavelic.training.stages import Recipe, Stage
from wavelic.training.task import Task
from wavelic.wcae.klt import klt_initialize
from wavelic.wcae.network import build_autoencoder
from wavelic.wcae.objective import AutoencoderObjective
from wavelic.wcae.stage import WcaeStage


@torch.no_grad()
def validate(objective: AutoencoderObjective, crops: Tensor) -> dict[str, float]:
    """Means of loss, bpp and PSNR (of the mean squared error per crop, averaged) with real rounding."""
    objective.eval()
    rows = [objective(crops[i : i + 1]) for i in range(len(crops))]
    objective.train()
    return {
        "loss": sum(float(row.loss) for row in rows) / len(rows),
        "bpp": sum(float(row.bpp) for row in rows) / len(rows),
        "psnr": sum(10 * math.log10(255**2 / float(row.mse)) for row in rows) / len(rows),
    }


class WcaeTask(Task):
    """One stage of a `WcaeStage` recipe."""

    objective: AutoencoderObjective
    stage: WcaeStage

    def __init__(self, recipe: Recipe, stage: Stage) -> None:
        super().__init__(recipe, stage)
        model = build_autoencoder(recipe.model).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        form: Any = self.stage.form
        self.objective = AutoencoderObjective(model, form, self.stage.lambda_, self.stage.shared_prior)

    def start(self, previous: dict[str, Tensor] | None, data: PackedImages) -> None:
        """From an earlier stage; else from a KLT if the stage asks for it; else random."""
        if previous is not None:
            if previous["prior.mean"].shape != self.objective.prior.mean.shape:
                previous = {name: value for name, value in previous.items() if not name.startswith("prior.")}
            self.objective.load_state_dict(previous, strict=False)
        elif self.stage.klt:
            device = self.objective.prior.mean.device
            crops = to_batch(data.random_crops(64, self.stage.crop, self.recipe.seed), device)
            klt_initialize(self.objective.model, crops.float().div_(127.5).sub_(1))

    def losses(self, wrapped: nn.Module, crops: Tensor, fraction: float, noise: torch.Generator) -> dict[str, Tensor]:
        """Loss, bits per pixel and mean squared error in 8-bit units."""
        terms = wrapped(crops, noise, fraction >= self.stage.straight_through_from)
        return {"loss": terms.loss, "bpp": terms.bpp, "mse": terms.mse}

    def validate(self, average: nn.Module, held_out: PackedImages) -> dict[str, Any]:
        """Loss, bpp and PSNR of the central crops."""
        assert isinstance(average, AutoencoderObjective)
        crops = to_batch(held_out.centre_crops(self.stage.crop), average.prior.mean.device)
        return validate(average, crops)
