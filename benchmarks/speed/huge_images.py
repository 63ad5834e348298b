"""Time and peak memory of large images, every step a `wavelic` command of its own.

    python -m benchmarks.speed.huge_images [--quick] [--images FOLDER] [--sides 2500 5000 10000] [--json FILE]

Mosaics of photographs, as TIFF files, are encoded and decoded to TIFF; `window` decodes 512 x 512 pixels in the middle
to PNG.  `openjpeg_encode` and `openjpeg_decode` are libopenjp2 alone on 12-bit samples of the same picture, in a
process without torch.  `processor_seconds` are user and system time; on a machine busy with other work they say more
than `seconds`.  `peak_mb` is the largest resident size of the whole process, `beyond_mb` that without what the same
command takes on a tiny image.  Rows are added to the result file; one measured again is replaced.
"""

from __future__ import annotations

import json
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measuring import Run, parser, python, result_file, run, show, wavelic_command, write_results
from benchmarks.pictures import mosaic_bands

TINY, WINDOW, TILE = 64, 512, 256
#: What is measured -> codec, extension, bits of the image's samples, options of the encoder.
CODECS = {
    "lifting": ("lifting", "jp2", 8, ("--bpp", "1", "--access", "windows")),
    "lifting, 16 bits": ("lifting", "jp2", 16, ("--bpp", "1", "--access", "windows")),
    "wcae": ("wcae", "wlic", 8, ("--quality", "50")),
    "weconvene": ("weconvene", "wlic", 8, ("--quality", "50")),
}
STEPS = ("encode", "decode", "window", "openjpeg_encode", "openjpeg_decode")
OPENJPEG_ENCODE = """
import sys
import numpy as np
from wavelic.jpeg2000 import EncodeOptions, encode_filled, write_jp2
from wavelic.jpeg2000.arrangement import WINDOWED
side = int(sys.argv[2])
pixels = np.memmap(sys.argv[1], np.uint8, "r").reshape(side, side, 3)
def fill(planes):
    for channel, plane in enumerate(planes):
        for row in range(side):
            plane[row] = np.rint(pixels[row, :, channel] * (4095 / 255))
options = EncodeOptions(
    colour_transform=True, layer_bytes=WINDOWED.layer_bytes(side * side / 8, 6),
    precincts=WINDOWED.precincts, progression=WINDOWED.progression,
)
open(sys.argv[3], "wb").write(write_jp2(encode_filled((side, side), 3, 12, fill, options)))
"""
OPENJPEG_DECODE = """
import sys
from wavelic.jpeg2000 import decode_codestream, read_jp2
decode_codestream(read_jp2(open(sys.argv[1], "rb").read()).codestream)
"""


class Folder:
    """The files of a run: pictures, made when they are needed, and what the steps write."""

    def __init__(self, path: Path, images: Path | None) -> None:
        self.path, self.images = path, images

    def raw(self, side: int) -> Path:
        """8-bit RGB samples of the mosaic of that size, nothing else."""
        path = self.path / f"{side}.raw"
        if not path.exists():
            with path.open("wb") as stream:
                for band in mosaic_bands(side, side, min(TILE, side), self.images):
                    stream.write(band.tobytes())
        return path

    def picture(self, side: int, bits: int) -> Path:
        """The mosaic as TIFF; in 16 bits the lower half of a sample is noise, as of a sensor with 8 good bits."""
        from wavelic.images import from_array, save_image

        path = self.path / f"{side}-{bits}.tif"
        if not path.exists():
            pixels = np.fromfile(self.raw(side), np.uint8).reshape(side, side, 3)
            if bits == 16:
                pixels = pixels.astype(np.uint16) << 8
                random = np.random.default_rng(0)
                for row in pixels:
                    row |= random.integers(0, 256, row.shape, np.uint16)
            save_image(from_array(pixels), path, force=True)
        return path

    def coded(self, what: str, side: int) -> Path:
        """Compressed file of a row of `CODECS`, or of "openjpeg"."""
        name, extension, bits = CODECS[what][:3] if what in CODECS else (what, "jp2", 12)
        return self.path / f"{name}-{bits}-{side}.{extension}"


def command(folder: Folder, codec: str, step: str, side: int) -> list[str]:
    """Command line of one step."""
    name, _, bits, options = CODECS[codec]
    file, alone = folder.coded(codec, side), folder.coded("openjpeg", side)
    if step == "encode":
        return wavelic_command("encode", folder.picture(side, bits), file, "--codec", name, "--force", *options)
    if step == "decode":
        return wavelic_command("decode", file, folder.path / "decoded.tif", "--force")
    if step == "window":
        size = min(WINDOW, side)
        at = (side - size) // 2
        region = f"{at},{at},{size},{size}"
        return wavelic_command("decode", file, folder.path / "window.png", "--force", "--region", region)
    if step == "openjpeg_encode":
        return python(OPENJPEG_ENCODE, folder.raw(side), side, alone)
    return python(OPENJPEG_DECODE, alone)


def run_step(folder: Folder, codec: str, step: str, side: int) -> Run:
    """Run one step, and the encoder before a decoder whose file is missing."""
    alone = step.startswith("openjpeg")
    file = folder.coded("openjpeg" if alone else codec, side)
    encoder = "openjpeg_encode" if alone else "encode"
    if step != encoder and not file.exists():
        run(command(folder, codec, encoder, side))
    return run(command(folder, codec, step, side))


@cache
def tiny_peak(folder: Folder, codec: str, step: str) -> float:
    """Peak memory in MiB of the step on an image of no size to speak of."""
    return run_step(folder, codec, step, TINY).peak_mb


def measure(folder: Folder, codec: str, step: str, side: int) -> dict[str, Any]:
    """Row of the result file: one step at one size."""
    row = {"codec": codec, "step": step, "side": side}
    try:
        found = run_step(folder, codec, step, side)
        beyond = found.peak_mb - tiny_peak(folder, codec, step)
    except RuntimeError as error:
        return row | {"error": str(error)}
    return row | {
        "megapixels": round(side * side / 1e6, 2),
        "bytes": folder.coded("openjpeg" if step.startswith("openjpeg") else codec, side).stat().st_size,
        "seconds": round(found.seconds.wall, 2),
        "processor_seconds": round(found.seconds.processor, 2),
        "peak_mb": round(found.peak_mb),
        "beyond_mb": round(beyond),
        "beyond_bytes_per_pixel": round(beyond * 2**20 / side**2, 1),
    }


def with_row(rows: list[dict[str, Any]], row: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows with ``row`` instead of an earlier one of the same step, in order."""
    keys, order = ("codec", "step", "side"), list(CODECS)
    kept = [old for old in rows if any(old[key] != row[key] for key in keys)] + [row]
    return sorted(kept, key=lambda r: (order.index(r["codec"]), STEPS.index(r["step"]), r["side"]))


def main() -> int:
    """Measure the steps; returns 1 if one failed."""
    arguments = parser(__doc__)
    arguments.add_argument("--images", type=Path, help="photographs for the mosaic; default: the packaged one")
    arguments.add_argument("--sides", type=int, nargs="+", default=[2500, 5000])
    arguments.add_argument("--codecs", nargs="+", default=["lifting", "wcae", "weconvene"], choices=list(CODECS))
    arguments.add_argument("--steps", nargs="+", default=list(STEPS), choices=STEPS)
    arguments.add_argument("--folder", type=Path, help="where files are left for other calls")
    options = arguments.parse_args()
    path = result_file(options, "huge_images")
    rows: list[dict[str, Any]] = json.loads(path.read_text()) if path and path.exists() else []
    new = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Folder(options.folder or Path(temporary), options.images)
        for side in [600] if options.quick else options.sides:
            for codec in options.codecs:
                for step in options.steps:
                    if step.startswith("openjpeg") and codec != "lifting":
                        continue
                    new.append(measure(folder, codec, step, side))
                    rows = with_row(rows, new[-1])
                    write_results(rows, path)
    failed = [row for row in new if "error" in row]
    keys = ("seconds", "processor_seconds", "peak_mb", "beyond_mb", "beyond_bytes_per_pixel")
    show(
        "commands on large images",
        ("codec, step, side", "seconds", "of processors", "MiB", "beyond a tiny image", "bytes per pixel"),
        [
            (f"{row['codec']}, {row['step']}, {row['side']}", *(str(row[key]) for key in keys))
            for row in new
            if row not in failed
        ],
    )
    for row in failed:
        print(f"{row['codec']}, {row['step']}, {row['side']}: {row['error']}")
    return int(bool(failed))


if __name__ == "__main__":
    raise SystemExit(main())
