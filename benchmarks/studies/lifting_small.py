"""What codec lifting saves in small pictures, against the shortest ordinary JPEG 2000: bare codestreams of one layer.

    python -m benchmarks.studies.lifting_small --images DIR [--count 16] [--json results/lifting/small.json]

Photographs of 512 to 576 pixels a side, every so many of DIR (validation images; nothing was trained on them).  The
other side is libopenjp2's 9/7 with 64x64 code-blocks, one codestream of one layer for every rate, without boxes and
packet lengths.  Ours are whole files as `wavelic.encode` writes them, of the same rates, decoded without and with
`enhance`.  BD-rate (PCHIP) over 0.15 to 1.1 bits per pixel: of the mean curve, and the mean of the pictures' own.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

import wavelic
from benchmarks.measuring import RESULTS, write_results
from benchmarks.pictures import luma, psnr
from benchmarks.rates import bd_rates
from benchmarks.studies.lifting_steps import DRAWINGS
from wavelic.codec.registry import get_codec
from wavelic.enhance.catalogue import enhancement_weights
from wavelic.images import list_images, load_image
from wavelic.jpeg2000 import EncodeOptions, decode_codestream, encode_codestream

RATES = (0.15, 0.25, 0.4, 0.6, 0.8, 1.1)
SIDES = 512, 576
LEVELS = 5

Points = list[tuple[float, float]]


def pictures(folder: Path, count: int) -> list[NDArray[np.uint8]]:
    """Every so many of the folder's pictures that have the size."""
    names = [path for path in list_images(folder) if not any(word in path.name for word in DRAWINGS)]
    found = [load_image(path).colour() for path in names]
    low, high = SIDES
    found = [pixels for pixels in found if all(low <= side <= high for side in pixels.shape[:2])]
    found = [pixels for pixels in found if pixels.shape[2] == 3 and pixels.dtype == np.uint8]
    return [pixels.astype(np.uint8) for pixels in found[:: max(1, len(found) // count)][:count]]


def bare(pixels: NDArray[np.uint8]) -> Points:
    """Codestreams of one layer: bits per pixel and PSNR at every rate."""
    points: Points = []
    area = pixels.shape[0] * pixels.shape[1]
    for rate in RATES:
        options = EncodeOptions(
            colour_transform=pixels.shape[2] == 3,
            levels=LEVELS,
            layer_bytes=[round(rate * area / 8)],
            packet_lengths=False,
        )
        data = encode_codestream([pixels[..., index] for index in range(pixels.shape[2])], 8, options)
        shown = np.stack(decode_codestream(data).planes, -1).clip(0, 255).astype(np.uint8)
        points.append((8 * len(data) / area, psnr(pixels, shown)))
    return points


def ours(pixels: NDArray[np.uint8]) -> tuple[Points, Points]:
    """Files of codec lifting, decoded without and with the network."""
    plain: Points = []
    enhanced: Points = []
    for rate in RATES:
        data = wavelic.encode(pixels, "lifting", bpp=rate)
        file, bpp = wavelic.open(data), 8 * len(data) / (pixels.shape[0] * pixels.shape[1])
        for points, enhance in ((plain, False), (enhanced, True)):
            points.append((bpp, psnr(pixels, file.read(enhance=enhance))))
    return plain, enhanced


def saving(reference: list[Points], test: list[Points]) -> dict[str, float]:
    """BD-rates in percent."""
    mean, own = bd_rates(np.array(reference), np.array(test))
    return {"mean curve": round(mean, 2), "mean of pictures": round(own, 2)}


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--count", type=int, default=16)
    parser.add_argument("--json", type=Path, default=RESULTS / "lifting" / "small.json")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    chosen = pictures(arguments.images, arguments.count)
    rows = {}
    for kind in ("luma", "rgb"):
        shown = [luma(pixels) if kind == "luma" else pixels for pixels in chosen]
        reference = [bare(pixels) for pixels in shown]
        plain, enhanced = zip(*(ours(pixels) for pixels in shown), strict=True)
        rows[kind] = {"lifting": saving(reference, list(plain)), "enhanced": saving(reference, list(enhanced))}
        print(kind, json.dumps(rows[kind]), flush=True)
    names = {card.name: card.hash[:8] for card in (*get_codec("lifting").weights(), *enhancement_weights())}
    write_results({"images": len(chosen), "rates": RATES, "weights": names, "rows": rows}, arguments.json)


if __name__ == "__main__":
    main()
