"""Time the entropy coder on one core beside per-symbol Gaussian coding, in one run.

    python benchmarks/bench_entropy.py [--repeats 9] [--json results/bench_entropy.json]

The task: 2 million Gaussian symbols whose standard deviations take 64 values from 0.11 to 256 in random order.  Grouping
the symbols by table, escapes and turning words into bytes count; making the tables does not, they are part of the
weights.  The rival is constriction's QuantizedGaussian, one model per symbol.  Both take turns within every repeat.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from pathlib import Path

import constriction
import numpy as np
from rich.console import Console
from rich.table import Table
from wavelic.entropy import decode_symbols, encode_symbols, gaussian_scales, gaussian_tables, ideal_bits

SYMBOLS, SCALES = 2_000_000, 64
ENCODE_BAR, DECODE_BAR = 100e6, 25e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--json", type=Path, default=Path("results/bench_entropy.json"))
    arguments = parser.parse_args()

    rng = np.random.default_rng(0)
    scales, tables = gaussian_scales(SCALES), gaussian_tables(gaussian_scales(SCALES))
    index = rng.integers(0, SCALES, SYMBOLS).astype(np.uint8)
    deviations = scales[index]
    symbols = np.rint(rng.standard_normal(SYMBOLS) * deviations).astype(np.int32)
    means = np.zeros(SYMBOLS)
    gaussian = constriction.stream.model.QuantizedGaussian(-2000, 2000)

    seconds: dict[str, list[float]] = {}
    sizes = {}
    for repeat in range(arguments.repeats + 1):
        times = [time.perf_counter()]
        data = encode_symbols(symbols, index, tables)
        times.append(time.perf_counter())
        decoded = decode_symbols(data, index, tables)
        times.append(time.perf_counter())
        encoder = constriction.stream.queue.RangeEncoder()
        encoder.encode(symbols, gaussian, means, deviations)
        words = encoder.get_compressed()
        times.append(time.perf_counter())
        rival = constriction.stream.queue.RangeDecoder(words).decode(gaussian, means, deviations)
        times.append(time.perf_counter())
        if not (decoded == symbols).all() or not (rival == symbols).all():
            raise SystemExit("the decoded symbols differ")
        sizes = {"wavelic": len(data), "per-symbol Gaussian": words.nbytes}
        names = ("wavelic encode", "wavelic decode", "per-symbol Gaussian encode", "per-symbol Gaussian decode")
        for name, duration in zip(names, np.diff(times), strict=True):
            if repeat:  # the first round warms up
                seconds.setdefault(name, []).append(float(duration))

    speeds = {
        name: {"median": SYMBOLS / statistics.median(values), "best": SYMBOLS / min(values)}
        for name, values in seconds.items()
    }
    ideal = ideal_bits(symbols, index, tables) / 8

    table = Table(title=f"{SYMBOLS:,} symbols, {SCALES} scales, one thread, {arguments.repeats} repeats")
    for heading in ("million symbols / s", "encode median", "encode best", "decode median", "decode best", "bytes"):
        table.add_column(heading, justify="right" if heading != "million symbols / s" else "left")
    for name, size in sizes.items():
        cells = [
            f"{speeds[f'{name} {way}'][figure] / 1e6:.1f}"
            for way in ("encode", "decode")
            for figure in ("median", "best")
        ]
        table.add_row(name, *cells, f"{size:,}")
    console = Console()
    console.print(table)
    console.print(f"real bytes / ideal of the tables: {sizes['wavelic'] / ideal:.6f}")
    console.print(f"bars: encode {ENCODE_BAR / 1e6:.0f}, decode {DECODE_BAR / 1e6:.0f} million symbols / s")

    result = {
        "task": f"{SYMBOLS} symbols over {SCALES} scales",
        "machine": {"processor": platform.processor(), "constriction": "0.5.0", "numpy": np.__version__},
        "repeats": arguments.repeats,
        "symbols_per_second": speeds,
        "bars": {"encode": ENCODE_BAR, "decode": DECODE_BAR},
        "bytes": sizes,
        "bytes_over_ideal": sizes["wavelic"] / ideal,
    }
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
