"""What an encoder of `weconvene` can do for smaller files, each against the default: the effort levels and the offsets.

    python -m benchmarks.studies.weconvene_encoder --images DIR [--count 8] [--side 384] [--efforts 1,7,8]

Squares from the middle of every so many of the images of DIR, coded at six qualities in each way; all files decode
alike.  A row gives the BD-rate (RGB PSNR, file bytes) against the default effort, of mean curves and as the mean of the
images' own, the same at low and at high rates, and the processor time of encoding as a ratio.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from unittest import mock

import numpy as np

from benchmarks.measuring import RESULTS, write_results
from benchmarks.pictures import Pixels, photographs, psnr
from benchmarks.rates import bd_rates

QUALITIES = (8.0, 20.0, 35.0, 50.0, 65.0, 82.0)
LOW, HIGH = slice(0, 4), slice(2, 6)
Points = np.ndarray  # (images, qualities, 2): bits per pixel and PSNR


def coded(pictures: Sequence[Pixels], effort: int, decode: Callable[[bytes], Pixels]) -> tuple[Points, float]:
    """Rates and PSNR of pictures at every quality, and the processor seconds of encoding."""
    import wavelic

    points, seconds = np.empty((len(pictures), len(QUALITIES), 2)), 0.0
    for row, pixels in zip(points, pictures, strict=True):
        for point, quality in zip(row, QUALITIES, strict=True):
            started = time.process_time()
            data = wavelic.encode(pixels, "weconvene", quality, effort=effort)
            seconds += time.process_time() - started
            point[:] = 8 * len(data) / (pixels.shape[0] * pixels.shape[1]), psnr(pixels, decode(data))
    return points, seconds


def compared(reference: Points, test: Points) -> dict[str, float]:
    """BD-rates in percent."""
    mean, own = bd_rates(reference, test)
    low, high = (bd_rates(reference[:, part], test[:, part])[0] for part in (LOW, HIGH))
    found = {"mean_curve": mean, "mean_of_images": own, "low": low, "high": high}
    return {name: round(value, 2) for name, value in found.items()}


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--count", type=int, default=8)
    parser.add_argument("--side", type=int, default=384)
    parser.add_argument("--efforts", default="1,7,8")
    parser.add_argument("--json", type=Path, default=RESULTS / "weconvene" / "encoder.json")
    arguments = parser.parse_args()

    import wavelic
    from wavelic.codec.weights import family
    from wavelic.weconvene import tiles
    from wavelic.weconvene.encode import DEFAULT_EFFORT

    side, pictures = arguments.side, []
    for pixels in photographs(arguments.images):
        top, left = ((length - side) // 2 for length in pixels.shape[:2])
        if min(top, left) >= 0:
            pictures.append(np.ascontiguousarray(pixels[top : top + side, left : left + side]))
    pictures = pictures[:: max(1, len(pictures) // arguments.count)][: arguments.count]
    reference, usual = coded(pictures, DEFAULT_EFFORT, wavelic.decode)
    rows = []
    for way in ("without offsets", *(int(effort) for effort in arguments.efforts.split(","))):
        if way == "without offsets":

            def none(_model: object, slices: Sequence[object], _per_level: int) -> np.ndarray:
                return np.zeros(len(slices), np.int32)

            with mock.patch.object(tiles, "choose_offsets", none):
                points, seconds = coded(pictures, DEFAULT_EFFORT, wavelic.decode)
        else:
            points, seconds = coded(pictures, int(way), wavelic.decode)
        rows.append({"way": way, **compared(reference, points), "time": round(seconds / usual, 2)})
        print(json.dumps(rows[-1]), flush=True)
    card = family("weconvene")[-1]
    found = {"weights": card.hash[:8], "folder": arguments.images.name, "images": len(pictures), "side": side}
    write_results({**found, "qualities": QUALITIES, "default": DEFAULT_EFFORT, "rows": rows}, arguments.json)


if __name__ == "__main__":
    main()
