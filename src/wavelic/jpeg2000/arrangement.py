"""How the packets of a layered file lie: for decoding whole pictures, or windows and small sizes of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

#: Octaves of rate from the first layer to the last, unless there are few.
SPAN = 5.0


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

    def layers(self, top: float, least: float) -> int:
        """How many layers `SPAN` holds, none of less than ``least`` bytes, the last of ``top``."""
        return 1 + int(min(SPAN, math.log2(max(1.0, top / least))) / self.octaves)


#: For decoding whole pictures: fine layers, no precincts.
WHOLE = Arrangement((), "LRCP", 0.5)
#: For decoding windows.  Precincts get smaller with the resolutions, as a window does.  Each has a packet in every
#: layer, so that there are fewer layers.
WINDOWED = Arrangement(((256, 256), (128, 128), (64, 64)), "RPCL", 1.0)
