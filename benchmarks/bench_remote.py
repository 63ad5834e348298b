"""Bytes and requests that parts of a remote file cost.

    python benchmarks/bench_remote.py FOLDER... [--json results/benchmarks/bench_remote.json] [--no-wlic]

Pictures of 2048 x 2048 pixels: for every FOLDER a mosaic of sixteen crops of its photographs, and the first photograph
of the first FOLDER enlarged, which is as smooth as large scans are.  Each is coded by codec lifting at 1 bpp with
`--access windows`, without learned steps, and the first mosaic with the installed weights too.
The files are served over HTTP on this machine.  Windows of 256 x 256 at random places are read, and (bytes only, from
the packet index) all those at multiples of 256 counted, which touch most precincts; and what windows would cost with
the installed weights.  Reduced sizes are read with all layers, an eighth with fewer too; their PSNR is that against
the same size of a file of 8 bpp, that of the full size against the picture.  What opening and
an eighth of the size of the first mosaic take at other rates is measured without learned steps as well (`rates`).  The
first mosaic is coded as `.wlic` of codec weconvene too, with tiles of two sizes.  Shares are of the bytes of the file;
`open_share` is paid once.
"""

from __future__ import annotations

import argparse
import http.server
import itertools
import json
import re
import threading
from pathlib import Path
from typing import Any

import numpy as np

SIDE, CROP, WINDOW, PLACES = 2048, 512, 256, 24
BPP, FINE = 1.0, 8.0
RATES = (0.5, 0.7, 1.5, 2.0)
TILES = (1024, 256)
QUALITY = 76


def mosaic(folder: Path) -> np.ndarray:
    """(SIDE, SIDE, 3): crops from the middles of photographs."""
    import wavelic

    crops: list[np.ndarray] = []
    for path in sorted(folder.iterdir()):
        pixels = wavelic.load_image(path).pixels
        y, x = (pixels.shape[0] - CROP) // 2, (pixels.shape[1] - CROP) // 2
        if min(y, x) >= 0 and pixels.shape[2] == 3:
            crops.append(pixels[y : y + CROP, x : x + CROP])
        if len(crops) == (SIDE // CROP) ** 2:
            break
    across = SIDE // CROP
    return np.concatenate([np.concatenate(crops[row * across : (row + 1) * across], 1) for row in range(across)])


def enlarged(pixels: np.ndarray) -> np.ndarray:
    """(SIDE, SIDE, 3): the first crop of a mosaic, four times as large."""
    from PIL import Image

    return np.asarray(Image.fromarray(pixels[:CROP, :CROP]).resize((SIDE, SIDE), Image.Resampling.LANCZOS))


def encode(pixels: np.ndarray, learned: bool = False, bpp: float = BPP) -> bytes:
    """A file of codec lifting of that rate."""
    import wavelic
    from wavelic.codec.options import Options
    from wavelic.lifting.encode import Encoding, product_transform
    from wavelic.lifting.jp2.box import NO_MODEL
    from wavelic.lifting.structures import build_lifting

    transform, model = product_transform()[:2] if learned else (build_lifting("CDF-9/7"), NO_MODEL)
    options = Options(access="windows")
    encoding = Encoding(wavelic.images.from_array(pixels), transform, model, options)
    return encoding.at_bytes(bpp * SIDE * SIDE / 8, exceed=True)


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
        self.url = f"http://127.0.0.1:{self.server.server_port}/"


def statistics(shares: list[float]) -> dict[str, float]:
    """Mean and extremes."""
    return {name: round(float(f(shares)), 4) for name, f in (("mean", np.mean), ("min", np.min), ("max", np.max))}


def places() -> list[tuple[int, int]]:
    """Left and top of the windows."""
    return [(int(x), int(y)) for x, y in np.random.default_rng(0).integers(0, SIDE - WINDOW, (PLACES, 2))]


def windows(file: Any, whole: np.ndarray) -> dict[str, object]:
    """What the windows cost, and by how much they differ from the pixels of the whole."""
    shares, requests, most, differ = [], [], 0, 0
    for x, y in places():
        before, asked = file.source.bytes_read, file.source.requests
        window = file.read(region=(x, y, WINDOW, WINDOW))
        shares.append((file.source.bytes_read - before) / file.source.size)
        requests.append(file.source.requests - asked)
        error = abs(window.astype(int) - whole[y : y + WINDOW, x : x + WINDOW])
        most, differ = max(most, int(error.max())), differ + int((error > 0).sum())
    return {
        "windows": PLACES,
        "window_error": {"max": most, "share_of_samples": round(differ / (PLACES * WINDOW**2 * 3), 6)},
        "window_share": statistics(shares),
        "requests_per_window": statistics(requests),
    }


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """dB of 8-bit samples."""
    return round(float(10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2))), 2)


def jpeg2000(web: Web, pixels: np.ndarray, learned: bool, fine: Any) -> dict[str, object]:
    """Opening, windows and reduced sizes of a file of codec lifting; ``fine``: one of the same transform, opened."""
    import wavelic
    from wavelic.jpeg2000.arrangement import WINDOWED
    from wavelic.jpeg2000.partial import needed_packets
    from wavelic.lifting.encode import product_transform

    web.data = data = encode(pixels, learned)
    file, whole = wavelic.open(web.url), wavelic.open(data).read()
    rows: dict[str, object] = {
        "bytes": len(data),
        "bpp": round(len(data) * 8 / SIDE**2, 4),
        "psnr": psnr(whole, pixels),
        "layers": len(file.layers),
        "precincts": [list(size) for size in WINDOWED.precincts],
        "open_share": round(file.source.bytes_read / len(data), 4),
        "open_and_reduce_3_share": round(file.reduced_bytes[3] / len(data), 4),
        **windows(file, whole),
    }
    layout = file.codestream.layout
    transforms = {"": file.transform(), "_learned": product_transform()[0]}
    aligned = [(x, y) for y in range(0, SIDE, WINDOW) for x in range(0, SIDE, WINDOW)]
    for (name, transform), (kind, corners) in itertools.product(
        transforms.items(), {"window_share": places(), "aligned_window_share": aligned}.items()
    ):
        sizes = []
        for x, y in corners:
            ranges = file.packet_ranges(transform, file.request(region=(x, y, WINDOW, WINDOW)))
            sizes.append(sum(stop - start for start, stop in ranges) / len(data))
        rows.setdefault(kind + name, statistics(sizes))
    rows["reduce"] = {}
    for reduce in range(1, 6):
        chosen = needed_packets(layout, reduce=reduce)
        before = file.source.bytes_read
        small = file.read(reduce=reduce)
        rows["reduce"][str(reduce)] = {  # type: ignore[index]
            "share": round((file.source.bytes_read - before) / len(data), 4),
            "packets_share": round(float(layout.index.length[chosen].sum()) / len(data), 4),
            "ranges": len(layout.spans(chosen)),
            "psnr": psnr(small, fine.read(reduce=reduce)),
        }
    reference, counts = fine.read(reduce=3), range(1, len(file.layers) + 1)
    within = file.layers_within(len(data) // 10, reduce=3)
    rows["reduce_3"] = {
        "share_by_layers": [round(file.read_bytes(3, layers) / len(data), 4) for layers in counts],
        "psnr_by_layers": [psnr(file.read(reduce=3, layers=layers), reference) for layers in counts],
        "layers_within_a_tenth": within,
    }
    return rows


def rates(pixels: np.ndarray) -> list[dict[str, object]]:
    """What an eighth of the size takes at several rates, and the PSNR of the full picture, without learned steps."""
    import wavelic
    from wavelic.lifting.jp2.opening import open_jp2

    rows: list[dict[str, object]] = []
    for bpp in RATES:
        data = encode(pixels, bpp=bpp)
        share = (open_jp2(data).reduced_bytes[3] or 0) / len(data)
        rows.append(
            {
                "bpp": round(len(data) * 8 / SIDE**2, 4),
                "open_and_reduce_3_share": round(share, 4),
                "psnr": psnr(wavelic.open(data).read(), pixels),
            }
        )
        print(rows[-1], flush=True)
    return rows


def wlic(web: Web, pixels: np.ndarray, tile: int) -> dict[str, object]:
    """Windows of a file of codec weconvene with tiles of that size; of most only the bytes, from the tile index."""
    import wavelic
    from wavelic.codec.weights import family
    from wavelic.container import TileGrid
    from wavelic.weconvene.files import SmallEncoding, step_of_quality
    from wavelic.weconvene.planes import window_tiles
    from wavelic.weconvene.weights import load_small

    card = next(card for card in family("weconvene") if card.name == "weconvene-s")
    model = load_small(card)
    web.data = data = SmallEncoding(wavelic.images.from_array(pixels), model, tile=tile).file(step_of_quality(QUALITY))
    file = wavelic.open(web.url)
    opened = file.source.bytes_read
    sizes = []
    for x, y in places():
        tiles = window_tiles(TileGrid.of(file.header), (x, y, WINDOW, WINDOW), model.network.plan)
        sizes.append(sum(file.outline.tiles[index].size for index in tiles) / len(data))
    region = (*places()[0], WINDOW, WINDOW)
    equal = bool((file.read(region=region) == wavelic.open(data).read(region=region)).all())
    assert abs((file.source.bytes_read - opened) / len(data) - sizes[0]) < 0.01
    return {
        "tile": tile,
        "bytes": len(data),
        "bpp": round(len(data) * 8 / SIDE**2, 4),
        "open_share": round(opened / len(data), 4),
        "window_equals_local": equal,
        "window_share": statistics(sizes),
    }


def main() -> None:
    """Measure and write the tables."""
    import wavelic

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER")
    parser.add_argument("--json", type=Path, default=Path("results/benchmarks/bench_remote.json"))
    parser.add_argument(
        "--no-wlic", action="store_true", help="keep the rows of codec weconvene, which take longest, as they are"
    )
    arguments = parser.parse_args()
    pictures = {f"mosaic {folder.name}": mosaic(folder) for folder in arguments.folders}
    first = next(iter(pictures.values()))
    pictures["enlarged"] = enlarged(first)
    web = Web()
    document: dict[str, object] = {"jpeg2000": {}, "wlic": []}
    if arguments.no_wlic and arguments.json.exists():
        document["wlic"] = json.loads(arguments.json.read_text())["wlic"]
    for name, learned in [*((name, False) for name in pictures), (next(iter(pictures)), True)]:
        pixels, title = pictures[name], name + (", learned" if learned else "")
        fine = wavelic.open(encode(pixels, learned, FINE))
        document["jpeg2000"][title] = rows = jpeg2000(web, pixels, learned, fine)  # type: ignore[index]
        print(title, json.dumps(rows, indent=1), flush=True)
    document["rates"] = rates(first)
    for tile in () if arguments.no_wlic else TILES:
        # moved, so that the borders of the mosaic are not those of tiles
        document["wlic"].append(wlic(web, np.roll(first, (200, 300), (0, 1)), tile))  # type: ignore[attr-defined]
        print(document["wlic"][-1], flush=True)  # type: ignore[index]
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
