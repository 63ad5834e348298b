"""Recipes: YAML files with a model, data, defaults and an ordered list of stages."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from wavelic.errors import UsageError


@dataclass
class Stage:
    """One optimisation run; the defaults are overridden by the recipe's ``defaults``, then by its stage.

    Attributes:
        name: names the stage's folder and checkpoints.
        init: name of an earlier stage whose weights this one starts from; empty for random weights.
        klt: start from Karhunen-Loeve transforms of training crops instead of random weights (`wavelic.models.klt`).
        form, lambda_, shared_prior: see `wavelic.training.objective.AutoencoderObjective`.
        steps: optimiser steps.
        batch: crops per step over all processes.
        crop: side of the square crops in pixels.
        learning_rate: peak of Adam's step size.
        warmup: steps of linear warm-up.
        schedule: "constant", or "cosine" down to 1 % of the peak.
        straight_through_from: fraction of the steps after which the distortion sees the rounded code.
        ema: decay of the weights' moving average, which is what is validated and exported; 0 turns it off.
        clip: largest gradient norm; 0 turns it off.
        validate_every, checkpoint_every: in steps.
        keep: "best" validation model or "last".
    """

    name: str = "main"
    init: str = ""
    klt: bool = False
    form: str = "rd"
    lambda_: float = 0.001
    shared_prior: bool = False
    steps: int = 1000
    batch: int = 8
    crop: int = 256
    learning_rate: float = 1e-4
    warmup: int = 0
    schedule: str = "constant"
    straight_through_from: float = 1.0
    ema: float = 0.0
    clip: float = 0.0
    validate_every: int = 500
    checkpoint_every: int = 500
    keep: str = "best"


@dataclass
class Recipe:
    """A named training plan.

    Attributes:
        model: architecture name in the registry.
        data, validation: folders of images.
        stages: run in order; a finished stage is skipped when the recipe is run again.
    """

    name: str
    model: str
    data: str
    validation: str
    seed: int = 0
    description: str = ""
    stages: list[Stage] = field(default_factory=list)


def recipe_names() -> list[str]:
    """Names of the recipes that come with the package."""
    folder = resources.files("wavelic.training") / "recipes"
    return sorted(entry.name[:-5] for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def load_recipe(name_or_path: str, overrides: tuple[str, ...] = ()) -> Recipe:
    """Read a packaged recipe by name, or a YAML file, and apply ``key=value`` overrides.

    ``defaults.steps=10`` changes every stage, ``stages.0.steps=10`` one of them, ``data=DIR`` the training images.

    Raises:
        UsageError: no such recipe, an unknown key, or a value of the wrong kind.
    """
    path = Path(name_or_path)
    if not path.is_file():
        if name_or_path not in recipe_names():
            known = ", ".join(recipe_names())
            raise UsageError(f"no recipe {name_or_path!r}; give one of {known}, or the path of a YAML file")
        path = Path(str(resources.files("wavelic.training") / "recipes" / f"{name_or_path}.yaml"))
    try:
        config: Any = OmegaConf.load(path)
        for override in overrides:
            key, equals, value = override.partition("=")
            if not equals:
                raise UsageError(f"override {override!r} has no value; write key=value")
            OmegaConf.update(config, key, OmegaConf.create(f"value: {value}").value)
        raw: Any = OmegaConf.to_container(config, resolve=True)
        defaults, stages = raw.pop("defaults", {}), raw.pop("stages")
        merged = [OmegaConf.merge(OmegaConf.structured(Stage), defaults, stage) for stage in stages]
        recipe = OmegaConf.merge(OmegaConf.structured(Recipe), raw, {"stages": merged})
        result = OmegaConf.to_object(recipe)
    except (OmegaConfBaseException, KeyError, TypeError, AttributeError) as error:
        cause = " ".join(str(error).split())
        raise UsageError(f"recipe {name_or_path}: {cause}; see docs/recipes.md for the keys") from error
    assert isinstance(result, Recipe)
    names = [stage.name for stage in result.stages]
    for position, stage in enumerate(result.stages):
        if stage.init and stage.init not in names[:position]:
            raise UsageError(f"stage {stage.name}: init {stage.init!r} is not an earlier stage; give one of {names}")
    return result
