"""Time decoding of codec `lifting` beside OpenJPEG's own decode of a plain file of the same rate, in one run.

    python benchmarks/bench_lifting.py --images DIR [--threads 2] [--repeats 7] [--steps product] [--json FILE]

The task: a 2048x2048 RGB picture put together from photographs, at 1 bit per pixel.  Measured: the full decode, a
256x256 window at full resolution, ``reduce=3``, and the peak memory of a process that decodes all of it, beyond what it
has after its imports (Linux only).  The contestants take turns within every repeat.  Compared are the best times, wall
clock and processor time, and the median over the repeats of the ratio within one: on a machine that does other work,
the best of many is the time on free cores, and the ratio of processor times hardly depends on the load.

--weights NAME: trained weights to use; without it the ones the codec uses, or random ones of Hybrid(9/7)-U16 if none
are installed (the time does not depend on the values).

--steps product: as if these weights had been exported with `PRODUCT_STEPS` and finer samples.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image as PillowImage

import wavelic
from wavelic.codec.options import Options
from wavelic.images import Image, list_images
from wavelic.jpeg2000 import decode_codestream
from wavelic.lifting.encode import Encoding, product_transform
from wavelic.lifting.jp2 import synthesis
from wavelic.lifting.jp2.opening import open_jp2
from wavelic.lifting.structures import build_lifting
from wavelic.lifting.transform.steps import PRODUCT_STEPS
from wavelic.lifting.transform.transform import LiftingTransform
from wavelic.lifting.weights import load_lifting, save_lifting

SIDE, BPP = 2048, 1.0
BARS = {"total_ratio": 6.0, "window_s": 0.15, "reduce_3_s": 0.15, "peak_mb": 700.0}
STANDIN = "Hybrid(9/7)-U16"

_CHILD = """
import sys, torch, wavelic
torch.set_num_threads(int(sys.argv[3]))
from wavelic.lifting.jp2.opening import open_jp2
from wavelic.jpeg2000 import decode_codestream
import wavelic.lifting.jp2.synthesis, wavelic.lifting.weights
def peak():
    lines = open("/proc/self/status").read().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024
before = peak()
file = open_jp2(open(sys.argv[1], "rb").read())
if sys.argv[2] == "stock":
    decode_codestream(file.jp2.codestream)
else:
    file.read()
print(peak() - before)
"""


def mosaic(folder: Path) -> np.ndarray:
    """(SIDE, SIDE, 3) uint8: photographs of ``folder`` side by side, cropped and repeated as needed."""
    canvas = np.zeros((SIDE, SIDE, 3), np.uint8)
    names = list_images(folder)
    y = number = 0
    while y < SIDE:
        x, step = 0, SIDE
        while x < SIDE:
            with PillowImage.open(names[number % len(names)]) as picture:
                pixels = np.asarray(picture.convert("RGB"))[: SIDE - y, : SIDE - x]
            number += 1
            canvas[y : y + pixels.shape[0], x : x + pixels.shape[1]] = pixels
            x, step = x + pixels.shape[1], min(step, pixels.shape[0])
        y += step
    return canvas


Times = dict[str, dict[str, list[float]]]


def all_times(contestants: dict[str, Callable[[], object]], repeats: int) -> Times:
    """Name -> wall clock and processor seconds of every repeat; the contestants take turns."""
    times: Times = {name: {"wall_s": [], "cpu_s": []} for name in contestants}
    for repeat in range(repeats + 1):
        for name, call in contestants.items():
            wall, cpu = time.perf_counter(), time.process_time()
            call()
            taken = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
            if repeat:  # the first round warms caches
                for key, value in taken.items():
                    times[name][key].append(value)
    return times


def median_ratio(times: Times, name: str, key: str) -> float:
    """Median over the repeats of the time against OpenJPEG's in the same repeat."""
    return float(np.median(np.divide(times[name][key], times["openjpeg"][key])))


def peak_mb(data: bytes, what: str, threads: int, weights: Path | None) -> float:
    """Peak resident memory of a process that decodes ``data``, beyond its imports."""
    environment = dict(os.environ)
    if weights is not None:
        environment["WAVELIC_WEIGHTS"] = str(weights)
    with tempfile.NamedTemporaryFile(suffix=".jp2") as file:
        file.write(data)
        file.flush()
        command = [sys.executable, "-c", _CHILD, file.name, what, str(threads)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return float(done.stdout)


def measure(
    folder: Path, threads: int, repeats: int, weights: str | None, standin: Path, product: bool
) -> dict[str, object]:
    """Everything the JSON file holds."""
    torch.set_num_threads(threads)
    transform, model, name = product_transform()
    if weights is not None:
        transform, name = load_lifting(weights), weights
    elif name == "none":
        transform, model, name = _standin(standin)
    if product:
        transform, model, name = _product(standin, name)
    picture = Image(mosaic(folder))
    data = Encoding(picture, transform, model, Options()).at_bytes(BPP * SIDE * SIDE / 8, exceed=True)
    plain = Encoding(picture, build_lifting("CDF-9/7"), bytes(8), Options())
    reference = open_jp2(plain.at_bytes(BPP * SIDE * SIDE / 8, exceed=True))
    file = open_jp2(data)
    region = (896, 900, 256, 256)
    every = all_times(
        {
            "openjpeg": lambda: decode_codestream(reference.jp2.codestream, threads=threads),
            "full": lambda: synthesis.read(file, transform, threads=threads),
            "no learned steps": lambda: synthesis.read(reference, threads=threads),
            "window 256": lambda: synthesis.read(file, transform, file.request(region=region), threads=threads),
            "reduce 3": lambda: synthesis.read(file, transform, file.request(reduce=3), threads=threads),
        },
        repeats,
    )
    times = {name_: {key: min(values) for key, values in both.items()} for name_, both in every.items()}
    memory = {what: round(peak_mb(data, what, threads, standin), 1) for what in ("stock", "learned")}
    figures = {
        "total_ratio": times["full"]["wall_s"] / times["openjpeg"]["wall_s"],
        "total_ratio_cpu": times["full"]["cpu_s"] / times["openjpeg"]["cpu_s"],
        "total_ratio_median": median_ratio(every, "full", "wall_s"),
        "total_ratio_cpu_median": median_ratio(every, "full", "cpu_s"),
        "window_s": times["window 256"]["wall_s"],
        "reduce_3_s": times["reduce 3"]["wall_s"],
        "peak_mb": memory["learned"],
    }
    return {
        "what": f"{SIDE}x{SIDE} RGB at {BPP:g} bpp",
        "weights": name,
        "steps": transform.steps.pack(),
        "threads": threads,
        "bytes": {"lifting": len(data), "plain": reference.size},
        "seconds": {key: {k: round(v, 4) for k, v in value.items()} for key, value in times.items()},
        "memory_mb": memory,
        "figures": {key: round(value, 3) for key, value in figures.items()},
        "bars": BARS,
        "met": {key: bool(figures[key] <= bar) for key, bar in BARS.items()},
        "machine": {"processor": platform.processor() or platform.machine(), "load": round(os.getloadavg()[0], 1)},
        "versions": {"wavelic": wavelic.__version__, "torch": torch.__version__},
    }


def _standin(folder: Path) -> tuple[LiftingTransform, bytes, str]:
    """Random weights, small enough for the picture to stay a picture, saved where the child process finds them."""
    from wavelic.lifting.cards import PRODUCT, lifting_id

    torch.manual_seed(0)
    transform = build_lifting(STANDIN)
    card = save_lifting(folder / PRODUCT, STANDIN, transform.state_dict(), {})
    from wavelic.lifting.weights import load_lifting_card

    return load_lifting_card(card), lifting_id(card), f"random {STANDIN}"


def _product(folder: Path, name: str) -> tuple[LiftingTransform, bytes, str]:
    """The weights called ``name``, saved with the product's steps where the child process finds them."""
    from wavelic.lifting.cards import PRODUCT, find_lifting, lifting_id
    from wavelic.lifting.weights import load_lifting_card

    old = find_lifting(name)
    card = save_lifting(folder / PRODUCT, old.architecture, load_lifting(name).state_dict(), {}, steps=PRODUCT_STEPS)
    return load_lifting_card(card), lifting_id(card), f"{name}, product steps"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--weights")
    parser.add_argument("--steps", choices=("stored", "product"), default="stored")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        product = arguments.steps == "product"
        chosen = arguments.images, arguments.threads, arguments.repeats, arguments.weights, Path(scratch)
        result = measure(*chosen, product)
    text = json.dumps(result, indent=1)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n")
