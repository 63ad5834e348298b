"""Recipes: YAML files with a model, data, defaults and an ordered list of stages."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from wavelic.codec.architecture import resolve
from wavelic.codec.architectures import trainer_of
from wavelic.errors import UsageError
from wavelic.training.stages import Recipe


def recipe_names() -> list[str]:
    """Names of the recipes that come with the package."""
    folder = resources.files("wavelic.training") / "recipes"
    return sorted(entry.name[:-5] for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def recipe_path(name_or_path: str) -> Path:
    """The file of a packaged recipe by name, or of any recipe by its path.  Raises UsageError for neither."""
    path = Path(name_or_path)
    if path.is_file():
        return path
    if name_or_path not in recipe_names():
        known = ", ".join(recipe_names())
        raise UsageError(f"no recipe {name_or_path!r}; give one of {known}, or the path of a YAML file")
    return Path(str(resources.files("wavelic.training") / "recipes" / f"{name_or_path}.yaml"))


def load_recipe(name_or_path: str, overrides: tuple[str, ...] = ()) -> Recipe:
    """Read a packaged recipe by name, or a YAML file, and apply ``key=value`` overrides.

    ``defaults.steps=10`` sets every stage, also those that have a value of their own in the file; ``stages.0.steps=10``
    one of them; ``data=DIR`` the training images.  Of two overrides of the same key the later one counts.

    Args:
        name_or_path: a name of `recipe_names`, or a path.
        overrides: "key=value" strings, applied in their order.

    Raises:
        UsageError: no such recipe, a model that cannot be trained, an unknown key, or a value of the wrong kind.
    """
    path = recipe_path(name_or_path)
    try:
        config: Any = OmegaConf.load(path)
        for override in overrides:
            key, equals, value = override.partition("=")
            if not equals:
                raise UsageError(f"override {override!r} has no value; write key=value")
            _override(config, key, OmegaConf.create(f"value: {value}").value)
        raw: Any = OmegaConf.to_container(config, resolve=True)
        defaults, stages = raw.pop("defaults", {}), raw.pop("stages")
        keys = resolve(trainer_of(raw["model"]).stage)
        merged = [OmegaConf.merge(OmegaConf.structured(keys), defaults, stage) for stage in stages]
        recipe = OmegaConf.merge(OmegaConf.structured(Recipe), raw, {"stages": merged})
        result = OmegaConf.to_object(recipe)
    except (OmegaConfBaseException, KeyError, TypeError, AttributeError) as error:
        cause = " ".join(str(error).split())
        raise UsageError(f"recipe {name_or_path}: {cause}; see docs/recipes.md for the keys") from error
    assert isinstance(result, Recipe)
    names = [stage.name for stage in result.stages]
    if len(set(names)) < len(names):
        raise UsageError(f"recipe {name_or_path}: two stages share a name ({', '.join(names)}); name them differently")
    for position, stage in enumerate(result.stages):
        if stage.init and not stage.init.endswith((".safetensors", ".pt")) and stage.init not in names[:position]:
            raise UsageError(f"stage {stage.name}: init {stage.init!r} is not an earlier stage; give one of {names}")
    return result


def _override(config: Any, key: str, value: object) -> None:
    """Set one key; one of the defaults replaces what the stages say themselves."""
    OmegaConf.update(config, key, value)
    group, _, name = key.partition(".")
    if group == "defaults":
        for stage in config.get("stages", ()):
            stage.pop(name, None)
