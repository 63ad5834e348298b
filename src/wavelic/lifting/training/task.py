"""Training a lifting transform: what the loop needs to know about it."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from wavelic.codec.weights import Card
from wavelic.errors import UsageError
from wavelic.lifting.structures import build_lifting
from wavelic.lifting.training.objective import GRAYS, LEVELS, LiftingObjective, Plan, luma_planes
from wavelic.lifting.training.operators import freeze_first_proposals, plain_state, use_trained_operators
from wavelic.lifting.training.rates import smooth_bits
from wavelic.lifting.training.score import Validator, luma
from wavelic.lifting.training.stage import LiftingStage
from wavelic.lifting.training.surrogate import half_width
from wavelic.lifting.transform.transform import LiftingTransform
from wavelic.lifting.weights import load_lifting_card
from wavelic.training.data import PackedImages
from wavelic.training.stages import Recipe, Stage
from wavelic.training.task import Task
from wavelic.wavelets import dwt2

_TRANSFORM = "transform."


def transform_of(model: str, state: dict[str, Tensor]) -> LiftingTransform:
    """The plain transform inside the saved state of a `LiftingObjective`."""
    transform = build_lifting(model)
    inside = {name.removeprefix(_TRANSFORM): value for name, value in state.items() if name.startswith(_TRANSFORM)}
    transform.load_state_dict(plain_state(inside))
    return transform.eval().requires_grad_(False)


class LiftingTask(Task):
    """One stage of a `LiftingStage` recipe."""

    objective: LiftingObjective
    stage: LiftingStage

    def __init__(self, recipe: Recipe, stage: Stage) -> None:
        super().__init__(recipe, stage)
        plan = Plan(**{field.name: getattr(self.stage, field.name) for field in fields(Plan)})
        transform = use_trained_operators(build_lifting(recipe.model), self.stage.bfloat16)
        self.objective = LiftingObjective(transform, plan)
        if self.stage.train not in ("all", "proposals", "opacities"):
            raise UsageError(f"train is {self.stage.train!r}; choose all, proposals or opacities")
        for name, value in self.objective.named_parameters():
            value.requires_grad_(self.stage.train in ("all", "proposals" if name.endswith(".taps") else "opacities"))
        self._validator: Validator | None = None

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Proposals at the stage's step size; everything else at ``opacity_scale`` times it."""
        named = [(name, value) for name, value in self.objective.named_parameters() if value.requires_grad]
        taps = [value for name, value in named if name.endswith(".taps")]
        others = [value for name, value in named if not name.endswith(".taps")]
        groups = [{"params": taps, "scale": 1.0}, {"params": others, "scale": self.stage.opacity_scale}]
        return [group for group in groups if group["params"]]

    def losses(self, wrapped: nn.Module, crops: Tensor, fraction: float, noise: torch.Generator) -> dict[str, Tensor]:
        """Terms of `LiftingObjective`."""
        where = torch.rand(len(crops), generator=noise, device=crops.device)
        low, high = math.log(self.stage.lowest), math.log(self.stage.highest)
        x = luma_planes(crops)
        step = self.objective.step_for(x, (low + (high - low) * where).exp())
        terms: dict[str, Tensor] = wrapped(x, step, half_width(fraction, self.stage.last_half_width))
        return terms

    def start(self, previous: dict[str, Tensor] | None, data: PackedImages) -> None:
        """The weights of an earlier stage, whatever its rate was; its counts if they are of the same kind."""
        if previous is not None:
            here = self.objective.state_dict()
            same = {name: value for name, value in previous.items() if name in here and value.shape == here[name].shape}
            if self.stage.train == "opacities":
                same = {name: value for name, value in same.items() if name.endswith(".taps")}
            self.objective.load_state_dict(here | same)
        if self.stage.train == "proposals":
            freeze_first_proposals(self.objective.transform)

    def installed(self, card: Card) -> dict[str, Tensor]:
        """The transform; the code lengths' counts are new."""
        transform = build_lifting(card.architecture)
        transform.load_state_dict(load_lifting_card(card).state_dict())
        state = use_trained_operators(transform, self.stage.bfloat16).state_dict()
        return {_TRANSFORM + name: value for name, value in state.items()}

    def validate(self, average: nn.Module, held_out: PackedImages) -> dict[str, Any]:
        """BD-rate of the real coder's files against CDF 9/7, and what a standard decoder shows."""
        if self._validator is None:
            self._validator = self.validator(held_out)
        result = self._validator(transform_of(self.recipe.model, average.state_dict()))
        return {"loss": result["bd_rate"], **result}

    def validator(self, held_out: PackedImages) -> Validator:
        """Make a validator on the central crops with most detail."""
        crops = [luma(_centre(held_out.image(index), self.stage.judged_side)) for index in range(len(held_out))]
        crops.sort(key=self._activity, reverse=True)
        return Validator(crops[: self.stage.judged])

    def _activity(self, pixels: np.ndarray) -> float:
        """Smooth bits per pixel of CDF 9/7 at a step of 16 gray levels."""
        x = torch.from_numpy(pixels[..., 0] / np.float32(GRAYS) - np.float32(0.5))[None, None]
        u = self.objective.scaled(dwt2(x, "9/7", LEVELS, "jpeg2000"), torch.full((1, 1, 1, 1), 16.0))
        return sum(float(smooth_bits(band).sum()) for band in self.objective.details(u)) / pixels.size


def _centre(pixels: np.ndarray, side: int) -> np.ndarray:
    top, left = (max(0, (extent - side) // 2) for extent in pixels.shape[:2])
    return pixels[top : top + side, left : left + side]
