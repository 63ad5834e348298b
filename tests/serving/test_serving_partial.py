"""Files that are cut short or still arriving: an error, or shown as far as they are there where that is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
from browsing import chromium
from paths import GOLDEN
from serving_support import photograph, plain_jp2, running

import wavelic
from wavelic.jpeg2000 import EncodeOptions
from wavelic.serving.site import Site


@pytest.fixture
def whole(tmp_path: Path) -> bytes:
    """A file of three layers; its first 45 % are in the folder, and half of a `.wlic` file, which has no beginnings."""
    options = EncodeOptions(colour_transform=True, layer_bytes=(2e3, 8e3, 3e4), progression="LRCP")
    data = plain_jp2(photograph(200, 300), options)
    (tmp_path / "a.jp2").write_bytes(data[: 45 * len(data) // 100])
    (tmp_path / "head only.jp2").write_bytes(data[:60])
    golden = (GOLDEN / "v1-wcae-gray.wlic").read_bytes()
    (tmp_path / "half.wlic").write_bytes(golden[: len(golden) // 2])
    return data


def test_without_the_option_it_is_an_error(tmp_path: Path, whole: bytes) -> None:
    with running(Site(tmp_path)) as server:
        assert server.json("/api/images")["images"] == []
        for path in ("info.json", "full/max/0/default.jpg"):
            assert server.get(f"/iiif/3/a.jp2/{path}").status == 500


def test_what_is_there_is_shown(tmp_path: Path, whole: bytes) -> None:
    with running(Site(tmp_path, partial=True)) as server:
        listed = server.json("/api/images")
        assert (listed["images"], len(listed["refused"])) == (["a.jp2"], 2)
        details = server.json("/api/images/a.jp2")
        assert (details["complete"], details["width"], details["height"]) == (False, 300, 200)
        answer = server.get("/iiif/3/a.jp2/full/max/0/default.png")
        expected = wavelic.open(tmp_path / "a.jp2", allow_partial=True).read()
        np.testing.assert_array_equal(answer.pixels, expected)
        assert answer.headers["cache-control"] == "no-cache"  # there will be more
        assert server.get("/iiif/3/a.jp2/info.json").headers["cache-control"] == "no-cache"

        (tmp_path / "a.jp2").write_bytes(whole)
        assert server.json("/api/images/a.jp2")["complete"] is True
        after = server.get("/iiif/3/a.jp2/full/max/0/default.png", If_None_Match=answer.headers["etag"])
        np.testing.assert_array_equal(after.pixels, wavelic.open(whole).read())
        assert after.headers["cache-control"] == "public, max-age=3600"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


def test_the_viewer_shows_more_as_the_file_arrives(browser: Any, tmp_path: Path, whole: bytes) -> None:
    with running(Site(tmp_path, partial=True)) as server:
        page = browser.new_page()
        page.set_default_timeout(120_000)
        page.goto(f"http://127.0.0.1:{server.port}/#image=a.jp2&exact=1")
        idle = "() => document.body.dataset.busy === 'false'"
        page.wait_for_function(idle)
        assert page.inner_text("#facts").endswith("incomplete")
        assert "incomplete file" in page.inner_text("#message")
        before = page.locator("#view").screenshot()
        (tmp_path / "a.jp2").write_bytes(whole)
        page.wait_for_function("() => !document.querySelector('#facts').textContent.includes('incomplete')")
        page.wait_for_function(idle)
        assert page.inner_text("#message") == ""
        assert page.inner_text("#layers-text").startswith("3 of 3")
        assert page.locator("#view").screenshot() != before
        page.close()
