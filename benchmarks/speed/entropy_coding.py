"""Time the entropy coder on one core beside per-symbol Gaussian coding, in one run.

    python benchmarks/bench_entropy.py [--repeats 25] [--json results/benchmarks/bench_entropy.json]

The task: 2 million Gaussian symbols whose standard deviations take 64 values from 0.11 to 256 in random order.
Grouping the symbols by table, escapes and turning words into bytes count; making the tables does not, they are part of
the weights.  The rival is constriction's QuantizedGaussian, one model per symbol.  Both take turns within every repeat.
Everything runs on one thread; "core" is that thread's own processor time, "wall" includes waiting for a busy machine.
Speeds are those of the best repeat, since other work on the machine empties the caches; medians and the load are
recorded beside them.  torch is loaded, as it is wherever a codec runs.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path

import constriction
import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from wavelic.entropy import decode_symbols, encode_symbols, gaussian_scales, gaussian_tables, ideal_bits

SYMBOLS, SCALES = 2_000_000, 64
ENCODE_BAR, DECODE_BAR = 100e6, 25e6


def summary(
    seconds: dict[str, list[tuple[float, float]]], choose: Callable[[Iterable[float]], float]
) -> dict[str, dict[str, float]]:
    """Name -> symbols per second by either clock."""
    return {
        name: {
            clock: SYMBOLS / choose(times)
            for clock, times in zip(("wall", "core"), zip(*values, strict=True), strict=True)
        }
        for name, values in seconds.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=25)
    parser.add_argument("--json", type=Path, default=Path("results/benchmarks/bench_entropy.json"))
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    load = os.getloadavg()[0]
    rng = np.random.default_rng(0)
    scales, tables = gaussian_scales(SCALES), gaussian_tables(gaussian_scales(SCALES))
    index = rng.integers(0, SCALES, SYMBOLS).astype(np.uint8)
    deviations = scales[index]
    symbols = np.rint(rng.standard_normal(SYMBOLS) * deviations).astype(np.int32)
    means = np.zeros(SYMBOLS)
    gaussian = constriction.stream.model.QuantizedGaussian(-2000, 2000)

    stream = encode_symbols(symbols, index, tables)

    def rival_encode() -> np.ndarray:
        encoder = constriction.stream.queue.RangeEncoder()
        encoder.encode(symbols, gaussian, means, deviations)
        return encoder.get_compressed()

    words = rival_encode()
    jobs: dict[str, Callable[[], object]] = {
        "wavelic encode": lambda: encode_symbols(symbols, index, tables),
        "wavelic decode": lambda: decode_symbols(stream, index, tables),
        "per-symbol Gaussian encode": rival_encode,
        "per-symbol Gaussian decode": lambda: constriction.stream.queue.RangeDecoder(words).decode(
            gaussian, means, deviations
        ),
    }
    sizes = {"wavelic": len(stream), "per-symbol Gaussian": words.nbytes}
    for name in ("wavelic decode", "per-symbol Gaussian decode"):
        if not (np.asarray(jobs[name]()) == symbols).all():
            raise SystemExit(f"{name}: the decoded symbols differ")

    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in jobs}
    for _ in range(arguments.repeats):
        for name, job in jobs.items():
            wall, core = time.perf_counter(), time.thread_time()
            job()
            seconds[name].append((time.perf_counter() - wall, time.thread_time() - core))
    speeds, medians = summary(seconds, min), summary(seconds, statistics.median)
    ideal = ideal_bits(symbols, index, tables) / 8

    table = Table(title=f"{SYMBOLS:,} symbols, {SCALES} scales: million symbols/s, best of {arguments.repeats}")
    for heading in ("", "encode core", "wall", "decode core", "wall", "bytes"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, size in sizes.items():
        cells = [
            f"{speeds[f'{name} {way}'][clock] / 1e6:.1f}" for way in ("encode", "decode") for clock in ("core", "wall")
        ]
        table.add_row(name, *cells, f"{size:,}")
    console = Console()
    console.print(table)
    console.print(f"real bytes / ideal of the tables: {sizes['wavelic'] / ideal:.6f}")
    console.print(f"bars: encode {ENCODE_BAR / 1e6:.0f}, decode {DECODE_BAR / 1e6:.0f} million symbols / s")

    result = {
        "task": f"{SYMBOLS} symbols over {SCALES} scales",
        "machine": {
            "processor": platform.processor(),
            "constriction": version("constriction"),
            "numpy": np.__version__,
        },
        "load_average": {"before": load, "after": os.getloadavg()[0]},
        "repeats": arguments.repeats,
        "symbols_per_second": speeds,
        "median_symbols_per_second": medians,
        "bars": {"encode": ENCODE_BAR, "decode": DECODE_BAR},
        "bytes": sizes,
        "bytes_over_ideal": sizes["wavelic"] / ideal,
    }
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
