"""What quality layers and packet lengths cost a small JPEG 2000 file.

    python -m benchmarks.studies.layers --images DIR

Eight photographs of DIR, the middle 512 x 512 of each, coded with plain 9/7 at 0.15 to 1 bits per pixel.  BD-rate in
RGB PSNR of the mean curve against files of one layer without packet lengths (PLT), whole files counted: headers and
boxes with 160 bytes for each.  Of every choice also the mean number of layers at each rate.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.studies.lifting_steps import DRAWINGS
from wavelic.evaluation.bd import bd_rate
from wavelic.evaluation.metrics import psnr_rgb
from wavelic.images import list_images, load_image
from wavelic.jpeg2000 import EncodeOptions, decode_codestream, encode_codestream

RATES = (0.15, 0.25, 0.5, 1.0)
COUNT, SIDE, BESIDE, SPAN = 8, 512, 160, 5.0


def spaced(octaves: float, least: float) -> Callable[[float], int]:
    """Number of layers for a size in bytes: so many octaves apart, none of fewer bytes."""
    return lambda top: 1 + int(min(SPAN, math.log2(max(1.0, top / least))) / octaves)


CHOICES: dict[str, tuple[Callable[[float], int], float, bool]] = {
    "one layer": (lambda top: 1, 1.0, False),
    "one layer, PLT": (lambda top: 1, 1.0, True),
    "half octaves from 1500 bytes, PLT": (spaced(0.5, 1500), 0.5, True),
    "half octaves from 1500 bytes": (spaced(0.5, 1500), 0.5, False),
    "half octaves from 4000 bytes, PLT": (spaced(0.5, 4000), 0.5, True),
    "octaves from 1500 bytes, PLT": (spaced(1.0, 1500), 1.0, True),
    "octaves from 4000 bytes, PLT": (spaced(1.0, 4000), 1.0, True),
}


def middles(folder: Path) -> list[NDArray[np.uint8]]:
    """The middles of the pictures measured."""
    names = [name for name in list_images(folder) if not any(word in name.name for word in DRAWINGS)]
    found = []
    for name in names[::5][:COUNT]:
        pixels = load_image(name).colour().astype(np.uint8)
        top, left = (max(0, (length - SIDE) // 2) for length in pixels.shape[:2])
        found.append(np.ascontiguousarray(pixels[top : top + SIDE, left : left + SIDE]))
    return found


def curve(
    pictures: list[NDArray[np.uint8]], layers: Callable[[float], int], octaves: float, lengths: bool
) -> NDArray[np.float64]:
    """(rates, 3): bits per pixel, PSNR, number of layers; means over the pictures."""
    rows = []
    for rate in RATES:
        found = []
        for pixels in pictures:
            area = pixels.shape[0] * pixels.shape[1]
            top = rate * area / 8 - BESIDE
            count = layers(top)
            apart = min(SPAN, octaves * (count - 1)) / max(1, count - 1)
            sizes = {round(top * 2 ** (-apart * number)) for number in range(count)}
            options = EncodeOptions(colour_transform=True, layer_bytes=sorted(sizes), packet_lengths=lengths)
            data = encode_codestream([pixels[..., index] for index in range(3)], 8, options)
            seen = np.stack(decode_codestream(data).planes, -1).astype(np.uint8)
            found.append((8 * (len(data) + BESIDE) / area, psnr_rgb(pixels, seen), count))
        rows.append(np.mean(found, 0))
    return np.array(rows)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True)
    pictures = middles(parser.parse_args().images)
    anchor: NDArray[np.float64] | None = None
    for name, (layers, octaves, lengths) in CHOICES.items():
        found = curve(pictures, layers, octaves, lengths)
        anchor = found if anchor is None else anchor
        value = bd_rate(anchor[:, 0], anchor[:, 1], found[:, 0], found[:, 1]).value
        print(f"{name}: {value:+.2f} %, layers {found[:, 2].round(1).tolist()}", flush=True)


if __name__ == "__main__":
    main()
