"""Time of decoding codec `lifting` beside OpenJPEG's decode of an ordinary JPEG 2000 file of the same rate.

    python -m benchmarks.speed.lifting_decode [--quick] [--images FOLDER] [--threads 2] [--repeats 7] [--json FILE]

The task: a 2048x2048 RGB picture put together from photographs, at 1 bit per pixel.  Measured: the full decode, a
256x256 window at full resolution, ``reduce=3``, and the peak memory of a process that decodes all of it, beyond that of
one that decodes a tiny file.  All take turns.  Compared are the best times, wall clock and processor time, and the
median over the turns of the ratio within one: on a machine that does other work, the best of many is the time on free
cores, and the ratio of processor times hardly depends on the load.  WAVELIC_WEIGHTS names a folder of other weights.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

import wavelic
from benchmarks.measuring import (
    Seconds,
    best,
    machine,
    parser,
    python,
    result_file,
    run,
    show,
    take_turns,
    write_results,
)
from benchmarks.pictures import Pixels, mosaic
from wavelic.jpeg2000 import EncodeOptions, decode_codestream, encode_codestream, read_jp2, write_jp2

SIDE, BPP, TINY = 2048, 1.0, 64
BARS = {"total_ratio": 6.0, "window_s": 0.15, "reduce_3_s": 0.15, "peak_mb": 700.0}
DECODERS = {
    "openjpeg": """
import sys
from wavelic.jpeg2000 import decode_codestream, read_jp2
decode_codestream(read_jp2(open(sys.argv[1], "rb").read()).codestream)
""",
    "lifting": """
import sys, wavelic
wavelic.open(open(sys.argv[1], "rb").read()).read()
""",
}


def encode(pixels: Pixels) -> dict[str, bytes]:
    """Files of codec lifting and of ordinary JPEG 2000 (9/7, one layer), at the same rate."""
    learned = wavelic.encode(pixels, "lifting", bpp=BPP)
    planes = list(pixels.transpose(2, 0, 1).astype(np.int32))
    options = EncodeOptions(colour_transform=True, layer_bytes=(len(learned),))
    return {"lifting": learned, "openjpeg": write_jp2(encode_codestream(planes, 8, options))}


def peak_mb(decoder: str, large: bytes, tiny: bytes, threads: int) -> float:
    """Peak memory in MiB that decoding ``large`` takes beyond decoding ``tiny``, each in a process of its own."""
    peaks = []
    with tempfile.TemporaryDirectory() as folder:
        for data in (large, tiny):
            path = Path(folder) / "file.jp2"
            path.write_bytes(data)
            peaks.append(run(python(DECODERS[decoder], path), threads=threads).peak_mb)
    return round(peaks[0] - peaks[1], 1)


def median_ratio(times: dict[str, list[Seconds]], name: str, clock: str) -> float:
    """Median over the turns of the time against OpenJPEG's in the same turn."""
    pairs = zip(times[name], times["openjpeg"], strict=True)
    return float(np.median([getattr(a, clock) / getattr(b, clock) for a, b in pairs]))


def measure(side: int, folder: Path | None, threads: int, repeats: int) -> dict[str, Any]:
    """Everything the result file holds."""
    torch.set_num_threads(threads)
    files = encode(mosaic(side, side, folder=folder))
    tiny = encode(mosaic(TINY, TINY, TINY, folder))
    codestream = read_jp2(files["openjpeg"]).codestream
    learned, plain = wavelic.open(files["lifting"]), wavelic.open(files["openjpeg"])
    corner = 7 * side // 16
    tasks: dict[str, Callable[[], object]] = {
        "openjpeg": lambda: decode_codestream(codestream, threads=threads),
        "full": learned.read,
        "ordinary file": plain.read,
        "window 256": lambda: learned.read(region=(corner, corner + 4, 256, 256)),
        "reduce 3": lambda: learned.read(reduce=3),
    }
    every = take_turns(tasks, repeats)
    times = {name: best(values) for name, values in every.items()}
    memory = {name: peak_mb(name, files[name], tiny[name], threads) for name in DECODERS}
    figures = {
        "total_ratio": times["full"].wall / times["openjpeg"].wall,
        "total_ratio_cpu": times["full"].processor / times["openjpeg"].processor,
        "total_ratio_median": median_ratio(every, "full", "wall"),
        "total_ratio_cpu_median": median_ratio(every, "full", "processor"),
        "window_s": times["window 256"].wall,
        "reduce_3_s": times["reduce 3"].wall,
        "peak_mb": memory["lifting"],
    }
    return {
        "what": f"{side}x{side} RGB at {BPP:g} bpp",
        "weights": learned.info["model"],
        "threads": threads,
        "bytes": {name: len(data) for name, data in files.items()},
        "seconds": {name: {"wall_s": round(t.wall, 4), "cpu_s": round(t.processor, 4)} for name, t in times.items()},
        "memory_mb": memory,
        "figures": {key: round(value, 3) for key, value in figures.items()},
        "bars": BARS,
        "met": {key: bool(figures[key] <= bar) for key, bar in BARS.items()},
        "machine": machine("torch"),
    }


def main() -> None:
    """Measure and show."""
    arguments = parser(__doc__)
    arguments.add_argument("--images", type=Path, help="photographs for the mosaic; default: the packaged one")
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--repeats", type=int, default=7)
    options = arguments.parse_args()
    side, repeats = (512, 2) if options.quick else (SIDE, options.repeats)
    found = measure(side, options.images, options.threads, repeats)
    show(
        f"{found['what']}, weights {found['weights']}, {options.threads} threads",
        ("decode", "wall s", "processor s"),
        [(name, f"{t['wall_s']:.3f}", f"{t['cpu_s']:.3f}") for name, t in found["seconds"].items()],
    )
    for key, bar in BARS.items():
        print(f"{key}: {found['figures'][key]:g}, the bar is {bar:g}: {'met' if found['met'][key] else 'NOT met'}")
    write_results(found, result_file(options, "lifting_decode"))


if __name__ == "__main__":
    main()
