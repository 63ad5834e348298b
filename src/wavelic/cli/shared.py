"""Options that several commands have, so that they mean and say the same everywhere."""

from __future__ import annotations

from typing import Annotated

import typer

from wavelic.codec.registry import names

Device = Annotated[str, typer.Option(help="cpu or cuda.")]
Force = Annotated[bool, typer.Option("--force", "-f", help="Replace existing files.")]
Processors = Annotated[
    int, typer.Option("-j", metavar="N", help="Threads for one image, processes for several.", show_default=False)
]

#: Names of the codecs, for help texts.
CODEC_NAMES = ", ".join(names())
