"""Throughput of `wavelic encode-dir`: images per second with 1 and 2 workers, beside a plain loop in one process.

    python benchmarks/bench_collections.py [--images 96] [--codec wcae] [--json FILE] [--cost-only | --ray]

The images are 256x256 crops of the packaged photograph as PNG files.  The loop loads, encodes and writes one after
another, on one thread, as a script would; the engine does the same in shards, with workers of one thread.  Two runs of
the engine of different length separate the start of the workers (imports, weights) from the time of an image.  Wall
time depends on what else the machine does, processor time hardly does: both are recorded, with the load.

With --cost-only the engine does not run: only the processor time of an image is taken, in this process and by steps.

With --ray only two workers are measured, of the local engine and of a Ray cluster that the command starts and ends on
this machine, in turns.  Ray's workers are not children of the command, so that their processor time is not known.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from importlib import resources
from itertools import pairwise
from pathlib import Path

import numpy as np
import PIL.Image
from rich.console import Console
from rich.table import Table

SIDE = 256

LOOP = """
import sys
from pathlib import Path
import torch
from wavelic.api.files import encode_image
from wavelic.codec.registry import get_codec
from wavelic.images import list_images, load_image
torch.set_num_threads(1)
source, output, codec = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
output.mkdir()
for path in list_images(source):
    (output / (path.stem + get_codec(codec).extension)).write_bytes(encode_image(load_image(path), codec).data)
"""


@dataclass(frozen=True)
class Cost:
    """What a process and its children took."""

    wall_s: float
    core_s: float

    def since(self, start: Cost) -> Cost:
        return Cost(self.wall_s - start.wall_s, self.core_s - start.core_s)


def now() -> Cost:
    """The clocks: wall, and processor time of finished children and theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Cost(time.perf_counter(), used.ru_utime + used.ru_stime)


def timed(*command: str) -> Cost:
    """Run a command to its end."""
    start = now()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"})
    return now().since(start)


def make_images(folder: Path, count: int) -> int:
    """``count`` crops of the photograph; returns their bytes."""
    folder.mkdir()
    photograph = Path(str(resources.files("wavelic.evaluation"))) / "assets" / "demo.webp"
    with PIL.Image.open(photograph) as opened:
        pixels = np.asarray(opened.convert("RGB"))
    rng = np.random.default_rng(0)
    for number in range(count):
        top, left = (int(rng.integers(0, side - SIDE + 1)) for side in pixels.shape[:2])
        PIL.Image.fromarray(pixels[top : top + SIDE, left : left + SIDE]).save(folder / f"{number:05d}.png")
    return sum(path.stat().st_size for path in folder.iterdir())


def cost_by_step(folder: Path, codec: str) -> dict[str, float]:
    """Processor seconds of an image on one thread, medians: load and encode; decode and compare; verify."""
    import torch

    from wavelic.api.files import decode_image, encode_image, open_file, psnr
    from wavelic.images import list_images, load_image

    torch.set_num_threads(1)
    times: dict[str, list[float]] = {"encode": [], "measure": [], "verify": []}
    for number, path in enumerate(list_images(folder)):
        clocks = [time.thread_time()]
        image = load_image(path)
        data = encode_image(image, codec).data
        clocks.append(time.thread_time())
        psnr(image.colour(), decode_image(data).colour())
        clocks.append(time.thread_time())
        open_file(data).verify()
        clocks.append(time.thread_time())
        if number:  # the first loads the weights
            for step, (begin, end) in zip(times, pairwise(clocks), strict=True):
                times[step].append(end - begin)
    return {step: statistics.median(values) for step, values in times.items()}


def encode_dir(source: Path, output: Path, codec: str, shard: int, *options: str) -> Cost:
    """What `wavelic encode-dir` takes."""
    return timed(
        sys.executable, "-c", "from wavelic.cli.main import run; run()", "encode-dir",
        str(source), str(output), "--codec", codec, "--shard-size", str(shard), *options,
    )  # fmt: skip


def compare_engines(folder: Path, codec: str, few: int, many: int) -> dict[str, dict[str, float]]:
    """Two workers of each engine: seconds for few and for many images, and between them images per second."""
    rows, shard = {}, max(2, few // 2)
    for engine in ("local", "ray"):
        wall = {}
        for size in ("few", "many"):
            options = "-j", "2", "--no-measure", "--engine", engine
            wall[size] = encode_dir(folder / size, folder / f"{size}-{engine}", codec, shard, *options).wall_s
        rows[engine] = {
            "few_wall_s": wall["few"],
            "many_wall_s": wall["many"],
            "images_per_s": many / wall["many"],
            "images_per_s_once_started": (many - few) / (wall["many"] - wall["few"]),
        }
        print(engine, rows[engine], flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=96)
    parser.add_argument("--codec", default="wcae")
    parser.add_argument("--json", type=Path, default=Path("results/benchmarks/bench_collections.json"))
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--cost-only", action="store_true")
    mode.add_argument("--ray", action="store_true")
    arguments = parser.parse_args()

    load = os.getloadavg()[0]
    rows: dict[str, Cost] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        few = max(4, arguments.images // 8)
        source_bytes = make_images(folder / "many", arguments.images)
        make_images(folder / "few", few)
        task = f"{arguments.images} crops {SIDE}x{SIDE}, {source_bytes} bytes of PNG, codec {arguments.codec}"
        if arguments.ray:
            engines = compare_engines(folder, arguments.codec, few, arguments.images)
            document = {
                "task": task,
                "few_images": few,
                "processors": os.cpu_count(),
                "load_average": {"before": load, "after": os.getloadavg()[0]},
                "two_workers": engines,
            }
            arguments.json.write_text(json.dumps(document, indent=2) + "\n")
            return
        cost = cost_by_step(folder / "many", arguments.codec)
        if arguments.cost_only:
            document = {
                "task": task,
                "load_average": {"before": load, "after": os.getloadavg()[0]},
                "core_s_per_image": cost,
            }
            arguments.json.write_text(json.dumps(document, indent=2) + "\n")
            print(json.dumps(cost))
            return
        for size in ("few", "many"):
            rows[f"loop, {size}"] = timed(
                sys.executable, "-c", LOOP, str(folder / size), str(folder / f"loop-{size}"), arguments.codec
            )
            for workers in (1, 2):
                for measure in ("--no-measure", "--measure"):
                    run = f"{size}-{workers}{measure}"
                    rows[f"encode-dir -j {workers} {measure}, {size}"] = encode_dir(
                        folder / size, folder / run, arguments.codec, max(2, few // 2), "-j", str(workers), measure
                    )

    result_rows = {}
    for name in sorted({key.rsplit(", ", 1)[0] for key in rows}):
        short, long = rows[f"{name}, few"], rows[f"{name}, many"]
        extra = long.since(short)
        result_rows[name] = {
            "few": asdict(short),
            "many": asdict(long),
            "images_per_s": arguments.images / long.wall_s,
            "core_s_per_image": extra.core_s / (arguments.images - few),
        }
    speedup = rows["loop, many"].wall_s / rows["encode-dir -j 2 --no-measure, many"].wall_s

    table = Table(title=f"{arguments.images} images {SIDE}x{SIDE}, codec {arguments.codec}")
    for heading in ("", "wall s", "core s", "images/s", "core s per image"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, row in result_rows.items():
        many = rows[f"{name}, many"]
        table.add_row(
            name, f"{many.wall_s:.1f}", f"{many.core_s:.1f}", f"{row['images_per_s']:.2f}",
            f"{row['core_s_per_image']:.4f}",
        )  # fmt: skip
    console = Console()
    console.print(table)
    console.print(
        f"two workers are {speedup:.2f} times as fast as the loop; load {load:.1f} .. {os.getloadavg()[0]:.1f}"
    )

    result = {
        "task": task,
        "processors": os.cpu_count(),
        "load_average": {"before": load, "after": os.getloadavg()[0]},
        "few_images": few,
        "images": arguments.images,
        "core_s_per_image": cost,
        "rows": result_rows,
        "speedup_of_two_workers": speedup,
    }
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
