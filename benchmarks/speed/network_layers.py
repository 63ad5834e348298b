"""Time and memory of wavelet layers against the convolutions that a network has in their place.

    python -m benchmarks.speed.network_layers [--quick] [--channels 64] [--side 64] [--rounds 9] [--device cpu]

Two groups, every layer from C to C channels and to half the size:

dense      a 3x3 convolution with stride 2, the twin of `WaveletConv` (a residual block with GDN), `WaveletConv`
depthwise  3x3 and 7x7 depthwise convolutions, `WTConv2d` with one to three levels and each wavelet

Time is the least processor time of the rounds (on a GPU the least time on the clock), forward alone and with backward.
Memory is what autograd keeps from forward for backward, counted by its hooks: it does not depend on the machine.
Operations are multiply-adds of convolutions and matrix products.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.measuring import best, machine, parser, result_file, show, take_turns, write_results
from wavelic.nn import WaveletConv, WTConv2d
from wavelic.nn.blocks import Subsample

Make = Callable[[int], nn.Module]
GROUPS: dict[str, dict[str, Make]] = {
    "dense": {
        "3x3 convolution": lambda c: nn.Conv2d(c, c, 3, 2, 1),
        "twin, no wavelets": lambda c: WaveletConv(c, c, 2, levels=0, channel_levels=0),
        "WaveletConv, Haar, 1 level": lambda c: WaveletConv(c, c, 2, levels=1),
        "WaveletConv, Haar, 2 levels": lambda c: WaveletConv(c, c, 2),
        "WaveletConv, Haar, 3 levels": lambda c: WaveletConv(c, c, 2, levels=3),
        "WaveletConv, 5/3, 2 levels": lambda c: WaveletConv(c, c, 2, wavelet="5/3"),
        "WaveletConv, 9/7, 2 levels": lambda c: WaveletConv(c, c, 2, wavelet="9/7"),
    },
    "depthwise": {
        "3x3 depthwise": lambda c: nn.Conv2d(c, c, 3, 2, 1, groups=c),
        "7x7 depthwise": lambda c: nn.Conv2d(c, c, 7, 2, 3, groups=c),
        "WTConv2d, Haar, 1 level, every 2nd sample taken afterwards": lambda c: nn.Sequential(
            WTConv2d(c, c), Subsample(2)
        ),
        "WTConv2d, Haar, 1 level": lambda c: WTConv2d(c, c, 5, 2),
        "WTConv2d, Haar, 2 levels": lambda c: WTConv2d(c, c, 5, 2, wt_levels=2),
        "WTConv2d, Haar, 3 levels": lambda c: WTConv2d(c, c, 5, 2, wt_levels=3),
        "WTConv2d, 5/3, 2 levels": lambda c: WTConv2d(c, c, 5, 2, wt_levels=2, wt_type="5/3"),
        "WTConv2d, 9/7, 2 levels": lambda c: WTConv2d(c, c, 5, 2, wt_levels=2, wt_type="9/7"),
    },
}


def kept_bytes(layer: nn.Module, x: Tensor) -> int:
    """Bytes of the tensors that autograd keeps for the backward pass, parameters and the input left out."""
    outside = {parameter.untyped_storage().data_ptr() for parameter in [*layer.parameters(), x]}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in outside:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        y = layer(x)
    del y
    return sum(kept.values())


def multiply_adds(layer: nn.Module, x: Tensor) -> int:
    """Multiply-adds of convolutions and matrix products in a forward pass."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        layer(x.detach())
    return counter.get_total_flops() // 2


def timed_on(device: str, tasks: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Milliseconds of each task, the least of ``rounds``; processor time, or the clock's on other devices."""
    if device == "cpu":
        return {name: 1e3 * best(times).processor for name, times in take_turns(tasks, rounds).items()}
    found: dict[str, float] = {}
    for turn in range(rounds + 1):
        for name, task in tasks.items():
            torch.cuda.synchronize()
            began = time.perf_counter()
            task()
            torch.cuda.synchronize()
            if turn:
                found[name] = min(found.get(name, 1e9), 1e3 * (time.perf_counter() - began))
    return found


def measure(makers: dict[str, Make], channels: int, side: int, rounds: int, device: str) -> dict[str, dict[str, Any]]:
    """Measure the layers of one group."""
    torch.manual_seed(0)
    x = torch.randn(4, channels, side, side, device=device).contiguous(memory_format=torch.channels_last)
    layers = {name: make(channels).to(device, memory_format=torch.channels_last) for name, make in makers.items()}  # type: ignore[call-overload]
    x.requires_grad_()

    def forward(layer: nn.Module) -> Callable[[], object]:
        def run() -> None:
            with torch.inference_mode():
                layer(x)

        return run

    def step(layer: nn.Module) -> Callable[[], object]:
        return lambda: layer(x).sum().backward()

    inference = timed_on(device, {name: forward(layer) for name, layer in layers.items()}, rounds)
    training = timed_on(device, {name: step(layer) for name, layer in layers.items()}, rounds)
    return {
        name: {
            "parameters": sum(parameter.numel() for parameter in layer.parameters() if parameter.requires_grad),
            "multiply_adds": multiply_adds(layer, x),
            "forward_ms": round(inference[name], 3),
            "training_ms": round(training[name], 3),
            "kept_mib": round(kept_bytes(layer, x) / 2**20, 3),
        }
        for name, layer in layers.items()
    }


def main() -> None:
    """Measure both groups."""
    arguments = parser(__doc__)
    arguments.add_argument("--channels", type=int, default=64)
    arguments.add_argument("--side", type=int, default=64, help="of the input in samples")
    arguments.add_argument("--rounds", type=int, default=9)
    arguments.add_argument("--device", default="cpu")
    options = arguments.parse_args()
    channels, side, rounds = (16, 32, 2) if options.quick else (options.channels, options.side, options.rounds)
    torch.set_num_threads(1)
    groups = {name: measure(makers, channels, side, rounds, options.device) for name, makers in GROUPS.items()}
    for name, rows in groups.items():
        first = next(iter(rows.values()))
        show(
            f"{name}: 4 x {channels} x {side} x {side} to half the size; times and memory over those of the first row",
            ("layer", "parameters", "multiply-adds", "forward", "training", "kept for backward"),
            [
                (layer, f"{row['parameters']:,}", f"{row['multiply_adds'] / 1e6:.1f} M",
                 *(f"{row[key] / max(first[key], 1e-9):.2f}" for key in ("forward_ms", "training_ms")),
                 f"{row['kept_mib']:.2f} MiB")
                for layer, row in rows.items()
            ],
        )  # fmt: skip
    document = {
        "input": [4, channels, side, side], "threads": 1, "device": options.device,
        "machine": machine("torch"), "groups": groups,
    }  # fmt: skip
    write_results(document, result_file(options, "network_layers"))


if __name__ == "__main__":
    main()
