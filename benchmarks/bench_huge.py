"""Time and peak memory of large images, every step in a process of its own.

    python benchmarks/make_huge.py FOLDER huge.tif
    python benchmarks/bench_huge.py huge.tif [--sides 2500 5000 10000] [--json results/benchmarks/huge.json]

The top left squares of the image are encoded (codec lifting at 1 bpp in precincts, codec wcae at quality 50) and
decoded: all of it; for lifting also a window of 512 x 512 in the middle, read from the file in parts, and what
libopenjp2 alone needs for all of it.  `peak_mb` is what the step added to the largest resident size that importing,
and a first tiny image, left; the pixels that go in or come out are part of it.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

STEPS = {
    "lifting": ("encode", "decode", "window", "openjpeg_decode"),
    "wcae": ("encode", "decode", "window"),
}
WINDOW = 512


def peak_mb() -> float:
    """Largest resident size of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def square(path: Path, side: int) -> np.ndarray:
    """The top left square of an image."""
    import PIL.Image

    PIL.Image.MAX_IMAGE_PIXELS = None
    with PIL.Image.open(path) as picture:
        return np.array(picture.crop((0, 0, side, side)))


def warm_up(codec: str) -> None:
    """Everything that is loaded once."""
    import wavelic

    wavelic.decode(wavelic.encode(np.zeros((70, 70, 3), np.uint8), codec))


def measure(codec: str, step: str, side: int, image: Path, file: Path) -> dict[str, object]:
    """One step; `encode` writes ``file``, the others read it."""
    import wavelic
    from wavelic.codecs.ranged import open_ranged
    from wavelic.jpeg2000 import decode_codestream, read_jp2
    from wavelic.remote import open_source

    pixels = square(image, side) if step == "encode" else None
    warm_up(codec)
    before, started = peak_mb(), time.perf_counter()
    used = time.process_time()
    if pixels is not None:
        options = {"bpp": 1.0, "access": "random"} if codec == "lifting" else {"quality": 50}
        before -= pixels.nbytes / 2**20  # what goes in belongs to the step
        file.write_bytes(wavelic.encode(pixels, codec, **options))
    elif step == "openjpeg_decode":
        decode_codestream(read_jp2(file.read_bytes()).codestream, threads=1)
    elif step == "window":
        at = (side - WINDOW) // 2
        opened = open_ranged(open_source(file)) if codec == "lifting" else wavelic.open(file)
        opened.read(region=(at, at, WINDOW, WINDOW))
    else:
        wavelic.open(file).read()
    return {
        "codec": codec,
        "step": step,
        "side": side,
        "megapixels": round(side * side / 1e6, 2),
        "bytes": file.stat().st_size,
        "seconds": round(time.perf_counter() - started, 2),
        "processor_seconds": round(time.process_time() - used, 2),
        "peak_mb": round(peak_mb() - before),
        "bytes_per_pixel": round((peak_mb() - before) * 2**20 / side**2, 1),
    }


def main() -> None:
    """Run every step and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image", type=Path)
    parser.add_argument("--sides", type=int, nargs="+", default=[2500, 5000, 10000])
    parser.add_argument("--codecs", nargs="+", default=list(STEPS))
    parser.add_argument("--timeout", type=float, default=3600, help="seconds for one step")
    parser.add_argument("--json", type=Path, default=Path("results/benchmarks/huge.json"))
    parser.add_argument("--one", nargs=3, metavar=("CODEC", "STEP", "FILE"), help="a single step, printed as JSON")
    arguments = parser.parse_args()
    if arguments.one:
        codec, step, file = arguments.one
        print(json.dumps(measure(codec, step, arguments.sides[0], arguments.image, Path(file))))
        return
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as folder:
        for codec in arguments.codecs:
            for side in arguments.sides:
                file = Path(folder) / f"{codec}-{side}"
                for step in STEPS[codec]:
                    command = [sys.executable, __file__, str(arguments.image), "--sides", str(side)]
                    command += ["--one", codec, step, str(file)]
                    try:
                        result = subprocess.run(command, capture_output=True, text=True, timeout=arguments.timeout)
                    except subprocess.TimeoutExpired:
                        rows.append({"codec": codec, "step": step, "side": side, "error": "timeout"})
                        continue
                    failed = result.stderr.strip().splitlines()[-1:] if result.returncode else None
                    rows.append(
                        {"codec": codec, "step": step, "side": side, "error": " ".join(failed)}
                        if failed is not None
                        else json.loads(result.stdout)
                    )
                    print(rows[-1], flush=True)
                    arguments.json.parent.mkdir(parents=True, exist_ok=True)
                    arguments.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
