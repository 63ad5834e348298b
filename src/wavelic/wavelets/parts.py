"""Division of planes among threads: whole planes first, the remaining planes cut into bands of rows.

Three planes on two threads would take as long as four.  So planes left over after an even division are cut into
equally many row parts for each thread.  A part is transformed with a margin of rows on either side.  One lifting step
carries the wrong border at most one band row further, so with as many rows of margin as there are steps the part itself
gets the arithmetic of the whole plane, to the bit.
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

    Attributes:
        planes: the planes.
        begin: first band row that belongs to the part.
        end: end of these rows.
        first: first band row to read, ``begin`` less the margin.
        last: end of the rows to read.
        whole: whether the part is whole planes.
    """

    planes: slice
    begin: int
    end: int
    first: int
    last: int
    whole: bool


def share(planes: int, rows: int, group: int, threads: int, margin: int) -> list[Part]:
    """Divide planes into parts of about equal work.

    Args:
        planes: number of planes.
        rows: band rows of each plane.
        group: planes to put into one part where planes stay whole.
        threads: number of threads.
        margin: band rows to read on either side of a cut: the number of lifting steps.

    Returns:
        The parts; they cover every row of every plane once.

    Examples:
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
