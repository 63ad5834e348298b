"""``wavelic train-pack`` and ``wavelic train-join``: training on a machine that is lent for minutes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wavelic.cli.boundary import needs
from wavelic.cli.terminal import progress, remark


def train_pack(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="A name from `wavelic recipes`, or a YAML file.")],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="To write; it must not exist.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Of the recipe, with data=DIR and validation=DIR."),
    ] = None,
    megabytes: Annotated[float, typer.Option(help="What the folder may hold, in MiB.")] = 56.0,
    init: Annotated[Path | None, typer.Option(help="Weights that the first stage starts from.")] = None,
    wheels: Annotated[Path | None, typer.Option(help="Folder of .whl files to install there.")] = None,
) -> None:
    """Pack code, pictures and weights into a folder, to train on another machine.

    There, `sh FOLDER/go.sh OUT` trains and fills OUT.
    """
    with needs("train"):
        from wavelic.training.travel import pack as write
    with progress("packing pictures") as report:
        size = write(
            recipe, folder, tuple(overrides or ()), megabytes, init, wheels, lambda done, all_: report(done, all_, "")
        )
    remark(f"{folder}: {size / (1 << 20):.1f} MiB")


def train_join(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The folder that came back.")],
    path: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="To write: .pt to export, .safetensors to train on."),
    ],
) -> None:
    """Put delivered weights together: to export, or to train on.

    A .pt goes where a run made here has it, RUN/STAGE/final.pt, for `wavelic export RUN`; a .safetensors is
    `stages.0.init` of a recipe.
    """
    with needs("train"):
        from wavelic.training.travel import join as put_together
    put_together(out, path)
