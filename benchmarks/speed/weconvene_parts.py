"""`weconvene` by part: multiplications per pixel, processor time, and memory of a 24-megapixel picture.

    python -m benchmarks.speed.weconvene_parts [--quick] [--images FOLDER] [--count 4] [--json FILE]

Pictures are 512 x 768, the size of Kodak's: mosaics of the packaged photograph, or cut from those of FOLDER.  They are
coded at quality 50 on one thread, with the weights in memory, in turns with Pillow's AVIF (speed 6, quality 60, one
thread); times are the processor times of the fastest of three turns, means over the pictures, after one turn that is
not counted.  A further turn is divided into parts; "other" is Python and copies, all that no part claims.
Multiplications are counted by hooks while a picture is coded.  The large picture is coded on two threads, each
direction in a process of its own, whose largest resident size is its memory.
"""

from __future__ import annotations

import io
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from PIL import Image as PillowImage

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
from benchmarks.pictures import Pixels, mosaic, photographs
from wavelic.nn.precision import has_bfloat16

COUNT, SIZE, LARGE = 4, (512, 768), (4000, 6000)
QUALITY, AVIF_QUALITY, AVIF_SPEED = 50, 60, 6
LARGE_THREADS = 2


def kodak_sized(count: int, folder: Path | None) -> list[Pixels]:
    """Pictures of SIZE: different mosaics of the packaged photograph, or the middles of photographs of a folder."""
    height, width = SIZE
    if folder is None:
        rows = mosaic(count * height, width)
        return [rows[n * height : (n + 1) * height] for n in range(count)]
    upright = (p if p.shape[0] <= p.shape[1] else np.ascontiguousarray(np.rot90(p)) for p in photographs(folder))
    large = (p for p in upright if p.shape[0] >= height and p.shape[1] >= width)
    pictures = list(islice(large, count))
    if not pictures:
        raise SystemExit(f"{folder} has no 8-bit RGB photograph of {width} x {height}; choose another folder")
    places = (((p.shape[0] - height) // 2, (p.shape[1] - width) // 2) for p in pictures)
    return [np.ascontiguousarray(p[y : y + height, x : x + width]) for p, (y, x) in zip(pictures, places, strict=True)]


@contextmanager
def parts_timed(seconds: Counter[str]) -> Iterator[None]:
    """Add up processor time by part while active; what a part calls counts for the innermost part only."""
    from wavelic.weconvene import grid, planes, tile_reader, tiles

    inner: list[float] = [0.0]

    def wrap(part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            started = time.process_time()
            inner.append(0.0)
            try:
                return function(*arguments, **named)
            finally:
                spent = time.process_time() - started
                seconds[part] += spent - inner.pop()
                inner[-1] += spent

        return call

    parts = (
        (grid, "_correct", "networks f, g"),
        *((grid, name, "wavelets and colours") for name in ("decompose", "compose", "to_colours", "to_rgb")),
        *((planes, name, "wavelets and colours") for name in ("decompose", "compose")),
        *((grid, name, "arranging") for name in ("join", "scatter")),
        *((planes, name, "samples") for name in ("samples", "denormalised")),
        (tiles, "code_levels", "context model"),
        (tiles, "quantise", "quantisation"),
        (tiles.RangeEncoder, "encode", "range coder"),
        (tiles.RangeEncoder, "finish", "range coder"),
        (tile_reader.RangeDecoder, "decode", "range coder"),
        (tiles.Decoded, "checksum", "checksum"),
    )
    patches = [mock.patch.object(owner, name, wrap(part, getattr(owner, name))) for owner, name, part in parts]
    for patch in patches:
        patch.start()
    try:
        yield
    finally:
        for patch in patches:
            patch.stop()


def avif_encode(pixels: Pixels) -> bytes:
    """An AVIF file of Pillow's, one thread."""
    out = io.BytesIO()
    PillowImage.fromarray(pixels).save(out, "AVIF", quality=AVIF_QUALITY, speed=AVIF_SPEED, max_threads=1)
    return out.getvalue()


def avif_decode(data: bytes) -> Pixels:
    """Its pixels."""
    from PIL import AvifImagePlugin

    with mock.patch.object(AvifImagePlugin, "DEFAULT_MAX_THREADS", 1):
        return np.asarray(PillowImage.open(io.BytesIO(data)))


def times(images: list[Pixels], repeats: int) -> dict[str, Any]:
    """Processor seconds of encoding and decoding beside AVIF's, and how a further run divides into parts."""
    files = [wavelic.encode(image, "weconvene", quality=QUALITY) for image in images]
    others = [avif_encode(image) for image in images]
    directions: dict[str, tuple[Callable[[int], object], Callable[[int], object]]] = {
        "encode": (
            lambda i: wavelic.encode(images[i], "weconvene", quality=QUALITY),
            lambda i: avif_encode(images[i]),
        ),
        "decode": (lambda i: wavelic.decode(files[i]), lambda i: avif_decode(others[i])),
    }
    found: dict[str, Any] = {
        "bpp": round(8 * sum(map(len, files)) / sum(i.shape[0] * i.shape[1] for i in images), 4),
        "avif_bpp": round(8 * sum(map(len, others)) / sum(i.shape[0] * i.shape[1] for i in images), 4),
    }
    for name, (own, other) in directions.items():
        mine, theirs, seconds, total = 0.0, 0.0, Counter[str](), 0.0
        for index in range(len(images)):
            turns = take_turns({"own": partial(own, index), "avif": partial(other, index)}, repeats)
            mine += best(turns["own"]).processor / len(images)
            theirs += best(turns["avif"]).processor / len(images)
            with parts_timed(seconds):
                started = time.process_time()
                own(index)
                total += time.process_time() - started
        seconds["other"] = total - sum(seconds.values())
        found[name] = {
            "processor_seconds": round(mine, 4),
            "avif_processor_seconds": round(theirs, 4),
            "times_avif": round(mine / theirs, 1),
            "shares": {part: round(spent / total, 4) for part, spent in seconds.most_common()},
        }
    return found


def multiplications() -> dict[str, Any]:
    """Thousand multiply-adds per pixel of every part, counted while a picture of SIZE is encoded and decoded."""
    from torch import nn

    from wavelic.codec.weights import family
    from wavelic.container import read_container
    from wavelic.images import from_array
    from wavelic.nn import WaveletConv, fused
    from wavelic.nn.exact import ExactConv2d
    from wavelic.nn.gdn import GDN
    from wavelic.weconvene.files import Encoding, decode, step_of_quality
    from wavelic.weconvene.weights import load_model

    model, counts = load_model(family("weconvene")[-1]), Counter[str]()

    def macs(module: nn.Module, output: torch.Tensor) -> int:
        if isinstance(module, nn.Conv2d | ExactConv2d):
            return output.numel() * module.weight[0].numel()
        if isinstance(module, GDN):
            return output.numel() * output.shape[1]
        assert isinstance(module, WaveletConv)  # the channel transform, forth and back
        return 2 * output.numel() * output.shape[1] if len(module.sizes) > 1 else 0

    def counting(part: str) -> Callable[[nn.Module, Any, torch.Tensor], None]:
        def hook(module: nn.Module, _: Any, output: torch.Tensor) -> None:
            counts[part] += macs(module, output)

        return hook

    hooks = [
        module.register_forward_hook(counting(part))
        for part, owner in (("f", model.fast.f), ("g", model.fast.g), ("context model", model.entropy))
        for module in owner.modules()
        if isinstance(module, nn.Conv2d | ExactConv2d | GDN | WaveletConv)
    ]
    with mock.patch.object(fused, "_usable", return_value=False):  # else convolutions are not called as modules
        data = Encoding(from_array(mosaic(*SIZE)), model).file(step_of_quality(QUALITY))
        results = {"encoder": _kilo(counts)}
        counts.clear()
        decode(read_container(data))
        results["decoder"] = _kilo(counts)
    for hook in hooks:
        hook.remove()
    return {"kmac_per_pixel": results}


def _kilo(counts: Counter[str]) -> dict[str, float]:
    """Counts of a picture of SIZE as thousands a pixel, with those of the wavelets and in all."""
    kilo = {part: round(total / (SIZE[0] * SIZE[1]) / 1000, 2) for part, total in counts.items()}
    # 9/7 lifting: four steps and a scaling of 3 colours by rows and by columns; 4/3 for all levels; colours: 3 x 3
    kilo["wavelets and colours"] = round((2 * 3 * (4 + 1) * 4 / 3 + 9) / 1000, 2)
    return {**kilo, "in all": round(sum(kilo.values()), 2)}


def memory(height: int, width: int) -> dict[str, dict[str, float]]:
    """Seconds and peak memory of encoding and decoding a large picture, each in a process of its own."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        pixels, file = Path(folder) / "pixels.npy", Path(folder) / "large.wlic"
        np.save(pixels, mosaic(height, width))
        for name, code in (("encode", ENCODE), ("decode", DECODE)):
            seconds, peak_mb = alone(code, pixels, file, "weconvene", LARGE_THREADS)
            found[name] = {
                "megapixels": height * width / 1e6,
                "bytes": file.stat().st_size,
                "threads": LARGE_THREADS,
                "seconds": round(seconds, 1),
                "peak_mb": round(peak_mb),
            }
    return found


def main() -> None:
    """Measure everything."""
    arguments = parser(__doc__)
    arguments.add_argument("--images", type=Path, help="photographs to cut from; default: mosaics of the packaged one")
    arguments.add_argument("--count", type=int, default=COUNT, help="pictures that are timed")
    options = arguments.parse_args()
    torch.set_num_threads(1)
    count, large, repeats = (1, (600, 900), 1) if options.quick else (options.count, LARGE, 3)
    images = kodak_sized(count, options.images)
    document: dict[str, Any] = {
        "weights": wavelic.open(wavelic.encode(images[0], "weconvene")).info["model_hash"],
        "machine": machine("torch", "pillow"),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "vnni": torch.cpu._is_vnni_supported(),
        "bfloat16": has_bfloat16(torch.device("cpu")),
        "pictures": [list(image.shape[:2]) for image in images],
        "quality": QUALITY,
        "avif": {"quality": AVIF_QUALITY, "speed": AVIF_SPEED},
        **multiplications(),
        "time": times(images, repeats),
        "large": memory(*large),
    }
    for direction in ("encode", "decode"):
        row = document["time"][direction]
        show(
            f"{direction}: {row['processor_seconds']:.3f} s of processor time, {row['times_avif']} times Pillow's AVIF",
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
