"""``wavelic encode``."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wavelic.cli.files import STREAM, Job, Naming, beside, open_output, plan, read_stdin, split_names
from wavelic.cli.jobs import Outcome, run_jobs, use_threads
from wavelic.cli.shared import CODEC_NAMES, Device, Force, Out, Processors, Strip, StripGps, complete_codec
from wavelic.cli.terminal import Step, remark
from wavelic.errors import UsageError

if TYPE_CHECKING:
    from wavelic.codec.base import Codec
    from wavelic.codec.options import Options
    from wavelic.codec.target import Target


@dataclass(frozen=True)
class EncodeWork:
    """Everything a worker needs to encode one file; without a codec the picture decides."""

    codec: str | None
    target: Target | None
    options: Options
    force: bool

    def __call__(self, job: Job, threads: int, step: Step | None) -> dict[str, Any]:
        """Do the work of one input and return what is reported of it."""
        from wavelic.api.files import encode_image, read_image

        image = read_image(read_stdin() if job.source == STREAM else job.source)
        with open_output(job, self.force) as stream:
            use_threads(threads)
            started = time.perf_counter()
            report = (lambda done, total: step(done, total, "windows")) if step else None
            encoded = encode_image(image, self.codec, self.target, replace(self.options, progress=report))
            seconds = time.perf_counter() - started
            stream.write(encoded.data)
        return {
            "codec": encoded.codec,
            "model": encoded.model,
            "quality": encoded.quality,
            "width": image.width,
            "height": image.height,
            "bytes": len(encoded.data),
            "bpp": round(8 * len(encoded.data) / (image.width * image.height), 5),
            "seconds": round(seconds, 3),
            "note": "; ".join(filter(None, (*image.remarks, encoded.note))),
        }


def _describe(outcome: Outcome) -> str:
    facts = outcome.facts
    note = f" ({facts['note']})" if facts["note"] else ""
    return (
        f"{outcome.job}: {facts['bytes']:,} bytes, {facts['bpp']:.4f} bpp,"
        f" {facts['codec'] if facts['model'] == 'none' else facts['model']} at quality {facts['quality']:g}{note}"
    )


def encode(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="IN... [OUT]",
            help="Images, or .wlic files to code anew: paths, URLs, - for standard input. Last a .wlic or .jp2 file, a"
            " folder, or - for standard output; for one IN alone a .wlic file beside it.",
            show_default=False,
        ),
    ] = None,
    codec: Annotated[
        str | None,
        typer.Option(
            help=f"{CODEC_NAMES}; or bilevel. If not given, the extension of OUT decides, options that not every codec"
            " has, and for .wlic whether the picture is black and white alone.",
            show_default=False,
            autocompletion=complete_codec,
        ),
    ] = None,
    quality: Annotated[
        float | None,
        typer.Option(
            "--quality", "-q", help="0..100; 50 if no target is given. About the same PSNR in .wlic and .jp2."
        ),
    ] = None,
    bpp: Annotated[float | None, typer.Option(help="Target: bits per pixel of the whole file.")] = None,
    psnr: Annotated[float | None, typer.Option(help="Target: dB over all colour samples.")] = None,
    size: Annotated[int | None, typer.Option(help="Target: bytes of the file, not exceeded if possible.")] = None,
    strip: Strip = False,
    strip_gps: StripGps = False,
    published: Annotated[
        bool, typer.Option("--published", help="Entropy coding and padding of the WCAE paper; larger files.")
    ] = False,
    layers: Annotated[
        str | None,
        typer.Option(
            metavar="N or BPP,BPP,...",
            help="lifting, jp2: how many quality layers, or the bits per pixel of each.",
            show_default=False,
        ),
    ] = None,
    access: Annotated[
        str,
        typer.Option(help="lifting, jp2, weconvene, 3dm: whole, or windows for files that are read in windows."),
    ] = "whole",
    effort: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=9,
            help="weconvene: 1 rounds, 5 weighs bits against errors, from 6 on coefficients are searched for, in"
            " seconds to minutes. Files decode alike.",
            show_default=False,
        ),
    ] = None,
    tune: Annotated[
        str, typer.Option(help="weconvene: psnr, or msssim for files that are better by MS-SSIM. Files decode alike.")
    ] = "psnr",
    lossless: Annotated[
        bool, typer.Option("--lossless", help="jp2: every sample comes back, at whatever size; 8 and 16 bits, alpha.")
    ] = False,
    tile_size: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="jp2: independent tiles of N x N pixels, for readers that want them.", show_default=False
        ),
    ] = None,
    resync: Annotated[
        bool,
        typer.Option("--resync", help="jp2: markers around packets (SOP, EPH), by which decoders get past damage."),
    ] = False,
    learned: Annotated[
        str,
        typer.Option(
            help="lifting: which components have learned steps: all, luma or none. Other JPEG 2000 software undoes none"
            " of them."
        ),
    ] = "all",
    enhance: Annotated[
        bool,
        typer.Option("--enhance", help="jp2, lifting: say in the file that it is meant to be decoded with a network."),
    ] = False,
    output: Out = None,
    force: Force = False,
    processors: Processors = 0,
    device: Device = "cpu",
    as_json: Annotated[bool, typer.Option("--json", help="Print what was done as JSON on standard output.")] = False,
) -> None:
    """Compress images."""
    from wavelic.codec.options import Options, check_access, check_learned, check_tune
    from wavelic.codec.registry import DEFAULT_CODEC, check_options, codecs, get_codec
    from wavelic.codec.target import Target

    naming = Naming("encode", ("photo.png", "photo.wlic"), tuple(dict.fromkeys(c.extension for c in codecs())))
    inputs, named = split_names(files or (), output, naming)
    chosen_access = check_access(access)
    options = Options(
        strip,
        published,
        device,
        layers=_layers(layers),
        access=chosen_access,
        strip_gps=strip_gps and not strip,
        effort=effort,
        tune=check_tune(tune),
        lossless=lossless,
        tile_size=tile_size,
        resync=resync,
        enhance=enhance,
        learned=check_learned(learned),
    )
    target = Target.of(quality, bpp, psnr, size)
    if lossless and target is not None:
        raise UsageError(
            f"--lossless given with {target.kind} {target}, and such a file has but one size; leave one out"
        )
    chosen = get_codec(codec) if codec else _codec_for(named or "", options)
    jobs = plan(inputs, beside(inputs[0], chosen.extension, naming) if named is None else named, chosen.extension)
    _check_names(jobs, chosen, as_json)
    open_choice = codec is None and chosen.name == DEFAULT_CODEC
    if not (open_choice and lossless):  # which only a picture of the special kind can be there
        check_options(chosen, options)
    work = EncodeWork(None if open_choice else chosen.name, target, options, force)  # before any file is touched
    run_jobs(work, jobs, processors, "encoding", _describe, as_json)
    if caution := chosen.caution(options):
        remark(caution)


def _codec_for(output: str, options: Options) -> Codec:
    """The first codec that writes files of the output's extension and takes the options, or the extension at least."""
    from wavelic.codec.registry import check_options, codecs

    default, *_ = every = codecs()
    extension = Path(output).suffix.lower()
    writers = [codec for codec in every if codec.extension == extension]
    writers = writers or [codec for codec in every if codec.extension == default.extension]
    for codec in writers:
        with suppress(UsageError):
            check_options(codec, options)
            return codec
    return writers[0]


def _layers(text: str | None) -> int | tuple[float, ...] | None:
    """``8`` is a number of layers, ``0.1,0.5,2`` are their rates, and so is ``0.5``."""
    if text is None:
        return None
    try:
        return int(text) if "," not in text and "." not in text else tuple(map(float, text.split(",")))
    except ValueError as error:
        raise UsageError(f"--layers {text} is neither a number nor a list such as 0.1,0.5,2; write one") from error


def _check_names(jobs: list[Job], codec: Codec, as_json: bool) -> None:
    extension = codec.extension
    for job in jobs:
        if job.target != STREAM and Path(job.target).suffix.lower() != extension:
            raise UsageError(
                f"output {job.target} does not end in {extension}, which codec {codec.name} writes;"
                f" name a {extension} file or a folder, or choose another codec"
            )
        if job.target == STREAM and as_json:
            raise UsageError("--json and - would both write to standard output; name an output file")
