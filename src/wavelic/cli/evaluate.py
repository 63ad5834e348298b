"""``wavelic eval`` and ``wavelic anchors``: rate-distortion curves over a folder of images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wavelic.cli.boundary import one_line, print_error
from wavelic.cli.shared import CODEC_NAMES, Device
from wavelic.cli.terminal import progress, show
from wavelic.errors import MissingDependencyError, UsageError

if TYPE_CHECKING:
    from rich.table import Table

    from wavelic.evaluation.results import Curve

QUALITIES = "0,10,20,30,40,50,60,70,80,90,100"
Images = Annotated[Path | None, typer.Option(help="Folder of 8-bit RGB or gray images.")]
Resume = Annotated[bool, typer.Option("--resume/--no-resume", help="Continue an interrupted run of the same work.")]
Dataset = Annotated[str, typer.Option(help="Name written into the results; else the folder's.")]


def evaluate(
    codec: Annotated[str, typer.Argument(metavar="CODEC", help=f"{CODEC_NAMES}.")],
    images: Annotated[Path, typer.Option(help="Folder of 8-bit RGB or gray images.")],
    results: Annotated[Path, typer.Option("--json", help="Results file to write.")],
    qualities: Annotated[str, typer.Option(help="Comma-separated, each 0..100.")] = QUALITIES,
    published: Annotated[
        bool, typer.Option("--published", help="Entropy coding and padding of the WCAE paper.")
    ] = False,
    dataset: Dataset = "",
    device: Device = "cpu",
    resume: Resume = True,
) -> None:
    """Measure a codec of wavelic on a folder of images.

    Every image is compressed to a real file at every quality and decoded from its bytes alone.
    """
    settings = _numbers(qualities)
    from wavelic.evaluation.own import own_codec
    from wavelic.evaluation.runner import evaluate as run
    from wavelic.images import list_images

    paths = list_images(images)
    measured = own_codec(codec, published, device)
    with progress("measuring") as step:
        curve = run(measured, paths, settings, results, dataset=dataset or images.name, resume=resume, progress=step)
    show(_table(curve))


def anchors(
    codec: Annotated[str, typer.Argument(metavar="CODEC|all|list", help="A name from `wavelic anchors list`, or all.")],
    images: Images = None,
    results: Annotated[Path | None, typer.Option("--json", help="Results file; for all: a folder.")] = None,
    dataset: Dataset = "",
    resume: Resume = True,
) -> None:
    """Measure JPEG, JPEG 2000, WebP, AVIF and JPEG XL."""
    from wavelic.evaluation.anchors import ANCHORS, get_anchor
    from wavelic.evaluation.runner import evaluate as run
    from wavelic.images import list_images

    if codec == "list":
        show(_list_of_anchors())
        return
    if images is None or results is None:
        raise UsageError("--images and --json are both needed to measure an anchor; give a folder and a results file")
    paths = list_images(images)
    names = ANCHORS if codec == "all" else (codec,)
    code = 0
    for name in names:
        try:
            anchor = get_anchor(name)
        except MissingDependencyError as error:
            if codec != "all":
                raise
            print_error(f"{name}: {one_line(error)}")
            code = error.exit_code
            continue
        out = results / f"{name}.json" if codec == "all" else results
        with progress("measuring") as step:
            curve = run(
                anchor, paths, anchor.settings, out, dataset=dataset or images.name, resume=resume, progress=step
            )
        show(_table(curve))
    if code:
        raise typer.Exit(code)


def _numbers(text: str) -> list[float]:
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError as error:
        raise UsageError(f"qualities {text!r} are not numbers; write for instance 10,30,50") from error
    if not all(0 <= value <= 100 for value in values):
        raise UsageError(f"qualities {text} leave 0..100; choose them inside")
    return values


def _table(curve: Curve) -> Table:
    from rich.table import Table

    from wavelic.evaluation.metrics import to_db

    table = Table(title=f"{curve.label}, {len(curve.images())} images", caption=curve.description)
    headings = (
        curve.parameter,
        "bpp",
        "PSNR RGB [dB]",
        "PSNR Y [dB]",
        "MS-SSIM",
        "MS-SSIM [dB]",
        "encode [s]",
        "decode [s]",
    )
    for heading in headings:
        table.add_column(heading, justify="right")
    columns = [curve.settings] + [
        curve.points[key] for key in ("bpp", "psnr-rgb", "psnr-y", "ms-ssim-rgb", "encoding_time", "decoding_time")
    ]
    for setting, bpp, psnr, luma, ms_ssim, encode_s, decode_s in zip(*columns, strict=True):
        table.add_row(
            f"{setting:g}",
            f"{bpp:.4f}",
            f"{psnr:.2f}",
            f"{luma:.2f}",
            f"{ms_ssim:.4f}",
            f"{to_db(ms_ssim):.2f}",
            f"{encode_s:.3f}",
            f"{decode_s:.3f}",
        )
    return table


def _list_of_anchors() -> Table:
    from rich.table import Table

    from wavelic.evaluation.anchors import ANCHORS, get_anchor

    table = Table()
    for heading in ("anchor", "parameter", "rates", "description"):
        table.add_column(heading, justify="right" if heading == "rates" else "left", no_wrap=heading == "anchor")
    for name in ANCHORS:
        try:
            anchor = get_anchor(name)
            table.add_row(name, anchor.parameter, str(len(anchor.settings)), anchor.description)
        except MissingDependencyError as error:
            table.add_row(name, "", "", one_line(error))
    return table
