"""Writes the tables of docs/remote.md between its markers, from results/benchmarks/bench_remote.json alone.

python benchmarks/remote_page.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGE, RESULTS = ROOT / "docs" / "remote.md", ROOT / "results" / "benchmarks" / "bench_remote.json"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
NAMES = {"mosaic val": "mosaic VAL", "mosaic train": "mosaic TRAIN", "mosaic val, learned": "mosaic VAL, learned"}


def percent(share: float) -> str:
    """A share with a digit after the point."""
    return f"{100 * share:.1f} %"


def spread(shares: dict[str, float]) -> str:
    """Mean, least and most."""
    return f"{percent(shares['mean'])} ({100 * shares['min']:.1f}, {100 * shares['max']:.1f})"


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """Markdown."""
    return ["| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows)]


def costs_table(files: dict[str, Any]) -> list[str]:
    """What parts of every picture's file cost."""
    found = list(files.values())
    rows = [
        ["full picture", *(f"{row['psnr']:.2f} dB at {row['bpp']:.3f} bpp" for row in found)],
        ["opening", *(percent(row["open_share"]) for row in found)],
        ["opening and `reduce=3`", *(percent(row["open_and_reduce_3_share"]) for row in found)],
        ["window: mean (least, most)", *(spread(row["window_share"]) for row in found)],
        ["window, as with the installed weights", *(spread(row["window_share_learned"]) for row in found)],
        [
            "aligned window, as with the installed weights",
            *(spread(row["aligned_window_share_learned"]) for row in found),
        ],
    ]
    for reduce in range(1, 6):
        shares = (percent(row["reduce"][str(reduce)]["packets_share"]) for row in found)
        rows.append([f"`reduce={reduce}`, packets", *shares])
    return table(["", *(NAMES.get(name, name) for name in files)], rows)


def small_table(files: dict[str, Any]) -> list[str]:
    """The picture of an eighth of the size."""

    def whole(row: dict[str, Any]) -> str:
        return f"{percent(row['reduce']['3']['packets_share'])}, {row['reduce']['3']['psnr']:.1f} dB"

    def tenth(row: dict[str, Any]) -> str:
        found = row["reduce_3"]
        layers = found["layers_within_a_tenth"]
        share, psnr = found["share_by_layers"][layers - 1], found["psnr_by_layers"][layers - 1]
        return f"{layers} layers, {percent(share)}, {psnr:.1f} dB"

    rows = [
        ["all layers", *(whole(row) for row in files.values())],
        ["what a tenth of the file allows", *(tenth(row) for row in files.values())],
    ]
    return table(["`reduce=3`", *(NAMES.get(name, name) for name in files)], rows)


def rates_table(rates: list[dict[str, Any]]) -> list[str]:
    """Rates of the first mosaic."""
    rows = [[f"{r['bpp']:.2f}", f"{r['psnr']:.2f} dB", percent(r["open_and_reduce_3_share"])] for r in rates]
    return table(["bits per pixel", "full picture", "opening and `reduce=3`"], rows)


def wlic_table(files: list[dict[str, Any]]) -> list[str]:
    """Tiles of two sizes."""
    large, small = files
    rows = [
        ["bits per pixel", *(f"{row['bpp']:.3f}" for row in files)],
        ["opening", *(percent(row["open_share"]) for row in files)],
        ["window of 256 x 256: mean (least, most)", *(spread(row["window_share"]) for row in files)],
    ]
    names = (
        f"tiles of {large['tile']}",
        f"tiles of {small['tile']} (`--access windows`; the default above quality 57)",
    )
    return table(["", *names], rows)


def errors(files: dict[str, Any]) -> str:
    """How windows differ from the full decode's crop."""
    learned = files["mosaic val, learned"]["window_error"]
    assert max(row["window_error"]["max"] for name, row in files.items() if "learned" not in name) == 0
    return (
        "Windows without learned steps have the pixels of the full decode's crop; with the installed weights samples\n"
        f"differ by at most {learned['max']}, {learned['share_of_samples']:.3%} of them."
    )


def figures() -> str:
    """Everything between the markers."""
    results = json.loads(RESULTS.read_text())
    files = results["jpeg2000"]
    row = files["mosaic val"]
    precincts = ", ".join(str(side) for side, _ in row["precincts"])
    requests = [r["requests_per_window"]["mean"] for r in files.values()]
    lines = [
        f"{row['layers']} layers; precincts, from the finest resolution on: {precincts} and so on.",
        "",
        *costs_table(files),
        "",
        errors(files),
        f"{min(requests):.0f} to {max(requests):.0f} requests a window, up to 8 of them at a time;",
        "a reduced size is one range, without a byte that is not decoded.",
        "",
        "Other rates of the mosaic VAL, without learned steps:",
        "",
        *rates_table(results["rates"]),
        "",
        "The small picture itself, PSNR against the same size of a file of 8 bpp:",
        "",
        *small_table(files),
        "",
        "The mosaic VAL as `.wlic` of codec weconvene at quality 76, moved so that its borders are not those of tiles:",
        "",
        *wlic_table(results["wlic"]),
    ]
    return "\n".join(lines)


def main() -> None:
    """Replace what is between the markers."""
    text = PAGE.read_text()
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    PAGE.write_text(f"{before}{BEGIN}\n{figures()}\n{END}{after}")


if __name__ == "__main__":
    main()
