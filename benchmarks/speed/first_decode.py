"""What a program pays before its first pixels: `import wavelic` and one decode, or a command, in a process of its own.

    python -m benchmarks.speed.first_decode [--quick] [--json FILE]

A file of the packaged photograph, 512 x 768, at quality 50, for each of the codecs; the process starts, imports, loads
weights, decodes and ends.  The command `wavelic decode` writes a PNG file, too.  Beside them a process that only
starts Python, one that imports wavelic, and one that imports torch, which is the larger part.  Files have been read
before, so they come from memory.  The times are the best of several turns; processor time is user and system time of
all threads and hardly depends on other work.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import wavelic
from benchmarks.measuring import best, machine, parser, python, result_file, run, show, wavelic_command, write_results
from benchmarks.pictures import photograph

CODECS, QUICK = ("weconvene", "lifting", "wcae", "3dm"), ("weconvene",)
REPEATS = 5
DECODE = "import sys, wavelic; wavelic.decode(open(sys.argv[1], 'rb').read())"


def main() -> None:
    """Measure all of them in turns."""
    options = parser(__doc__).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tasks = {
            "python": python("pass"),
            "import wavelic": python("import wavelic"),
            "import torch": python("import torch"),
        }
        for codec in QUICK if options.quick else CODECS:
            file = Path(folder) / codec
            file.write_bytes(wavelic.encode(photograph(), codec, quality=50))
            tasks[f"import wavelic, decode {codec}"] = python(DECODE, file)
            tasks[f"command, decode {codec}"] = wavelic_command("decode", file, file.with_suffix(".png"), "--force")
        times = {name: [run(command).seconds for _ in range(2)][1:] for name, command in tasks.items()}
        for _ in range(0 if options.quick else REPEATS - 1):
            for name, command in tasks.items():
                times[name].append(run(command).seconds)
    rows = [
        {"what": name, "processor_seconds": round(found.processor, 3), "wall_seconds": round(found.wall, 3)}
        for name, found in ((name, best(seconds)) for name, seconds in times.items())
    ]
    show(
        "until the first pixels",
        ("process", "processor, s", "wall, s"),
        [(str(row["what"]), str(row["processor_seconds"]), str(row["wall_seconds"])) for row in rows],
    )
    write_results({"machine": machine("torch"), "rows": rows}, result_file(options, "first_decode"))


if __name__ == "__main__":
    main()
