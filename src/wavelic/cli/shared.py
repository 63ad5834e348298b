"""Options that several commands have, so that they mean and say the same everywhere."""

from __future__ import annotations

from typing import Annotated

import typer

Device = Annotated[str, typer.Option(help="cpu or cuda.")]
Force = Annotated[bool, typer.Option("--force", "-f", help="Replace existing files.")]
Processors = Annotated[
    int, typer.Option("-j", metavar="N", help="Threads for one image, processes for several.", show_default=False)
]
