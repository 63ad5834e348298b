"""``wavelic decode``."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from wavelic.cli.files import STREAM, Job, Naming, beside, open_output, plan, read_stdin, split_names
from wavelic.cli.jobs import Outcome, run_jobs, use_threads
from wavelic.cli.shared import Device, Force, Out, Processors, Strip, StripGps, strip_of
from wavelic.cli.terminal import Step
from wavelic.errors import UsageError

if TYPE_CHECKING:
    from wavelic.codec.opened import OpenedFile
    from wavelic.images import Image


@dataclass(frozen=True)
class DecodeWork:
    """Everything a worker needs to decode one file.

    Attributes:
        format: a key of `wavelic.images.OUTPUT_FORMATS`.
        device: torch device of the networks.
        force: replace existing files.
        reduce: with ``layers`` and ``region``, the part to decode, as in `opened.OpenedFile.read`.
        allow_partial: decode what there is of a file that was cut short or is still arriving.
        report_bytes: say how many bytes were read.
        max_bytes: read no more than so many, and as many layers as that allows; None: no bound.
        strip: metadata to leave out.
        enhance: decode JPEG 2000 with a network, or without; None: as the file says.
    """

    format: str
    device: str
    force: bool
    reduce: int = 0
    layers: int | None = None
    region: tuple[int, int, int, int] | None = None
    allow_partial: bool = False
    report_bytes: bool = False
    max_bytes: int | None = None
    strip: Literal["all", "gps"] | None = None
    enhance: bool | None = None
    unscaled: bool = False

    def __call__(self, job: Job, threads: int, step: Step | None) -> dict[str, Any]:
        """Do the work of one input and return what is reported of it."""
        from wavelic.api.files import open_file, open_within
        from wavelic.images import encode_image, left_out, stripped, write_image

        source = read_stdin() if job.source == STREAM else job.source
        with open_output(job, self.force) as stream:
            # a damaged file fails before torch is loaded
            if self.max_bytes is None:
                file, layers = open_file(source, allow_partial=self.allow_partial), self.layers
            else:
                file, layers = open_within(source, self.max_bytes, self.reduce, self.region)
            if self.enhance is not None:
                file = _enhanced(file, self.enhance)
            use_threads(threads)
            started = time.perf_counter()
            report = (lambda done, total: step(done, total, "windows")) if step else None
            reduce = self.reduce or file.best_reduce
            if self.unscaled:
                image = _as_stored(file, reduce, layers, self.region)
            else:
                image = file.decode(reduce, layers, self.region, self.device, report)
            seconds = time.perf_counter() - started
            if self.strip:
                image = stripped(image, self.strip)
            if job.target == STREAM:  # perhaps appended to, where nothing can be written twice
                stream.write(encode_image(image, self.format))
            else:
                write_image(image, stream, self.format)
        fetched = getattr(file, "source", None)  # of a file that is read in parts
        size = file.info["bytes"]
        read = fetched.bytes_read if fetched else size
        notes = [] if file.complete else [_partial(file.info, reduce)]
        notes += [*image.remarks, *left_out(image, self.format)]
        if self.max_bytes is not None:
            notes.append(f"{layers} of {len(file.layers)} layers")
        if self.report_bytes:
            notes.append(f"{read} of {size} bytes read, {100 * read / size:.1f} %")
        return {
            "format": self.format,
            "width": image.width,
            "height": image.height,
            "channels": image.channels,
            "bit_depth": image.bit_depth,
            "seconds": round(seconds, 3),
            "complete": file.complete,
            "bytes": size,
            "bytes_read": read,
            "layers": layers,
            "note": "; ".join(notes),
        }


def _enhanced(file: OpenedFile, enhance: bool) -> OpenedFile:
    """The same file, decoded with a network or without.  Raises UsageError if its format has no such choice."""
    choose: Callable[[bool], OpenedFile] | None = getattr(file, "enhanced", None)
    if choose is None:
        raise UsageError(f"a {file.codec} file has no plain coefficients to enhance; leave out --enhance")
    return choose(enhance)


def _describe(outcome: Outcome) -> str:
    facts = outcome.facts
    size = f"{facts['width']} x {facts['height']}, {facts['channels']} x {facts['bit_depth']} bits"
    note = f" ({facts['note']})" if facts["note"] else ""
    return f"{outcome.job}: {facts['format']}, {size}{note}"


def _partial(info: dict[str, Any], reduce: int) -> str:
    whole = info["whole_layers"]
    what = f"decoded to layer {whole}, the last whole one" if whole else "not even its first layer is whole"
    if not whole and reduce:
        what += f"; decoded at 1/{2**reduce} of its sides, the finest resolution that is there"
    return f"the file is cut short: {what}"


def _as_stored(file: OpenedFile, reduce: int, layers: int | None, region: tuple[int, int, int, int] | None) -> Image:
    """The components of a JPEG 2000 file as they are stored, with the file's metadata."""
    from wavelic.images import CHANNEL_NAMES, Image

    read = getattr(file, "read_stored", None)
    if read is None:
        raise UsageError(f"--unscaled given for a file of codec {file.codec}; only JPEG 2000 has samples to scale")
    samples = read(reduce, layers, region)
    if samples.dtype not in ("uint8", "uint16") or samples.shape[2] not in CHANNEL_NAMES:
        raise UsageError(
            f"the file stores {samples.shape[2]} components as {samples.dtype}, which no image format here holds;"
            " leave out --unscaled, or call read_stored in Python"
        )
    return Image(samples, file.metadata)


def parse_region(text: str | None) -> tuple[int, int, int, int] | None:
    """``x,y,width,height`` as numbers.  Raises UsageError for anything else."""
    if text is None:
        return None
    parts = text.split(",")
    if len(parts) != 4 or not all(part.strip().isdecimal() for part in parts):
        raise UsageError(f"--region {text}, expected x,y,width,height in pixels of the full image, as in 0,0,256,256")
    x, y, width, height = map(int, parts)
    return x, y, width, height


def decode(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="IN... [OUT]",
            help=".wlic, JPEG 2000 files or their URLs; - is standard input. Last an image file, a folder, or - for"
            " standard output; for one IN alone a .png file beside it.",
            show_default=False,
        ),
    ] = None,
    format: Annotated[
        str | None,
        typer.Option(help="png, tiff, jpeg, webp (lossless), bmp or ppm; else the extension decides, else png."),
    ] = None,
    reduce: Annotated[
        int, typer.Option("--reduce", metavar="N", help="Halve both sides N times, rounding up; .jp2, and weconvene.")
    ] = 0,
    max_layers: Annotated[
        int | None,
        typer.Option("--max-layers", metavar="N", help="Use only the first N quality layers.", show_default=False),
    ] = None,
    region: Annotated[
        str | None,
        typer.Option(metavar="X,Y,W,H", help="Decode only this part, in pixels of the full image.", show_default=False),
    ] = None,
    allow_partial: Annotated[
        bool,
        typer.Option(
            "--allow-partial",
            help="Decode what there is of a .jp2 that was cut short or is still arriving: its whole layers, or its"
            " finest whole resolution.",
        ),
    ] = False,
    unscaled: Annotated[
        bool,
        typer.Option("--unscaled", help="Write the samples of a JPEG 2000 file as stored, not over the full range."),
    ] = False,
    report_bytes: Annotated[
        bool, typer.Option("--report-bytes", help="Say how many bytes of a file, local or behind a URL, were read.")
    ] = False,
    max_bytes: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Read no more than N bytes of a .jp2 file, local or behind a URL: as many layers as that allows.",
            show_default=False,
        ),
    ] = None,
    enhance: Annotated[
        bool | None,
        typer.Option(
            "--enhance/--no-enhance",
            help="Decode JPEG 2000 of any software with what a network estimates of its coefficients, or without;"
            " else as the file says.",
            show_default=False,
        ),
    ] = None,
    strip: Strip = False,
    strip_gps: StripGps = False,
    output: Out = None,
    force: Force = False,
    processors: Processors = 0,
    device: Device = "cpu",
    as_json: Annotated[bool, typer.Option("--json", help="Print what was done as JSON on standard output.")] = False,
) -> None:
    """Decompress .wlic and JPEG 2000 files, or a part of them."""
    from wavelic.images import OUTPUT_FORMATS

    if format is not None and format not in OUTPUT_FORMATS:
        raise UsageError(f"image format {format!r}, expected one of {', '.join(OUTPUT_FORMATS)}; choose one of them")
    extension = OUTPUT_FORMATS[format or "png"].extensions[0]
    if max_bytes is not None and (max_layers is not None or allow_partial):
        raise UsageError("--max-bytes chooses the layers of a whole file; leave out --max-layers and --allow-partial")
    if max_bytes is not None and enhance:
        raise UsageError("--enhance reads more of a file than --max-bytes reckons with; leave out one of them")
    endings = tuple(ending for kind in OUTPUT_FORMATS.values() for ending in kind.extensions)
    naming = Naming("decode", ("photo.wlic", "photo.png"), endings, any_ending=format is not None)
    inputs, named = split_names(files or (), output, naming)
    jobs = plan(inputs, beside(inputs[0], extension, naming) if named is None else named, extension)
    if as_json and jobs[0].target == STREAM:
        raise UsageError("--json and - would both write to standard output; name an output file")
    run_jobs(
        DecodeWork(
            format or _format_of(jobs[0].target),
            device,
            force,
            reduce,
            max_layers,
            parse_region(region),
            allow_partial,
            report_bytes,
            max_bytes,
            strip_of(strip, strip_gps),
            enhance,
            unscaled,
        ),
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
