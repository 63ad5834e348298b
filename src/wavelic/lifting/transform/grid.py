"""Where the samples of a band lie, and what lies beyond its edges.

A lifting level splits an axis of absolute coordinates start, start + 1, ... by parity: sample i of the low band sits at
coordinate 2 i, sample i of the high band at 2 i + 1.  Learned operators look far beyond the edges of a band, so it must
be extended.  The extension is the one that whole-sample symmetric extension of the axis implies (ITU-T T.800 F.3.7):
reflect the coordinate as often as needed.  Reflection preserves parity, so a band extends into itself:

    band   left edge            right edge, even size   right edge, odd size    (even start)
    low    whole-sample mirror  half-sample mirror      whole-sample mirror
    high   half-sample mirror   whole-sample mirror     half-sample mirror

Whole-sample: the edge sample is not repeated; half-sample: it is.  Bands may be smaller than the extension.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

#: Which samples of an axis: the even ones, the odd ones, all.
Kind = Literal["low", "high", "full"]


@dataclass(frozen=True)
class Axis:
    """One axis of the signal a level works on: the coordinate of its first sample and how many there are."""

    start: int
    size: int

    def span(self, kind: Kind) -> tuple[int, int]:
        """First index and end of the band's samples, in the band's own absolute counting.

        Examples:
            >>> Axis(0, 5).span("low"), Axis(0, 5).span("high"), Axis(3, 4).span("low"), Axis(3, 4).span("high")
            ((0, 3), (0, 2), (2, 4), (1, 3))
        """
        stop = self.start + self.size
        if kind == "full":
            return self.start, stop
        if kind == "low":
            return -(-self.start // 2), -(-stop // 2)
        return self.start // 2, stop // 2

    def is_empty(self, kind: Kind) -> bool:
        """Whether the axis has no sample of that kind."""
        first, stop = self.span(kind)
        return first == stop

    def extension(self, kind: Kind, first: int, stop: int, device: torch.device | None = None) -> Tensor:
        """For the band's indices first..stop - 1, in the band or beyond, where in the stored band their values are.

        Returns int64 (stop - first,), values in 0..(samples of the band) - 1.  The band must not be empty.

        Examples:
            >>> Axis(0, 6).extension("low", -2, 5).tolist(), Axis(0, 6).extension("high", -2, 5).tolist()
            ([2, 1, 0, 1, 2, 2, 1], [1, 0, 0, 1, 2, 1, 0])
        """
        index = torch.arange(first, stop, device=device)
        coordinate = index if kind == "full" else 2 * index + (kind == "high")
        period = max(1, 2 * (self.size - 1))
        offset = (coordinate - self.start).remainder(period)
        coordinate = self.start + torch.minimum(offset, period - offset) * (self.size > 1)
        stored = coordinate if kind == "full" else coordinate.div(2, rounding_mode="floor")
        return stored - self.span(kind)[0]
