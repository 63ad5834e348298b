"""A web server that can be told to misbehave, and files for it: what the tests of remote reading share."""

from __future__ import annotations

import hashlib
import http.server
import re
import threading
import time
from types import TracebackType
from typing import Self

import numpy as np
from pictures import picture

from wavelic.jpeg2000 import EncodeOptions
from wavelic.lifting.jp2.pseudo_image import encode_carrier, to_components
from wavelic.lifting.transform.transform import build_lifting
from wavelic.remote import Policy

FAST = Policy(timeout=0.5, deadline=3.0, attempts=3, pause=0.01)
DATA = np.random.default_rng(0).integers(0, 256, 40_000, np.uint8).tobytes()


class Server:
    """A web server for one file that can be told to misbehave.

    ranges: serve them.  cut: end the next so many answers early.  fail: answer the next so many with `status`.
    stall: seconds to wait before each answer.  served: the (start, stop) of every answer.
    """

    def __init__(self, data: bytes) -> None:
        self.data, self.ranges, self.cut, self.fail, self.status, self.stall = data, True, 0, 0, 503, 0.0
        self.served: list[tuple[int, int]] = []
        self.headers: dict[str, str] = {}
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                owner.answer(self)

            def log_message(self, *args: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/a%20b.jp2"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.server.shutdown()
        self.server.server_close()

    def answer(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        time.sleep(self.stall)
        if self.fail:
            self.fail -= 1
            handler.send_error(self.status)
            return
        data = self.data
        match = re.fullmatch(r"bytes=(\d+)-(\d+)", handler.headers.get("Range", ""))
        start, stop = 0, len(data)
        if match and self.ranges:
            start, stop = int(match[1]), min(int(match[2]) + 1, len(data))
            handler.send_response(206)
            handler.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(data)}")
        else:
            handler.send_response(200)
        for name, value in {"ETag": f'"{hashlib.md5(data).hexdigest()}"', **self.headers}.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(stop - start))
        handler.end_headers()
        self.served.append((start, stop))
        if self.cut:
            self.cut -= 1
            handler.wfile.write(data[start : (start + stop) // 2])
            handler.close_connection = True
            return
        handler.wfile.write(data[start:stop])


def coded(
    side: int = 512,
    precincts: tuple[tuple[int, int], ...] = ((64, 64),),
    layer_bpp: tuple[float, ...] = (0.1, 0.3, 1.0),
) -> bytes:
    """A JP2 file of wavelic's own without learned steps, of ``side`` rows and 5 columns less."""
    pixels = np.stack([picture(side, side - 5, 8, seed) for seed in range(3)], -1).astype(np.uint8)
    coefficients = build_lifting("CDF-9/7").analysis(to_components(pixels), 5)
    layers = [round(side * side / 8 * bpp) for bpp in layer_bpp]
    how = EncodeOptions(layer_bytes=layers, precincts=precincts, progression="RPCL")
    return encode_carrier(coefficients, 8, how).data
