"""`weconvene-s`: time by part, multiplications per pixel by part, memory of a 24-megapixel image.

    python -m benchmarks.speed.weconvene_parts [--quick] [--images FOLDER] [--threads 2] [--json FILE]

Times are the best of three for each of four crops of 512 x 512, after one that is not counted, in one process.
"entropy coding" is the range coder, "python" what remains of an encode or decode when all other parts are taken off:
Python and copies.  Multiplications are counted by hooks while a picture of that size is coded.  Memory is the largest
resident size of a process that does nothing else.
"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch

import wavelic
from benchmarks.measuring import (
    DECODE,
    ENCODE,
    alone,
    best,
    machine,
    parser,
    result_file,
    show,
    take_turns,
    write_results,
)
from benchmarks.pictures import Pixels, mosaic, some_crops

COUNT, SIDE, LARGE = 4, 512, (4000, 6000)
STEP = 170  # 1/32 octave of a grey level


@contextmanager
def parts_timed(seconds: Counter[str]) -> Iterator[None]:
    """Adds up where the time goes while it is active; what a part calls counts for the innermost part only."""
    from wavelic.weconvene.context_integer import IntegerContextModel

    from wavelic.weconvene import planes as subband_planes
    from wavelic.weconvene import tiles as subband_tiles
    from wavelic.weconvene.network import GridNet

    inner: list[float] = [0.0]

    def wrap(part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            started = time.perf_counter()
            inner.append(0.0)
            try:
                return function(*arguments, **named)
            finally:
                spent = time.perf_counter() - started
                seconds[part] += spent - inner.pop()
                inner[-1] += spent

        return call

    parts = (
        (GridNet, "forward", "networks f, g"),
        (subband_planes, "to_grid", "wavelets"),
        (subband_planes, "from_grid", "wavelets"),
        (subband_planes, "decompose", "wavelets"),
        (subband_planes, "compose", "wavelets"),
        (IntegerContextModel, "code_subbands", "entropy model"),
        (subband_tiles, "quantise", "quantisation"),
        (subband_tiles.RangeEncoder, "encode", "entropy coding"),
        (subband_tiles.RangeDecoder, "decode", "entropy coding"),
    )
    patches = [mock.patch.object(owner, name, wrap(part, getattr(owner, name))) for owner, name, part in parts]
    for patch in patches:
        patch.start()
    try:
        yield
    finally:
        for patch in patches:
            patch.stop()


def times(images: list[Pixels]) -> dict[str, Any]:
    """Mean seconds of encoding and decoding, as they are, and how a further run divides into parts."""
    found: dict[str, Any] = {}
    files = [wavelic.encode(image, "weconvene") for image in images]
    tasks: dict[str, Callable[[int], object]] = {
        "encode": lambda i: wavelic.encode(images[i], "weconvene"),
        "decode": lambda i: wavelic.decode(files[i]),
    }
    for name, task in tasks.items():
        whole, seconds = 0.0, Counter[str]()
        for index in range(len(images)):
            whole += best(take_turns({name: partial(task, index)}, 3)[name]).wall
            with parts_timed(seconds):
                started = time.perf_counter()
                task(index)
                seconds["in all"] += time.perf_counter() - started
        total = seconds.pop("in all")
        seconds["python"] = total - sum(seconds.values())
        shares = {part: round(spent / total, 4) for part, spent in seconds.most_common()}
        found[name] = {
            "seconds": round(whole / len(images), 4),
            "shares": shares,
            "coding_and_python_share": round(shares["entropy coding"] + shares["python"], 4),
        }
    return found


def multiplications() -> dict[str, Any]:
    """kMAC per pixel of every part, counted while 512x512 pixels are encoded, and of encoder and decoder."""
    from torch import nn
    from wavelic.nn.integer_rows import RowConv

    from wavelic.codec.weights import family
    from wavelic.container import read_container
    from wavelic.images import from_array
    from wavelic.nn.gdn import GDN
    from wavelic.nn.wavelet_conv import WaveletConv
    from wavelic.weconvene.files import SmallEncoding, decode
    from wavelic.weconvene.weights import load_small

    model = load_small(family("weconvene")[-1])
    side, counts = SIDE, Counter[str]()

    def macs(module: nn.Module, output: torch.Tensor) -> int:
        if isinstance(module, nn.Conv2d):
            return output.numel() * module.weight[0].numel()
        if isinstance(module, nn.Linear):
            return output.numel() * module.in_features
        if isinstance(module, GDN):
            return output.numel() * output.shape[1]
        if isinstance(module, WaveletConv):  # the channel transform, forth and back
            return 2 * output.numel() * output.shape[1] if len(module.sizes) > 1 else 0
        assert isinstance(module, RowConv)
        return output.shape[0] * (output.shape[1] - 2) * (output.shape[2] - 2) * module.weight.numel()

    def counting(part: str) -> Callable[[nn.Module, Any, torch.Tensor], None]:
        def hook(module: nn.Module, _: Any, output: torch.Tensor) -> None:
            counts[part] += macs(module, output)

        return hook

    hooks = [
        module.register_forward_hook(counting(part))
        for part, owner in (("f", model.network.f), ("g", model.network.g), ("entropy model", model.entropy))
        for module in owner.modules()
        if isinstance(module, nn.Conv2d | nn.Linear | GDN | WaveletConv | RowConv)
    ]
    image = np.zeros((side, side, 3), np.uint8)
    results = {}
    for direction in ("encoder", "decoder"):
        counts.clear()
        with torch.inference_mode():
            if direction == "encoder":
                data = SmallEncoding(from_array(image), model).file(STEP)
            else:
                decode(read_container(data))
        kilo = {part: round(total / side**2 / 1000, 2) for part, total in counts.items()}
        # 9/7 lifting: four steps, two scalings; (rows + columns) of 3 colours; 4/3 for the levels
        kilo["wavelets"] = round(2 * 3 * (4 + 1) * 4 / 3 / 1000, 2)
        results[direction] = {**kilo, "in all": round(sum(kilo.values()), 2)}
    for hook in hooks:
        hook.remove()
    return {"kmac_per_pixel": results}


def memory(height: int, width: int) -> dict[str, dict[str, float]]:
    """Seconds and peak memory of encoding and decoding a large picture, each in a process of its own."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        pixels, file = Path(folder) / "pixels.npy", Path(folder) / "large.wlic"
        np.save(pixels, mosaic(height, width))
        for name, code in (("encode", ENCODE), ("decode", DECODE)):
            seconds, peak_mb = alone(code, pixels, file, "weconvene", torch.get_num_threads())
            found[name] = {
                "megapixels": height * width / 1e6,
                "bytes": file.stat().st_size,
                "seconds": round(seconds, 1),
                "peak_mb": round(peak_mb),
            }
    return found


def main() -> None:
    """Measure everything."""
    arguments = parser(__doc__)
    arguments.add_argument("--images", type=Path, help="photographs to crop; default: the packaged one")
    arguments.add_argument("--threads", type=int, default=2)
    options = arguments.parse_args()
    torch.set_num_threads(options.threads)
    count, large = (1, (600, 900)) if options.quick else (COUNT, LARGE)
    images = some_crops(count, SIDE, options.images)
    document: dict[str, Any] = {
        "weights": wavelic.open(wavelic.encode(images[0], "weconvene")).info["model_hash"],
        "threads": options.threads,
        "machine": machine("torch"),
        "sizes": [list(image.shape[:2]) for image in images],
        **multiplications(),
        "time": times(images),
        "large": memory(*large),
    }
    for direction, row in document["time"].items():
        show(
            f"{direction}: {row['seconds']:.3f} s",
            ("part", "share of time"),
            [(part, f"{share:.1%}") for part, share in row["shares"].items()],
        )
        work = document["kmac_per_pixel"][f"{direction}r"]
        print("thousand multiplications per pixel: " + ", ".join(f"{part} {value}" for part, value in work.items()))
        last = document["large"][direction]
        print(f"{last['megapixels']:g} megapixels: {last['seconds']} s, {last['peak_mb']} MiB")
    write_results(document, result_file(options, "weconvene_parts"))


if __name__ == "__main__":
    main()
