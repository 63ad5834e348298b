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
Metrics = Annotated[
    list[str] | None,
    typer.Option("--metric", help="Measure this too: ssimulacra2, butteraugli, or mine.py:NAME; may be repeated."),
]
Processes = Annotated[int, typer.Option("-j", metavar="N", help="Processes, each measuring with one thread.")]
Against = Annotated[
    list[Path] | None,
    typer.Option(help="Results file to compare with, BD-rate of means and per image; may be repeated."),
]


def evaluate(
    codec: Annotated[
        str, typer.Argument(metavar="CODEC", help=f"{CODEC_NAMES}; or one of your own as path/to/file.py:NAME.")
    ],
    images: Annotated[Path, typer.Option(help="Folder of 8-bit RGB or gray images.")],
    results: Annotated[Path, typer.Option("--json", help="Results file to write.")],
    qualities: Annotated[
        str | None, typer.Option(help=f"Comma-separated; of wavelic's codecs 0..100. Default: {QUALITIES}.")
    ] = None,
    published: Annotated[
        bool, typer.Option("--published", help="Entropy coding and padding of the WCAE paper.")
    ] = False,
    tune: Annotated[str, typer.Option(help="weconvene: psnr or msssim, as `wavelic encode`.")] = "psnr",
    effort: Annotated[
        int | None, typer.Option(min=1, max=9, help="weconvene: as `wavelic encode`.", show_default=False)
    ] = None,
    dataset: Dataset = "",
    metrics: Metrics = None,
    against: Against = None,
    processes: Processes = 1,
    device: Device = "cpu",
    resume: Resume = True,
) -> None:
    """Measure a codec on a folder of images: one of wavelic, or your own.

    Every image is compressed to a real file at every quality and decoded from its bytes alone.
    """
    settings = _numbers(qualities or QUALITIES, anything=":" in codec)
    from wavelic.evaluation.own import codec_to_measure
    from wavelic.evaluation.results import read_curve
    from wavelic.evaluation.runner import evaluate as run
    from wavelic.images import list_images

    paths, references = list_images(images), [read_curve(path) for path in against or ()]
    measured = codec_to_measure(codec, published, device, effort, tune)
    if qualities is None and measured.settings:
        settings = list(measured.settings)
    with progress("measuring") as step:
        curve = run(
            measured, paths, settings, results, dataset=dataset or images.name, resume=resume, progress=step,
            metrics=metrics or (), processes=processes,
        )  # fmt: skip
    show(_table(curve), *_comparisons(curve, references))


def anchors(
    codec: Annotated[str, typer.Argument(metavar="CODEC|all|list", help="A name from `wavelic anchors list`, or all.")],
    images: Images = None,
    results: Annotated[Path | None, typer.Option("--json", help="Results file; for all: a folder.")] = None,
    dataset: Dataset = "",
    metrics: Metrics = None,
    processes: Processes = 1,
    resume: Resume = True,
) -> None:
    """Measure JPEG, JPEG 2000, WebP, AVIF, JPEG XL, HEVC and VVC."""
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
                anchor, paths, anchor.settings, out, dataset=dataset or images.name, resume=resume, progress=step,
                metrics=metrics or (), processes=processes,
            )  # fmt: skip
        show(_table(curve))
    if code:
        raise typer.Exit(code)


def _numbers(text: str, anything: bool = False) -> list[float]:
    """Qualities from the command line; settings of a codec that is not wavelic's may be any numbers."""
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError as error:
        raise UsageError(f"qualities {text!r} are not numbers; write for instance 10,30,50") from error
    if not anything and not all(0 <= value <= 100 for value in values):
        raise UsageError(f"qualities {text} leave 0..100; choose them inside")
    return values


def _table(curve: Curve) -> Table:
    from rich.table import Table

    from wavelic.evaluation.metrics import to_db
    from wavelic.evaluation.quality import BASIC

    more = [name for name in curve.metrics() if name not in {metric.name for metric in BASIC}]
    table = Table(title=f"{curve.label}, {len(curve.images())} images", caption=curve.description)
    headings = (
        curve.parameter,
        "bpp",
        "PSNR RGB [dB]",
        "PSNR Y [dB]",
        "MS-SSIM",
        "MS-SSIM [dB]",
        *more,
        "encode [s]",
        "decode [s]",
    )
    for heading in headings:
        table.add_column(heading, justify="right")
    columns = [curve.settings] + [
        curve.points[key]
        for key in ("bpp", "psnr-rgb", "psnr-y", "ms-ssim-rgb", *more, "encoding_time", "decoding_time")
    ]
    for setting, bpp, psnr, luma, ms_ssim, *others, encode_s, decode_s in zip(*columns, strict=True):
        table.add_row(
            f"{setting:g}",
            f"{bpp:.4f}",
            f"{psnr:.2f}",
            f"{luma:.2f}",
            f"{ms_ssim:.4f}",
            f"{to_db(ms_ssim):.2f}",
            *(f"{value:.3f}" for value in others),
            f"{encode_s:.3f}",
            f"{decode_s:.3f}",
        )
    return table


def _comparisons(curve: Curve, references: list[Curve]) -> list[Table]:
    """A table of BD figures for each metric: of the curve against each reference."""
    from rich.table import Table

    from wavelic.evaluation.compare import compare, headings, row_texts
    from wavelic.evaluation.quality import get_metric, metric_names

    tables = []
    for metric in [name for name in curve.metrics() if name in metric_names()] if references else []:
        title = f"{curve.label}, BD figures under {get_metric(metric).label}"
        rows = [compare(reference, [curve], metric)[0] for reference in references]
        remarks = "\n".join(f"{row.reference}: {row.refusal}" for row in rows if row.refusal)
        table = Table(title=title, caption=remarks or None)
        for index, heading in enumerate(["against", *headings(metric)[1:]]):
            table.add_column(heading, justify="right" if index else "left")
        for row in rows:
            table.add_row(row.reference, *row_texts(row)[1:])
        tables.append(table)
    return tables


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
