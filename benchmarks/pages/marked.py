"""Figures between two markers of a Markdown page, written by a script and checked by the tests."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"


def with_figures(text: str, figures: str) -> str:
    """The page with ``figures`` between its markers."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{figures}\n{END}{after}"


#: Title, text, and what makes the lines of a section; a section without lines is left out.
Section = tuple[str, str, Callable[[], list[str]]]


def with_sections(lines: Sequence[str], sections: Sequence[Section]) -> str:
    """A page of first ``lines`` and those sections that have content."""
    every = list(lines)
    for title, text, content in sections:
        if body := content():
            every += [f"## {title}", "", text, "", *body, ""]
    return "\n".join(every).rstrip("\n") + "\n"


def write_or_check(path: Path, page: Callable[[], str], plot: Callable[[], None]) -> int:
    """What a page's script does: write plots and page, or with ``--check`` compare the page; the exit status."""
    check = "--check" in sys.argv[1:]
    if not check:
        plot()
    return write_page(path, page(), check)


def write_page(path: Path, text: str, check: bool) -> int:
    """Write a page, or with ``check`` only compare it; exit status: 1 if the page was out of date and still is."""
    if check:
        return int(path.read_text(encoding="utf-8") != text)
    path.write_text(text, encoding="utf-8")
    return 0
