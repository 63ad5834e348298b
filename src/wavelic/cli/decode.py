"""``wavelic decode``."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from wavelic.cli.files import STREAM, Job, open_output, plan, read_stdin
from wavelic.cli.jobs import Outcome, run_jobs, use_threads
from wavelic.cli.terminal import Step
from wavelic.errors import UsageError


@dataclass(frozen=True)
class DecodeWork:
    """Everything a worker needs to decode one file; ``format`` is a key of `wavelic.images.OUTPUT_FORMATS`."""

    format: str
    device: str
    force: bool

    def __call__(self, job: Job, threads: int, step: Step | None) -> dict[str, Any]:
        from wavelic.codecs.api import decode_image, read_file
        from wavelic.container import read_container
        from wavelic.images import encode_image

        data = read_stdin() if job.source == STREAM else read_file(job.source)
        with open_output(job, self.force) as stream:
            read_container(data)  # a damaged file fails before torch is loaded
            use_threads(threads)
            started = time.perf_counter()
            report = (lambda done, total: step(done, total, "windows")) if step else None
            image = decode_image(data, device=self.device, progress=report)
            seconds = time.perf_counter() - started
            stream.write(encode_image(image, self.format))
        return {
            "format": self.format,
            "width": image.width,
            "height": image.height,
            "channels": image.channels,
            "bit_depth": image.bit_depth,
            "seconds": round(seconds, 3),
        }


def _describe(outcome: Outcome) -> str:
    facts = outcome.facts
    size = f"{facts['width']} x {facts['height']}, {facts['channels']} x {facts['bit_depth']} bits"
    return f"{outcome.job}: {facts['format']}, {size}"


def decode(
    inputs: Annotated[list[str], typer.Argument(metavar="IN...", help=".wlic files; - is standard input.")],
    output: Annotated[str, typer.Argument(metavar="OUT", help="An image file, a folder, or - for standard output.")],
    format: Annotated[
        str | None,
        typer.Option(help="png, tiff, jpeg, webp (lossless), bmp or ppm; else the extension decides, else png."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", "-f", help="Replace existing files.")] = False,
    processors: Annotated[
        int, typer.Option("-j", metavar="N", help="Threads for one image, processes for several.", show_default=False)
    ] = 0,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    as_json: Annotated[bool, typer.Option("--json", help="Print what was done as JSON on standard output.")] = False,
) -> None:
    """Decompress .wlic files."""
    from wavelic.images import OUTPUT_FORMATS

    if format is not None and format not in OUTPUT_FORMATS:
        raise UsageError(f"image format {format!r}, expected one of {', '.join(OUTPUT_FORMATS)}; choose one of them")
    extension = OUTPUT_FORMATS[format or "png"].extensions[0]
    jobs = plan(inputs, output, extension)
    if as_json and jobs[0].target == STREAM:
        raise UsageError("--json and - would both write to standard output; name an output file")
    run_jobs(
        DecodeWork(format or _format_of(jobs[0].target), device, force),
        jobs,
        processors,
        "decoding",
        _describe,
        as_json,
    )


def _format_of(target: str) -> str:
    from wavelic.images import OUTPUT_FORMATS

    if target == STREAM:
        return "png"
    for name, kind in OUTPUT_FORMATS.items():
        if Path(target).suffix.lower() in kind.extensions:
            return name
    known = " ".join(extension for kind in OUTPUT_FORMATS.values() for extension in kind.extensions)
    raise UsageError(f"output {target} does not end in one of {known}; rename it or give --format")
