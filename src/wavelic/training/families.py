"""Which classes train which family of models; a recipe names its family."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from wavelic.errors import UsageError
from wavelic.training.stages import LiftingStage, Stage, WcaeStage
from wavelic.weconvene.stage import WeconveneStage

if TYPE_CHECKING:
    from wavelic.training.stages import Recipe
    from wavelic.training.task import Task


@dataclass(frozen=True)
class Family:
    """stage: keys of its stages.  module, task: where its `wavelic.training.task.Task` is, imported when needed."""

    stage: type[Stage]
    module: str
    task: str


FAMILIES = {
    "wcae": Family(WcaeStage, "wavelic.wcae.training", "WcaeTask"),
    "lifting": Family(LiftingStage, "wavelic.lifting.training.task", "LiftingTask"),
    "weconvene": Family(WeconveneStage, "wavelic.weconvene.training", "WeconveneTask"),
}


def get_family(name: str) -> Family:
    """The family called ``name``.  Raises UsageError if there is none."""
    if name not in FAMILIES:
        raise UsageError(f"no family {name!r}; choose one of {', '.join(FAMILIES)}")
    return FAMILIES[name]


def make_task(recipe: Recipe, stage: Stage) -> Task:
    """The task of one stage, with new weights."""
    family = get_family(recipe.family)
    task: type[Task] = getattr(import_module(family.module), family.task)
    return task(recipe, stage)
