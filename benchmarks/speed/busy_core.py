"""Encode and decode a picture while another program keeps one core busy: how much longer that takes than undisturbed.

    python -m benchmarks.speed.busy_core [--quick] [--json FILE]

A picture of 512 x 768 at quality 50, on as many threads as torch takes, with the weights in memory.  Undisturbed and
disturbed runs take turns in one process; the times are medians on the clock.  Three processes are measured, since how
long torch's threads turn round at barriers is settled when torch is loaded: one that imports wavelic first, one that
has imported torch before, and one without torch, which decodes by NumPy.  Other work on the machine makes the
undisturbed runs slower and the ratios smaller.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import wavelic
from benchmarks.measuring import machine, parser, python, result_file, run, show, write_results
from benchmarks.pictures import mosaic

SIZE, QUICK = (512, 768), (192, 256)
REPEATS = 7
ORDERS = ("wavelic, torch", "torch, wavelic", "wavelic")

#: Prints, for each direction, seconds undisturbed and seconds beside a process that never waits.
CODE = """
import json, os, statistics, subprocess, sys, time
order, file, repeats = sys.argv[1], sys.argv[2], int(sys.argv[3])
for name in order.split(", "):
    __import__(name)
import numpy as np, wavelic
if order == "wavelic":
    from wavelic.container import read_container
    from wavelic.weconvene.portable.decode import decode
    data = open(file + ".wlic", "rb").read()
    tasks = {"decode": lambda: decode(read_container(data))}
else:
    pixels = np.load(file)
    data = wavelic.encode(pixels, "weconvene", quality=50)
    tasks = {
        "encode": lambda: wavelic.encode(pixels, "weconvene", quality=50),
        "decode": lambda: wavelic.decode(data),
    }
spin = "import os; os.write(1, b'.')" + chr(10) + "while True: pass"

def seconds(task):
    started = time.perf_counter()
    task()
    return time.perf_counter() - started

times = {name: ([], []) for name in tasks}
tasks["decode"]()
for _ in range(repeats):
    for name, task in tasks.items():
        times[name][0].append(seconds(task))
    other = subprocess.Popen([sys.executable, "-I", "-S", "-c", spin], stdout=subprocess.PIPE)
    try:
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(other.pid, {max(os.sched_getaffinity(0))})
        other.stdout.read(1)
        for name, task in tasks.items():
            times[name][1].append(seconds(task))
    finally:
        other.kill()
        other.communicate()
assert order != "wavelic" or "torch" not in sys.modules
print(json.dumps({name: [statistics.median(t) for t in both] for name, both in times.items()}))
"""


def measure(pixels: Path, repeats: int) -> list[dict[str, Any]]:
    """A row for each order of imports and direction."""
    rows = []
    for order in ORDERS:
        found = json.loads(run(python(CODE, order, pixels, repeats)).output)
        for direction, (alone, beside) in found.items():
            rows.append({
                "imported": order,
                "direction": direction,
                "undisturbed_seconds": round(alone, 3),
                "disturbed_seconds": round(beside, 3),
                "ratio": round(beside / alone, 2),
            })  # fmt: skip
    return rows


def main() -> None:
    """Measure all orders of imports."""
    options = parser(__doc__).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "pixels.npy"
        pixels = mosaic(*(QUICK if options.quick else SIZE))
        np.save(file, pixels)
        file.with_name(file.name + ".wlic").write_bytes(wavelic.encode(pixels, "weconvene", quality=50))
        rows = measure(file, 1 if options.quick else REPEATS)
    show(
        "one core busy",
        ("imported, direction", "undisturbed, s", "disturbed, s", "ratio"),
        [
            (f"{row['imported']}: {row['direction']}", *(str(row[key]) for key in list(row)[2:]))
            for row in rows
        ],
    )  # fmt: skip
    write_results({"machine": machine("torch"), "rows": rows}, result_file(options, "busy_core"))


if __name__ == "__main__":
    main()
