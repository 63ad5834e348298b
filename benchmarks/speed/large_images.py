"""Time and peak memory of a large image, each codec and size in a process of its own.

    python benchmarks/bench_large.py [--json results/benchmarks/bench_large.json]

The image is the packaged photograph, repeated.  Peak memory is that of the whole process, the source and decoded
samples included; `import_mb` is what it held before the first encode.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from importlib import resources
from pathlib import Path

import numpy as np

REPEATS = (4, 8)  # 6 and 25 megapixels


def peak_mb() -> int:
    """Largest resident size of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def measure(codec: str, repeat: int) -> dict[str, object]:
    """Encode and decode the photograph repeated ``repeat`` times each way."""
    import torch

    import wavelic

    photograph = Path(str(resources.files("wavelic.evaluation"))) / "assets" / "demo.webp"
    pixels = np.tile(wavelic.load_image(photograph).colour(), (repeat, repeat, 1))
    wavelic.encode(pixels[:64, :64], codec)
    before, started = peak_mb(), time.perf_counter()
    data = wavelic.encode(pixels, codec, quality=50)
    encoded, encode_mb = time.perf_counter(), peak_mb()
    wavelic.decode(data)
    return {
        "codec": codec,
        "megapixels": round(pixels.shape[0] * pixels.shape[1] / 1e6, 1),
        "samples_mb": pixels.nbytes >> 20,
        "bytes": len(data),
        "encode_s": round(encoded - started, 2),
        "decode_s": round(time.perf_counter() - encoded, 2),
        "import_mb": before,
        "peak_encode_mb": encode_mb,
        "peak_mb": peak_mb(),
        "threads": torch.get_num_threads(),
    }


def main() -> None:
    """Run every combination and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, default=Path("results/benchmarks/bench_large.json"))
    parser.add_argument("--one", nargs=2, metavar=("CODEC", "REPEAT"), help="a single measurement, printed as JSON")
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments.one[0], int(arguments.one[1]))))
        return
    rows = []
    for codec in ("wcae", "wcae-64", "nowcae"):
        for repeat in REPEATS:
            command = [sys.executable, __file__, "--one", codec, str(repeat)]
            rows.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
            print(rows[-1])
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
