"""What people and machines see: tables and JSON on standard output, progress and remarks on standard error."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import RenderableType

Step = Callable[[int, int, str], None]
"""Called as step(done, total, what)."""

PLAIN_WIDTH = 140  # columns where there is no terminal to ask
PLAIN_SECONDS = 10.0  # between lines of progress where there is no terminal to draw on


_quiet = False


def be_quiet(wanted: bool = True) -> None:
    """Leave out remarks and progress from here on; errors and results are still printed."""
    global _quiet
    _quiet = wanted


def remark(text: str) -> None:
    """One line for people, on standard error."""
    if _quiet:
        return
    print(text, file=sys.stderr, flush=True)


def show(*items: RenderableType) -> None:
    """Rich tables and text on standard output."""
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH, highlight=False, markup=False, emoji=False)
    for item in items:
        console.print(item)


def dump(document: Any) -> None:
    """One JSON document on standard output."""
    print(json.dumps(document, indent=2, allow_nan=False))


@contextmanager
def progress(title: str) -> Iterator[Step]:
    """A bar on a terminal, which vanishes at the end; elsewhere a line every ten seconds, so that logs show life."""
    if _quiet:
        yield lambda done, total, what: None
        return
    if not sys.stderr.isatty():
        yield _plain(title)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total, what: bar.update(task, completed=done, total=total, description=f"{title} {what}")


def _plain(title: str) -> Step:
    last = time.monotonic()

    def step(done: int, total: int, what: str) -> None:
        nonlocal last
        if time.monotonic() - last >= PLAIN_SECONDS:
            last = time.monotonic()
            remark(f"{title} {done}/{total} {what}".rstrip())

    return step
