"""Access "random": an eighth of the size for a tenth of the file.

At 1 bit per pixel of a photograph the resolutions that make up an eighth of its size have 15 % of the file, far more
than so small a picture can show.  Their last layers are left out (`jpeg2000.coarse`) until the promise is just kept.
That costs the full picture quality, the more the further the cut is below the last layer; where it would have to be
more than `OCTAVES` below, nothing is left out.
"""

from __future__ import annotations

from wavelic.jpeg2000.coarse import read_coarse
from wavelic.lifting.jp2.file import open_carrier

#: The reduced size that is promised, and for which share of the file's bytes, opening included.
REDUCE, SHARE = 3, 0.1
#: How far below the last layer coarse packets may be cut, in octaves of the layers' bytes.
OCTAVES = 3.25


def thin_coarse(codestream: bytes, levels: int, overhead: int) -> bytes:
    """``codestream``, of so many wavelet levels, as access "random" means it.

    overhead: bytes of the file besides the codestream.  The same bytes where the promise holds anyway, or cannot be
    kept within `OCTAVES`.
    """
    found = read_coarse(codestream, levels - REDUCE + 1)
    opening = overhead + found.headers
    if opening + found.size <= SHARE * (overhead + len(codestream)):
        return codestream
    # opening + coarse <= SHARE * (opening + coarse + others), for the coarse bytes
    kept = found.within(int(SHARE / (1 - SHARE) * found.others) - opening)
    return codestream if kept is None or found.octaves(kept) > OCTAVES else found.codestream(kept)


def coarse_note(data: bytes) -> str:
    """One line on what `REDUCE` takes of a file."""
    part = open_carrier(data).reduced_bytes[REDUCE]
    assert part is not None  # files that are encoded here have packet lengths
    kept = "" if part <= SHARE * len(data) else f", as {SHARE:.0%} would cost too much quality"
    return f"reduce={REDUCE} takes {part / len(data):.1%} of the file{kept}"
