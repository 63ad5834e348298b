"""Bytes and requests that parts of a remote file cost.

    python -m benchmarks.speed.remote_reads [--quick] [--images FOLDER...] [--json FILE]

Pictures of 2048 x 2048 pixels: for every FOLDER a mosaic of sixteen crops of its photographs, and one crop enlarged,
which is as smooth as large scans are.  Each is coded as ordinary JPEG 2000 at 1 bpp in the order of `--access windows`,
and the first mosaic by codec lifting too.  The files are served over HTTP on this machine.  Windows of 256 x 256 are
read at random places, and all those at multiples of 256, which touch most precincts.  Reduced sizes are read with all
layers, an eighth with fewer too; their PSNR is that against the same size of a file of 8 bpp, that of the full size
against the picture.  The first mosaic is coded by codec weconvene too, in one piece and with `--access windows`.
Shares are of the bytes of the file; `open_share` is paid once.
"""

from __future__ import annotations

import http.server
import re
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import wavelic
from benchmarks.measuring import parser, result_file, show, write_results
from benchmarks.pictures import Pixels, mosaic, psnr
from wavelic.jpeg2000 import EncodeOptions, encode_codestream, write_jp2
from wavelic.jpeg2000.arrangement import WINDOWED

SIDE, CROP, WINDOW, PLACES = 2048, 512, 256, 24
BPP, FINE, LAYERS = 1.0, 8.0, 6
QUALITY = 50  # above 57 all files have small tiles


def enlarged(pixels: Pixels) -> Pixels:
    """The first crop of a mosaic, as large as the mosaic."""
    side = len(pixels)
    return np.asarray(Image.fromarray(pixels[:CROP, :CROP]).resize((side, side), Image.Resampling.LANCZOS))


def encode(pixels: Pixels, learned: bool, bpp: float = BPP) -> bytes:
    """A JPEG 2000 file for reading windows, of codec lifting or an ordinary one."""
    if learned:
        return wavelic.encode(pixels, "lifting", bpp=bpp, access="windows")
    options = EncodeOptions(
        colour_transform=True,
        layer_bytes=WINDOWED.layer_bytes(bpp * pixels[..., 0].size / 8, LAYERS),
        precincts=WINDOWED.precincts,
        progression=WINDOWED.progression,
    )
    return write_jp2(encode_codestream(list(pixels.transpose(2, 0, 1).astype(np.int32)), 8, options))


class Web:
    """A web server with ranges for one file at a time."""

    def __init__(self) -> None:
        owner = self
        self.data = b""

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                match = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers["Range"])
                assert match
                start, stop = int(match[1]), min(int(match[2]) + 1, len(owner.data))
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(owner.data)}")
                self.end_headers()
                self.wfile.write(owner.data[start:stop])

            def log_message(self, *args: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def open(self, data: bytes) -> Any:
        """Open ``data`` over HTTP; the file's ``source`` counts bytes and requests."""
        self.data = data
        return wavelic.open(f"http://127.0.0.1:{self.server.server_port}/")


def statistics(values: list[float]) -> dict[str, float]:
    """Mean and extremes."""
    return {name: round(float(f(values)), 4) for name, f in (("mean", np.mean), ("min", np.min), ("max", np.max))}


def random_corners(side: int) -> list[tuple[int, int]]:
    """Left and top of windows at random places."""
    return [(int(x), int(y)) for x, y in np.random.default_rng(0).integers(0, side - WINDOW, (PLACES, 2))]


def aligned_corners(side: int) -> list[tuple[int, int]]:
    """Left and top of the windows at multiples of their size."""
    return [(x, y) for y in range(0, side, WINDOW) for x in range(0, side, WINDOW)]


def windows(file: Any, whole: Pixels, corners: Iterable[tuple[int, int]]) -> dict[str, Any]:
    """Shares of the file, requests, and differences from the pixels of the whole, of windows at ``corners``."""
    shares, requests, most, differ = [], [], 0, []
    for x, y in corners:
        before, asked = file.source.bytes_read, file.source.requests
        window = file.read(region=(x, y, WINDOW, WINDOW))
        shares.append((file.source.bytes_read - before) / file.source.size)
        requests.append(file.source.requests - asked)
        error = abs(window.astype(int) - whole[y : y + WINDOW, x : x + WINDOW])
        most = max(most, int(error.max()))
        differ.append(float((error > 0).mean()))
    return {
        "share": statistics(shares),
        "requests": statistics(requests),
        "error": {"max": most, "share_of_samples": round(float(np.mean(differ)), 6)},
    }


def jpeg2000(web: Web, pixels: Pixels, learned: bool) -> dict[str, Any]:
    """Opening, windows and reduced sizes of a JPEG 2000 file."""
    data, fine = encode(pixels, learned), wavelic.open(encode(pixels, learned, FINE))
    file, whole = web.open(data), wavelic.decode(data)
    opened = file.source.bytes_read
    at_random = windows(file, whole, random_corners(len(pixels)))
    aligned = windows(file, whole, aligned_corners(len(pixels)))
    rows: dict[str, Any] = {
        "bytes": len(data),
        "bpp": round(len(data) * 8 / whole[..., 0].size, 4),
        "psnr": round(psnr(whole, pixels), 2),
        "layers": len(file.layers),
        "precincts": [list(size) for size in WINDOWED.precincts],
        "open_share": round(opened / len(data), 4),
        "open_and_reduce_3_share": round((opened + file.read_bytes(3)) / len(data), 4),
        "windows": PLACES,
        "window_share": at_random["share"],
        "window_error": at_random["error"],
        "requests_per_window": at_random["requests"],
        "aligned_window_share": aligned["share"],
        "reduce": {
            str(reduce): {
                "share": round(file.read_bytes(reduce) / len(data), 4),
                "psnr": round(psnr(file.read(reduce=reduce), fine.read(reduce=reduce)), 2),
            }
            for reduce in range(1, 6)
        },
    }
    reference, counts = fine.read(reduce=3), range(1, len(file.layers) + 1)
    rows["reduce_3"] = {
        "share_by_layers": [round(file.read_bytes(3, layers) / len(data), 4) for layers in counts],
        "psnr_by_layers": [round(psnr(file.read(reduce=3, layers=n), reference), 2) for n in counts],
        "layers_within_a_tenth": file.layers_within(len(data) // 10, reduce=3),
    }
    return rows


def wlic(web: Web, pixels: Pixels, access: str) -> dict[str, Any]:
    """Windows of a file of codec weconvene; those at random places, of which one also from the bytes in memory."""
    data = wavelic.encode(pixels, "weconvene", quality=QUALITY, access=access)
    file = web.open(data)
    opened, (x, y) = file.source.bytes_read, random_corners(len(pixels))[0]
    found = windows(file, wavelic.decode(data), random_corners(len(pixels)))
    region = (x, y, WINDOW, WINDOW)
    return {
        "title": f"`--access {access}`",
        "bytes": len(data),
        "bpp": round(len(data) * 8 / pixels[..., 0].size, 4),
        "open_share": round(opened / len(data), 4),
        "window_equals_local": bool((file.read(region=region) == wavelic.open(data).read(region=region)).all()),
        "window_share": found["share"],
    }


def main() -> None:
    """Measure and show."""
    arguments = parser(__doc__)
    arguments.add_argument("--images", type=Path, nargs="+", default=[None], metavar="FOLDER")
    options = arguments.parse_args()
    side = 768 if options.quick else SIDE
    names = {f"mosaic {folder.name if folder else 'demo'}": folder for folder in options.images}
    pictures = {name: mosaic(side, side, CROP, folder) for name, folder in names.items()}
    first, pixels = next(iter(pictures.items()))
    if not options.quick:
        pictures["enlarged"] = enlarged(pixels)
    web = Web()
    files = {name: jpeg2000(web, picture, False) for name, picture in pictures.items()}
    files[f"{first}, learned"] = jpeg2000(web, pixels, True)
    # moved, so that the borders of the mosaic are not those of tiles
    moved = np.roll(pixels, (200, 300), (0, 1))
    tiled = [wlic(web, moved, access) for access in ("whole", "windows")]
    rows = [*files.items(), *((f"weconvene, {row['title']}", row) for row in tiled)]
    show(
        f"{side} x {side} pixels: shares of the file",
        ("file", "bpp", "opening", f"window of {WINDOW}: mean", "least", "most", "opening and reduce=3"),
        [
            (name, f"{row['bpp']:.3f}", f"{row['open_share']:.1%}",
             *(f"{row['window_share'][key]:.1%}" for key in ("mean", "min", "max")),
             f"{row['open_and_reduce_3_share']:.1%}" if "reduce" in row else "")
            for name, row in rows
        ],
    )  # fmt: skip
    write_results({"jpeg2000": files, "wlic": tiled}, result_file(options, "remote_reads"))


if __name__ == "__main__":
    main()
