"""Time and memory of `3dm`: pictures of Kodak's size and of 4 megapixels, in turns with Pillow's AVIF.

    python -m benchmarks.speed.threedm_times [--quick] [--images FOLDER] [--count 2] [--json FILE]

Quality 50, one thread, weights in memory; AVIF with speed 6, quality 60, one thread.  Times are processor times of the
fastest turn, which hardly depend on other work of the machine, after one turn that is not counted; wall times are those
of the same turns.  Peak memory is that of a process of its own for each direction, start and samples included.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

import wavelic
from benchmarks.measuring import (
    DECODE,
    ENCODE,
    alone,
    best,
    machine,
    parser,
    result_file,
    show,
    take_turns,
    write_results,
)
from benchmarks.pictures import Pixels, mosaic
from benchmarks.speed.weconvene_parts import AVIF_QUALITY, AVIF_SPEED, avif_decode, avif_encode, kodak_sized

CODEC, QUALITY, COUNT, LARGE = "3dm", 50, 2, (2048, 2048)


def measure(pixels: Pixels, repeats: int) -> dict[str, Any]:
    """Seconds of one picture in both directions beside AVIF's, rates, and peak memory of each process in MiB."""
    file, other = wavelic.encode(pixels, CODEC, quality=QUALITY), avif_encode(pixels)
    samples = pixels.shape[0] * pixels.shape[1]
    found: dict[str, Any] = {"bpp": 8 * len(file) / samples, "avif_bpp": 8 * len(other) / samples}
    tasks: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "encode": (partial(wavelic.encode, pixels, CODEC, quality=QUALITY), partial(avif_encode, pixels)),
        "decode": (partial(wavelic.decode, file), partial(avif_decode, other)),
    }
    for name, (own, avif) in tasks.items():
        turns = take_turns({"own": own, "avif": avif}, repeats)
        mine, theirs = best(turns["own"]), best(turns["avif"])
        found[name] = {
            "processor_seconds": mine.processor,
            "wall_seconds": mine.wall,
            "avif_processor_seconds": theirs.processor,
            "times_avif": mine.processor / theirs.processor,
        }
    with tempfile.TemporaryDirectory() as folder:
        source, coded = Path(folder) / "pixels.npy", Path(folder) / "file"
        np.save(source, pixels)
        for name, code in (("encode", ENCODE), ("decode", DECODE)):
            found[name]["peak_mb"] = alone(code, source, coded, CODEC, threads=1)[1]
    return found


def mean(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Means of all numbers over pictures, to four digits."""
    return {
        key: mean([row[key] for row in rows])
        if isinstance(value, dict)
        else float(f"{np.mean([row[key] for row in rows]):.4g}")
        for key, value in rows[0].items()
    }


def main() -> None:
    """Measure both sizes."""
    arguments = parser(__doc__)
    arguments.add_argument("--images", type=Path, help="photographs to cut from; default: mosaics of the packaged one")
    arguments.add_argument("--count", type=int, default=COUNT, help="pictures of Kodak's size")
    options = arguments.parse_args()
    torch.set_num_threads(1)
    count, large, repeats = (1, (512, 512), 1) if options.quick else (options.count, LARGE, 3)
    sizes = {
        "Kodak": mean([measure(pixels, repeats) for pixels in kodak_sized(count, options.images)]),
        f"{large[0] * large[1] / 1e6:.1f} megapixels": mean([measure(mosaic(*large), 1)]),
    }
    show(
        "3dm, quality 50, processor seconds on one thread",
        ("picture", "encode", "times AVIF", "decode", "times AVIF", "encoder MiB", "decoder MiB"),
        [
            (
                name,
                *(
                    f"{row[way][key]:.3g}"
                    for way in ("encode", "decode")
                    for key in ("processor_seconds", "times_avif")
                ),
                *(f"{row[way]['peak_mb']:.0f}" for way in ("encode", "decode")),
            )
            for name, row in sizes.items()
        ],
    )
    document = {
        "weights": wavelic.open(wavelic.encode(np.zeros((64, 64, 3), np.uint8), CODEC)).info["model_hash"],
        "machine": machine("torch", "pillow"),
        "quality": QUALITY,
        "avif": {"quality": AVIF_QUALITY, "speed": AVIF_SPEED},
        "sizes": sizes,
    }
    write_results(document, result_file(options, "threedm_times"))


if __name__ == "__main__":
    main()
