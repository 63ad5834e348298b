"""Bytes and requests that parts of a remote file cost.

    python benchmarks/bench_remote.py FOLDER [--json results/benchmarks/bench_remote.json]

A mosaic of 2048 x 2048 pixels, sixteen crops of the photographs in FOLDER, is coded as plain 9/7 carrier file with
precincts of 256 x 256 at about 1 bpp and served over HTTP on this machine.  Windows of 256 x 256 at random places are
read: as the file is, and (bytes only, from the packet index) as with the learned transform Hybrid(9/7)-U16 on luma or
on all components, whose synthesis sees further.  Shares are of the bytes of the file; `open_share` is paid once.
"""

from __future__ import annotations

import argparse
import http.server
import json
import re
import threading
import time
from pathlib import Path

import numpy as np

SIDE, CROP, WINDOW, PLACES = 2048, 512, 256, 24


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


def encode(pixels: np.ndarray) -> bytes:
    """A carrier file without learned steps, 1 bpp in 7 layers, in precincts."""
    import torch

    from wavelic.codecs.carrier import encode_carrier, to_components
    from wavelic.jpeg2000 import EncodeOptions
    from wavelic.models.lifting import build_lifting

    layers = [round(SIDE * SIDE / 8 * bpp) for bpp in (0.06, 0.125, 0.25, 0.35, 0.5, 0.7, 1.0)]
    options = EncodeOptions(layer_bytes=layers, precincts=(256, 256), progression="RPCL")
    with torch.inference_mode():
        coefficients = build_lifting("CDF-9/7").analysis(to_components(pixels), 5)
        return encode_carrier(coefficients, 8, options).data


def serve(data: bytes) -> tuple[http.server.ThreadingHTTPServer, str]:
    """A web server for ``data`` with ranges, and its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            match = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers["Range"])
            assert match
            start, stop = int(match[1]), min(int(match[2]) + 1, len(data))
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(data)}")
            self.end_headers()
            self.wfile.write(data[start:stop])

        def log_message(self, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, f"http://127.0.0.1:{server.server_port}/"


def statistics(shares: list[float]) -> dict[str, float]:
    """Mean and extremes."""
    return {name: round(float(f(shares)), 4) for name, f in (("mean", np.mean), ("min", np.min), ("max", np.max))}


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--json", type=Path, default=Path("results/benchmarks/bench_remote.json"))
    arguments = parser.parse_args()
    import wavelic
    from wavelic.jpeg2000.partial import needed_packets
    from wavelic.models.lifting import build_lifting

    data = encode(mosaic(arguments.folder))
    server, url = serve(data)
    file = wavelic.open(url)
    opened = file.source.bytes_read
    whole = wavelic.open(data).read()
    random = np.random.default_rng(0)
    places = random.integers(0, SIDE - WINDOW, (PLACES, 2)).tolist()
    shares, requests, seconds, equal = [], [], [], True
    for x, y in places:
        before, asked, started = file.source.bytes_read, file.source.requests, time.perf_counter()
        window = file.read(region=(x, y, WINDOW, WINDOW))
        seconds.append(time.perf_counter() - started)
        shares.append((file.source.bytes_read - before) / len(data))
        requests.append(file.source.requests - asked)
        equal &= bool((window == whole[y : y + WINDOW, x : x + WINDOW]).all())
    carrier = file.carrier
    rows: dict[str, object] = {
        "bytes": len(data),
        "bpp": round(len(data) * 8 / SIDE**2, 4),
        "open_share": round(opened / len(data), 4),
        "windows": PLACES,
        "window_equals_crop": equal,
        "window_share_plain": statistics(shares),
        "requests_per_window": statistics(requests),
        "median_seconds_per_window": round(float(np.median(seconds)), 4),
    }
    for name, luma_only in (("learned_luma", True), ("learned_all", False)):
        reach = carrier._reach(build_lifting("Hybrid(9/7)-U16", luma_only=luma_only))
        sizes = []
        for x, y in places:
            chosen = needed_packets(carrier.layout, area=(x, y, WINDOW, WINDOW), reach=reach)
            sizes.append(float(carrier.layout.index.length[chosen].sum()) / len(data))
        rows[f"window_share_{name}"] = statistics(sizes)
    rows["reduce_share"] = {}
    for reduce in range(1, 6):
        before = file.source.bytes_read
        file.read(reduce=reduce)
        rows["reduce_share"][str(reduce)] = round((file.source.bytes_read - before) / len(data), 4)  # type: ignore[index]
    rows["reduce_3_share_by_layers"] = {}
    for layers in range(1, len(file.layers) + 1):
        chosen = needed_packets(carrier.layout, reduce=3, max_layers=layers)
        share = float(carrier.layout.index.length[chosen].sum()) / len(data)
        rows["reduce_3_share_by_layers"][str(layers)] = round(share, 4)  # type: ignore[index]
    server.shutdown()
    print(json.dumps(rows, indent=1))
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
