"""The viewer on a phone and on a desk: what is seen, what is in reach, and what axe-core says about it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
from browsing import SCREENS, chromium, violations
from serving_support import RunningServer, photograph, plain_jp2, running

from wavelic.jpeg2000 import EncodeOptions
from wavelic.serving.site import Site

PATIENCE = 120_000  # ms; a busy machine decodes slowly


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    root = tmp_path_factory.mktemp("screens") / "Album"
    (root / "sub").mkdir(parents=True)
    (root / "broken.jp2").write_bytes(b"no picture")
    options = EncodeOptions(colour_transform=True, layer_bytes=(800, 3000))
    for number in range(12):
        name = f"{'sub/' if number % 2 else ''}a picture with a long name, number {number}.jp2"
        (root / name).write_bytes(plain_jp2(photograph(120, 160), options))
    with running(Site(root)) as running_server:
        yield running_server


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


def opened(browser: Any, server: RunningServer, screen: tuple[int, int], **options: Any) -> Any:
    page = browser.new_page(viewport={"width": screen[0], "height": screen[1]}, reduced_motion="reduce", **options)
    page.set_default_timeout(PATIENCE)
    page.goto(f"http://127.0.0.1:{server.port}/#with=1")
    page.wait_for_function("() => document.body.dataset.busy === 'false'")
    return page


def share_of_the_stage(page: Any, screen: tuple[int, int]) -> float:
    box = page.locator("#stage").bounding_box()
    return box["width"] * box["height"] / (screen[0] * screen[1])


@pytest.mark.parametrize(("screen", "scheme"), [*((screen, "light") for screen in SCREENS), (SCREENS[0], "dark")])
def test_axe_finds_nothing(browser: Any, server: RunningServer, screen: tuple[int, int], scheme: str) -> None:
    page = opened(browser, server, screen, color_scheme=scheme)
    assert violations(page) == []
    assert page.evaluate("() => document.documentElement.scrollWidth") <= screen[0]
    if page.is_visible("#open-library"):
        page.click("#open-library")
        assert violations(page) == []
        page.click("#close-library")
        page.click("#open-controls")
    page.click("#compare")
    assert violations(page) == []
    page.close()


@pytest.mark.parametrize("screen", SCREENS[:2])
def test_on_a_phone_the_picture_has_the_room(browser: Any, server: RunningServer, screen: tuple[int, int]) -> None:
    page = opened(browser, server, screen, has_touch=True, is_mobile=True)
    assert share_of_the_stage(page, screen) > 0.8
    assert not page.is_visible(".keys")
    for hidden in ("#filter", "#layers"):
        assert not page.is_visible(hidden)
    for button in ("#open-library", "#open-controls", "#zoom-in", "#fit"):
        box = page.locator(button).bounding_box()
        assert min(box["width"], box["height"]) >= 44  # large enough for a finger
        assert 0 <= box["x"] <= screen[0] - box["width"]
        assert 0 <= box["y"] <= screen[1] - box["height"]
    page.tap("#open-controls")
    assert page.is_visible("#layers")
    assert page.get_attribute("#open-controls", "aria-expanded") == "true"
    page.tap("#open-controls")
    assert not page.is_visible("#layers")
    page.close()


@pytest.mark.parametrize("screen", SCREENS[:2])
def test_on_a_phone_the_list_has_names_and_search(browser: Any, server: RunningServer, screen: tuple[int, int]) -> None:
    page = opened(browser, server, screen, has_touch=True, is_mobile=True)
    page.tap("#open-library")
    assert page.inner_text("#images a:first-child b").startswith("a picture with a long name")
    page.fill("#filter", "nothing like it")
    assert page.inner_text("#none") == "No name contains “nothing like it”."
    page.fill("#filter", "number 7")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.body.dataset.open === 'sub/a picture with a long name, number 7.jp2'")
    assert not page.is_visible("#filter")
    page.tap("#open-library")
    page.fill("#filter", "number 4")
    page.tap("#images a")
    page.wait_for_function("() => document.body.dataset.open === 'a picture with a long name, number 4.jp2'")
    assert not page.is_visible("#filter")
    page.close()


def test_a_closed_sheet_is_out_of_reach_of_the_keyboard(browser: Any, server: RunningServer) -> None:
    page = opened(browser, server, SCREENS[0])
    reached = set()
    for _ in range(20):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("() => document.activeElement.id"))
    assert {"open-library", "open-controls", "divider"} <= reached
    assert not {"filter", "layers", "compare"} & reached
    page.focus("#open-library")
    page.keyboard.press("Enter")
    assert page.evaluate("() => document.activeElement.id") == "close-library"
    page.keyboard.press("Escape")
    assert page.evaluate("() => document.activeElement.id") == "open-library"
    page.close()


def test_on_a_desk_list_and_controls_are_there_and_hints_fold(browser: Any, server: RunningServer) -> None:
    page = opened(browser, server, SCREENS[2])
    assert share_of_the_stage(page, SCREENS[2]) > 0.6
    assert page.is_visible("#filter")
    assert page.is_visible("#layers")
    assert not page.is_visible("kbd >> nth=0")
    page.click(".keys summary")
    assert page.is_visible("kbd >> nth=0")
    page.close()
