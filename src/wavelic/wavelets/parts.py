"""Sharing planes between threads: whole planes first, then planes cut into bands of rows.

Three planes on two threads would take as long as four.  So the planes that do not go evenly into the threads are cut
into equally many row parts for each thread.  A part is transformed with a margin of rows on either side: one lifting
step carries the false border at most one band row further, so with as many rows as there are steps the part itself gets
the arithmetic of the whole plane, to the bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

# A part has at least this many band rows, else its margins would cost too much.
LEAST_ROWS = 32


@dataclass(frozen=True)
class Part:
    """Band rows [begin, end) of ``planes``, to be computed from the band rows [first, last).

    Band row k belongs to the image rows 2k and 2k + 1, counted from the first row of the image whatever its coordinate.
    """

    planes: slice
    begin: int
    end: int
    first: int
    last: int
    whole: bool


def share(planes: int, rows: int, group: int, threads: int, margin: int) -> list[Part]:
    """Parts of about equal work for ``threads`` threads: ``planes`` planes of ``rows`` band rows, ``group`` at a time.

    >>> [(part.planes.start, part.begin, part.end, part.first, part.last) for part in share(3, 100, 1, 2, 4)]
    [(0, 0, 100, 0, 100), (1, 0, 100, 0, 100), (2, 0, 50, 0, 54), (2, 50, 100, 46, 100)]
    """
    groups = [slice(begin, begin + group) for begin in range(0, planes, group)]
    left = len(groups) % threads
    pieces = max(1, min(threads // math.gcd(left, threads), rows // LEAST_ROWS)) if left else 1
    even = len(groups) - left if pieces > 1 else len(groups)
    parts = [Part(planes, 0, rows, 0, rows, True) for planes in groups[:even]]
    for cut in groups[even:]:
        bounds = [rows * piece // pieces for piece in range(pieces + 1)]
        parts += [
            Part(cut, begin, end, max(0, begin - margin), min(rows, end + margin), False)
            for begin, end in pairwise(bounds)
        ]
    return parts
