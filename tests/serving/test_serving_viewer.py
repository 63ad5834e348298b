"""The viewer page in headless Chromium: opens, zooms, slides, compares, by mouse and by keyboard."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from paths import GOLDEN

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
from browsing import chromium
from serving_support import RunningServer, learned_jp2, photograph, plain_jp2, running, viewer_tiles

from wavelic.jpeg2000 import EncodeOptions
from wavelic.serving.site import Site

PATIENCE = 120_000  # ms; a busy machine decodes slowly


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    base = tmp_path_factory.mktemp("viewer")
    root = base / "Album"
    (root / "sub").mkdir(parents=True)
    (base / "weights").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WAVELIC_WEIGHTS", str(base / "weights"))
        pixels = photograph(180, 260).astype("uint8")
        (root / "a learned.jp2").write_bytes(learned_jp2(base / "weights", pixels, (800, 2500, 9000)))
        options = EncodeOptions(colour_transform=True, layer_bytes=(2e4, 6e4, 2e5, 5e5))
        (root / "sub" / "plain & wide.jp2").write_bytes(plain_jp2(photograph(1100, 1437), options))
        shutil.copy(GOLDEN / "v1-wcae-rgba.wlic", root / "small.wlic")
        (root / "broken.jp2").write_bytes(b"no picture")
        with running(Site(root)) as running_server:
            yield running_server


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


class Page:
    """A page of the viewer, with everything it asked for and complained about."""

    def __init__(self, browser: Any, server: RunningServer, address: str = "", **options: Any) -> None:
        options.setdefault("viewport", {"width": 1100, "height": 760})
        self.page = browser.new_page(**options)
        self.page.set_default_timeout(PATIENCE)
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.base = f"http://127.0.0.1:{server.port}/"
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(message.text))  # also of the policy
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(self.base + address)

    def wait_open(self, name: str) -> None:
        self.page.wait_for_function("name => document.body.dataset.open === name", arg=name)
        self.wait_idle()

    def wait_idle(self) -> None:
        self.page.wait_for_function("() => document.body.dataset.busy === 'false'")

    def text(self, selector: str) -> str:
        return self.page.inner_text(selector)

    def tiles(self) -> list[str]:
        """Paths of the image requests so far, but for thumbnails and first views."""
        parts = [url.removeprefix(self.base).partition("?") for url in self.requests]
        paths = [path for path, _, query in parts if not query.startswith("first=")]
        return [p for p in paths if p.startswith("iiif/3") and p.endswith((".png", ".jpg")) and "square" not in p]

    def first_views(self) -> list[str]:
        """Paths of the first views that were asked for so far."""
        parts = [url.removeprefix(self.base).partition("?") for url in self.requests]
        return [path for path, _, query in parts if query.startswith("first=")]

    def close(self) -> None:
        """Nothing came from elsewhere, and nothing was wrong."""
        self.page.close()
        assert not [url for url in self.requests if not url.startswith((self.base, "blob:", "data:"))]
        assert [text for text in self.complaints if "status of 500" not in text] == []  # of broken.jp2


def zoom_of(page: Page) -> float:
    return float(page.text("#zoom").split()[0])


def test_opens_lists_and_zooms(browser: Any, server: RunningServer) -> None:
    page = Page(browser, server, "#image=sub%2Fplain+%26+wide.jp2")
    page.wait_open("sub/plain & wide.jp2")
    assert page.text("h1") == "wavelic"
    assert page.text("#folder").startswith("Album · 3 images")
    names = page.page.eval_on_selector_all("#images b", "all => all.map(e => e.textContent)")
    assert names == ["a learned.jp2", "small.wlic", "plain & wide.jp2"]
    assert page.text("#refused summary") == "1 file cannot be shown"
    assert page.page.get_attribute("#images a[aria-current]", "data-id") == "sub/plain & wide.jp2"
    assert page.text("#facts").startswith("1437 × 1100 · JPEG 2000 · ")
    before, asked = zoom_of(page), len(page.tiles())
    for _ in range(3):
        page.page.click("#zoom-in")
    grown = "goal => parseFloat(document.querySelector('#zoom').textContent) > goal"  # it moves for a while
    page.page.wait_for_function(grown, arg=before * 1.6**3 * 0.95)
    page.wait_idle()
    assert zoom_of(page) == pytest.approx(before * 1.6**3, rel=0.1)
    assert len(page.tiles()) > asked
    info = server.json("/iiif/3/sub%2Fplain%20%26%20wide.jp2/info.json")
    expected = {request for *_, request in viewer_tiles(info)}
    asked_for = {"/".join(path.split("/")[3:5]) for path in page.tiles()}
    assert asked_for <= expected  # the tests of test_serving_pictures.py ask for what OpenSeadragon asks for
    assert "MB in" in page.text("#received") or "kB in" in page.text("#received")
    page.page.click("#fit")
    shrunk = "was => parseFloat(document.querySelector('#zoom').textContent) < was * 1.05"
    page.page.wait_for_function(shrunk, arg=before)
    page.close()


def test_a_first_view_comes_before_the_picture_and_goes(browser: Any, server: RunningServer) -> None:
    """Of a few percent of the file; none where a layer is asked for that may be coarser, nor of small files."""
    name = "sub%2Fplain%20%26%20wide.jp2"
    first = server.json(f"/api/images/{name}")["first"]
    wanted = f"iiif/3;layers={first['layers']}/{name}/full/{first['width']},{first['height']}/0/default.jpg"
    page = Page(browser, server, "#image=sub%2Fplain+%26+wide.jp2")
    page.wait_open("sub/plain & wide.jp2")
    assert page.first_views() == [wanted]
    images = [url for url in page.requests if "/iiif/3" in url and "/default." in url and "square" not in url]
    assert "first=" in images[0]
    page.page.wait_for_function("() => window.wavelic.stage.viewer.world.getItemCount() === 1")
    page.page.goto(page.base + "#image=a+learned.jp2")
    page.wait_open("a learned.jp2")
    assert page.first_views() == [wanted]
    page.close()
    page = Page(browser, server, "#image=sub%2Fplain+%26+wide.jp2&layers=2")
    page.wait_open("sub/plain & wide.jp2")
    assert not page.first_views()
    page.close()


def test_the_layer_slider_by_keyboard(browser: Any, server: RunningServer) -> None:
    page = Page(browser, server, "#image=sub%2Fplain+%26+wide.jp2")
    page.wait_open("sub/plain & wide.jp2")
    sizes = server.json("/api/images/sub%2Fplain%20%26%20wide.jp2")["layers"]
    assert page.text("#layers-text").startswith("4 of 4 · all")
    full = page.page.locator("#stage").screenshot()
    page.page.focus("#layers")
    page.page.keyboard.press("Home")
    page.page.wait_for_function("() => location.hash.includes('layers=1')")
    page.wait_idle()
    assert page.text("#layers-text").startswith(f"1 of 4 · first {sizes[0] / 1000:.3g} kB")
    assert any(path.startswith("iiif/3;layers=1/sub%2F") for path in page.tiles())
    coarse = page.page.locator("#stage").screenshot()
    assert coarse != full
    page.page.keyboard.press("End")
    page.page.wait_for_function("() => !location.hash.includes('layers')")
    page.wait_idle()
    assert page.page.locator("#stage").screenshot() != coarse
    page.close()


def test_bytes_read_of_the_file(browser: Any, server: RunningServer) -> None:
    """What is shown are the ranges of the tiles that were asked for, each byte once."""
    name = "sub%2Fplain%20%26%20wide.jp2"
    page = Page(browser, server, "#image=sub%2Fplain+%26+wide.jp2&layers=1")
    page.wait_open("sub/plain & wide.jp2")

    places = {
        request: (level, box) for level, box, _, request in viewer_tiles(server.json(f"/iiif/3/{name}/info.json"))
    }

    def shown() -> int:
        page.wait_idle()
        tiles = set()
        for service, identifier, region, size, *_ in (path.split("/")[1:] for path in page.tiles()):
            if identifier == name:
                level, (x, y, *_) = places[f"{region}/{size}"]
                tiles.add(f"{int(service == '3;layers=1')}.{level}.{x // 512}.{y // 512}")
        expected: set[int] = set()
        for tile in tiles:
            for start, stop in server.json(f"/api/ranges/{name}/{tile}")["ranges"]:
                expected |= set(range(start, stop))
        counted = "n => document.querySelector('#read').dataset.bytes === String(n)"
        page.page.wait_for_function(counted, arg=len(expected))
        return len(expected)

    first = shown()
    total = server.json(f"/api/images/{name}")["bytes"]
    assert 0 < first < total / 4
    page.page.focus("#layers")
    page.page.keyboard.press("End")
    page.page.wait_for_function("() => !location.hash.includes('layers')")
    second = shown()
    assert first < second <= total
    assert page.text("#read") == f"{second / 1000:.3g} kB of {total / 1000:.3g} kB, {100 * second / total:.0f} %"
    page.page.keyboard.press("p")
    page.wait_open("small.wlic")
    page.page.wait_for_function("() => document.querySelector('#read').textContent.endsWith('100 %')")
    page.close()


def test_two_pictures_and_the_divider(browser: Any, server: RunningServer) -> None:
    page = Page(browser, server)
    page.wait_open("a learned.jp2")
    assert page.page.is_hidden("#divider")
    page.page.select_option("#compare", "stock")
    page.page.wait_for_function("() => location.hash.includes('with=stock')")
    page.wait_idle()
    assert any(path.startswith("iiif/3;decode=stock/") for path in page.tiles())
    assert (page.text("#tag-left"), page.text("#tag-right")) == ("wavelic", "other JPEG 2000 software")
    stage = page.page.locator("#stage").bounding_box()
    divider = page.page.locator("#divider")
    middle = stage["x"] + stage["width"] / 2, stage["y"] + stage["height"] / 2
    page.page.mouse.move(*middle)
    page.page.mouse.down()
    page.page.mouse.move(stage["x"] + 0.8 * stage["width"], middle[1], steps=4)
    page.page.mouse.up()
    assert divider.get_attribute("aria-valuenow") == "80"
    right = page.page.locator("#stage").screenshot()
    divider.focus()
    page.page.keyboard.press("Home")
    assert divider.get_attribute("aria-valuenow") == "0"
    page.page.wait_for_timeout(300)
    only_stock = page.page.locator("#stage").screenshot()
    assert only_stock != right
    page.page.keyboard.press("ArrowRight")
    assert divider.get_attribute("aria-valuenow") == "2"
    page.page.keyboard.press("c")  # on to the comparison of layers
    page.page.wait_for_function("() => location.hash.includes('with=1')")
    page.wait_idle()
    assert page.page.is_visible("#other-layers")
    assert page.text("#tag-right") == "layer 1 of 3"
    page.page.keyboard.press("c")
    assert page.page.is_hidden("#divider")
    page.close()


def test_what_is_drawn_is_the_decoded_picture(browser: Any, server: RunningServer) -> None:
    import io

    import numpy as np
    from PIL import Image

    page = Page(browser, server, "#image=a+learned.jp2&exact=1", device_scale_factor=1)
    page.wait_open("a learned.jp2")
    for _ in range(20):  # on a busy machine the page may fit the picture once more after it is open
        page.page.keyboard.press("1")
        page.page.wait_for_timeout(1500)
        if page.text("#zoom") == "100 %":
            break
    assert page.text("#zoom") == "100 %"
    seen = np.asarray(Image.open(io.BytesIO(page.page.locator("#stage").screenshot())).convert("RGB")).astype(float)
    image = server.get("/iiif/3/a%20learned.jp2/full/max/0/default.png").pixels
    height, width = image.shape[:2]
    top, left = (seen.shape[0] - height) // 2, (seen.shape[1] - width) // 2
    middle = image[20:-20, 20:-20]
    errors = [
        abs(seen[top + dy + 20 : top + dy + height - 20, left + dx + 20 : left + dx + width - 20] - middle).mean()
        for dy in (-1, 0, 1)
        for dx in (-1, 0, 1)
    ]
    assert min(errors) < 3  # half a pixel of placement at most
    page.close()


def test_keyboard_alone(browser: Any, server: RunningServer) -> None:
    page = Page(browser, server)
    page.wait_open("a learned.jp2")
    seen = set()
    for _ in range(25):
        page.page.keyboard.press("Tab")
        focused = page.page.evaluate(
            "() => { const e = document.activeElement; const o = getComputedStyle(e);"
            " return [e.id || e.dataset.id || e.className, o.outlineStyle, parseFloat(o.outlineWidth)]; }"
        )
        seen.add(focused[0])
        if focused[0] and focused[0] != "divider":
            assert focused[1] != "none", focused  # visible focus
            assert focused[2] >= 2, focused
    assert {"filter", "zoom-in", "fit", "layers", "compare", "exact", "openseadragon-canvas", "small.wlic"} <= seen
    page.page.keyboard.press("n")
    page.wait_open("small.wlic")
    assert page.page.is_disabled("#layers")
    assert page.page.is_disabled("#compare")
    page.page.focus(".openseadragon-canvas")
    before = zoom_of(page)
    page.page.keyboard.press("+")
    page.page.wait_for_function("was => parseFloat(document.querySelector('#zoom').textContent) > was", arg=before)
    page.page.keyboard.press("/")
    page.page.keyboard.type("sub WIDE")
    assert page.page.locator("#images a").count() == 1
    page.page.keyboard.press("Enter")
    page.wait_open("sub/plain & wide.jp2")
    page.page.focus("#filter")
    page.page.keyboard.type("r")
    assert page.page.locator("#images a").count() == 0
    assert page.text("#none") == "No name contains “sub WIDEr”."
    page.page.keyboard.press("Enter")  # opens nothing
    page.page.fill("#filter", "")
    assert page.text("#none") == ""
    page.close()


def test_a_file_that_cannot_be_shown(browser: Any, server: RunningServer) -> None:
    page = Page(browser, server, "#image=broken.jp2")
    page.page.wait_for_function("() => document.querySelector('#message').textContent.includes('cannot be shown')")
    assert "neither JPEG 2000" in page.text("#message")
    page.page.click("#refused summary")
    assert page.text("#refused li").startswith("broken.jp2")
    page.page.goto(page.base + "#image=small.wlic")
    page.wait_open("small.wlic")
    assert page.text("#message") == ""
    page.close()


def test_tiles_are_jpeg_unless_exact_pixels_are_wanted(browser: Any, server: RunningServer) -> None:
    page = Page(browser, server, "#image=small.wlic")
    page.wait_open("small.wlic")
    assert {path.rpartition(".")[2] for path in page.tiles()} == {"jpg"}
    page.page.check("#exact")
    page.page.wait_for_function("() => location.hash.includes('exact=1')")
    page.wait_idle()
    assert page.tiles()[-1].endswith(".png")
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_readable(browser: Any, server: RunningServer, scheme: str) -> None:
    page = Page(browser, server, color_scheme=scheme)
    page.wait_open("a learned.jp2")
    contrasts = page.page.evaluate(
        """() => {
            const parts = (c) => c.match(/[\\d.]+/g).map(Number);
            const light = (c) => { const [r, g, b] = parts(c).map((v) => { v /= 255;
                return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
                return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
            const ground = (e) => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor;
                if (parts(c)[3] !== 0) return c; } return 'rgb(255,255,255)'; };
            return [...document.querySelectorAll('h1, h2, label, .quiet, #images b, #images small, kbd, a')]
                .filter((e) => e.offsetParent && e.textContent.trim()).map((e) => {
                    const [a, b] = [light(getComputedStyle(e).color), light(ground(e))].sort((x, y) => y - x);
                    return [(a + 0.05) / (b + 0.05), e.outerHTML.slice(0, 60)]; });
        }"""
    )
    assert len(contrasts) > 15
    assert [entry for entry in contrasts if entry[0] < 4.5] == []  # WCAG 2.2 AA
    page.close()


def test_the_controls_stay_in_one_row_at_1200_pixels(browser: Any, server: RunningServer) -> None:
    opened = Page(browser, server, "#image=sub%2Fplain+%26+wide.jp2", viewport={"width": 1200, "height": 760})
    opened.wait_open("sub/plain & wide.jp2")
    opened.page.wait_for_function("() => document.getElementById('read').dataset.bytes")
    tops = opened.page.eval_on_selector_all(
        ".controls .control:not([hidden])", "found => found.map(e => e.getBoundingClientRect().top)"
    )
    assert len(tops) == 4
    assert len(set(tops)) == 1
    opened.page.close()
