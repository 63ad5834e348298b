"""Many small images together against one by one, every codec.

    python benchmarks/bench_batch.py FOLDER [--threads 2] [--json results/benchmarks/bench_batch.json]

Squares are cut from the photographs in FOLDER and encoded at quality 50.  Both ways decode the same bytes in one
process, in turns; the ratio is that of the best times, and also of the processor times.  Threads are those of torch,
which both ways use: one by one within an operation, the batch for groups of images beside each other.  Where another
process holds one of the processors, only the processor time says something.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

CODECS = ("weconvene", "lifting", "wcae")
SIDES = (64, 128, 256)
COUNT = 32


def squares(folder: Path, side: int) -> list[np.ndarray]:
    """The middle of every photograph of the folder that is large enough."""
    import wavelic

    found: list[np.ndarray] = []
    for path in sorted(folder.iterdir()):
        if len(found) == COUNT:
            break
        pixels = wavelic.load_image(path).pixels
        y, x = (pixels.shape[0] - side) // 2, (pixels.shape[1] - side) // 2
        if min(y, x) >= 0 and pixels.shape[2] == 3:
            found.append(np.ascontiguousarray(pixels[y : y + side, x : x + side]))
    return found


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds on the clock, and of all threads of the process."""
    clock, used = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - clock, time.process_time() - used


def measure(codec: str, images: list[np.ndarray], repeats: int) -> dict[str, object]:
    """Both ways in turns."""
    import torch

    import wavelic

    files = [wavelic.encode(pixels, codec, quality=50) for pixels in images]
    single = np.stack([wavelic.decode(data) for data in files])
    difference = np.abs(wavelic.decode_batch(files).astype(int) - single)
    one, many = [], []
    for _ in range(repeats):
        one.append(timed(lambda: [wavelic.decode(data) for data in files]))
        many.append(timed(lambda: wavelic.decode_batch(files)))
    (one_clock, one_used), (many_clock, many_used) = (np.min(times, axis=0).tolist() for times in (one, many))
    return {
        "codec": codec,
        "side": len(images[0]),
        "images": len(files),
        "one_by_one_images_per_s": round(len(files) / one_clock, 1),
        "batch_images_per_s": round(len(files) / many_clock, 1),
        "speed_up": round(one_clock / many_clock, 2),
        "speed_up_processor_time": round(one_used / many_used, 2),
        "largest_difference": int(difference.max()),
        "equal_samples": round(float((difference == 0).mean()), 6),
        "threads": torch.get_num_threads(),
    }


def main() -> None:
    """Measure every codec and size and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--codecs", nargs="+", default=list(CODECS), choices=CODECS)
    parser.add_argument("--threads", type=int, default=0, help="of torch; 0: as torch chooses")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, default=Path("results/benchmarks/bench_batch.json"))
    arguments = parser.parse_args()
    import torch

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    load, rows = round(os.getloadavg()[0], 1), []
    images = {side: squares(arguments.folder, side) for side in SIDES}
    for codec in arguments.codecs:
        for side in SIDES:
            rows.append(measure(codec, images[side], arguments.repeats))
            print(rows[-1], flush=True)
    document = {"processors": os.cpu_count(), "load_at_start": load, "rows": rows}
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
