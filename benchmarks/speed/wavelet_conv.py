"""Time of `WaveletConv` against the two plain convolutions it stands for.

    python -m benchmarks.speed.wavelet_conv [--quick] [--channels 128] [--side 128] [--rounds 15] [--json FILE]

The layer replaces a residual block: two 3x3 convolutions, the first with the stride (or, going up, a sub-pixel
convolution), and a skip convolution unless the shape stays.  Those, bare, without activation, GDN or sum, are the
yardstick.  Bar: no slower than 1.3 times the yardstick plus the memory traffic of the transforms, which is one copy of
the map for every axis, forward and inverse (level l of the 2-D DWT works on 4^(1-l) of the map), timed here.

One thread; the layers take turns, and the smallest processor time (not wall-clock time) of all rounds counts, so that
other processes disturb little.  Beside the ratio of times stands that of multiply-adds, without the 2-D transforms: a
layer that does 1.9 times the arithmetic of its yardstick, as WeConv does, cannot meet the bar.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.measuring import best, machine, parser, result_file, show, take_turns, write_results
from wavelic.nn.blocks import ResidualBlockDown, ResidualBlockUp, SubpixelConv, conv, skip_connection
from wavelic.nn.wavelet_conv import WaveletConv

BAR = 1.3
VARIANTS: dict[str, dict[str, Any]] = {
    "3d haar, 2 levels": {"wavelet": "haar"},
    "3d haar, 1 level": {"wavelet": "haar", "levels": 1},
    "3d 5/3, 2 levels": {"wavelet": "5/3"},
    "3d 9/7, 2 levels": {"wavelet": "9/7"},
    "2d haar (WeConv)": {"wavelet": "haar", "levels": 1, "channel_levels": 0, "high_kernel": 3},
}


def smallest_times(tasks: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Milliseconds of processor time of each task, the least of ``rounds``."""
    return {name: 1e3 * best(times).processor for name, times in take_turns(tasks, rounds).items()}


def traffic_passes(levels: int = 2, channel_levels: int = 1, **_: Any) -> float:
    """Copies of the map that the transforms amount to."""
    return 2 * sum(2.0**-level for level in range(channel_levels)) + 4 * sum(4.0**-level for level in range(levels))


def arithmetic(form: str, levels: int = 2, channel_levels: int = 1, high_kernel: int = 1, **_: Any) -> float:
    """Multiply-adds of the layer over those of the yardstick; both per pixel of output, in squares of channels."""
    skip = {"down": 1.0, "same": 0.0, "up": 9.0}[form]
    bands = [0.5] * 2 if channel_levels else [1.0]
    low = sum((9 + 1) * band**2 for band in bands) / 4**levels  # 3x3 convolution, GDN
    joint = 9 * 9 if high_kernel == 3 else 3
    high = sum((joint + 9) * band**2 for band in bands) * sum(4.0**-level for level in range(1, levels + 1))
    return (9 + skip + 2 * bool(channel_levels) + low + high) / (18 + skip)


def training_step(layer: nn.Module, x: Tensor) -> Callable[[], object]:
    def step() -> None:
        layer(x).sum().backward()

    return step


def measure(form: str, channels: int, side: int, rounds: int) -> dict[str, Any]:
    """All variants of one form of the layer: "down", "same" or "up"."""
    stride, up = {"down": (2, False), "same": (1, False), "up": (2, True)}[form]
    inner = side // 2 if form == "down" else side
    enter = SubpixelConv(channels, channels, stride) if up else conv(channels, channels, 3, stride)
    skip = SubpixelConv(channels, channels, stride) if up else skip_connection(channels, channels, stride)
    block = (ResidualBlockUp if up else ResidualBlockDown)(channels, channels, stride)
    layers: dict[str, nn.Module] = {
        "two convolutions": nn.Sequential(enter, conv(channels, channels, 3)),
        "skip": skip,
        "plain residual block": block,
    }
    for name, options in VARIANTS.items():
        layers[name] = WaveletConv(channels, channels, stride, transposed=up, **options)
    for layer in layers.values():
        layer.to(memory_format=torch.channels_last)
    size = side // 2 if up else side
    x = torch.randn(1, channels, size, size).contiguous(memory_format=torch.channels_last)
    plane = torch.randn(1, channels, inner, inner).contiguous(memory_format=torch.channels_last)

    def forward(layer: nn.Module) -> Callable[[], object]:
        return lambda: layer(x)

    with torch.inference_mode():
        tasks: dict[str, Callable[[], object]] = {name: forward(layer) for name, layer in layers.items()}
        tasks["copy"] = plane.clone
        inference = smallest_times(tasks, rounds)
    x.requires_grad_()
    trained = {name: layer for name, layer in layers.items() if name not in ("two convolutions", "skip")}
    training = smallest_times({name: training_step(layer, x) for name, layer in trained.items()}, max(3, rounds // 3))
    yardstick = inference["two convolutions"] + inference["skip"]
    result: dict[str, Any] = {
        "input": [1, channels, size, size],
        "copy_ms": round(inference["copy"], 3),
        "two_plain_convolutions_ms": round(inference["two convolutions"], 3),
        "skip_ms": round(inference["skip"], 3),
        "plain_residual_block_ms": round(inference["plain residual block"], 3),
        "plain_residual_block_training_ms": round(training["plain residual block"], 3),
        "layers": {},
    }
    for name, options in VARIANTS.items():
        limit = BAR * yardstick + traffic_passes(**options) * inference["copy"]
        result["layers"][name] = {
            "ms": round(inference[name], 3),
            "bar_ms": round(limit, 3),
            "ratio_to_yardstick": round(inference[name] / yardstick, 3),
            "ratio_of_arithmetic": round(arithmetic(form, **options), 3),
            "within_bar": inference[name] <= limit,
            "training_ms": round(training[name], 3),
            "training_ratio_to_residual_block": round(training[name] / training["plain residual block"], 3),
        }
    return result


def main() -> None:
    """Measure the three forms of the layer."""
    arguments = parser(__doc__)
    arguments.add_argument("--channels", type=int, default=128)
    arguments.add_argument("--side", type=int, default=128, help="larger side of input and output in samples")
    arguments.add_argument("--rounds", type=int, default=15)
    options = arguments.parse_args()
    channels, side, rounds = (32, 64, 2) if options.quick else (options.channels, options.side, options.rounds)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    forms = {form: measure(form, channels, side, rounds) for form in ("down", "same", "up")}
    for form, result in forms.items():
        show(
            f"{form}: convolutions {result['two_plain_convolutions_ms']:.1f} ms, skip {result['skip_ms']:.1f} ms",
            ("layer", "ms", "times the convolutions and skip", f"within the bar of {BAR}", "of the arithmetic"),
            [
                (name, f"{row['ms']:.1f}", f"{row['ratio_to_yardstick']:.2f}", "yes" if row["within_bar"] else "NO",
                 f"{row['ratio_of_arithmetic']:.2f}")
                for name, row in result["layers"].items()
            ],
        )  # fmt: skip
    document = {"bar": BAR, "threads": 1, "machine": machine("torch"), "forms": forms}
    write_results(document, result_file(options, "wavelet_conv"))


if __name__ == "__main__":
    main()
