"""Tiles per second and latency of the IIIF server, beside the same tiles straight from OpenJPEG.

    python -m benchmarks.speed.iiif_server [--quick] [--leak 10000] [--json FILE]

A picture of 3072 x 2048, put together from crops of the packaged photograph, is served as plain JPEG 2000 and as a file
of codec lifting.  Every tile of the three finest levels is asked for as JPEG by 1, 8 and 32 clients with connections
that stay open; the server has two decoding threads.

- plain, lifting: `wavelic serve` with a cache that holds the two files and no window, so that every tile is decoded.
- plain cached, lifting cached: the same once more, when all windows are in the cache.
- openjpeg: a thread per connection that decodes the tile of the plain file with libopenjp2 and writes the JPEG: no
  IIIF, no cache.

`cpu_ms` is processor time of the server per tile, which other work on the machine disturbs least.  --leak sends so many
requests of all kinds and records the server's resident memory after every thousand.  `growth_mb_per_1000` is the slope
of the line that fits those of the second half best, `growth_error` its standard error: a leak is a slope beyond the
error, and what the cache and the heaps take at first is no leak.  --only-leak leaves the rest of the file as it is.
"""

from __future__ import annotations

import http.client
import io
import json
import multiprocessing
import os
import random
import re
import statistics
import subprocess
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.measuring import machine, parser, result_file, show, wavelic_command, write_results

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SIZE, QUICK_SIZE = (3072, 2048), (1024, 512)  # width, height
TILE, LEVELS = 512, 3
CLIENTS = (1, 8, 32)
BPP = 1.5
_TICKS = os.sysconf("SC_CLK_TCK")


def make_files(folder: Path, width: int, height: int) -> str:
    """Write plain.jp2 and lifting.jp2; returns the name of the weights of the second."""
    import wavelic
    from benchmarks.pictures import mosaic
    from wavelic.jpeg2000 import EncodeOptions, encode_codestream, write_jp2

    pixels = mosaic(height, width)
    budget = BPP * width * height / 8
    options = EncodeOptions(colour_transform=True, layer_bytes=(budget / 8, budget / 4, budget / 2, budget))
    planes = list(pixels.transpose(2, 0, 1).astype(np.int32))
    (folder / "plain.jp2").write_bytes(write_jp2(encode_codestream(planes, 8, options)))
    (folder / "lifting.jp2").write_bytes(wavelic.encode(pixels, "lifting", bpp=BPP, layers=4))
    return str(wavelic.open(folder / "lifting.jp2").info["model"])


def tiles(name: str, size: tuple[int, int], count: int | None = None) -> list[str]:
    """Requests for all tiles of the finest levels of a picture of (width, height), mixed; at most ``count``."""
    width, height = size
    paths = []
    for level in range(LEVELS):
        step = TILE << level
        for y in range(0, height, step):
            for x in range(0, width, step):
                w, h = min(step, width - x), min(step, height - y)
                paths.append(f"/iiif/3/{name}/{x},{y},{w},{h}/{-(-w >> level)},{-(-h >> level)}/0/default.jpg")
    random.Random(1).shuffle(paths)
    return paths[:count]


class OpenJpegHandler(BaseHTTPRequestHandler):
    """The tile of ``codestream`` at the path, decoded by libopenjp2 alone."""

    codestream = b""
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        from PIL import Image

        from wavelic.jpeg2000 import decode_codestream

        x, y, w, h, width, _ = (int(n) for n in re.findall(r"\d+", self.path.split("jp2/")[1])[:6])
        level = max(0, (w // width).bit_length() - 1)
        planes = decode_codestream(self.codestream, reduce=level, area=(x, y, w, h)).planes
        out = io.BytesIO()
        Image.fromarray(np.stack(planes, -1).astype(np.uint8)).save(out, "JPEG", quality=90, subsampling=0)
        self.send_response(200)
        self.send_header("Content-Length", str(out.tell()))
        self.end_headers()
        self.wfile.write(out.getvalue())

    def log_message(self, *_: Any) -> None:
        """Nothing: the other server keeps no log here either."""


def serve_openjpeg(path: Path, ports: Any) -> None:
    """Process of the plain path; puts its port into ``ports``."""
    from wavelic.jpeg2000 import read_jp2

    OpenJpegHandler.codestream = read_jp2(path.read_bytes()).codestream
    server = ThreadingHTTPServer(("127.0.0.1", 0), OpenJpegHandler)
    ports.put(server.server_address[1])
    server.serve_forever()


@contextmanager
def openjpeg_server(path: Path) -> Iterator[tuple[int, int]]:
    """Port and process id of the plain path."""
    context = multiprocessing.get_context("spawn")
    ports = context.Queue()
    process = context.Process(target=serve_openjpeg, args=(path, ports), daemon=True)
    process.start()
    try:
        yield ports.get(timeout=120), process.pid or 0
    finally:
        process.terminate()
        process.join()


@contextmanager
def wavelic_server(folder: Path, cache_mb: int) -> Iterator[tuple[int, int]]:
    """Port and process id of `wavelic serve`."""
    options = ("--port", 0, "--workers", 2, "--cache", cache_mb, "--no-access-log")
    command = wavelic_command("serve", folder, *options)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline().strip().rsplit(":", 1)[1].strip("/")), process.pid
    finally:
        process.terminate()
        process.wait(300)


def cpu_seconds(pid: int) -> float:
    """Processor time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def resident_mb(pid: int) -> float:
    """Resident memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def ask(port: int, paths: list[str], clients: int, statuses: tuple[int, ...] = (200,)) -> list[float]:
    """Seconds each request took; ``clients`` at a time, each on a connection that stays open."""
    local = threading.local()

    def one(path: str) -> float:
        if not hasattr(local, "connection"):
            local.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
        began = time.perf_counter()
        local.connection.request("GET", path)
        response = local.connection.getresponse()
        response.read()
        if response.status not in statuses:
            raise RuntimeError(f"{path} gave {response.status}")
        return time.perf_counter() - began

    with ThreadPoolExecutor(clients) as pool:
        return list(pool.map(one, paths))


def measure(label: str, port: int, pid: int, paths: list[str], clients: int) -> dict[str, object]:
    """One row of the table."""
    cpu, began = cpu_seconds(pid), time.perf_counter()
    seconds = ask(port, paths, clients)
    wall = time.perf_counter() - began
    row: dict[str, object] = {
        "path": label,
        "clients": clients,
        "tiles": len(paths),
        "tiles_per_s": round(len(paths) / wall, 1),
        "p50_ms": round(1000 * statistics.median(seconds), 1),
        "p95_ms": round(1000 * statistics.quantiles(seconds, n=20)[-1], 1),
        "cpu_ms": round(1000 * (cpu_seconds(pid) - cpu) / len(paths), 1),
    }
    return row


def leak(folder: Path, size: tuple[int, int], requests: int) -> dict[str, object]:
    """Resident memory while tiles, whole images, errors, documents and other layers are asked for."""
    draw = random.Random(2)
    kinds = [
        *tiles("plain.jp2", size),
        "/iiif/3/plain.jp2/full/!300,300/0/default.png",
        "/iiif/3;layers=2/plain.jp2/full/200,/90/gray.webp",
        "/iiif/3/plain.jp2/info.json",
        "/iiif/3/none.jp2/info.json",
        "/iiif/3/plain.jp2/full/9999999999,/0/default.jpg",
        "/iiif/manifest.json",
        "/api/images",
        "/healthz",
        "/",
    ]
    series = []
    with wavelic_server(folder, cache_mb=16) as (port, pid):
        for done in range(1000, requests + 1, 1000):
            ask(port, [draw.choice(kinds) for _ in range(1000)], 8, (200, 400, 404))
            series.append({"requests": done, "resident_mb": round(resident_mb(pid), 1)})
            print(series[-1], flush=True)
    half = series[len(series) // 2 :]
    growth, error = slope([row["requests"] / 1000 for row in half], [row["resident_mb"] for row in half])
    print(f"growth {growth:.2f} +- {error:.2f} MB per 1,000 requests")
    return {
        "requests": requests,
        "cache_mb": 16,
        "growth_mb_per_1000": round(growth, 2),
        "growth_error": round(error, 2),
        "series": series,
    }


def slope(x: list[float], y: list[float]) -> tuple[float, float]:
    """Slope of the line of least squares, and its standard error; at least three points."""
    across = np.array(x) - np.mean(x)
    along = np.array(y) - np.mean(y)
    found = float(across @ along / (across @ across))
    rest = along - found * across
    return found, float(np.sqrt(rest @ rest / (len(x) - 2) / (across @ across)))


def measure_all(folder: Path, size: tuple[int, int], clients: Sequence[int], count: int | None) -> list[dict[str, Any]]:
    """All rows of the table; ``count``: tiles of each file, at most."""
    requests = {kind: tiles(f"{kind}.jp2", size, count) for kind in ("plain", "lifting")}
    rows = []
    with (
        openjpeg_server(folder / "plain.jp2") as openjpeg,
        wavelic_server(folder, 3) as uncached,
        wavelic_server(folder, 512) as cached,
    ):
        for port, _ in (uncached, cached):  # the libraries are loaded when these are answered
            ask(port, [f"/iiif/3/{kind}.jp2/0,0,64,64/max/0/default.jpg" for kind in requests], 1)
        ask(cached[0], [path for paths in requests.values() for path in paths], 2)
        for number in clients:
            rows.append(measure("openjpeg", *openjpeg, requests["plain"], number))
            for kind, paths in requests.items():
                rows.append(measure(kind, *uncached, paths, number))
                rows.append(measure(f"{kind} cached", *cached, paths, number))
    return rows


def main() -> None:
    """Measure the servers, and the server's memory with --leak."""
    arguments = parser(__doc__)
    arguments.add_argument("--leak", type=int, default=0, metavar="REQUESTS", help="so many to see leaks, from 6000")
    arguments.add_argument("--only-leak", action="store_true", help="keep the other results that are in the file")
    options = arguments.parse_args()
    if (options.only_leak and not options.leak) or 0 < options.leak < 6000:
        arguments.error(f"--leak is {options.leak}, expected at least 6000: the slope is that of the second half")
    size, clients, count = (QUICK_SIZE, (2,), 3) if options.quick else (SIZE, CLIENTS, None)
    path = result_file(options, "iiif_server")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = make_files(folder, *size)
        if options.only_leak and path and path.exists():
            document = json.loads(path.read_text())
        else:
            document = {"image": size, "bpp": BPP, "model": model, "machine": machine("torch", "uvicorn")}
            document["rows"] = measure_all(folder, size, clients, count)
            keys = ("tiles_per_s", "p50_ms", "p95_ms", "cpu_ms")
            show(
                f"tiles of {TILE}, picture of {size[0]} x {size[1]}",
                ("path, clients", "tiles/s", "median ms", "95 % ms", "processor ms"),
                [(f"{r['path']}, {r['clients']}", *(str(r[key]) for key in keys)) for r in document["rows"]],
            )
            speed = {(row["path"], row["clients"]): row["tiles_per_s"] for row in document["rows"]}
            for number in clients:
                ratio = speed["plain", number] / speed["openjpeg", number]
                print(f"{number} clients: plain tiles at {ratio:.2f} times the rate of OpenJPEG alone")
            write_results(document, path)
        if options.leak:
            document["leak"] = leak(folder, size, options.leak)
            write_results(document, path)


if __name__ == "__main__":
    main()
