"""Options that several commands have, so that they mean and say the same everywhere."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Literal

import typer

from wavelic.cli.terminal import be_quiet
from wavelic.codec.registry import CODECS, names

Device = Annotated[str, typer.Option(help="cpu or cuda.")]
Force = Annotated[bool, typer.Option("--force", "-f", help="Replace existing files.")]
Out = Annotated[str | None, typer.Option("--out", "-o", metavar="OUT", help="The output, instead of as the last name.")]
Processors = Annotated[
    int, typer.Option("-j", metavar="N", help="Threads for one image, processes for several.", show_default=False)
]

Strip = Annotated[bool, typer.Option("--strip", help="Leave out all metadata; the picture is shown upright as before.")]
StripGps = Annotated[bool, typer.Option("--strip-gps", help="Leave out the position in Exif and XMP, keep the rest.")]

#: Names of the codecs, for help texts; only where these are shown is it worth looking through all packages for others.
CODEC_NAMES = ", ".join(names() if {"-h", "--help"} & set(sys.argv) else CODECS)


_Quiet = Annotated[bool, typer.Option("--quiet", help="No remarks and no progress; errors are still printed.")]


def may_be_quiet(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the option ``--quiet``."""

    @wraps(command)
    def run(*, quiet: bool, **given: object) -> None:
        be_quiet(quiet)
        command(**given)

    signature = inspect.signature(command, eval_str=True)
    option = inspect.Parameter("quiet", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=_Quiet)
    run.__signature__ = signature.replace(parameters=[*signature.parameters.values(), option])  # type: ignore[attr-defined]
    return run


def complete_codec(incomplete: str) -> list[str]:
    """Names of codecs for the shell's completion."""
    return [name for name in names() if name.startswith(incomplete)]


def strip_of(everything: bool, gps: bool) -> Literal["all", "gps"] | None:
    """What --strip and --strip-gps ask for together; None for nothing."""
    return "all" if everything else "gps" if gps else None
