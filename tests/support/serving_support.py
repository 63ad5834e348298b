"""A folder of pictures, a IIIF server for it on loopback, and its answers: what the tests of serving share."""

from __future__ import annotations

import http.client
import io
import json
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from lifting_transforms import random_transform
from paths import GOLDEN
from pictures import picture
from PIL import Image

from wavelic.codec.jp2_box import NO_MODEL
from wavelic.codec.weights import cards
from wavelic.jpeg2000 import EncodeOptions, encode_codestream, write_jp2
from wavelic.lifting.cards import lifting_id
from wavelic.lifting.jp2.pseudo_image import encode_coefficients
from wavelic.lifting.jp2.samples import to_components
from wavelic.lifting.structures import build_lifting
from wavelic.lifting.weights import load_lifting_card, save_lifting
from wavelic.serving.app import Application, Settings
from wavelic.serving.proxy import THIS_MACHINE
from wavelic.serving.server import listen, make_server
from wavelic.serving.site import Site

VALIDATED = "67352ccc-d1b0-11e1-89ae-279075081939.jp2"  # the validator escapes the hyphens of the name
AWKWARD = [(1, 1), (1, 700), (513, 1), (511, 513), (1023, 767), (1025, 640), (1537, 530), (37, 1200)]
torch.set_num_threads(1)


def plain_jp2(pixels: np.ndarray, options: EncodeOptions | None = None, bits: int = 8, **boxes: object) -> bytes:
    """An ordinary JPEG 2000 file of (H, W, C) samples."""
    options = options or EncodeOptions(colour_transform=pixels.shape[2] == 3)
    codestream = encode_codestream(list(pixels.transpose(2, 0, 1).astype(np.int32)), bits, options)
    boxes.setdefault("colour", 16 if pixels.shape[2] >= 3 else 17)
    return write_jp2(codestream, **boxes)  # type: ignore[arg-type]


def photograph(height: int, width: int, channels: int = 3, bits: int = 8) -> np.ndarray:
    return np.stack([picture(height, width, bits, seed) for seed in range(channels)], -1)


def learned_jp2(folder: Path, pixels: np.ndarray, layer_bytes: tuple[float, ...] = ()) -> bytes:
    """A file of a transform with random learned steps, whose weights are put into ``folder``."""
    if not (folder / "trial.json").exists():
        transform = random_transform("Hybrid(9/7)-U16", 0.08, torch.float32)
        save_lifting(folder / "trial", "Hybrid(9/7)-U16", transform.state_dict(), {}, family="trial")
    card = next(c for c in cards() if c.name == "trial")
    with torch.no_grad():
        coefficients = load_lifting_card(card).analysis(to_components(pixels), 5)
    return encode_coefficients(coefficients, 8, EncodeOptions(layer_bytes=layer_bytes), model=lifting_id(card))


@dataclass
class Answer:
    """Status, headers by lower-case name, body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def pixels(self) -> np.ndarray:
        return np.asarray(Image.open(io.BytesIO(self.body)))


@dataclass
class RunningServer:
    """A server on a free port of the loopback interface."""

    port: int
    app: Application

    def get(self, path: str, method: str = "GET", **headers: str) -> Answer:
        """The answer to a request for exactly ``path``."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            connection.putrequest(method, path, skip_host="Host" in headers, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name.replace("_", "-"), value)
            connection.endheaders()
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def json(self, path: str) -> dict:
        answer = self.get(path)
        assert answer.status == 200, answer
        return json.loads(answer.body)


@contextmanager
def running(
    site: Site, settings: Settings | None = None, trusted: str = THIS_MACHINE, **socket_options: int
) -> Iterator[RunningServer]:
    app = Application(site, settings)
    server = make_server(app, trusted)
    bound = listen("127.0.0.1", 0)
    for option, value in socket_options.items():
        bound.setsockopt(socket.SOL_SOCKET, getattr(socket, option), value)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
    port = bound.getsockname()[1]
    thread.start()
    try:
        yield RunningServer(port, app)
    finally:
        server.should_exit = True
        thread.join(60)
        assert not thread.is_alive()


@contextmanager
def pictures(base: Path, sizes: Sequence[tuple[int, int]] = AWKWARD) -> Iterator[Path]:
    """A folder "Photographs": learned, gray of 16 bits, `.wlic`, and plain JPEG 2000 files of these (width, height)."""
    weights, root = base / "weights", base / "Photographs"
    weights.mkdir()
    (root / "sub folder").mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WAVELIC_WEIGHTS", str(weights))
        (root / "learned.jp2").write_bytes(learned_jp2(weights, photograph(530, 700).astype(np.uint8), (3e3, 1e4, 6e4)))
        (root / "sub folder" / "gray, 16 & 100%.jp2").write_bytes(plain_jp2(photograph(90, 120, 1, 16), bits=16))
        shutil.copy(GOLDEN / "v1-wcae-rgba.wlic", root / "rgba.wlic")
        shutil.copy(GOLDEN / "v1-wcae-gray.wlic", root / "gray.wlic")
        for width, height in sizes:
            pixels = photograph(height, width)
            (root / f"awkward-{width}x{height}.jp2").write_bytes(plain_jp2(pixels, EncodeOptions(layer_bytes=(4e4,))))
        yield root


def viewer_tiles(info: dict) -> Iterator[tuple[int, tuple[int, int, int, int], tuple[int, int], str]]:
    """Every tile OpenSeadragon asks for, from info.json alone: level, box in it, its size, and the request.

    Its `IIIFTileSource` counts levels by the scale factors, rounds their sizes up, and asks for the whole image where a
    level is smaller than a tile both ways.
    """
    width, height = info["width"], info["height"]
    tile = info["tiles"][0]["width"]
    for level, factor in enumerate(info["tiles"][0]["scaleFactors"]):
        w, h = -(-width // factor), -(-height // factor)
        if w < tile and h < tile:
            size = "max" if (w, h) == (width, height) else f"{w},{h}"
            yield level, (0, 0, w, h), (w, h), f"full/{size}"
            continue
        for top in range(0, h, tile):
            for left in range(0, w, tile):
                x, y = left * factor, top * factor
                part = min(tile * factor, width - x), min(tile * factor, height - y)
                got = min(tile, w - left), min(tile, h - top)
                region = "full" if part == (width, height) else f"{x},{y},{part[0]},{part[1]}"
                size = "max" if got == (width, height) else f"{got[0]},{got[1]}"
                yield level, (left, top, *got), got, f"{region}/{size}"


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    """Until it comes to pass."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)


def validator_picture() -> bytes:
    """The validator's test image, 10 x 10 squares of known colours, in a file of ours."""
    module = pytest.importorskip("iiif_validator.validator", exc_type=ImportError)  # it needs libmagic
    colours = np.array(module.ValidationInfo().colorInfo, np.uint8).transpose(1, 0, 2)
    pixels = np.repeat(np.repeat(colours, 100, 0), 100, 1)
    with torch.no_grad():
        coefficients = build_lifting("CDF-9/7").analysis(to_components(pixels), 5)
    return encode_coefficients(coefficients, 8, EncodeOptions(), model=NO_MODEL)


def validate(port: int, version: int, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the validator of the IIIF consortium against a server that has `VALIDATED`."""
    script = Path(sys.executable).with_name("iiif-validate.py")
    where = ["-s", f"localhost:{port}", "-p", f"iiif/{version}", "-i", VALIDATED, f"--version={version}.0"]
    return subprocess.run([sys.executable, str(script), *where, *options], capture_output=True, text=True, timeout=300)
