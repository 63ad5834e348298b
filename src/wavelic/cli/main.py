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
from wavelic.cli.shared import may_be_quiet

app = typer.Typer(
    name="wavelic",
    cls=CommandGroup,
    help="A learned wavelet image codec: compress, decompress, measure, train.",
    epilog="Examples for every command: docs/cli.md",
    invoke_without_command=True,
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


app.command()(may_be_quiet(encode.encode))
app.command()(may_be_quiet(decode.decode))
app.command()(may_be_quiet(collections.encode_dir))
app.command()(may_be_quiet(collections.verify_dir))
app.command()(may_be_quiet(collections.eval_dir))
app.command()(may_be_quiet(inspect.info))
app.command()(may_be_quiet(inspect.verify))
app.command()(may_be_quiet(trim.trim))
app.command()(may_be_quiet(models.models))
app.command()(may_be_quiet(demo.demo))
app.command("eval")(may_be_quiet(evaluate.evaluate))
app.command()(may_be_quiet(evaluate.anchors))
app.command()(may_be_quiet(report.compare))
app.command()(may_be_quiet(report.report))
app.command()(may_be_quiet(serve.serve))
app.command()(may_be_quiet(train.recipes))
app.command()(may_be_quiet(train.train))
app.command()(may_be_quiet(train.export))
app.command()(may_be_quiet(travel.train_pack))
app.command()(may_be_quiet(travel.train_join))


def run() -> None:
    """Entry point of the console script; a termination signal cleans up as Ctrl-C does."""
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    app()
