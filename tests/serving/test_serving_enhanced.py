"""Enhanced decoding through the server and in the viewer: offered where a file allows it, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
from browsing import chromium
from enhance_support import save_random_weights
from paths import JPEG2000_DATA
from serving_support import RunningServer, learned_jp2, photograph, plain_jp2, running

import wavelic
from wavelic.api.files import Options, encode_image
from wavelic.codec.target import Target
from wavelic.images import from_array
from wavelic.jpeg2000 import EncodeOptions
from wavelic.serving.site import Site

OLD = "old scan.jp2"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Files of other software, of codec jp2 that is meant to be enhanced, of codec lifting; with random weights."""
    base = tmp_path_factory.mktemp("enhanced")
    root, weights = base / "Scans", base / "weights"
    root.mkdir()
    weights.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WAVELIC_WEIGHTS", str(weights))
        save_random_weights(weights)
        pixels = photograph(130, 180).astype(np.uint8)
        options = EncodeOptions(colour_transform=True, layer_bytes=(900, 2500))
        (root / OLD).write_bytes(plain_jp2(pixels, options))
        meant = encode_image(from_array(pixels), "jp2", Target("bpp", 1.0), Options(enhance=True))
        (root / "meant.jp2").write_bytes(meant.data)
        (root / "learned.jp2").write_bytes(learned_jp2(weights, pixels, (2000,)))
        (root / "palette.jp2").write_bytes((JPEG2000_DATA / "palette.jp2").read_bytes())
        yield root


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[RunningServer]:
    with running(Site(folder)) as running_server:
        yield running_server


def near(got: np.ndarray, expected: np.ndarray) -> None:
    """The same but for the rounding of convolutions of another size."""
    assert got.shape == expected.shape
    assert abs(got.astype(int) - expected).max() <= 1


def test_what_is_offered(server: RunningServer) -> None:
    offered = {
        name: server.json(f"/api/images/{quote(name)}")["decodes"] for name in server.json("/api/images")["images"]
    }
    learned = ["stock", "enhanced"]
    assert offered == {OLD: ["enhanced"], "meant.jp2": ["stock"], "learned.jp2": learned, "palette.jp2": []}


def test_pictures(server: RunningServer, folder: Path) -> None:
    file = wavelic.open(folder / OLD)
    for service, expected in (
        ("3", file.read()),
        ("3;decode=enhanced", file.read(enhance=True)),
        ("3;layers=1;decode=enhanced", file.read(layers=1, enhance=True)),
        ("2;decode=enhanced", file.read(enhance=True)),
    ):
        got = server.get(f"/iiif/{service}/old%20scan.jp2/full/max/0/default.png").pixels
        near(got, expected)
    assert (file.read() != file.read(enhance=True)).mean() > 0.3
    part = server.get("/iiif/3;decode=enhanced/old%20scan.jp2/64,32,64,64/32,/0/default.png").pixels
    near(part, file.read(reduce=1, enhance=True)[16:48, 32:64])
    learned = wavelic.open(folder / "learned.jp2")
    for service, expected in (("3", learned.read()), ("3;decode=enhanced", learned.read(enhance=True))):
        near(server.get(f"/iiif/{service}/learned.jp2/full/max/0/default.png").pixels, expected)
    assert (learned.read() != learned.read(enhance=True)).mean() > 0.3
    meant = wavelic.open(folder / "meant.jp2")
    for service, expected in (("3", meant.read()), ("3;decode=stock", meant.read(enhance=False))):
        got = server.get(f"/iiif/{service}/meant.jp2/full/max/0/default.png").pixels
        near(got, expected)


def test_where_it_is_not_possible_the_picture_is_the_plain_one(server: RunningServer) -> None:
    for name in ("meant.jp2", "palette.jp2"):
        plain = server.get(f"/iiif/3/{name}/full/max/0/default.png")
        asked = server.get(f"/iiif/3;decode=enhanced/{name}/full/max/0/default.png")
        assert (asked.body, asked.headers["etag"]) == (plain.body, plain.headers["etag"])


def test_ranges_of_an_enhanced_tile_hold_what_it_is_decoded_from(server: RunningServer, folder: Path) -> None:
    size = (folder / OLD).stat().st_size
    ranges = server.json("/api/ranges/old%20scan.jp2/e0.0.0.0")["ranges"]
    assert ranges[0][0] == 0
    assert ranges[-1][1] >= size - 2


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


def test_the_switch(browser: Any, server: RunningServer) -> None:
    page = browser.new_page(viewport={"width": 1200, "height": 760})
    page.set_default_timeout(120_000)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    idle = "name => document.body.dataset.open === name && document.body.dataset.busy === 'false'"
    page.goto(f"http://127.0.0.1:{server.port}/#image=old+scan.jp2")
    page.wait_for_function(idle, arg=OLD)
    assert page.is_visible("#enhance")
    assert not page.is_checked("#enhance")  # off unless asked for
    assert not [url for url in asked if "decode=enhanced" in url]
    page.check("#enhance")
    page.wait_for_function("() => location.hash.includes('enhance=1')")
    page.wait_for_function(idle, arg=OLD)
    assert [url for url in asked if "/iiif/3;decode=enhanced/" in url]
    page.select_option("#compare", "plain")
    page.wait_for_function("() => location.hash.includes('with=plain')")
    assert (page.inner_text("#tag-left"), page.inner_text("#tag-right")) == ("enhanced", "not enhanced")
    page.keyboard.press("Escape")
    page.focus("#layers")
    page.keyboard.press("e")
    page.wait_for_function("() => !location.hash.includes('enhance')")
    assert page.is_hidden("#divider")
    for name in ("palette.jp2", "meant.jp2"):
        page.goto(f"http://127.0.0.1:{server.port}/#image={name}&enhance=1")
        page.wait_for_function(idle, arg=name)
        assert page.is_hidden("#enhance")
        assert "enhance" not in page.evaluate("() => location.hash")
    page.close()
