"""Write the tables of docs/remote.md between its markers, from results/benchmarks/remote_reads.json alone.

python -m benchmarks.pages.remote_page            # rewrite
python -m benchmarks.pages.remote_page --check    # exit 1 if it is out of date
"""

from __future__ import annotations

import json
import sys
from typing import Any

from benchmarks.measuring import DOCS, RESULTS
from benchmarks.pages.marked import with_figures, write_page
from benchmarks.pages.tables import table

PAGE = DOCS / "remote.md"
NAMES = {"mosaic val": "mosaic VAL", "mosaic train": "mosaic TRAIN", "mosaic val, learned": "mosaic VAL, learned"}


def percent(share: float) -> str:
    """A share with a digit after the point."""
    return f"{100 * share:.1f} %"


def spread(shares: dict[str, float]) -> str:
    """Mean, least and most."""
    return f"{percent(shares['mean'])} ({100 * shares['min']:.1f}, {100 * shares['max']:.1f})"


def jpeg2000_table(files: dict[str, Any]) -> list[str]:
    """What opening, windows and reduced sizes of every picture's file cost."""
    found = list(files.values())
    rows = [
        ["full picture", *(f"{row['psnr']:.2f} dB at {row['bpp']:.3f} bpp" for row in found)],
        ["opening", *(percent(row["open_share"]) for row in found)],
        ["opening and `reduce=3`", *(percent(row["open_and_reduce_3_share"]) for row in found)],
        ["window: mean (least, most)", *(spread(row["window_share"]) for row in found)],
        ["aligned window", *(spread(row["aligned_window_share"]) for row in found)],
    ]
    rows += [
        [f"`reduce={reduce}`", *(percent(row["reduce"][str(reduce)]["share"]) for row in found)]
        for reduce in range(1, 6)
    ]
    return table(["", *(NAMES.get(name, name) for name in files)], rows)


def small_table(files: dict[str, Any]) -> list[str]:
    """The picture of an eighth of the size, with all layers and with those that a tenth of the file allows."""

    def with_layers(row: dict[str, Any], layers: int) -> str:
        found = row["reduce_3"]
        share, psnr = found["share_by_layers"][layers - 1], found["psnr_by_layers"][layers - 1]
        return f"{layers} layers, {percent(share)}, {psnr:.1f} dB"

    rows = [
        ["all layers", *(with_layers(row, row["layers"]) for row in files.values())],
        [
            "what a tenth of the file allows",
            *(with_layers(row, row["reduce_3"]["layers_within_a_tenth"]) for row in files.values()),
        ],
    ]
    return table(["`reduce=3`", *(NAMES.get(name, name) for name in files)], rows)


def wlic_table(files: list[dict[str, Any]]) -> list[str]:
    """Tiles of two sizes."""
    rows = [
        ["bits per pixel", *(f"{row['bpp']:.3f}" for row in files)],
        ["opening", *(percent(row["open_share"]) for row in files)],
        ["window of 256 x 256: mean (least, most)", *(spread(row["window_share"]) for row in files)],
    ]
    return table(["", *(row["title"] for row in files)], rows)


def errors(files: dict[str, Any]) -> str:
    """How windows differ from the full decode's crop."""
    learned = [row["window_error"] for name, row in files.items() if "learned" in name]
    plain = max(row["window_error"]["max"] for name, row in files.items() if "learned" not in name)
    assert plain == 0, f"windows of ordinary files differ by {plain}"
    most, share = max(error["max"] for error in learned), max(error["share_of_samples"] for error in learned)
    return (
        "Windows of files without learned steps have the pixels of the full decode's crop; with the installed weights\n"
        f"samples differ by at most {most}, {share:.3%} of them."
    )


def figures() -> str:
    """Everything between the markers."""
    results = json.loads((RESULTS / "benchmarks" / "remote_reads.json").read_text())
    files = results["jpeg2000"]
    first = next(iter(files.values()))
    precincts = ", ".join(str(side) for side, _ in first["precincts"])
    requests = [row["requests_per_window"]["mean"] for row in files.values()]
    lines = [
        f"{first['layers']} layers; precincts, from the finest resolution on: {precincts} and so on:",
        "",
        *jpeg2000_table(files),
        "",
        errors(files),
        f"{min(requests):.0f} to {max(requests):.0f} requests a window, up to 8 of them at a time;",
        "a reduced size is one range, without a byte that is not decoded.",
        "",
        "The small picture itself, PSNR against the same size of a file of 8 bpp:",
        "",
        *small_table(files),
        "",
        "The mosaic VAL as `.wlic` of codec weconvene, moved so that its borders are not those of tiles:",
        "",
        *wlic_table(results["wlic"]),
    ]
    return "\n".join(lines)


def main() -> int:
    """Rewrite or check the page."""
    text = with_figures(PAGE.read_text(encoding="utf-8"), figures())
    return write_page(PAGE, text, "--check" in sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
