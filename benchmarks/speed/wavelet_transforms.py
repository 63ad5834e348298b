"""Time the wavelet transforms beside PyWavelets, in one run.

    python benchmarks/bench_wavelets.py [--repeats 25] [--json results/benchmarks/bench_wavelets.json]

The task: a 2048x2048 RGB image in float32, 9/7, five levels, forward and inverse.  PyWavelets (bior4.4) is given the
same contiguous planes and the faster of its two sensible border modes.  All contestants take turns within every repeat,
and the best times are compared: on a machine that does other work as well, the best of many is the time on free cores.
Medians and the load are recorded beside them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pywt
import torch
from rich.console import Console
from rich.table import Table

from wavelic.wavelets import dwt2, idwt2

SIZE, LEVELS, BAR = 2048, 5, 5.0


def contestants(planes: np.ndarray) -> dict[str, tuple[Callable[[], object], Callable[[object], object]]]:
    """Name -> (forward, inverse of what forward returned)."""
    x = torch.from_numpy(planes)

    def ours(wavelet: str) -> tuple[Callable[[], object], Callable[[object], object]]:
        return lambda: dwt2(x, wavelet, LEVELS), lambda c: idwt2(c)  # type: ignore[arg-type]

    def theirs(wavelet: str, mode: str) -> tuple[Callable[[], object], Callable[[object], object]]:
        return (
            lambda: pywt.wavedec2(planes, wavelet, mode, LEVELS),
            lambda c: pywt.waverec2(c, wavelet, mode),
        )

    return {
        "wavelic 9/7": ours("9/7"),
        "PyWavelets bior4.4 symmetric": theirs("bior4.4", "symmetric"),
        "PyWavelets bior4.4 periodization": theirs("bior4.4", "periodization"),
        "wavelic 5/3": ours("5/3"),
        "wavelic haar": ours("haar"),
    }


def training_step(channels: int, size: int, batch: int) -> Callable[[], object]:
    """Three Haar levels and back, with gradients, as in training WCAE."""
    x = torch.rand(batch, channels, size, size).contiguous(memory_format=torch.channels_last).requires_grad_()
    return lambda: idwt2(dwt2(x, "haar", 3)).square().sum().backward()


def summary(
    seconds: dict[str, list[tuple[float, float]]], choose: Callable[[Iterable[float]], float]
) -> dict[str, dict[str, float]]:
    """Name -> chosen seconds of forward, inverse and both."""
    rows = {}
    for name, pairs in seconds.items():
        forward_s, inverse_s = (choose(times) for times in zip(*pairs, strict=True))
        rows[name] = {"forward_s": forward_s, "inverse_s": inverse_s, "total_s": choose(sum(pair) for pair in pairs)}
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=25)
    parser.add_argument("--json", type=Path, default=Path("results/benchmarks/bench_wavelets.json"))
    arguments = parser.parse_args()

    load = os.getloadavg()[0]
    planes = np.random.default_rng(0).random((3, SIZE, SIZE), dtype=np.float32)
    runs = contestants(planes)
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    step, step_seconds = training_step(3, 256, 8), []
    for repeat in range(arguments.repeats + 1):
        for name, (forward, inverse) in runs.items():
            begin = time.perf_counter()
            coefficients = forward()
            middle = time.perf_counter()
            back = inverse(coefficients)
            end = time.perf_counter()
            if repeat:  # the first round warms up
                seconds[name].append((middle - begin, end - middle))
            elif np.abs(np.asarray(back) - planes).max() > 1e-4:
                raise SystemExit(f"{name} does not reconstruct the image")
            del coefficients, back
        begin = time.perf_counter()
        step()
        step_seconds.append(time.perf_counter() - begin)

    rows, medians = summary(seconds, min), summary(seconds, statistics.median)
    fastest = min((name for name in rows if name.startswith("PyWavelets")), key=lambda name: rows[name]["total_s"])
    ratio = rows[fastest]["total_s"] / rows["wavelic 9/7"]["total_s"]
    median_ratio = medians[fastest]["total_s"] / medians["wavelic 9/7"]["total_s"]

    table = Table(title=f"{SIZE}x{SIZE} RGB float32, {LEVELS} levels, best of {arguments.repeats}")
    for heading in ("", "forward ms", "inverse ms", "both ms", "speed-up over PyWavelets 9/7"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, row in rows.items():
        times = [f"{1e3 * row[key]:.0f}" for key in ("forward_s", "inverse_s", "total_s")]
        table.add_row(name, *times, f"{rows[fastest]['total_s'] / row['total_s']:.2f}")
    console = Console()
    console.print(table)
    console.print(f"Haar training step (8x3x256x256, 3 levels, back and forth): {1e3 * min(step_seconds[1:]):.1f} ms")
    console.print(f"9/7 is {ratio:.1f} times as fast as {fastest}; the bar is {BAR:.0f} (medians: {median_ratio:.1f})")

    result = {
        "task": f"{SIZE}x{SIZE}x3 float32, {LEVELS} levels, forward and inverse",
        "machine": {"processor": platform.processor(), "threads": torch.get_num_threads(), "torch": torch.__version__},
        "load_average": {"before": load, "after": os.getloadavg()[0]},
        "repeats": arguments.repeats,
        "best": rows,
        "median": medians,
        "reference": fastest,
        "ratio": ratio,
        "median_ratio": median_ratio,
        "bar": BAR,
        "haar_training_step_s": min(step_seconds[1:]),
    }
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
