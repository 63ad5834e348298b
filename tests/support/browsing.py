"""A headless Chromium, and axe-core's judgement of a page, for the tests of pages."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

BROWSERS = ("chromium", "chromium-headless-shell", "chromium-browser", "google-chrome")
#: Sizes in pixels at which pages are judged: a phone upright and lying, a desk.
SCREENS = ((390, 844), (844, 390), (1400, 900))
#: What axe-core is asked for: WCAG 2.2 at level AA, and its own best practices.
_TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")


@contextmanager
def chromium() -> Iterator[Any]:
    """The browser of this machine; the test is skipped where there is none."""
    playwright = pytest.importorskip("playwright.sync_api")
    path = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip("no Chromium on this machine")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


def violations(page: Any, *, preload: bool = True) -> list[str]:
    """What axe-core finds wrong with the page as it is shown: rule, element and reason of each.

    preload: False for a page from file://, whose styles no script may read.
    """
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    options = {"runOnly": {"type": "tag", "values": list(_TAGS)}, "resultTypes": ["violations"], "preload": preload}
    response = axe.Axe().run(page, options=options).response
    assert response["passes"], "axe-core has looked at nothing"
    return [
        f"{rule['id']}: {node['html'][:120]} ({node['failureSummary']})"
        for rule in response["violations"]
        for node in rule["nodes"]
    ]
