"""Figures between two markers of a Markdown page, written by a script and checked by the tests."""

from __future__ import annotations

from pathlib import Path

BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"


def with_figures(text: str, figures: str) -> str:
    """The page with ``figures`` between its markers."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{figures}\n{END}{after}"


def write_page(path: Path, text: str, check: bool) -> int:
    """Write a page, or with ``check`` only compare it; exit status: 1 if the page was out of date and still is."""
    if check:
        return int(path.read_text(encoding="utf-8") != text)
    path.write_text(text, encoding="utf-8")
    return 0
