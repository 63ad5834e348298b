"""Pictures of reduced size from `weconvene` files: how good they are, and how long they take.

    python -m benchmarks.studies.weconvene_reduced --images DIR [--count 8] [--side 512] [--json FILE]

The reference at every size is the low band of the source's own 9/7 transform.  Against it stand the reduced decode,
and the same low band of the full decode, which is what the coefficients are worth if everything is decoded.  Squares
from the middle of every so many images; times are processor times on one thread with the weights in memory, the best
of three turns, relative to the full decode.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch

import wavelic
from benchmarks.measuring import RESULTS, best, machine, show, take_turns, write_results
from benchmarks.pictures import Pixels, photographs
from wavelic.codec.weights import family
from wavelic.wavelets import dwt2

QUALITIES = (20, 50, 80)
REDUCED = (1, 2, 3, 4)
TURNS = 3


def squares(folder: Path, count: int, side: int) -> list[Pixels]:
    """The middles of every so many images of a folder that are large enough."""
    found = []
    for pixels in photographs(folder):
        top, left = ((length - side) // 2 for length in pixels.shape[:2])
        if min(top, left) >= 0:
            found.append(np.ascontiguousarray(pixels[top : top + side, left : left + side]))
    return found[:: max(1, len(found) // count)][:count]


def low_band(pixels: Pixels, reduce: int) -> Pixels:
    """The low band of 9/7 after some levels, as samples."""
    x = torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1)[None]
    low = dwt2(x, "9/7", reduce).low[0] / 2**reduce
    return low.round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).numpy()


def psnr(a: Pixels, b: Pixels) -> float:
    """PSNR of all samples in dB."""
    return float(10 * np.log10(255**2 / max(1e-10, float(np.square(a.astype(np.float64) - b).mean()))))


def measure(pictures: list[Pixels], quality: int) -> list[dict[str, Any]]:
    """A row for every size: PSNR of the reduced and of the full decode, and the time of the first."""
    rows: list[dict[str, Any]] = [{"quality": quality, "reduce": reduce} for reduce in REDUCED]
    figures: list[list[tuple[float, float, float]]] = [[] for _ in REDUCED]
    for pixels in pictures:
        file = wavelic.open(wavelic.encode(pixels, "weconvene", quality=quality))
        whole = file.read()
        times = take_turns({str(r): (lambda r=r, file=file: file.read(reduce=r)) for r in (0, *REDUCED)}, TURNS)
        full = best(times["0"]).processor
        for reduce, of_size in zip(REDUCED, figures, strict=True):
            wanted = low_band(pixels, reduce)
            found = psnr(wanted, file.read(reduce=reduce)), psnr(wanted, low_band(whole, reduce))
            of_size.append((*found, best(times[str(reduce)]).processor / full))
    for row, of_size in zip(rows, figures, strict=True):
        reduced, decoded, time = (float(np.mean(column)) for column in zip(*of_size, strict=True))
        row |= {"psnr": round(reduced, 2), "psnr_of_full_decode": round(decoded, 2), "time": round(time, 3)}
    return rows


def main() -> None:
    """Measure every quality and size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--count", type=int, default=8)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--json", type=Path, default=RESULTS / "weconvene" / "reduced.json")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    pictures = squares(arguments.images, arguments.count, arguments.side)
    rows = [row for quality in QUALITIES for row in measure(pictures, quality)]
    show(
        "reduced pictures",
        ("quality", "reduce", "PSNR, dB", "of the full decode, dB", "time"),
        [tuple(str(value) for value in row.values()) for row in rows],
    )
    about = {"weights": family("weconvene")[-1].hash[:8], "folder": arguments.images.name, "images": len(pictures)}
    write_results({**about, "side": arguments.side, "machine": machine("torch"), "rows": rows}, arguments.json)


if __name__ == "__main__":
    main()
