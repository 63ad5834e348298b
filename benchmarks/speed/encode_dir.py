"""Throughput of `wavelic encode-dir`: images per second with 1 and 2 workers, beside a plain loop in one process.

    python -m benchmarks.speed.encode_dir [--quick] [--images 96] [--codec weconvene] [--ray] [--json FILE]

The images are 256x256 crops as PNG files.  The loop loads, encodes and writes one after another, on one thread, as a
script would; the engine does the same in shards, with workers of one thread.  Two runs of the engine of different
length separate the start of the workers (imports, weights) from the time of an image.  Wall time depends on what else
the machine does, processor time hardly does: both are recorded, with the load.

With --ray only two workers are measured, of the local engine and of a Ray cluster that the command starts and ends on
this machine, in turns.  Ray's workers are not children of the command, so that their processor time is not known.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import PIL.Image
import torch

import wavelic
from benchmarks.measuring import Run, machine, parser, python, result_file, run, show, wavelic_command, write_results
from benchmarks.pictures import psnr, some_crops

SIDE = 256
LOOP = """
import sys
from pathlib import Path
import torch, wavelic
from wavelic.images import list_images
torch.set_num_threads(1)
source, output, codec = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
output.mkdir()
for path in list_images(source):
    (output / path.stem).write_bytes(wavelic.encode(wavelic.load_image(path).pixels, codec))
"""


def make_images(folder: Path, count: int) -> int:
    """Write ``count`` crops as PNG files; returns their bytes."""
    folder.mkdir()
    for number, pixels in enumerate(some_crops(count, SIDE)):
        PIL.Image.fromarray(pixels).save(folder / f"{number:05d}.png")
    return sum(path.stat().st_size for path in folder.iterdir())


def cost_by_step(folder: Path, codec: str) -> dict[str, float]:
    """Processor seconds of an image on one thread, medians: load and encode; decode and compare; verify."""
    torch.set_num_threads(1)
    times: dict[str, list[float]] = {"encode": [], "measure": [], "verify": []}
    for number, path in enumerate(sorted(folder.iterdir())):
        clocks = [time.process_time()]
        pixels = wavelic.load_image(path).pixels
        data = wavelic.encode(pixels, codec)
        clocks.append(time.process_time())
        psnr(pixels, wavelic.decode(data))
        clocks.append(time.process_time())
        wavelic.open(data).verify()
        clocks.append(time.process_time())
        if number:  # the first loads the weights
            for step, (begin, end) in zip(times, pairwise(clocks), strict=True):
                times[step].append(end - begin)
    return {step: round(statistics.median(values), 5) for step, values in times.items()}


def encode_dir(source: Path, output: Path, codec: str, shard: int, *options: object) -> Run:
    """Run `wavelic encode-dir`."""
    command = wavelic_command("encode-dir", source, output, "--codec", codec, "--shard-size", shard, *options)
    return run(command, threads=1)


def compare_engines(folder: Path, codec: str, few: int, many: int) -> dict[str, dict[str, float]]:
    """Images per second of two workers of each engine, with their start and between the two lengths."""
    rows, shard = {}, max(2, few // 2)
    for engine in ("local", "ray"):
        wall = {}
        for size in ("few", "many"):
            options = "-j", 2, "--no-measure", "--engine", engine
            wall[size] = encode_dir(folder / size, folder / f"{size}-{engine}", codec, shard, *options).seconds.wall
        rows[engine] = {
            "few_wall_s": wall["few"],
            "many_wall_s": wall["many"],
            "images_per_s": many / wall["many"],
            "images_per_s_once_started": (many - few) / (wall["many"] - wall["few"]),
        }
    show(
        f"two workers, {many} images {SIDE}x{SIDE}, codec {codec}",
        ("engine", "images/s", "once started"),
        [(name, f"{r['images_per_s']:.2f}", f"{r['images_per_s_once_started']:.2f}") for name, r in rows.items()],
    )
    return rows


def compare_with_loop(folder: Path, codec: str, few: int, many: int) -> dict[str, Any]:
    """The loop and the local engine, both lengths: images per second, processor seconds of an image."""
    runs: dict[str, dict[str, Run]] = {}
    for size in ("few", "many"):
        loop = python(LOOP, folder / size, folder / f"loop-{size}", codec)
        runs.setdefault("loop", {})[size] = run(loop, threads=1)
        for workers in (1, 2):
            for measure in ("--no-measure", "--measure"):
                name = f"encode-dir -j {workers} {measure}"
                output = folder / f"{size}-{workers}{measure}"
                found = encode_dir(folder / size, output, codec, max(2, few // 2), "-j", workers, measure)
                runs.setdefault(name, {})[size] = found
    rows: dict[str, Any] = {}
    for name, both in runs.items():
        short, long = both["few"].seconds, both["many"].seconds
        rows[name] = {
            "few": asdict(short),
            "many": asdict(long),
            "images_per_s": many / long.wall,
            "core_s_per_image": (long.processor - short.processor) / (many - few),
        }
    show(
        f"{many} images {SIDE}x{SIDE}, codec {codec}",
        ("", "wall s", "processor s", "images/s", "processor s of an image"),
        [
            (name, f"{row['many']['wall']:.1f}", f"{row['many']['processor']:.1f}", f"{row['images_per_s']:.2f}",
             f"{row['core_s_per_image']:.4f}")
            for name, row in rows.items()
        ],
    )  # fmt: skip
    speed_up = rows["loop"]["many"]["wall"] / rows["encode-dir -j 2 --no-measure"]["many"]["wall"]
    print(f"two workers are {speed_up:.2f} times as fast as the loop")
    return {"rows": rows, "speedup_of_two_workers": speed_up}


def main() -> None:
    """Measure one of both comparisons."""
    arguments = parser(__doc__)
    arguments.add_argument("--images", type=int, default=96, help="how many")
    arguments.add_argument("--codec", default="weconvene")
    arguments.add_argument("--ray", action="store_true", help="compare the local engine with Ray")
    options = arguments.parse_args()
    many = 6 if options.quick else options.images
    few = 3 if options.quick else max(4, many // 8)
    if few >= many:
        arguments.error(f"--images is {many}, expected at least 5")
    document: dict[str, Any] = {"machine": machine("torch"), "few_images": few, "images": many}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        size = make_images(folder / "many", many)
        make_images(folder / "few", few)
        document["task"] = f"{many} crops {SIDE}x{SIDE}, {size} bytes of PNG, codec {options.codec}"
        if options.ray:
            document["two_workers"] = compare_engines(folder, options.codec, few, many)
        else:
            document["core_s_per_image"] = cost_by_step(folder / "many", options.codec)
            document |= compare_with_loop(folder, options.codec, few, many)
    write_results(document, result_file(options, "encode_dir_ray" if options.ray else "encode_dir"))


if __name__ == "__main__":
    main()
