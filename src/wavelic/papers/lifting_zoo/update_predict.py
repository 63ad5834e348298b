"""The update-predict structure of iWave: a fixed average, then one learned prediction.

Li, Naman and Taubman, arXiv 2402.18761, figure 2, after Ma et al., *iWave* (IEEE TMM 2019).
"""

from __future__ import annotations

from torch import Tensor

from wavelic.lifting.transform.grid import Axis, Kind
from wavelic.lifting.transform.levels import Level, Start, axes_of, axes_of_signal
from wavelic.lifting.transform.operators import Operator
from wavelic.papers.lifting_zoo.polyphase import apply_to_band, merge, split
from wavelic.wavelets import Bands2d


class UpdatePredictLevel(Level):
    """iWave's order (figure 2): the low band is the fixed average of neighbours, the odd sample is predicted from it.

    L = (x_even + x_odd) / 2, H = x_odd - P(L); backwards x_odd = H + P(L), x_even = 2 L - x_odd.  One operator serves
    both directions (transposed for the columns).  An even sample without an odd neighbour pairs with its mirror image.
    """

    base = "5/3"

    def __init__(self, predict: Operator) -> None:
        super().__init__()
        self.predict = predict

    @property
    def radii(self) -> tuple[int, ...]:
        """Radii of the operators, in the order of their steps."""
        return self.predict.radius, self.predict.radius

    @property
    def base_radius(self) -> int:
        """That of the average of two neighbours, once per direction."""
        return 2

    def analyze(self, x: Tensor, start: Start) -> tuple[Tensor, Bands2d]:
        """Split a signal; see `Level.analyze`."""
        axes = axes_of_signal(x, start)
        low_rows, high_rows = self._split(x, "full", axes)
        across = (axes[1], axes[0])
        low, hl = self._split(low_rows.mT, "low", across)
        lh, hh = self._split(high_rows.mT, "high", across)
        return low.mT, Bands2d(lh.mT, hl.mT, hh.mT)

    def synthesize(self, low: Tensor, details: Bands2d, start: Start) -> Tensor:
        """Undo `analyze`."""
        axes = axes_of(low, details, start)
        across = (axes[1], axes[0])
        low_rows = self._merge(low.mT, details.hl.mT, "low", across).mT
        high_rows = self._merge(details.lh.mT, details.hh.mT, "high", across).mT
        return self._merge(low_rows, high_rows, "full", axes)

    def _split(self, x: Tensor, other: Kind, axes: tuple[Axis, Axis]) -> tuple[Tensor, Tensor]:
        """Split the rows; ``other`` is the kind of the columns."""
        even, odd = split(x, -2, axes[0].start)
        low = even if axes[0].is_empty("high") else (even + self._partner(odd, axes[0])) / 2
        return low, odd - apply_to_band(self.predict, low, ("low", other), ("high", other), axes)

    def _merge(self, low: Tensor, high: Tensor, other: Kind, axes: tuple[Axis, Axis]) -> Tensor:
        odd = high + apply_to_band(self.predict, low, ("low", other), ("high", other), axes)
        even = low if axes[0].is_empty("high") else 2 * low - self._partner(odd, axes[0])
        return merge(even, odd, -2, axes[0].start)

    @staticmethod
    def _partner(odd: Tensor, rows: Axis) -> Tensor:
        """For every even row the odd row below it, mirrored at the end."""
        return odd.index_select(-2, rows.extension("high", *rows.span("low"), odd.device))
