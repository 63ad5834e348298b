"""What a codec brings to the training loop; `loop` brings everything else.

The loop owns optimiser, moving average, checkpoints, resuming, logging, progress and signals.  A task owns the model,
its loss and its validation.  Everything it must remember from step to step lives in parameters and buffers of
`Task.objective`, which is what checkpoints hold.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from wavelic.codec.architecture import resolve
from wavelic.codec.architectures import trainer_of
from wavelic.codec.weights import Card
from wavelic.errors import UsageError
from wavelic.training.data import PackedImages
from wavelic.training.stages import Recipe, Stage

T = TypeVar("T")


class Task(ABC):
    """One stage of one recipe.

    A subclass is built as ``Subclass(recipe, stage)``, on the CPU, after the random seed was set.

    objective: the module that is optimised, averaged and saved; the loop moves it to the device.
    """

    objective: nn.Module

    def __init__(self, recipe: Recipe, stage: Stage) -> None:
        self.recipe, self.stage = recipe, stage

    @property
    def capturable(self) -> bool:
        """Whether `losses` is the same sequence of operations at every step and waits for none, see `capture`."""
        return False

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Groups for Adam; a group's ``scale`` multiplies the stage's learning rate."""
        return [{"params": list(self.objective.parameters()), "scale": 1.0}]

    def start(self, previous: dict[str, Tensor] | None, data: PackedImages) -> None:
        """Set the objective's first weights: from the state of an earlier stage's averaged objective, or new ones."""
        if previous is not None:
            self.objective.load_state_dict(previous)

    @property
    def relatives(self) -> tuple[str, ...]:
        """Architectures whose installed weights `installed` takes: the recipe's own, or others of the same form."""
        return (self.recipe.model,)

    def installed(self, card: Card) -> dict[str, Tensor]:
        """The objective's state, or part of it, from installed weights, for `start`.

        Raises UsageError if these weights cannot be trained further.
        """
        raise UsageError(
            f"{card.name} cannot be trained further: weights of {self.recipe.model} lack parts of the training"
            " state; leave weights= out and start from new ones"
        )

    @abstractmethod
    def losses(self, wrapped: nn.Module, crops: Tensor, fraction: float, noise: torch.Generator) -> dict[str, Tensor]:
        """One training step's terms, scalars; "loss" is what is minimised, all are logged as running means.

        wrapped: the objective, perhaps inside a distributed wrapper; call it exactly once.  crops: uint8 (N, 3, H, W).
        fraction: of the stage done, 0 up to 1.  noise: seeded by step and process.
        """

    @abstractmethod
    def validate(self, average: nn.Module, held_out: PackedImages) -> dict[str, Any]:
        """What the averaged objective is worth on held-out images; "loss" decides which weights are the best."""

    def note(self, means: dict[str, float]) -> str:
        """What the progress bar says, from the running means of `losses`."""
        return " ".join(f"{name} {value:.4g}" for name, value in means.items() if name != "loss")


def make_task(recipe: Recipe, stage: Stage) -> Task:
    """Return the task of one stage, with new weights.

    Args:
        recipe: names the model, which says how it is trained.
        stage: one of the recipe's stages.

    Raises:
        UsageError: the model cannot be trained.
    """
    task: type[Task] = resolve(trainer_of(recipe.model).task)
    return task(recipe, stage)


def named(model: str, configs: Mapping[str, T]) -> T:
    """Return the configuration that a recipe's model names.

    Raises:
        UsageError: there is none of that name.
    """
    if model not in configs:
        raise UsageError(f"no architecture {model!r}; expected one of {', '.join(configs)}")
    return configs[model]


def uniform(low: float, high: float, crops: Tensor, noise: torch.Generator) -> Tensor:
    """Draw a number between two bounds for each crop: (N,), on the device of the crops."""
    return low + (high - low) * torch.rand(len(crops), generator=noise, device=crops.device)
