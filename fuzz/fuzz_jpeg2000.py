"""Mutate JPEG 2000 files and decode them: every outcome must be a picture or one of wavelic's errors.

    python fuzz/fuzz_jpeg2000.py --files 2000 --seed 1

Needs no fuzzing engine: mutations are drawn at random, a third each in the boxes, the main header and the packets.  The
process limits its own memory, so that a file which makes the library ask for more ends in a failure here.  Prints one
line of JSON; the exit status is 1 if anything but an error of wavelic was raised, or a file took over 5 s.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import struct
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np

from wavelic.errors import WavelicError
from wavelic.jpeg2000 import (
    EncodeOptions,
    Uuid,
    decode_codestream,
    encode_codestream,
    merge_components,
    parse_main_header,
    read_jp2,
    salvage,
    trim_codestream,
    write_jp2,
)
from wavelic.jpeg2000.boxes import box
from wavelic.lifting.jp2.opening import open_jp2

TESTS = Path(__file__).resolve().parents[1] / "tests"
MEMORY_BYTES = 1 << 30
SECONDS = 5.0


def seed_files() -> list[bytes]:
    """Small files of different structure: layers, precincts, progressions, both wavelets, one to four components."""
    y, x = np.mgrid[:96, :120]
    planes = [((np.sin(x / 9 + k) + np.cos(y / 7 - k)) * 60 + 128 + (x > 50) * 7).astype(int) for k in range(4)]
    variants = [
        (3, EncodeOptions(colour_transform=True, layer_bytes=(400, 1200, 4000))),
        (3, EncodeOptions(colour_transform=True, reversible=True, precincts=((32, 32),), progression="RPCL")),
        (1, EncodeOptions(layer_psnr=(30, 40), code_block=(16, 32), levels=3, packet_lengths=False)),
        (4, EncodeOptions(reversible=True, progression="CPRL", levels=2)),
    ]
    plain = [
        write_jp2(encode_codestream(planes[:count], 8, options), uuids=[Uuid(bytes(16), b"wavelic")])
        for count, options in variants
    ]
    return plain + foreign_files(planes)


def foreign_files(planes: list[np.ndarray]) -> list[bytes]:
    """Small files of other people: subsampled, with a palette, of tiles, HTJ2K, with packets in other places."""
    sys.path.insert(0, str(TESTS / "support"))
    from foreign_jpeg2000 import ARRANGED, boxed, cdef

    lossless = EncodeOptions(reversible=True)
    parts = [encode_codestream([plane], 8, lossless) for plane in (planes[0], planes[1][::2, ::2], planes[2][::2, ::2])]
    palette = struct.pack(">HB", 4, 3) + b"\x07" * 3 + bytes(range(12))
    mapping = b"".join(struct.pack(">HBB", 0, 1, column) for column in range(3))
    return [
        boxed(merge_components(parts, [(1, 1), (2, 2), (2, 2)]), colour=18),
        boxed(encode_codestream([planes[0] // 64], 2, lossless), box(b"pclr", palette), box(b"cmap", mapping)),
        boxed(encode_codestream(planes[:3], 8, EncodeOptions(reversible=True, tile=(64, 64), sop=True, eph=True))),
        boxed(encode_codestream(planes, 8, lossless), cdef((0, 0, 3), (1, 0, 2), (2, 0, 1), (3, 2, 0))),
        boxed((TESTS / "data" / "jpeg2000" / "ht.j2c").read_bytes(), brand=b"jph "),
        *(boxed(make()) for make in ARRANGED.values()),
    ]


def mutate(data: bytes, draw: random.Random) -> bytes:
    """``data`` with one to four bytes changed, or a piece cut, doubled or exchanged, in one of its three regions."""
    start = data.index(b"\xff\x4f\xff\x51")
    body = data.index(b"\xff\x93")
    low, high = draw.choice([(0, start), (start, body), (body, len(data))])
    mutated = bytearray(data)
    kind = draw.random()
    if kind < 0.7:
        for _ in range(draw.randint(1, 4)):
            position = draw.randrange(low, high)
            mutated[position] = draw.choice([draw.randrange(256), 0, 255, mutated[position] ^ 1 << draw.randrange(8)])
    elif kind < 0.8:
        del mutated[draw.randrange(low, high) :]
    else:
        position, length = draw.randrange(low, high), draw.randint(1, 16)
        piece = mutated[position : position + length]
        mutated[position : position + draw.choice([0, length])] = draw.choice([b"", piece + piece, piece[::-1]])
    return bytes(mutated)


def attempt(data: bytes, draw: random.Random) -> None:
    """Do with the file what a reader may do.  Raises WavelicError if it notices the damage."""
    bare = data.find(b"\xff\x4f\xff\x51")
    if bare >= 0 and draw.random() < 0.4:  # as a bare codestream, whose size no image header vouches for
        codestream = data[bare:]
    else:
        codestream = read_jp2(data, partial=draw.random() < 0.2).codestream
    header = parse_main_header(codestream)
    action = draw.randrange(6)
    if action == 0:
        decode_codestream(salvage(codestream).codestream)
    elif action == 1:
        decode_codestream(trim_codestream(codestream, max_layers=1))
    elif action == 2:
        file = open_jp2(data, allow_partial=draw.random() < 0.5)
        file.read_plain(file.request(reduce=draw.randrange(file.levels + 1)), threads=1)
    elif action == 3:
        decode_codestream(codestream, area=(header.width // 3, header.height // 3, 20, 20))
    else:
        decode_codestream(codestream, reduce=draw.randrange(2))


def run(files: int, seed: int) -> dict[str, object]:
    """Mutate and try ``files`` files; returns the counts, the slowest file's seconds and the peak memory in MB."""
    draw = random.Random(seed)
    seeds = seed_files()
    outcomes: Counter[str] = Counter()
    bugs: list[str] = []
    slowest = 0.0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(files):
        data = mutate(draw.choice(seeds), draw)
        begin = time.perf_counter()
        try:
            attempt(data, draw)
            outcomes["decoded"] += 1
        except WavelicError as error:
            outcomes[type(error).__name__] += 1
            if not str(error) or "\n" in str(error):
                bugs.append(f"file {number}: not one line: {error!r}")
        except Exception as error:
            bugs.append(f"file {number}: {error!r}")
        slowest = max(slowest, time.perf_counter() - begin)
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return {"outcomes": dict(outcomes), "slowest_s": round(slowest, 3), "peak_mb": round(peak), "bugs": bugs[:10]}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    report = run(arguments.files, arguments.seed)
    print(json.dumps(report))
    sys.exit(bool(report["bugs"]) or float(str(report["slowest_s"])) > SECONDS)
