"""``wavelic demo``: one photograph by every codec at the same file size, as a table and as a page."""

from __future__ import annotations

import os
import shlex
import sys
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wavelic.cli.shared import Device
from wavelic.cli.terminal import progress, remark, show
from wavelic.errors import UsageError, WavelicError

if TYPE_CHECKING:
    from rich.table import Table

    from wavelic.evaluation.results import Curve
    from wavelic.evaluation.sidebyside import Rendering

PHOTOGRAPH = "assets/demo.webp"


def demo(
    image: Annotated[
        Path | None, typer.Argument(metavar="[IMAGE]", help="An 8-bit image; without one, the packaged photograph.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the files and the page.")] = Path("demo"),
    bpp: Annotated[float, typer.Option(help="Rate of the first codec; the others get as many bytes.")] = 0.2,
    best: Annotated[bool, typer.Option("--best", help="The other codecs at their best; takes minutes.")] = False,
    open_page: Annotated[
        bool | None,
        typer.Option("--open/--no-open", help="Show the page in a browser; by default with a display."),
    ] = None,
    device: Device = "cpu",
) -> None:
    """Compress a photograph with every codec to one file size."""
    path = image or _photograph()
    from wavelic.evaluation.pixels import load_rgb
    from wavelic.evaluation.report import build_report
    from wavelic.evaluation.sidebyside import BEST, QUICK, side_by_side

    pixels = load_rgb(path)
    with progress("coding") as step:
        names = BEST if best else QUICK
        pictures, renderings, remarks = side_by_side(path.stem, pixels, bpp, out / "files", names, device, step)
    others = "at their best settings" if best else "at settings that are good and fast"
    notes = [f"No file is larger than the first, {pictures.target_bytes:,} bytes; codecs of others {others}.", *remarks]
    page = build_report(out, _committed_curves(), [pictures], f"wavelic demo: {path.name}", notes=notes)
    show(_table(renderings, f"{path.name}, {pixels.shape[1]} x {pixels.shape[0]}"))
    for text in remarks:
        remark(text)
    print(page)
    remark(_viewer_hint(out / "files"))
    if _has_display() if open_page is None else open_page:
        import webbrowser

        webbrowser.open(page.resolve().as_uri())


def _viewer_hint(files: Path) -> str:
    """How to look at the files in the viewer, with the command as this process was started."""
    command = [os.path.relpath(sys.argv[0]) if os.sep in sys.argv[0] else sys.argv[0], "serve", str(files)]
    return f"to zoom into the wavelic and JPEG 2000 files: {shlex.join(command)}"


def _photograph() -> Path:
    path = Path(str(resources.files("wavelic.evaluation"))) / PHOTOGRAPH
    if not path.is_file():
        raise UsageError("the packaged photograph is missing from this installation; name an image: wavelic demo IMAGE")
    return path


def _committed_curves() -> list[Curve]:
    """Measured curves of the source tree this package runs from; an installed package has none."""
    from wavelic.cli.report import read_curves

    results = Path(__file__).resolve().parents[3] / "results"
    try:
        return read_curves([results]) if results.is_dir() else []
    except WavelicError:
        return []


def _has_display() -> bool:
    display = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or sys.platform in ("darwin", "win32")
    return bool(display) and sys.stdout.isatty()


def _table(renderings: list[Rendering], title: str) -> Table:
    from rich.table import Table

    table = Table(title=title)
    for heading in ("codec", "bytes", "bpp", "PSNR [dB]", "MS-SSIM", "encode [s]", "decode [s]", "setting", "file"):
        table.add_column(heading, justify="left" if heading in ("codec", "setting", "file") else "right")
    for rendering in renderings:
        table.add_row(*_cells(rendering))
    return table


def _cells(rendering: Rendering) -> list[Any]:
    from wavelic.evaluation.pictures import bpp_of

    entry = rendering.entry
    return [
        entry.label,
        f"{entry.bytes:,}",
        f"{bpp_of(entry):.4f}",
        f"{entry.psnr_rgb:.2f}",
        f"{entry.ms_ssim_rgb:.4f}",
        f"{rendering.encode_s:.2f}",
        f"{rendering.decode_s:.2f}",
        entry.setting,
        rendering.file.name,
    ]
