"""README and docs: figures come from committed result files, and links lead somewhere."""

import importlib
import re
import sys
from pathlib import Path

import pytest
from paths import ROOT


@pytest.mark.parametrize(
    "script",
    ["readme_tables", "weconvene_page", "threedm_page", "lifting_page", "remote_page", "nn_page", "applications_page"],
)
def test_figures_are_those_of_the_result_files(script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [script, "--check"])
    page = importlib.import_module(f"benchmarks.pages.{script}")
    assert page.main() == 0, f"run python -m benchmarks.pages.{script}"


def pages() -> list[Path]:
    return [*ROOT.glob("*.md"), *sorted((ROOT / "docs").rglob("*.md"))]


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub and the documentation site make them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
    headings = re.findall(r"^#+ (.*)$", text, flags=re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(page: Path) -> list[str]:
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
    return [target for target in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in target]


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in links(page):
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.is_file(), f"{page.name} links {link}"
        assert not anchor or anchor in anchors(target), f"{page.name} links {link}, which has no such heading"


def test_links_and_headings_are_found() -> None:
    assert "docs/format.md" in links(ROOT / "README.md")
    assert {"the-wlic-file-format-version-10", "versions-are-promises"} <= anchors(ROOT / "docs" / "format.md")


def test_lists_begin_after_an_empty_line() -> None:
    """Without one the site shows the items as one paragraph; GitHub does not mind."""
    for page in pages():
        text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
        assert not re.findall(r"^(?![-*] |  |\n).+\n[-*] .*", text, flags=re.M), page.name


def test_every_page_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text().partition("\nnav:\n")[2]
    listed = re.findall(r"([\w/-]+\.md)$", navigation, flags=re.M)
    assert sorted(listed) == sorted(str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md"))


def test_the_site_loads_nothing_from_elsewhere() -> None:
    """No font server, no script or style sheet by address; the search runs in the page."""
    settings = (ROOT / "mkdocs.yml").read_text()
    assert "font: false" in settings
    assert not re.findall(r"https?://", settings.partition("\nnav:\n")[0])
    for page in pages():
        assert not re.findall(r"!\[[^]]*\]\(https?:", page.read_text()), page.name


def test_the_site_is_built_strictly() -> None:
    """With --quiet mkdocs does not count warnings, so that dead links would pass."""
    (command,) = re.findall(r"mkdocs build.*", (ROOT / "Makefile").read_text())
    assert "quiet" not in command
    assert "-q" not in command.split()
    assert re.search(r"^strict: true$", (ROOT / "mkdocs.yml").read_text(), flags=re.M)
    assert "make docs" in (ROOT / ".ci" / "run").read_text()
