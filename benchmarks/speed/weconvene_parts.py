"""`weconvene-s`: time by part, multiplications per pixel by part, memory of a 24-megapixel image.

    python benchmarks/bench_weconvene.py FOLDER [--images 4] [--threads 2] [--json results/benchmarks/weconvene.json]

Times are the best of three for each image of the folder, after one that is not counted, in one process.  "entropy
coding" is the range coder, "python" what remains of an encode or decode when all other parts are taken off: Python and
copies.  Multiplications are counted by hooks while a 512x512 image is coded.  Memory is the largest resident size of a
process that does nothing else; its image is the first of the folder, repeated.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

LARGE = (4000, 6000)
STEP = 170  # 1/32 octave of a grey level
Pixels = NDArray[np.uint8]


def pictures(folder: Path, count: int) -> list[Pixels]:
    """The first images of a folder, as RGB."""
    import PIL.Image

    paths = [p for p in sorted(folder.iterdir()) if p.suffix.lower() in (".png", ".webp", ".jpg", ".jpeg")]
    return [np.asarray(PIL.Image.open(path).convert("RGB")) for path in paths[:count]]


def repeated(image: Pixels, height: int, width: int) -> Pixels:
    """An image of that size made of copies."""
    rows, columns = -(-height // image.shape[0]), -(-width // image.shape[1])
    return np.ascontiguousarray(np.tile(image, (rows, columns, 1))[:height, :width])


@contextmanager
def timed(seconds: Counter[str]) -> Iterator[None]:
    """Adds up where the time goes while it is active; what a part calls counts for the innermost part only."""
    from wavelic.weconvene import planes as subband_planes
    from wavelic.weconvene import tiles as subband_tiles
    from wavelic.weconvene.context_integer import IntegerContextModel
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
    import wavelic

    found: dict[str, Any] = {}
    files = [wavelic.encode(image, "weconvene") for image in images]
    actions: dict[str, Callable[[int], object]] = {
        "encode": lambda i: wavelic.encode(images[i], "weconvene"),
        "decode": lambda i: wavelic.decode(files[i]),
    }
    for name, action in actions.items():
        whole, seconds = 0.0, Counter[str]()
        for index in range(len(images)):
            runs = []
            for _ in range(4):
                started = time.perf_counter()
                action(index)
                runs.append(time.perf_counter() - started)
            whole += min(runs[1:])
            with timed(seconds):
                started = time.perf_counter()
                action(index)
                seconds["in all"] += time.perf_counter() - started
        total = seconds.pop("in all")
        seconds["python"] = total - sum(seconds.values())
        shares = {part: round(spent / total, 4) for part, spent in seconds.most_common()}
        overhead = shares["entropy coding"] + shares["python"]
        found[name] = {
            "seconds": round(whole / len(images), 4),
            "shares": shares,
            "coding_and_python_share": round(overhead, 4),
        }
    return found


def multiplications() -> dict[str, Any]:
    """kMAC per pixel of every part, counted while 512x512 pixels are encoded, and of encoder and decoder."""
    import torch
    from torch import nn

    from wavelic.codec.weights import family
    from wavelic.container import read_container
    from wavelic.images import from_array
    from wavelic.nn.gdn import GDN
    from wavelic.nn.integer_rows import RowConv
    from wavelic.nn.wavelet_conv import WaveletConv
    from wavelic.weconvene.files import SmallEncoding, decode
    from wavelic.weconvene.weights import load_small

    model = load_small(family("weconvene")[-1])
    side, counts = 512, Counter[str]()

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
    image = repeated(np.zeros((8, 8, 3), np.uint8), side, side)
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


def memory(direction: str, folder: Path, file: Path) -> dict[str, Any]:
    """In a process of its own: encode or decode LARGE pixels."""
    import wavelic
    from wavelic.api.files import Options, decode_image, encode_image
    from wavelic.codec.target import Target

    reports: list[tuple[int, int]] = []
    image = wavelic.images.from_array(repeated(pictures(folder, 1)[0], *LARGE)) if direction == "encode" else None
    started = time.perf_counter()
    if image is not None:
        options = Options(progress=lambda *a: reports.append(a))
        file.write_bytes(encode_image(image, "weconvene", Target("quality", 50), options).data)
    else:
        decode_image(file.read_bytes(), progress=lambda *a: reports.append(a))
    return {
        "megapixels": LARGE[0] * LARGE[1] / 1e6,
        "bytes": file.stat().st_size,
        "seconds": round(time.perf_counter() - started, 1),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "progress_reports": len(reports),
    }


def main() -> None:
    """Everything, into one file."""
    import tempfile

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, default=Path("results/benchmarks/weconvene.json"))
    parser.add_argument("--only", choices=("encode", "decode"), help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    import torch

    torch.set_num_threads(options.threads)
    if options.only:
        sys.stdout.write(json.dumps(memory(options.only, options.folder, options.file)) + "\n")
        return
    from wavelic.codec.weights import family

    images = pictures(options.folder, options.images)
    found: dict[str, Any] = {"weights": family("weconvene")[-1].hash[:32], "threads": options.threads}
    found["sizes"] = [list(image.shape[:2]) for image in images]
    found |= multiplications() | {"time": times(images), "large": {}}
    with tempfile.TemporaryDirectory() as folder:
        for direction in ("encode", "decode"):
            command = [sys.executable, __file__, str(options.folder), "--only", direction]
            command += ["--threads", str(options.threads), "--file", f"{folder}/large.wlic"]
            result = subprocess.run(command, capture_output=True, text=True, check=True)
            found["large"][direction] = json.loads(result.stdout)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(found, indent=1) + "\n")
    sys.stdout.write(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
