"""How the packets of a layered file lie: for decoding whole pictures, or windows and small sizes of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

#: Octaves of rate from the first layer to the last, unless there are few.
SPAN = 5.0
#: The smallest layer that is worth the headers of its packets.  Of pictures of 512 x 512 pixels layers an octave apart
#: from there on cost 1.2 % of the rate, half an octave apart from 1,500 bytes on 3 % (`benchmarks/studies/layers.py`).
LEAST_BYTES = 4000


@dataclass(frozen=True)
class Arrangement:
    """precincts, progression: as in `EncodeOptions`.  octaves: of rate between two layers."""

    precincts: tuple[tuple[int, int], ...]
    progression: str
    octaves: float

    def layer_bytes(self, top: float, count: int) -> list[int]:
        """Sizes of ``count`` layers of which the last has ``top`` bytes."""
        span = min(SPAN, (count - 1) * self.octaves)
        return [round(top * 2 ** (-span * (count - 1 - k) / max(1, count - 1))) for k in range(count)]

    def layers(self, top: float) -> int:
        """How many layers `SPAN` holds, none of less than `LEAST_BYTES`, the last of ``top`` bytes."""
        return 1 + int(min(SPAN, math.log2(max(1.0, top / LEAST_BYTES))) / self.octaves)


#: For decoding whole pictures: no precincts.
WHOLE = Arrangement((), "LRCP", 1.0)
#: For decoding windows.  Precincts get smaller with the resolutions, as a window does.
WINDOWED = Arrangement(((256, 256), (128, 128), (64, 64)), "RPCL", 1.0)
