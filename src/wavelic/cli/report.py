"""``wavelic compare`` and ``wavelic report``: results files to tables and to a page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from wavelic.cli.shared import Device
from wavelic.cli.terminal import progress, remark, show
from wavelic.errors import UsageError

if TYPE_CHECKING:
    from wavelic.evaluation.results import Curve


def compare(
    results: Annotated[
        list[Path], typer.Argument(metavar="REFERENCE.json OTHER.json...", help="Results files, ours or CompressAI's.")
    ],
    metric: Annotated[
        str, typer.Option(help="psnr-rgb, psnr-y, ms-ssim-rgb, or any that eval --metric took.")
    ] = "psnr-rgb",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="A Markdown table.")] = False,
) -> None:
    """Print the BD-rate of each curve against the first."""
    from wavelic.evaluation.compare import as_json as to_json
    from wavelic.evaluation.compare import as_markdown, as_table
    from wavelic.evaluation.compare import compare as compare_curves
    from wavelic.evaluation.quality import get_metric

    if len(results) < 2:
        raise UsageError("one results file given; give the reference and at least one other")
    get_metric(metric)
    if as_json and markdown:
        raise UsageError("--json and --markdown given together; choose one")
    reference, *others = read_curves(results)
    rows = compare_curves(reference, others, metric)
    if as_json or markdown:
        print(to_json(rows) if as_json else as_markdown(rows), end="")
    else:
        show(as_table(rows))


def report(
    results: Annotated[
        list[Path], typer.Argument(metavar="RESULTS...", help="Results files, or folders that hold some.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the report.")],
    image: Annotated[
        list[Path] | None, typer.Option(help="Show this image by every codec at one file size; may be repeated.")
    ] = None,
    bpp: Annotated[float, typer.Option(help="Rate of the images.")] = 0.2,
    quick: Annotated[bool, typer.Option("--quick", help="Fast settings of the other codecs for the images.")] = False,
    published: Annotated[bool, typer.Option("--published-curves", help="Add curves published for Kodak.")] = False,
    title: Annotated[str, typer.Option(help="Heading of the page.")] = "wavelic evaluation",
    device: Device = "cpu",
) -> None:
    """Write an HTML report that opens from the disk.

    Prints the path of its page.
    """
    curves = read_curves(results)
    from wavelic.evaluation.published import published_curves
    from wavelic.evaluation.report import build_report

    if published:
        curves += published_curves().values()
    pictures = []
    if image:
        from wavelic.evaluation.pixels import load_rgb
        from wavelic.evaluation.sidebyside import BEST, QUICK, side_by_side

        originals = {path: load_rgb(path) for path in image}
        with TemporaryDirectory() as scratch, progress("coding") as step:
            for path, pixels in originals.items():
                names = QUICK if quick else BEST
                found, _, remarks = side_by_side(path.stem, pixels, bpp, Path(scratch), names, device, step)
                pictures.append(found)
                for text in remarks:
                    remark(text)
    print(build_report(out, curves, pictures, title))


def read_curves(paths: Sequence[Path]) -> list[Curve]:
    """Curves of results files; a folder stands for all the results files in it and below.

    Raises:
        UsageError: a file or folder is not there, or a folder holds none.
        FormatError: a file named is not a results file.
    """
    from wavelic.errors import FormatError
    from wavelic.evaluation.results import read_curve

    curves: list[Curve] = []
    for path in paths:
        if not path.is_dir():
            curves.append(read_curve(path))
            continue
        before = len(curves)
        for file in sorted(path.rglob("*.json")):
            try:
                curves.append(read_curve(file))
            except FormatError:  # benchmarks and the like may lie beside results
                continue
        if len(curves) == before:
            raise UsageError(f"no results files in {path}; name a folder that wavelic eval or anchors wrote into")
    return curves
