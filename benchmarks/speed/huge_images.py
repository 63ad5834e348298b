"""Time and peak memory of large images, every step a `wavelic` command of its own.

    python benchmarks/make_huge.py FOLDER huge.tif
    python benchmarks/bench_huge.py huge.tif [--sides 2500 5000 10000] [--json results/benchmarks/huge.json]

The top left squares of the image, as TIFF files, are encoded and decoded to TIFF; `window` decodes 512 x 512 pixels in
the middle to PNG.  `openjpeg_encode` and `openjpeg_decode` are libopenjp2 alone on the codes of the square, in a
process without torch.  `processor_seconds` are user and system time; on a machine busy with other work they say more
than `seconds`.  `peak_mb` is the largest resident size of the whole process, `beyond_mb` that without what the same
command on a tiny image takes.  Results are added to the JSON file; a row measured again is replaced.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from functools import cache
from itertools import product
from pathlib import Path

TINY = 64
WINDOW = 512
#: What is measured -> codec, extension, bits of the image's samples, options of the encoder.
CODECS = {
    "lifting": ("lifting", "jp2", 8, ["--bpp", "1", "--access", "windows"]),
    "lifting, 16 bits": ("lifting", "jp2", 16, ["--bpp", "1", "--access", "windows"]),
    "wcae": ("wcae", "wlic", 8, ["--quality", "50"]),
    "weconvene": ("weconvene", "wlic", 8, ["--quality", "50"]),
}
STEPS = ("encode", "decode", "window", "openjpeg_encode", "openjpeg_decode")
_MAIN = "from wavelic.cli.main import run; run()"


def coded(codec: str, side: int, folder: Path) -> Path:
    """The compressed file."""
    name, extension, bits, _ = CODECS[codec]
    return folder / f"{name}-{bits}-{side}.{extension}"


def command(codec: str, step: str, side: int, folder: Path) -> list[str]:
    """The command line of one step."""
    name, _, bits, options = CODECS[codec]
    image, file = source(side, bits, folder), coded(codec, side, folder)
    wavelic = [sys.executable, "-c", _MAIN]
    if step == "encode":
        return [*wavelic, "encode", str(image), str(file), "--codec", name, "--force", *options]
    if step == "decode":
        return [*wavelic, "decode", str(file), str(folder / "decoded.tif"), "--force"]
    if step == "window":
        size = min(WINDOW, side)
        at = (side - size) // 2
        region = f"{at},{at},{size},{size}"
        return [*wavelic, "decode", str(file), str(folder / "window.png"), "--force", "--region", region]
    return [sys.executable, __file__, str(image if step == "openjpeg_encode" else file), "--alone", step]


def alone(step: str, path: Path) -> None:
    """libopenjp2 on 12-bit codes, without learned steps and without torch."""
    import numpy as np

    from wavelic.jpeg2000 import EncodeOptions, decode_codestream, encode_filled, read_jp2
    from wavelic.jpeg2000.arrangement import WINDOWED

    if step == "openjpeg_decode":
        decode_codestream(read_jp2(path.read_bytes()).codestream)
        return
    pixels = np.memmap(path.with_suffix(".raw"), np.uint8, "r").reshape(3, -1)
    side = round(pixels.shape[1] ** 0.5)

    def fill(planes: object) -> None:
        for plane, samples in zip(planes, pixels, strict=True):  # type: ignore[call-overload]
            for row in range(side):
                plane[row] = np.rint(samples[row * side : (row + 1) * side] * (0.9 * 4095 / 255) + 204.75)

    top = side * side / 8
    options = EncodeOptions(
        colour_transform=True,
        layer_bytes=WINDOWED.layer_bytes(top, 6),
        precincts=WINDOWED.precincts,
        progression=WINDOWED.progression,
    )
    encode_filled((side, side), 3, 12, fill, options)


def source(side: int, bits: int, folder: Path) -> Path:
    """The square that is encoded."""
    return folder / f"{side}{'' if bits == 8 else '-16'}.tif"


def crop(image: Path, side: int, bits: int, folder: Path) -> None:
    """The top left square of an image as TIFF and, of 8 bits, as planes of bytes for `alone`.

    In 16 bits the lower half of a sample is noise, as of a sensor with 8 good bits.
    """
    import numpy as np
    import PIL.Image

    from wavelic.images import from_array, save_image

    PIL.Image.MAX_IMAGE_PIXELS = None
    with PIL.Image.open(image) as picture:
        pixels = np.array(picture.crop((0, 0, side, side)))
    if bits == 16:
        pixels = pixels.astype(np.uint16) << 8
        random = np.random.default_rng(0)
        for row in pixels:
            row |= random.integers(0, 256, row.shape, np.uint16)
    save_image(from_array(pixels), source(side, bits, folder), force=True)
    if bits == 16:
        return
    (folder / f"{side}.raw").write_bytes(np.ascontiguousarray(pixels.transpose(2, 0, 1)).tobytes())


def timed(arguments: list[str]) -> dict[str, float]:
    """Run a command; raises RuntimeError if it fails.  This process must stay small: its size counts as the child's."""
    with tempfile.TemporaryFile() as errors:
        started = time.perf_counter()
        actions = [(os.POSIX_SPAWN_DUP2, errors.fileno(), 2)]
        process = os.posix_spawn(arguments[0], arguments, dict(os.environ), file_actions=actions)
        _, status, usage = os.wait4(process, 0)
        seconds = time.perf_counter() - started
        if status:
            errors.seek(0)
            raise RuntimeError(errors.read().decode(errors="replace").strip()[-300:])
    return {
        "seconds": round(seconds, 2),
        "processor_seconds": round(usage.ru_utime + usage.ru_stime, 2),
        "peak_mb": round(usage.ru_maxrss / 1024),
    }


@cache
def tiny_peak(codec: str, step: str, folder: Path) -> float:
    """`peak_mb` of the step on an image of no size to speak of."""
    if step != "encode":
        tiny_peak(codec, "encode", folder)
    return timed(command(codec, step, TINY, folder))["peak_mb"]


def measure(codec: str, step: str, side: int, folder: Path) -> dict[str, object]:
    """One step at one size and, for what it takes at least, at a tiny one."""
    tiny = tiny_peak(codec, step, folder)
    result = timed(command(codec, step, side, folder))
    beyond = result["peak_mb"] - tiny
    return {
        "codec": codec,
        "step": step,
        "side": side,
        "megapixels": round(side * side / 1e6, 2),
        "bytes": coded(codec, side, folder).stat().st_size,
        **result,
        "beyond_mb": beyond,
        "beyond_bytes_per_pixel": round(beyond * 2**20 / side**2, 1),
    }


def add(row: dict[str, object], path: Path) -> None:
    """Put ``row`` into the JSON file, instead of an earlier one of the same step."""
    names = ("codec", "step", "side")
    rows = json.loads(path.read_text()) if path.exists() else []
    rows = [old for old in rows if any(old[name] != row[name] for name in names)] + [row]
    order = list(CODECS)
    rows.sort(key=lambda r: (order.index(r["codec"]), STEPS.index(r["step"]), r["side"]))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rows, indent=1) + "\n")


def main() -> None:
    """Run the steps and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image", type=Path)
    parser.add_argument("--sides", type=int, nargs="+", default=[2500, 5000, 10000])
    parser.add_argument("--codecs", nargs="+", default=["lifting", "wcae"], choices=list(CODECS))
    parser.add_argument("--steps", nargs="+", default=list(STEPS), choices=STEPS)
    parser.add_argument("--folder", type=Path, help="where files lie, and stay for other calls; else a temporary one")
    parser.add_argument("--json", type=Path, default=Path("results/benchmarks/huge.json"))
    parser.add_argument("--alone", help=argparse.SUPPRESS)
    parser.add_argument("--crop", type=int, nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.alone:
        alone(arguments.alone, arguments.image)
        return
    if arguments.crop:
        crop(arguments.image, *arguments.crop, arguments.folder)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        depths = sorted({CODECS[codec][2] for codec in arguments.codecs})
        for side, bits in product((TINY, *arguments.sides), depths):
            if not source(side, bits, folder).exists():
                own = [sys.executable, __file__, str(arguments.image), "--crop", str(side), str(bits)]
                timed([*own, "--folder", str(folder)])
        for side in arguments.sides:
            for codec in arguments.codecs:
                for step in arguments.steps:
                    if step.startswith("openjpeg") and CODECS[codec][:3] != ("lifting", "jp2", 8):
                        continue
                    try:
                        row = measure(codec, step, side, folder)
                    except RuntimeError as error:
                        row = {"codec": codec, "step": step, "side": side, "error": str(error)}
                    add(row, arguments.json)
                    print(row, flush=True)


if __name__ == "__main__":
    main()
