"""Options that several commands have, so that they mean and say the same everywhere."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from wavelic.codec.registry import names

Device = Annotated[str, typer.Option(help="cpu or cuda.")]
Force = Annotated[bool, typer.Option("--force", "-f", help="Replace existing files.")]
Processors = Annotated[
    int, typer.Option("-j", metavar="N", help="Threads for one image, processes for several.", show_default=False)
]

Strip = Annotated[bool, typer.Option("--strip", help="Leave out all metadata; the picture is shown upright as before.")]
StripGps = Annotated[bool, typer.Option("--strip-gps", help="Leave out the position in Exif and XMP, keep the rest.")]

#: Names of the codecs, for help texts.
CODEC_NAMES = ", ".join(names())


def strip_of(everything: bool, gps: bool) -> Literal["all", "gps"] | None:
    """What --strip and --strip-gps ask for together; None for nothing."""
    return "all" if everything else "gps" if gps else None
