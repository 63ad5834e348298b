"""``wavelic encode-dir``, ``verify-dir`` and ``eval-dir``: whole folders of images, shard by shard."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wavelic.cli.shared import CODEC_NAMES, Device, complete_codec
from wavelic.cli.terminal import dump, progress, remark, show
from wavelic.codec.registry import DEFAULT_CODEC
from wavelic.errors import ChecksumError, FormatError, ImageError

if TYPE_CHECKING:
    from rich.table import Table

Engine = Annotated[str, typer.Option(help="local: processes of this machine; ray: actors of a Ray cluster.")]
Workers = Annotated[
    int,
    typer.Option("-j", metavar="N", help="Workers; as many as there are processors if not given.", show_default=False),
]
AsJson = Annotated[bool, typer.Option("--json", help="The report as JSON on standard output.")]


def encode_dir(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="Folder of images, with the folders below it.")],
    output: Annotated[Path, typer.Argument(metavar="DST", help="Folder for the shards; absent or empty.")],
    codec: Annotated[
        str | None,
        typer.Option(
            help=f"{CODEC_NAMES}; if not given, {DEFAULT_CODEC}, and bilevel for pictures of black and white alone.",
            show_default=False,
            autocompletion=complete_codec,
        ),
    ] = None,
    quality: Annotated[float | None, typer.Option("--quality", "-q", help="0..100; 50 if no target is given.")] = None,
    bpp: Annotated[float | None, typer.Option(help="Target for each image: bits per pixel.")] = None,
    psnr: Annotated[float | None, typer.Option(help="Target for each image: dB over all colour samples.")] = None,
    size: Annotated[int | None, typer.Option(help="Target for each image: bytes of its file.")] = None,
    strip: Annotated[bool, typer.Option("--strip", help="Leave out ICC profile, Exif and XMP.")] = False,
    access: Annotated[
        str, typer.Option(help="lifting, jp2, weconvene, 3dm: whole, or windows for files that are read in windows.")
    ] = "whole",
    lossless: Annotated[
        bool, typer.Option("--lossless", help="jp2: every sample comes back, at whatever size.")
    ] = False,
    shard_size: Annotated[int, typer.Option(help="Images in a shard.")] = 1000,
    layout: Annotated[str, typer.Option(help="tar: one archive per shard; tree: the folders of SRC.")] = "tar",
    measure: Annotated[bool, typer.Option(help="Decode every file again and record its PSNR.")] = True,
    threads: Annotated[int, typer.Option(help="Of each worker; part of the job, as sums of floats depend on it.")] = 1,
    resume: Annotated[bool, typer.Option("--resume", help="Continue a run that was interrupted.")] = False,
    engine: Engine = "local",
    workers: Workers = 0,
    device: Device = "cpu",
    as_json: AsJson = False,
) -> None:
    """Compress a folder of images into shards.

    Images that cannot be coded are recorded with a reason, those of formats that are not read are counted; either way
    the exit code is 3.
    """
    from wavelic.codec.target import Target
    from wavelic.collections import Job, encode_collection, start_engine
    from wavelic.collections.job import check_layout
    from wavelic.collections.shard import EncodeShard

    target = Target.of(quality, bpp, psnr, size)
    job = Job(
        codec=codec,
        target=(target.kind, target.value) if target else None,
        strip=strip,
        access=access,
        lossless=lossless,
        device=device,
        shard_size=shard_size,
        layout=check_layout(layout),
        measure=measure,
        threads=threads,
    )
    job.check()
    started = time.perf_counter()
    with (
        start_engine(engine, EncodeShard(job), workers, threads, device != "cpu") as running,
        progress("encoding") as step,
    ):
        report = encode_collection(source, output, job, running, resume=resume, step=step)
        count = running.workers
    seconds = time.perf_counter() - started
    if as_json:
        dump({**report, "workers": count, "seconds": round(seconds, 3)})
    else:
        show(_table(f"{source} -> {output}", _report_lines(report, seconds, count)))
    _say_failures(report["failures"]["reasons"], report["failures"]["examples"])
    if skipped := report["skipped_pictures"]:
        remark(f"left out {sum(skipped.values()):,}: pictures of formats that are not read ({', '.join(skipped)})")
    if report["failed"] or skipped or report["unreadable_folders"]:
        raise typer.Exit(ImageError.exit_code)


def verify_dir(
    folder: Annotated[Path, typer.Argument(metavar="DST", help="Folder that encode-dir wrote.")],
    engine: Engine = "local",
    workers: Workers = 0,
    as_json: AsJson = False,
) -> None:
    """Check that a collection is complete and every file in it sound.

    The exit code is 5 for damaged files, 4 for missing shards.
    """
    from wavelic.collections import start_engine, verify_collection
    from wavelic.collections.check import CheckShard
    from wavelic.collections.job import read_job

    job = read_job(folder)
    work = CheckShard(job, compare=False)
    with start_engine(engine, work, workers, job.threads) as running, progress("verifying") as step:
        found = verify_collection(folder, running, step=step)
    _finish(folder, found, as_json)


def eval_dir(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="The folder of images that was encoded.")],
    folder: Annotated[Path, typer.Argument(metavar="DST", help="Folder that encode-dir wrote.")],
    results: Annotated[Path | None, typer.Option("--out", help="Also write the result to this JSON file.")] = None,
    engine: Engine = "local",
    workers: Workers = 0,
    device: Device = "cpu",
    as_json: AsJson = False,
) -> None:
    """Decode a collection and compare it with its source: means of bpp, PSNR and MS-SSIM over images."""
    from dataclasses import replace

    from wavelic.codec.options import check_device
    from wavelic.collections import evaluate_collection, start_engine
    from wavelic.collections.check import CheckShard
    from wavelic.collections.job import read_job
    from wavelic.images import atomic_output

    job = replace(read_job(folder), device=check_device(device))
    work, gpu = CheckShard(job, compare=True), device != "cpu"
    with start_engine(engine, work, workers, job.threads, gpu) as running, progress("evaluating") as step:
        found = evaluate_collection(source, folder, running, step=step)
    if results is not None:
        with atomic_output(results, force=True) as stream:
            stream.write((json.dumps(found, indent=2) + "\n").encode())
    _finish(folder, found, as_json)


def _finish(folder: Path, found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        dump(found)
    else:
        lines = {name: _number(value) for name, value in found.items() if not isinstance(value, list)}
        show(_table(str(folder), lines))
    for problem in found["problems"]:
        remark(f"{problem['source']}: {problem['reason']}")
    if found["missing_shards"]:
        remark(f"shards are missing: {', '.join(map(str, found['missing_shards'][:20]))}; run encode-dir --resume")
    elif not found["complete"]:
        remark("there is no report: the run that wrote this collection is not over; run encode-dir --resume")
    if found["damaged"]:
        raise typer.Exit(ChecksumError.exit_code)
    if not found["complete"]:
        raise typer.Exit(FormatError.exit_code)


def _report_lines(report: dict[str, Any], seconds: float, workers: int) -> dict[str, str]:
    saved = report["bytes_saved"] / report["source_bytes"] if report["source_bytes"] else 0.0
    psnr = "not measured" if report["mean_psnr"] is None else f"{report['mean_psnr']:.2f} dB"
    other = sum(report["other_files"].values())
    lines = {
        "images": f"{report['coded']:,} coded, {report['failed']:,} failed, in {report['shards']:,} shards",
        "bytes": f"{report['source_bytes']:,} -> {report['bytes']:,}, {report['bytes_saved']:,} saved ({saved:.1%})",
        "rate": "none" if report["bpp"] is None else f"{report['bpp']:.4f} bpp",
        "mean PSNR": psnr + (f", {report['exact']:,} exact" if report["exact"] else ""),
        "other files": f"{other:,} not named like images" if other else "",
        "unreadable": ", ".join(report["unreadable_folders"]),
        "this run": f"{seconds:.1f} s with {workers} workers",
    }
    return {name: text for name, text in lines.items() if text}


def _say_failures(reasons: dict[str, int], examples: list[dict[str, str]]) -> None:
    """Each reason with how many images it is of, and the first of them."""
    first: dict[str, str] = {}
    for example in examples:
        first.setdefault(example["reason"].replace(example["source"], "IMAGE"), example["source"])
    for reason, count in sorted(reasons.items(), key=lambda item: -item[1])[:20]:
        name = first.get(reason)
        more = f" and {count - 1:,} more" if count > 1 else ""
        remark(f"failed: {name}{more}: {reason}" if name else f"failed {count:,}: {reason}")


def _number(value: object) -> str:
    return f"{value:,.4f}" if isinstance(value, float) else f"{value:,}" if type(value) is int else str(value)


def _table(title: str, lines: dict[str, str]) -> Table:
    from rich.table import Table

    table = Table(title=title, title_justify="left", show_header=False, box=None)
    for name, text in lines.items():
        table.add_row(name, text)
    return table
