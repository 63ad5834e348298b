"""What a pixel of a thin picture costs with each codec, in units of what it costs in a square of as many pixels.

    python -m benchmarks.speed.thin_pictures [--quick] [--json FILE]

Encoding at quality 50 and decoding, on one thread; the best processor time of several turns.  Codecs extend a side to
whole cells of their coarsest level: `weconvene` codes one row as four, `wcae` as thirty-two; `3dm` codes thin pictures
in strips.  And a row of many photographs side by side has more bits per pixel than a square, which the range coder
pays for.
"""

from __future__ import annotations

from typing import Any

import torch

import wavelic
from benchmarks.measuring import best, machine, parser, result_file, show, take_turns, write_results
from benchmarks.pictures import mosaic

#: (height, width) of the picture that the others are compared with, and of these.
SQUARE = (256, 256)
THIN = ((1, 65535), (65535, 1), (4, 20000), (20000, 4), (16, 16384), (128, 2048))
QUICK = ((1, 4095), (4, 2000))
CODECS = ("weconvene", "lifting", "3dm", "wcae")
REPEATS = 3


def measure(codec: str, sizes: tuple[tuple[int, int], ...], repeats: int) -> list[dict[str, Any]]:
    """A row for the square and for each of ``sizes``."""
    rows: list[dict[str, Any]] = []
    for height, width in (SQUARE, *sizes):
        pixels = mosaic(height, width)
        data = wavelic.encode(pixels, codec, quality=50)
        times = take_turns(
            {
                "encode": lambda pixels=pixels: wavelic.encode(pixels, codec, quality=50),
                "decode": lambda data=data: wavelic.decode(data),
            },
            repeats,
        )
        megapixels = height * width / 1e6
        row: dict[str, Any] = {"width": width, "height": height, "bpp": round(8e-6 * len(data) / megapixels, 2)}
        for direction, seconds in times.items():
            processor = best(seconds).processor
            row[f"{direction}_seconds"] = round(processor, 3)
            square = rows[0] if rows else row
            cost = square[f"{direction}_seconds"] / (SQUARE[0] * SQUARE[1] / 1e6)
            row[f"{direction}_ratio"] = round(processor / megapixels / cost, 2)
        rows.append(row)
    return rows


def main() -> None:
    """Measure all of them."""
    options = parser(__doc__).parse_args()
    torch.set_num_threads(1)
    sizes, repeats = (QUICK, 1) if options.quick else (THIN, REPEATS)
    codecs = {codec: measure(codec, sizes, repeats) for codec in CODECS}
    for codec, rows in codecs.items():
        show(
            f"thin pictures by {codec}, processor time",
            ("picture", "bpp", "encode, s", "per pixel", "decode, s", "per pixel"),
            [(f"{row['width']} x {row['height']}", *(str(row[key]) for key in list(row)[2:])) for row in rows],
        )
    write_results({"machine": machine("torch"), "threads": 1, "codecs": codecs}, result_file(options, "thin_pictures"))


if __name__ == "__main__":
    main()
