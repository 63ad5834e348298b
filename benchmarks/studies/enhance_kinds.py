"""Whether enhanced decoding harms pictures that are no photographs.

    python -m benchmarks.studies.enhance_kinds [--count 6]        # results/enhance/kinds.json

Pages of text, screens, line art, scans, smooth gray pictures of 16 bits and their 8-bit relatives, drawn by other seeds
than in training, 192 x 192 pixels, coded by libopenjp2 with 9/7 and 5/3 in layers of 0.15, 0.3, 0.5, 1 and 2 bits per
pixel.  For every kind and wavelet: mean and least gain in dB of the enhanced decode over the plain one.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import wavelic
from benchmarks.measuring import RESULTS, write_results
from wavelic.enhance.catalogue import find_enhance
from wavelic.enhance.drawings import line_art, page, scan, screen
from wavelic.enhance.surfaces import surface
from wavelic.jpeg2000 import EncodeOptions, encode_codestream

RATES = (0.15, 0.3, 0.5, 1.0, 2.0)
SIDE, FIRST_SEED = 192, 1_000_000
Maker = Callable[[int, np.random.Generator], NDArray[np.integer]]
KINDS: dict[str, Maker] = {
    "page of text": page,
    "screen": screen,
    "line art": line_art,
    "scan": lambda side, random: scan(side, random)[..., :1],
    "smooth, 16 bits": lambda side, random: surface(16, random, side)[..., :1],
    "smooth, 8 bits": lambda side, random: surface(8, random, side)[..., :1].astype(np.uint8),
}


def psnr(pixels: NDArray[np.integer], seen: NDArray[np.integer]) -> float:
    """PSNR in dB over the range of the type, an exact decode counting as an error of 0.01 levels."""
    error = float(np.square(pixels.astype(np.float64) - seen).mean())
    return float(10 * np.log10(float(np.iinfo(pixels.dtype).max) ** 2 / max(error, 1e-4)))


def gains(make: Maker, reversible: bool, count: int) -> NDArray[np.float64]:
    """Gains in dB, (pictures, layers)."""
    rows = []
    for number in range(count):
        pixels = make(SIDE, np.random.default_rng(FIRST_SEED + number))
        planes = [pixels[..., index] for index in range(pixels.shape[2])]
        options = EncodeOptions(
            reversible=reversible,
            colour_transform=len(planes) == 3,
            layer_bytes=[round(rate * SIDE**2 / 8) + 120 for rate in RATES],
        )
        file = wavelic.open(encode_codestream(planes, 8 * pixels.dtype.itemsize, options))
        rows.append(
            [
                psnr(pixels, file.read(layers=layer, enhance=True))
                - psnr(pixels, file.read(layers=layer, enhance=False))
                for layer in range(1, len(RATES) + 1)
            ]
        )
    return np.array(rows)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=6, help="pictures of each kind")
    count = parser.parse_args().count
    torch.set_num_threads(1)
    rows: dict[str, Any] = {}
    for name, make in KINDS.items():
        for wavelet, reversible in (("9/7", False), ("5/3", True)):
            found = gains(make, reversible, count)
            row = {"mean_db": found.mean(0).round(3).tolist(), "least_db": found.min(0).round(3).tolist()}
            rows[f"{name}, {wavelet}"] = row
            print(name, wavelet, row, flush=True)
    head = {"weights": find_enhance().hash[:16], "rates": RATES, "pictures": count}
    write_results({**head, "kinds": rows}, RESULTS / "enhance" / "kinds.json")


if __name__ == "__main__":
    main()
