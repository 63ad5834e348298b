"""Bytes and requests that parts of a remote file cost.

    python benchmarks/bench_remote.py FOLDER... [--json results/benchmarks/bench_remote.json] [--no-wlic]

Pictures of 2048 x 2048 pixels: for every FOLDER a mosaic of sixteen crops of its photographs, and the first photograph
of the first FOLDER enlarged, which is as smooth as large scans are.  Each is coded as plain 9/7 carrier file with
precincts of 256 x 256 at about 1 bpp and served over HTTP on this machine.  Windows of 256 x 256 at random places are
read: as the file is, and (bytes only, from the packet index) as with the learned transform Hybrid(9/7)-U16 on luma or
on all components, whose synthesis sees further.  Reduced sizes are read with all layers and with fewer; their PSNR is
that against the same size of a file of 8 bpp.  The first mosaic is coded as `.wlic` of codec weconvene too, with tiles
of two sizes.  Shares are of the bytes of the file; `open_share` is paid once.
"""

from __future__ import annotations

import argparse
import http.server
import json
import re
import threading
from pathlib import Path
from typing import Any

import numpy as np

SIDE, CROP, WINDOW, PLACES = 2048, 512, 256, 24
LAYERS = (0.06, 0.125, 0.25, 0.35, 0.5, 0.7, 1.0)
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


def encode(pixels: np.ndarray, layers: tuple[float, ...] = LAYERS) -> bytes:
    """A carrier file without learned steps, of these bits per pixel, in precincts."""
    import torch

    from wavelic.codecs.carrier import encode_carrier, to_components
    from wavelic.jpeg2000 import EncodeOptions
    from wavelic.models.lifting import build_lifting

    budgets = [round(SIDE * SIDE / 8 * bpp) for bpp in layers]
    options = EncodeOptions(layer_bytes=budgets, precincts=(256, 256), progression="RPCL")
    with torch.inference_mode():
        coefficients = build_lifting("CDF-9/7").analysis(to_components(pixels), 5)
        return encode_carrier(coefficients, 8, options).data


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
    """What the windows cost, and whether they have the pixels of the whole."""
    shares, requests, equal = [], [], True
    for x, y in places():
        before, asked = file.source.bytes_read, file.source.requests
        window = file.read(region=(x, y, WINDOW, WINDOW))
        shares.append((file.source.bytes_read - before) / file.source.size)
        requests.append(file.source.requests - asked)
        equal &= bool((window == whole[y : y + WINDOW, x : x + WINDOW]).all())
    return {
        "windows": PLACES,
        "window_equals_crop": equal,
        "window_share_plain": statistics(shares),
        "requests_per_window": statistics(requests),
    }


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """dB of 8-bit samples."""
    return round(float(10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2))), 2)


def jpeg2000(web: Web, pixels: np.ndarray) -> dict[str, object]:
    """Opening, windows and reduced sizes of a carrier file."""
    import wavelic
    from wavelic.jpeg2000.partial import needed_packets
    from wavelic.models.lifting import build_lifting

    web.data = data = encode(pixels)
    file = wavelic.open(web.url)
    rows: dict[str, object] = {
        "bytes": len(data),
        "bpp": round(len(data) * 8 / SIDE**2, 4),
        "open_share": round(file.source.bytes_read / len(data), 4),
        **windows(file, wavelic.open(data).read()),
    }
    carrier = file.carrier
    for name, luma_only in (("learned_luma", True), ("learned_all", False)):
        reach = carrier._reach(build_lifting("Hybrid(9/7)-U16", luma_only=luma_only))
        sizes = []
        for x, y in places():
            chosen = needed_packets(carrier.layout, area=(x, y, WINDOW, WINDOW), reach=reach)
            sizes.append(float(carrier.layout.index.length[chosen].sum()) / len(data))
        rows[f"window_share_{name}"] = statistics(sizes)
    rows["reduce"] = {}
    fine = wavelic.open(encode(pixels, (8.0,)))
    for reduce in range(1, 6):
        reference = fine.read(reduce=reduce)
        chosen = needed_packets(carrier.layout, reduce=reduce)
        before = file.source.bytes_read
        file.read(reduce=reduce)
        rows["reduce"][str(reduce)] = {  # type: ignore[index]
            "share": round((file.source.bytes_read - before) / len(data), 4),
            "packets_share": round(float(carrier.layout.index.length[chosen].sum()) / len(data), 4),
            "ranges": len(carrier.layout.spans(chosen)),
            "share_by_layers": [
                round(file.read_bytes(reduce, layers) / len(data), 4) for layers in range(1, len(LAYERS) + 1)
            ],
            "psnr_by_layers": [
                psnr(file.read(reduce=reduce, layers=layers), reference) for layers in range(1, len(LAYERS) + 1)
            ],
        }
    tenth = len(data) // 10
    layers = file.layers_within(tenth, reduce=3)
    rows["reduce_3_within_a_tenth"] = {"layers": layers, "share": round(file.read_bytes(3, layers) / len(data), 4)}
    return rows


def wlic(web: Web, pixels: np.ndarray, tile: int) -> dict[str, object]:
    """Windows of a file of codec weconvene with tiles of that size; of most only the bytes, from the tile index."""
    import wavelic
    from wavelic.codecs.subband_planes import window_tiles
    from wavelic.codecs.weconvene import SmallEncoding, step_of_quality
    from wavelic.container import TileGrid
    from wavelic.models.small_deployed import load_small
    from wavelic.models.weights import family

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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER")
    parser.add_argument("--json", type=Path, default=Path("results/benchmarks/bench_remote.json"))
    parser.add_argument("--no-wlic", action="store_true", help="leave out codec weconvene, which takes longest")
    arguments = parser.parse_args()
    pictures = {f"mosaic {folder.name}": mosaic(folder) for folder in arguments.folders}
    first = next(iter(pictures.values()))
    pictures["enlarged"] = enlarged(first)
    web = Web()
    document: dict[str, object] = {"jpeg2000": {}, "wlic": []}
    for name, pixels in pictures.items():
        document["jpeg2000"][name] = jpeg2000(web, pixels)  # type: ignore[index]
        print(name, json.dumps(document["jpeg2000"][name], indent=1), flush=True)  # type: ignore[index]
    for tile in () if arguments.no_wlic else TILES:
        # moved, so that the borders of the mosaic are not those of tiles
        document["wlic"].append(wlic(web, np.roll(first, (200, 300), (0, 1)), tile))  # type: ignore[attr-defined]
        print(document["wlic"][-1], flush=True)  # type: ignore[index]
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
