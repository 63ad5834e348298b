"""Many small images decoded as one batch against one by one, every codec.

    python -m benchmarks.speed.batches [--quick] [--images FOLDER] [--threads 2] [--json FILE]

Squares of photographs are encoded at quality 50.  Both ways decode the same bytes in one process, in turns; the ratio
is that of the best times, and also of the processor times.  Threads are those of torch, which both ways use: one by
one within an operation, the batch for groups of images beside each other.  Where another process holds one of the
processors, only the processor time says something.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

import wavelic
from benchmarks.measuring import best, machine, parser, result_file, show, take_turns, write_results
from benchmarks.pictures import Pixels, some_crops

CODECS = ("weconvene", "lifting", "wcae")
SIDES = (64, 128, 256)
COUNT, QUALITY = 32, 50


def measure(codec: str, images: list[Pixels], repeats: int) -> dict[str, Any]:
    """Decode the images both ways in turns; a row of the table."""
    files = [wavelic.encode(pixels, codec, quality=QUALITY) for pixels in images]
    single = np.stack([wavelic.decode(data) for data in files])
    difference = np.abs(wavelic.decode_batch(files).astype(int) - single)
    tasks = {
        "one by one": lambda: [wavelic.decode(data) for data in files],
        "batch": lambda: wavelic.decode_batch(files),
    }
    one, many = (best(times) for times in take_turns(tasks, repeats).values())
    return {
        "codec": codec,
        "side": len(images[0]),
        "images": len(files),
        "one_by_one_images_per_s": round(len(files) / one.wall, 1),
        "batch_images_per_s": round(len(files) / many.wall, 1),
        "speed_up": round(one.wall / many.wall, 2),
        "speed_up_processor_time": round(one.processor / many.processor, 2),
        "largest_difference": int(difference.max()),
        "equal_samples": round(float((difference == 0).mean()), 6),
        "threads": torch.get_num_threads(),
    }


def main() -> None:
    """Measure every codec and size."""
    arguments = parser(__doc__)
    arguments.add_argument("--images", type=Path, help="photographs to cut squares from; default: the packaged one")
    arguments.add_argument("--codecs", nargs="+", default=list(CODECS), choices=CODECS)
    arguments.add_argument("--threads", type=int, default=0, help="of torch; 0: as torch chooses")
    arguments.add_argument("--repeats", type=int, default=7)
    options = arguments.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    sides, count, repeats = ((64,), 6, 1) if options.quick else (SIDES, COUNT, options.repeats)
    document: dict[str, Any] = {"machine": machine("torch")}
    document["rows"] = [
        measure(codec, some_crops(count, side, options.images), repeats) for codec in options.codecs for side in sides
    ]
    keys = ("one_by_one_images_per_s", "batch_images_per_s", "speed_up", "speed_up_processor_time")
    show(
        f"{count} images, quality {QUALITY}",
        ("codec, side", "one by one, images/s", "batch, images/s", "speed-up", "of processor time"),
        [(f"{row['codec']}, {row['side']}", *(str(row[key]) for key in keys)) for row in document["rows"]],
    )
    write_results(document, result_file(options, "batches"))


if __name__ == "__main__":
    main()
