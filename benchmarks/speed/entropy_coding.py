"""Time of the entropy coder on one core beside per-symbol Gaussian coding.

    python -m benchmarks.speed.entropy_coding [--quick] [--repeats 25] [--json FILE]

The task: 2 million Gaussian symbols whose standard deviations take 64 values from 0.11 to 256 in random order.
Grouping the symbols by table, escapes and turning words into bytes count; making the tables does not, they are part of
the weights.  The reference is constriction's QuantizedGaussian, one model per symbol.  Both take turns.  Everything
runs on one thread; "core" is processor time, "wall" includes waiting for a busy machine.  Speeds are those of the best
repeat, since other work on the machine empties the caches; medians and the load are recorded beside them.  torch is
loaded, as it is wherever a codec runs.
"""

from __future__ import annotations

from collections.abc import Callable

import constriction
import numpy as np
import torch

from benchmarks.measuring import (
    Seconds,
    best,
    machine,
    median,
    parser,
    result_file,
    show,
    take_turns,
    write_results,
)
from wavelic.entropy import decode_symbols, encode_symbols, gaussian_scales, gaussian_tables, ideal_bits

SYMBOLS, SCALES = 2_000_000, 64
ENCODE_BAR, DECODE_BAR = 100e6, 25e6


def speeds(
    times: dict[str, list[Seconds]], choose: Callable[[list[Seconds]], Seconds], symbols: int
) -> dict[str, dict[str, float]]:
    """Name -> symbols per second by either clock."""
    chosen = {name: choose(values) for name, values in times.items()}
    return {name: {"wall": symbols / s.wall, "core": symbols / s.processor} for name, s in chosen.items()}


def main() -> None:
    """Check that both decoders are right, then time them."""
    arguments = parser(__doc__)
    arguments.add_argument("--repeats", type=int, default=25)
    options = arguments.parse_args()
    count, repeats = (SYMBOLS // 10, 2) if options.quick else (SYMBOLS, options.repeats)

    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    scales, tables = gaussian_scales(SCALES), gaussian_tables(gaussian_scales(SCALES))
    index = rng.integers(0, SCALES, count).astype(np.uint8)
    deviations = scales[index]
    symbols = np.rint(rng.standard_normal(count) * deviations).astype(np.int32)
    means = np.zeros(count)
    gaussian = constriction.stream.model.QuantizedGaussian(-2000, 2000)

    def encode_per_symbol() -> np.ndarray:
        encoder = constriction.stream.queue.RangeEncoder()
        encoder.encode(symbols, gaussian, means, deviations)
        return encoder.get_compressed()

    def decode_per_symbol() -> np.ndarray:
        return constriction.stream.queue.RangeDecoder(words).decode(gaussian, means, deviations)

    stream, words = encode_symbols(symbols, index, tables), encode_per_symbol()
    tasks: dict[str, Callable[[], object]] = {
        "wavelic encode": lambda: encode_symbols(symbols, index, tables),
        "wavelic decode": lambda: decode_symbols(stream, index, tables),
        "per-symbol Gaussian encode": encode_per_symbol,
        "per-symbol Gaussian decode": decode_per_symbol,
    }
    for name in ("wavelic decode", "per-symbol Gaussian decode"):
        if not (np.asarray(tasks[name]()) == symbols).all():
            raise SystemExit(f"{name}: the decoded symbols differ")
    times = take_turns(tasks, repeats)
    fastest = speeds(times, best, count)
    sizes = {"wavelic": len(stream), "per-symbol Gaussian": words.nbytes}
    over_ideal = sizes["wavelic"] / (ideal_bits(symbols, index, tables) / 8)

    rows = []
    for name, size in sizes.items():
        cells = [
            f"{fastest[f'{name} {way}'][clock] / 1e6:.1f}" for way in ("encode", "decode") for clock in ("core", "wall")
        ]
        rows.append((name, *cells, f"{size:,}"))
    show(
        f"{count:,} symbols, {SCALES} scales: million symbols/s, best of {repeats}",
        ("", "encode core", "wall", "decode core", "wall", "bytes"),
        rows,
    )
    for way in ("encode", "decode"):
        ratio = fastest[f"wavelic {way}"]["core"] / fastest[f"per-symbol Gaussian {way}"]["core"]
        print(f"{way}: {ratio:.1f} times as fast as per-symbol Gaussian coding")
    print(f"real bytes / ideal of the tables: {over_ideal:.6f}")
    print(f"bars: encode {ENCODE_BAR / 1e6:.0f}, decode {DECODE_BAR / 1e6:.0f} million symbols/s")
    document = {
        "task": f"{count} symbols over {SCALES} scales",
        "machine": machine("constriction", "numpy", "torch"),
        "repeats": repeats,
        "symbols_per_second": fastest,
        "median_symbols_per_second": speeds(times, median, count),
        "bars": {"encode": ENCODE_BAR, "decode": DECODE_BAR},
        "bytes": sizes,
        "bytes_over_ideal": over_ideal,
    }
    write_results(document, result_file(options, "entropy_coding"))


if __name__ == "__main__":
    main()
