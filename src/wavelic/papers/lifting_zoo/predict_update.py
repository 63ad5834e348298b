"""Predict-update structures: LeGall's four lifting steps as learned operators, and with a fused last update.

Li, Naman and Taubman, arXiv 2402.18761, section II, figures 1b and 4: Custom-4S, Custom-4MS and Custom-5S.
"""

from __future__ import annotations

from torch import Tensor

from wavelic.lifting.transform.grid import Axis, Kind
from wavelic.lifting.transform.levels import (
    Level,
    Start,
    add_details,
    any_empty,
    axes_of,
    axes_of_signal,
    high_to_low,
    low_to_high,
)
from wavelic.lifting.transform.operators import Operator
from wavelic.papers.lifting_zoo.polyphase import apply_to_band, merge, split
from wavelic.wavelets import Bands2d


class PredictUpdateLevel(Level):
    """LeGall's four steps with learned operators (figure 1b): Custom-4S.

    Vertically H = x_odd + P_V(x_even), L = x_even + U_V(H); then the same along the rows of L and of H with P_H, U_H.
    Operators have one input and one output and are *added* in the analysis.
    """

    base = "5/3"

    def __init__(
        self,
        predict_vertical: Operator,
        update_vertical: Operator,
        predict_horizontal: Operator,
        update_horizontal: Operator,
    ) -> None:
        super().__init__()
        self.predict_vertical = predict_vertical
        self.update_vertical = update_vertical
        self.predict_horizontal = predict_horizontal
        self.update_horizontal = update_horizontal

    @property
    def radii(self) -> tuple[int, ...]:
        """Radii of the operators, in the order of their steps."""
        vertical = self.predict_vertical.radius, self.update_vertical.radius
        return *vertical, self.predict_horizontal.radius, self.update_horizontal.radius

    def analyze(self, x: Tensor, start: Start) -> tuple[Tensor, Bands2d]:
        """Split a signal; see `Level.analyze`."""
        axes = axes_of_signal(x, start)
        low_rows, high_rows = self._split_rows(x, axes)
        low, hl = self._split_columns(low_rows, "low", axes)
        lh, hh = self._split_columns(high_rows, "high", axes)
        return low, Bands2d(lh, hl, hh)

    def synthesize(self, low: Tensor, details: Bands2d, start: Start) -> Tensor:
        """Undo `analyze`."""
        axes = axes_of(low, details, start)
        low_rows = self._merge_columns(low, details.hl, "low", axes)
        high_rows = self._merge_columns(details.lh, details.hh, "high", axes)
        return self._merge_rows(low_rows, high_rows, axes)

    def _split_rows(self, x: Tensor, axes: tuple[Axis, Axis]) -> tuple[Tensor, Tensor]:
        even, odd = split(x, -2, axes[0].start)
        high = odd + apply_to_band(self.predict_vertical, even, ("low", "full"), ("high", "full"), axes)
        return even + apply_to_band(self.update_vertical, high, ("high", "full"), ("low", "full"), axes), high

    def _merge_rows(self, low: Tensor, high: Tensor, axes: tuple[Axis, Axis]) -> Tensor:
        even = low - apply_to_band(self.update_vertical, high, ("high", "full"), ("low", "full"), axes)
        odd = high - apply_to_band(self.predict_vertical, even, ("low", "full"), ("high", "full"), axes)
        return merge(even, odd, -2, axes[0].start)

    def _split_columns(self, x: Tensor, rows: Kind, axes: tuple[Axis, Axis]) -> tuple[Tensor, Tensor]:
        even, odd = split(x, -1, axes[1].start)
        high = odd + self._predict(even, rows, axes)
        return even + self._update(high, rows, axes), high

    def _merge_columns(self, low: Tensor, high: Tensor, rows: Kind, axes: tuple[Axis, Axis]) -> Tensor:
        even = low - self._update(high, rows, axes)
        return merge(even, high - self._predict(even, rows, axes), -1, axes[1].start)

    def _predict(self, even: Tensor, rows: Kind, axes: tuple[Axis, Axis]) -> Tensor | float:
        return apply_to_band(self.predict_horizontal, even, (rows, "low"), (rows, "high"), axes)

    def _update(self, high: Tensor, rows: Kind, axes: tuple[Axis, Axis]) -> Tensor | float:
        return apply_to_band(self.update_horizontal, high, (rows, "high"), (rows, "low"), axes)


class FusedLevel(PredictUpdateLevel):
    """Custom-4MS and Custom-5S (figure 4): the last update of the low band is T_H2L, fed by all three details.

    HL = L_odd + P_H(L_even), HH = H_odd + P_H(H_even), LH = H_even + U_H(HH), LL' = L_even - T_H2L(HL, LH, HH); with
    ``low_to_high`` (5S) the details then lose T_L2H(LL').  U_H remains for the high rows, which is what makes the
    parameters of table III add up.
    """

    def __init__(
        self,
        predict_vertical: Operator,
        update_vertical: Operator,
        predict_horizontal: Operator,
        update_horizontal: Operator,
        high_to_low: Operator,
        low_to_high: Operator | None = None,
    ) -> None:
        super().__init__(predict_vertical, update_vertical, predict_horizontal, update_horizontal)
        self.high_to_low = high_to_low
        self.low_to_high = low_to_high

    @property
    def radii(self) -> tuple[int, ...]:
        """Radii of the operators, in the order of their steps."""
        last = () if self.low_to_high is None else (self.low_to_high.radius,)
        return *super().radii, self.high_to_low.radius, *last

    def analyze(self, x: Tensor, start: Start) -> tuple[Tensor, Bands2d]:
        """Split a signal; see `Level.analyze`."""
        axes = axes_of_signal(x, start)
        low_rows, high_rows = self._split_rows(x, axes)
        low, odd = split(low_rows, -1, axes[1].start)
        hl = odd + self._predict(low, "low", axes)
        lh, hh = self._split_columns(high_rows, "high", axes)
        details = Bands2d(lh, hl, hh)
        if not any_empty(axes):
            low = low - high_to_low(self.high_to_low, details, axes)
            if self.low_to_high is not None:
                details = add_details(details, low_to_high(self.low_to_high, low, axes), -1)
        return low, details

    def synthesize(self, low: Tensor, details: Bands2d, start: Start) -> Tensor:
        """Undo `analyze`."""
        axes = axes_of(low, details, start)
        if not any_empty(axes):
            if self.low_to_high is not None:
                details = add_details(details, low_to_high(self.low_to_high, low, axes), 1)
            low = low + high_to_low(self.high_to_low, details, axes)
        odd = details.hl - self._predict(low, "low", axes)
        low_rows = merge(low, odd, -1, axes[1].start)
        high_rows = self._merge_columns(details.lh, details.hh, "high", axes)
        return self._merge_rows(low_rows, high_rows, axes)
