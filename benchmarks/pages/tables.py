"""Cells and tables in Markdown, for the pages."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Literal


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """A Markdown table."""
    return ["| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows)]


def spread(values: Sequence[float], sign: Literal["", "+"] = "", digits: int = 2) -> str:
    """Mean, with its sign if ``sign`` is "+", and with several runs the standard deviation."""
    mean = f"{statistics.mean(values):{sign}.{digits}f}"
    return f"{mean} ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else mean
