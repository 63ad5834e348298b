"""Time of the wavelet transforms beside PyWavelets.

    python -m benchmarks.speed.wavelet_transforms [--quick] [--repeats 25] [--json FILE]

The task: a 2048x2048 RGB image in float32, 9/7, five levels, forward and inverse.  PyWavelets (bior4.4) is given the
same contiguous planes and the faster of its two sensible border modes.  All take turns, and the best times are
compared; medians and the load are recorded beside them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pywt
import torch

from benchmarks.measuring import best, machine, median, parser, result_file, show, take_turns, write_results
from wavelic.wavelets import dwt2, idwt2

SIZE, LEVELS, BAR = 2048, 5, 5.0
Pair = tuple[Callable[[], Any], Callable[[Any], Any]]


def transforms(planes: np.ndarray) -> dict[str, Pair]:
    """Name -> (forward, inverse of what forward returned)."""
    x = torch.from_numpy(planes)

    def ours(wavelet: str) -> Pair:
        return lambda: dwt2(x, wavelet, LEVELS), idwt2

    def theirs(wavelet: str, mode: str) -> Pair:
        return lambda: pywt.wavedec2(planes, wavelet, mode, LEVELS), lambda c: pywt.waverec2(c, wavelet, mode)

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


class Halves:
    """A forward and an inverse transform as two tasks that take turns; the coefficients pass from one to the other."""

    def __init__(self, pair: Pair, planes: np.ndarray, name: str) -> None:
        self.pair, self.coefficients = pair, None
        self.forward()
        if np.abs(np.asarray(self.inverse()) - planes).max() > 1e-4:
            raise SystemExit(f"{name} does not reconstruct the image")

    def forward(self) -> None:
        """Transform the image."""
        self.coefficients = self.pair[0]()

    def inverse(self) -> Any:
        """Transform back what `forward` left."""
        back, self.coefficients = self.pair[1](self.coefficients), None
        return back


def main() -> None:
    """Check that all reconstruct, then time them."""
    arguments = parser(__doc__)
    arguments.add_argument("--repeats", type=int, default=25)
    options = arguments.parse_args()
    size, repeats = (512, 3) if options.quick else (SIZE, options.repeats)

    planes = np.random.default_rng(0).random((3, size, size), dtype=np.float32)
    tasks: dict[str, Callable[[], object]] = {}
    names = []
    for name, pair in transforms(planes).items():
        halves = Halves(pair, planes, name)
        tasks |= {f"{name} forward": halves.forward, f"{name} inverse": halves.inverse}
        names.append(name)
    tasks["training step"] = training_step(3, size // 8, 8)
    times = take_turns(tasks, repeats)
    for name in names:
        pairs = zip(times[f"{name} forward"], times[f"{name} inverse"], strict=True)
        times[f"{name} total"] = [type(a)(a.wall + b.wall, a.processor + b.processor) for a, b in pairs]
    parts = ("forward", "inverse", "total")
    rows, medians = (
        {name: {f"{part}_s": choose(times[f"{name} {part}"]).wall for part in parts} for name in names}
        for choose in (best, median)
    )
    fastest = min((name for name in names if name.startswith("PyWavelets")), key=lambda name: rows[name]["total_s"])
    ratio, median_ratio = (table[fastest]["total_s"] / table["wavelic 9/7"]["total_s"] for table in (rows, medians))
    step = best(times["training step"]).wall

    show(
        f"{size}x{size} RGB float32, {LEVELS} levels, best of {repeats}",
        ("", "forward ms", "inverse ms", "both ms", "speed-up over PyWavelets 9/7"),
        [
            (
                name,
                *(f"{1e3 * row[f'{part}_s']:.0f}" for part in parts),
                f"{rows[fastest]['total_s'] / row['total_s']:.2f}",
            )
            for name, row in rows.items()
        ],
    )
    print(f"Haar training step (8x3x{size // 8}x{size // 8}, 3 levels, back and forth): {1e3 * step:.1f} ms")
    print(f"9/7 is {ratio:.1f} times as fast as {fastest}; the bar is {BAR:.0f} (medians: {median_ratio:.1f})")
    document = {
        "task": f"{size}x{size}x3 float32, {LEVELS} levels, forward and inverse",
        "machine": machine("torch", "PyWavelets") | {"threads": torch.get_num_threads()},
        "repeats": repeats,
        "best": rows,
        "median": medians,
        "reference": fastest,
        "ratio": ratio,
        "median_ratio": median_ratio,
        "bar": BAR,
        "haar_training_step_s": step,
    }
    write_results(document, result_file(options, "wavelet_transforms"))


if __name__ == "__main__":
    main()
