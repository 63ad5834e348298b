"""The `wavelic` command and its list of subcommands.

Nothing heavy is imported here or by the modules named below: numpy, torch, rich and the evaluation are imported inside
the commands that need them, so that ``wavelic --help`` answers at once.
"""

from __future__ import annotations

import signal
import sys
from typing import Annotated

import typer

from wavelic import __version__
from wavelic.cli import collections, decode, demo, encode, evaluate, inspect, models, report, serve, train, travel, trim
from wavelic.cli.boundary import CommandGroup

app = typer.Typer(
    name="wavelic",
    cls=CommandGroup,
    help="A learned wavelet image codec: compress, decompress, measure, train.",
    epilog="Examples for every command: docs/cli.md",
    invoke_without_command=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"wavelic {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())


app.command()(encode.encode)
app.command()(decode.decode)
app.command()(collections.encode_dir)
app.command()(collections.verify_dir)
app.command()(collections.eval_dir)
app.command()(inspect.info)
app.command()(inspect.verify)
app.command()(trim.trim)
app.command()(models.models)
app.command()(demo.demo)
app.command("eval")(evaluate.evaluate)
app.command()(evaluate.anchors)
app.command()(report.compare)
app.command()(report.report)
app.command()(serve.serve)
app.command()(train.recipes)
app.command()(train.train)
app.command()(train.export)
app.command()(travel.train_pack)
app.command()(travel.train_join)


def run() -> None:
    """Entry point of the console script; a termination signal cleans up as Ctrl-C does."""
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    app()
