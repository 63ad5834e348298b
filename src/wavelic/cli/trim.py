"""``wavelic trim``: smaller files by dropping quality layers, without decoding or encoding."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from wavelic.cli.files import STREAM, Job, Naming, beside, open_output, plan, read_stdin, split_names
from wavelic.cli.jobs import Outcome, run_jobs
from wavelic.cli.shared import Force, Out, Strip, StripGps, strip_of
from wavelic.cli.terminal import Step
from wavelic.errors import UsageError

_EXTENSIONS = (".jp2", ".j2k", ".j2c", ".jpc")


@dataclass(frozen=True)
class TrimWork:
    """How far to trim one file: at most so many layers, at most so many bits per pixel."""

    max_layers: int | None
    bpp: float | None
    force: bool
    strip: Literal["all", "gps"] | None = None

    def __call__(self, job: Job, threads: int, step: Step | None) -> dict[str, Any]:
        """Do the work of one input and return what is reported of it."""
        from wavelic.api.files import open_file, read_file
        from wavelic.api.files import trim as trim_file
        from wavelic.images.stripping_jp2 import stripped_jp2

        data = read_stdin() if job.source == STREAM else read_file(job.source)
        with open_output(job, self.force) as stream:
            before = open_file(data)
            trimmed = stripped_jp2(data, self.strip) if self.strip else data
            if self.max_layers is not None or self.bpp is not None:
                trimmed = trim_file(trimmed, max_layers=self.max_layers, bpp=self.bpp)
            stream.write(trimmed)
        height, width, _ = before.shape
        return {
            "layers": open_file(trimmed).layer_count,
            "of_layers": before.layer_count,
            "bytes": len(trimmed),
            "of_bytes": len(data),
            "bpp": round(8 * len(trimmed) / (width * height), 5),
        }


def _describe(outcome: Outcome) -> str:
    facts = outcome.facts
    return (
        f"{outcome.job}: {facts['layers']} of {facts['of_layers']} layers,"
        f" {facts['bytes']:,} of {facts['of_bytes']:,} bytes, {facts['bpp']:.4f} bpp"
    )


def trim(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="IN... OUT",
            help="JPEG 2000 files; - is standard input. Last a .jp2 file, a folder, or - for standard output.",
            show_default=False,
        ),
    ] = None,
    max_layers: Annotated[
        int | None, typer.Option("--max-layers", metavar="N", help="Keep the first N layers.", show_default=False)
    ] = None,
    bpp: Annotated[
        float | None, typer.Option(help="Keep as many layers as this rate admits, in bits per pixel of the file.")
    ] = None,
    strip: Strip = False,
    strip_gps: StripGps = False,
    output: Out = None,
    force: Force = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was done as JSON on standard output.")] = False,
) -> None:
    """Drop quality layers of JPEG 2000 files; the result is what encoding with fewer layers would have given."""
    stripping = strip_of(strip, strip_gps)
    if max_layers is None and bpp is None and stripping is None:
        raise UsageError("nothing to trim to; give --max-layers, --bpp, --strip or --strip-gps")
    naming = Naming("trim", ("photo.jp2", "smaller.jp2"), _EXTENSIONS)
    inputs, named = split_names(files or (), output, naming)
    jobs = plan(inputs, beside(inputs[0], ".jp2", naming) if named is None else named, ".jp2")
    for job in jobs:
        if job.target != STREAM and Path(job.target).suffix.lower() not in _EXTENSIONS:
            raise UsageError(f"output {job.target} does not end in .jp2 or .j2k; name such a file or a folder")
        if job.target == STREAM and as_json:
            raise UsageError("--json and - would both write to standard output; name an output file")
    run_jobs(TrimWork(max_layers, bpp, force, stripping), jobs, 0, "trimming", _describe, as_json)
