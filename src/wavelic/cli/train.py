"""``wavelic recipes``, ``wavelic train`` and ``wavelic export``: from images to installed weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wavelic.cli.boundary import INTERRUPTED, needs, one_line, print_error
from wavelic.cli.shared import Device
from wavelic.cli.terminal import progress, remark, show


def recipes() -> None:
    """List the training recipes."""
    with needs("train"):
        from wavelic.training.recipe import load_recipe, recipe_names
    from rich.table import Table

    table = Table()
    for heading in ("recipe", "model", "stages", "steps", "description"):
        table.add_column(
            heading, justify="right" if heading in ("stages", "steps") else "left", no_wrap=heading == "recipe"
        )
    for name in recipe_names():
        recipe = load_recipe(name)
        steps = sum(stage.steps for stage in recipe.stages)
        table.add_row(name, recipe.model, str(len(recipe.stages)), f"{steps:,}", recipe.description)
    show(table)


def train(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="A name from `wavelic recipes`, or a YAML file.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="For instance data=DIR validation=DIR defaults.steps=100."),
    ] = None,
    runs: Annotated[Path, typer.Option(help="Folder of checkpoints and logs.")] = Path("runs"),
    device: Device = "cpu",
) -> None:
    """Train a recipe, or continue where it was stopped.

    Prints the folder of the run.
    """
    with needs("train"):
        from wavelic.training.recipe import load_recipe

        plan = load_recipe(recipe, tuple(overrides or ()))
        from wavelic.training.loop import Interrupted
        from wavelic.training.loop import train as run_recipe
    try:
        print(run_recipe(plan, runs, device))
    except Interrupted as stop:
        print_error(one_line(stop))
        raise typer.Exit(INTERRUPTED) from stop


def export(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders that `wavelic train` printed.")],
    to: Annotated[Path, typer.Option(help="Folder of weights, cards and ladders to write.")],
    images: Annotated[Path, typer.Option(help="Training images, to fit the probability tables.")],
    validation: Annotated[Path, typer.Option(help="Images on which rates are measured for the quality ladder.")],
    every: Annotated[int, typer.Option(min=1, help="Use every n-th training image.")] = 4,
) -> None:
    """Turn a run into weights for the codec (see WAVELIC_WEIGHTS)."""
    with needs("train"):
        from wavelic.training.export import Export, export_run
    for run in runs:
        with progress(f"exporting {run.name}") as step:
            cards = export_run(run, Export(to, images, validation, every, step))
        for card in cards:
            remark(f"{card.path}: {card.hash[:32]}")
