"""Time and peak memory of encoding and decoding a large image with `wavelic.encode` and `wavelic.decode`.

    python -m benchmarks.speed.large_images [--quick] [--json FILE]

Each codec of the WCAE family and each size in processes of their own.  Peak memory is that of the whole process, the
source and decoded samples included; `start_mb` is what it takes for an image of 64 x 64.  `huge_images` measures the
commands, which work in bands.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measuring import DECODE, ENCODE, alone, machine, parser, result_file, show, write_results
from benchmarks.pictures import mosaic

CODECS = ("wcae", "wcae-64", "nowcae")
SIZES = ((2048, 3072), (4096, 6144))  # height, width: 6 and 25 megapixels
QUICK, TINY = (512, 768), (64, 64)


def measure(codec: str, pixels: Path, file: Path) -> dict[str, float]:
    """Encode ``pixels`` to ``file`` and decode it: seconds without start and weights, peak memory of each process."""
    (encode_s, encode_mb), (decode_s, decode_mb) = (alone(code, pixels, file, codec) for code in (ENCODE, DECODE))
    return {
        "bytes": file.stat().st_size,
        "encode_s": round(encode_s, 2),
        "decode_s": round(decode_s, 2),
        "peak_encode_mb": round(encode_mb),
        "peak_decode_mb": round(decode_mb),
    }


def main() -> None:
    """Measure every codec and size."""
    options = parser(__doc__).parse_args()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        pixels, file = Path(folder) / "pixels.npy", Path(folder) / "file.wlic"
        start = {}
        for size in (TINY, *((QUICK,) if options.quick else SIZES)):
            np.save(pixels, mosaic(*size, tile=64 if size == TINY else 256))
            for codec in CODECS:
                found = measure(codec, pixels, file)
                if size == TINY:
                    start[codec] = found["peak_encode_mb"]
                    continue
                megapixels = round(size[0] * size[1] / 1e6, 1)
                rows.append({"codec": codec, "megapixels": megapixels, "start_mb": start[codec], **found})
    show(
        "quality 50",
        ("codec, megapixels", "encode s", "decode s", "encoder MiB", "decoder MiB", "start MiB"),
        [
            (f"{row['codec']}, {row['megapixels']}", *(str(row[key]) for key in (
                "encode_s", "decode_s", "peak_encode_mb", "peak_decode_mb", "start_mb")))
            for row in rows
        ],
    )  # fmt: skip
    write_results({"machine": machine("torch"), "rows": rows}, result_file(options, "large_images"))


if __name__ == "__main__":
    main()
