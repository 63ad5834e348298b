"""``wavelic info`` and ``wavelic verify``: what a file is and whether it is sound, without decoding pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from wavelic.cli.boundary import one_line, print_error
from wavelic.cli.files import STREAM, Job, read_stdin
from wavelic.cli.terminal import dump, show
from wavelic.errors import FormatError, UsageError, WavelicError

if TYPE_CHECKING:
    from rich.table import Table

    from wavelic.codec.opened import OpenedFile

_FILES = ".wlic or JPEG 2000 files, or their URLs; - is standard input."
Files = Annotated[list[str], typer.Argument(metavar="FILE...", help=_FILES)]
_CODING = ("numpy", "pillow", "torch", "safetensors", "constriction", "google-crc32c")
_PACKAGES = (*_CODING, "tifffile", "imagecodecs", "zarr")


def _open(name: str) -> OpenedFile:
    from wavelic.api.files import open_file

    return open_file(read_stdin() if name == STREAM else name)


def info(
    files: Annotated[list[str] | None, typer.Argument(metavar="FILE...", help=_FILES, show_default=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
    versions: Annotated[
        bool, typer.Option("--versions", help="Show the versions of wavelic and of all that takes part in decoding.")
    ] = False,
) -> None:
    """Show codec, model, geometry, rate, layers and bytes per chunk."""
    if versions:
        found = installed_versions()
        if as_json:
            dump({"versions": found})
        else:
            print("\n".join(f"{name:15} {text}" for name, text in found.items()))
    elif not files:
        raise UsageError("no file is named to look into; type: wavelic info photo.wlic, or wavelic info --versions")
    rows, code = [], 0
    for name in files or ():
        try:
            rows.append({"file": name, **_open(name).info})
        except WavelicError as error:
            message = Job(name, STREAM).located(one_line(error))
            print_error(message)
            rows.append({"file": name, "error": message, "exit_code": error.exit_code})
            code = code or error.exit_code
    if as_json and files:
        dump({"files": rows})
    elif not as_json:
        for row in rows:
            if "error" not in row:
                show(*_tables(row))
    if code:
        raise typer.Exit(code)


def installed_versions() -> dict[str, str]:
    """Versions of wavelic, Python, the libraries that decode, libopenjp2 with its path, and the weights in use."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    from wavelic import __version__
    from wavelic.codec.registry import codecs
    from wavelic.jpeg2000.binding import openjpeg

    found = {"wavelic": __version__, "Python": f"{platform.python_version()}, {platform.platform()}"}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    try:
        found["libopenjp2"] = str(openjpeg())
    except WavelicError as error:
        found["libopenjp2"] = one_line(error)
    for codec in codecs():
        try:
            hashes = ", ".join(card.hash[:8] for card in codec.weights())
        except WavelicError as error:
            hashes = one_line(error)
        found[f"codec {codec.name}"] = f"weights {hashes}" if hashes else "no weights"
    return found


def _tables(facts: dict[str, Any]) -> list[Table]:
    from rich.table import Table

    channels = {1: "gray", 2: "gray+alpha", 3: "RGB", 4: "RGBA"}[facts["channels"]]
    rate = f"{facts['bytes']:,} bytes, {facts['bpp']:.4f} bpp"
    lines = {
        "format": f"{facts['format']}, codec {facts['codec']}",
        "model": f"{facts['model']}  {facts['model_hash']}",
        "image": f"{facts['width']} x {facts['height']} {channels}, {facts['bit_depth']} bits",
    }
    lines |= _jpeg2000_lines(facts, rate) if "layers" in facts else _wlic_lines(facts, rate)
    summary = Table(title=facts["file"], title_justify="left", show_header=False, box=None)
    for key, value in lines.items():
        if value:
            summary.add_row(key, value)
    chunks = Table(box=None, padding=(0, 2, 0, 0))
    chunks.add_column("chunk")
    chunks.add_column("bytes", justify="right")
    chunks.add_column("meaning")
    if "header_bytes" in facts:
        chunks.add_row("header", f"{facts['header_bytes']:,}", "geometry, model and rate point")
    for chunk in facts["chunks"]:
        chunks.add_row(chunk["kind"], f"{chunk['bytes']:,}", chunk["meaning"])
    return [summary, chunks, _layer_table(facts["layers"])] if "layers" in facts else [summary, chunks]


def _wlic_lines(facts: dict[str, Any], rate: str) -> dict[str, str]:
    return {
        "sizes": ", ".join(f"{width} x {height}" for width, height in facts["level_dimensions"][1:]),
        "padding": facts["padding"],
        "rate": f"{rate}; quality {facts['quality']:g}, gain {facts['gain']}",
        "note": facts.get("precision", ""),
    }


def _jpeg2000_lines(facts: dict[str, Any], rate: str) -> dict[str, str]:
    sizes = ", ".join(f"{width} x {height}" for width, height in facts["level_dimensions"])
    sides = dict.fromkeys(tuple(side) for side in reversed(facts["precincts"]))  # the finest first, each once
    precincts = ", ".join(f"{width} x {height}" if width < 1 << 15 else "one per resolution" for width, height in sides)
    cut = f"{facts['whole_layers']} of the layers are whole" if not facts["complete"] else ""
    return {
        "transform": f"{facts['levels']} levels on {facts['wavelet']}, stored with {facts['stored_bits']} bits",
        "sizes": sizes,
        "order": f"{facts['progression']}, precincts {precincts}",
        "rate": rate,
        "reduced": _reduced_shares(facts["reduced"]),
        "cut short": cut,
    }


def _reduced_shares(rows: list[dict[str, Any]]) -> str:
    shares = [f"{row['reduce']}: {row['share']:.1%}" for row in rows if row["reduce"] and row["share"] is not None]
    return f"{', '.join(shares)} of the file" if shares else ""


def _layer_table(layers: list[dict[str, Any]]) -> Table:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("layers", "bytes", "bpp"):
        table.add_column(heading, justify="right")
    for layer in layers:
        known = layer["bytes"] is not None
        table.add_row(
            str(layer["layers"]),
            f"{layer['bytes']:,}" if known else "not stated",
            f"{layer['bpp']:.4f}" if known else "",
        )
    return table


def verify(files: Files) -> None:
    """Check every checksum, the coded latent and alpha.

    Prints one line for each file: OK; damaged; or unknown, if its weights or the file itself are not there.
    """
    code = 0
    for name in files:
        try:
            _open(name).verify()
            print(f"OK       {name}")
        except WavelicError as error:
            verdict = "damaged" if isinstance(error, FormatError) else "unknown"
            print(f"{verdict}  {Job(name, STREAM).located(one_line(error))}")
            code = code or error.exit_code
    if code:
        raise typer.Exit(code)
