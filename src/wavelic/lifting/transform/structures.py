"""The lifting structures of the paper, one level each: where learned operators stand in a wavelet transform.

Li, Naman and Taubman, arXiv 2402.18761, section II, figures 1 to 4.  A level maps x to a low band and three details
and is undone exactly by its own steps read backwards, whatever the operators are: every step adds to some samples a
function of *other* samples only.

x: (B, 1, H, W).  start: absolute (row, column) of its first sample.  Bands have the shapes and names of
`wavelic.wavelets`, low-pass gain 1 at DC, and the sign "odd sample minus its prediction".
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from wavelic.errors import UsageError
from wavelic.lifting.transform.grid import Axis, Kind, merge, split
from wavelic.lifting.transform.operators import Kinds, Operator, apply, apply_to_band
from wavelic.wavelets import Bands2d, Coefficients2d, dwt2, idwt2, level_sizes2d

Start = tuple[int, int]


# Half the length of the longest filter, 5 taps of 5/3 and 9 of 9/7.
_BASE_REACH = {"5/3": 2, "9/7": 4}


class Level(nn.Module, ABC):
    """One level of a transform.

    base: the wavelet whose inverse turns the bands into a picture that is close to the image.
    """

    base: str

    @property
    def radii(self) -> tuple[int, ...]:
        """Radius of the operator of every learned step, in samples of its input grid."""
        return ()

    @property
    def fixed_reach(self) -> int:
        """How far the fixed steps see, in samples of x."""
        return 0

    @property
    def reach(self) -> int:
        """No sample depends on anything farther away than this, in samples of x, in either direction of the level.

        An operator of radius r sees r samples of one parity on either side: 2 r + 1 samples of x.
        """
        return self.fixed_reach + sum(2 * radius + 1 for radius in self.radii)

    def partial(self, high_to_low: bool, low_to_high: bool) -> Level:
        """The level with only some of its learned steps.  Raises UsageError if it cannot do without one."""
        raise UsageError(f"{type(self).__name__} has its learned steps all or none; use a hybrid structure")

    @abstractmethod
    def analyze(self, x: Tensor, start: Start) -> tuple[Tensor, Bands2d]:
        """x (B, 1, H, W) -> low band and details."""

    @abstractmethod
    def synthesize(self, low: Tensor, details: Bands2d, start: Start) -> Tensor:
        """Inverse of `analyze`."""


def axes_of(low: Tensor, details: Bands2d, start: Start) -> tuple[Axis, Axis]:
    """Rows and columns of the signal whose bands these are."""
    return (
        Axis(start[0], low.shape[-2] + details.lh.shape[-2]),
        Axis(start[1], low.shape[-1] + details.hl.shape[-1]),
    )


class FixedLevel(Level):
    """The base wavelet alone: LeGall 5/3 or CDF 9/7."""

    def __init__(self, base: str) -> None:
        super().__init__()
        self.base = base

    @property
    def fixed_reach(self) -> int:
        return _BASE_REACH[self.base]

    def analyze(self, x: Tensor, start: Start) -> tuple[Tensor, Bands2d]:
        if x.numel() == 0:  # below a band without samples
            sizes = level_sizes2d((x.shape[-2], x.shape[-1]), 1, start)[0]
            low, *details = (x.new_empty((*x.shape[:-2], *s)) for s in (sizes.low, sizes.lh, sizes.hl, sizes.hh))
            return low, Bands2d(*details)
        coefficients = dwt2(x, self.base, 1, "jpeg2000", start=start)
        return coefficients.low, coefficients.levels[0]

    def synthesize(self, low: Tensor, details: Bands2d, start: Start) -> Tensor:
        rows, columns = axes_of(low, details, start)
        if rows.size * columns.size == 0:
            return low.new_empty((*low.shape[:-2], rows.size, columns.size))
        return idwt2(Coefficients2d(low, (details,), (rows.size, columns.size), self.base, "jpeg2000", start))


class HybridLevel(Level):
    """The base wavelet and two learned steps (figure 3).

    LL' = LL - T_H2L(HL, LH, HH) takes out of the low band what aliasing the details betray; then the details lose what
    the cleaned low band predicts: detail' = detail - T_L2H(LL').  The decoder undoes the second step first, so T_H2L
    has an input even if all details were quantised to zero.  A level with an empty band is left to the base wavelet.

    high_to_low: 3 inputs (HL, LH, HH), 1 output.  low_to_high: 1 input, 3 outputs (HL, LH, HH).  None: without it.
    """

    def __init__(self, base: str, high_to_low: Operator | None, low_to_high: Operator | None) -> None:
        super().__init__()
        self.base = base
        self.fixed = FixedLevel(base)
        self.high_to_low = high_to_low
        self.low_to_high = low_to_high

    @property
    def radii(self) -> tuple[int, ...]:
        return tuple(step.radius for step in (self.high_to_low, self.low_to_high) if step is not None)

    @property
    def fixed_reach(self) -> int:
        return self.fixed.fixed_reach

    def partial(self, high_to_low: bool, low_to_high: bool) -> Level:
        """See `Level.partial`; with the same networks."""
        first, second = self.high_to_low if high_to_low else None, self.low_to_high if low_to_high else None
        return HybridLevel(self.base, first, second)

    def analyze(self, x: Tensor, start: Start) -> tuple[Tensor, Bands2d]:
        low, details = self.fixed.analyze(x, start)
        axes = axes_of(low, details, start)
        if _any_empty(axes):
            return low, details
        if self.high_to_low is not None:
            low = low - high_to_low(self.high_to_low, details, axes)
        if self.low_to_high is not None:
            details = _add(details, low_to_high(self.low_to_high, low, axes), -1)
        return low, details

    def synthesize(self, low: Tensor, details: Bands2d, start: Start) -> Tensor:
        axes = axes_of(low, details, start)
        if not _any_empty(axes):
            if self.low_to_high is not None:
                details = _add(details, low_to_high(self.low_to_high, low, axes), 1)
            if self.high_to_low is not None:
                low = low + high_to_low(self.high_to_low, details, axes)
        return self.fixed.synthesize(low, details, start)


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
        vertical = self.predict_vertical.radius, self.update_vertical.radius
        return *vertical, self.predict_horizontal.radius, self.update_horizontal.radius

    def analyze(self, x: Tensor, start: Start) -> tuple[Tensor, Bands2d]:
        axes = _axes(x, start)
        low_rows, high_rows = self._split_rows(x, axes)
        low, hl = self._split_columns(low_rows, "low", axes)
        lh, hh = self._split_columns(high_rows, "high", axes)
        return low, Bands2d(lh, hl, hh)

    def synthesize(self, low: Tensor, details: Bands2d, start: Start) -> Tensor:
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

    keep_update: U_H updates the low rows too, before T_H2L: a superset of the above.
    """

    def __init__(
        self,
        predict_vertical: Operator,
        update_vertical: Operator,
        predict_horizontal: Operator,
        update_horizontal: Operator,
        high_to_low: Operator,
        low_to_high: Operator | None = None,
        *,
        keep_update: bool = False,
    ) -> None:
        super().__init__(predict_vertical, update_vertical, predict_horizontal, update_horizontal)
        self.high_to_low = high_to_low
        self.low_to_high = low_to_high
        self.keep_update = keep_update

    @property
    def radii(self) -> tuple[int, ...]:
        last = () if self.low_to_high is None else (self.low_to_high.radius,)
        return *super().radii, self.high_to_low.radius, *last

    def analyze(self, x: Tensor, start: Start) -> tuple[Tensor, Bands2d]:
        axes = _axes(x, start)
        low_rows, high_rows = self._split_rows(x, axes)
        low, odd = split(low_rows, -1, axes[1].start)
        hl = odd + self._predict(low, "low", axes)
        lh, hh = self._split_columns(high_rows, "high", axes)
        details = Bands2d(lh, hl, hh)
        if self.keep_update:
            low = low + self._update(hl, "low", axes)
        if not _any_empty(axes):
            low = low - high_to_low(self.high_to_low, details, axes)
            if self.low_to_high is not None:
                details = _add(details, low_to_high(self.low_to_high, low, axes), -1)
        return low, details

    def synthesize(self, low: Tensor, details: Bands2d, start: Start) -> Tensor:
        axes = axes_of(low, details, start)
        if not _any_empty(axes):
            if self.low_to_high is not None:
                details = _add(details, low_to_high(self.low_to_high, low, axes), 1)
            low = low + high_to_low(self.high_to_low, details, axes)
        if self.keep_update:
            low = low - self._update(details.hl, "low", axes)
        odd = details.hl - self._predict(low, "low", axes)
        low_rows = merge(low, odd, -1, axes[1].start)
        high_rows = self._merge_columns(details.lh, details.hh, "high", axes)
        return self._merge_rows(low_rows, high_rows, axes)


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
        return self.predict.radius, self.predict.radius

    @property
    def fixed_reach(self) -> int:
        return 2  # the average of two neighbours, once per direction

    def analyze(self, x: Tensor, start: Start) -> tuple[Tensor, Bands2d]:
        axes = _axes(x, start)
        low_rows, high_rows = self._split(x, "full", axes)
        across = (axes[1], axes[0])
        low, hl = self._split(low_rows.mT, "low", across)
        lh, hh = self._split(high_rows.mT, "high", across)
        return low.mT, Bands2d(lh.mT, hl.mT, hh.mT)

    def synthesize(self, low: Tensor, details: Bands2d, start: Start) -> Tensor:
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


def high_to_low(operator: Operator, details: Bands2d, axes: tuple[Axis, Axis]) -> Tensor:
    """T_H2L(HL, LH, HH) on the grid of the low band."""
    bands: Sequence[tuple[Tensor, Kinds]] = (
        (details.hl, ("low", "high")),
        (details.lh, ("high", "low")),
        (details.hh, ("high", "high")),
    )
    return apply(operator, bands, axes, axes[0].span("low"), axes[1].span("low"))


def low_to_high(operator: Operator, low: Tensor, axes: tuple[Axis, Axis]) -> Bands2d:
    """T_L2H(LL'), one output per detail band.

    The network runs once, over the indices any of the bands has: with an odd start the high bands begin one index
    before the low band.
    """
    rows, columns = ((min(a.span("low")[0], a.span("high")[0]), max(a.span("low")[1], a.span("high")[1])) for a in axes)
    hl, lh, hh = apply(operator, [(low, ("low", "low"))], axes, rows, columns).split(1, 1)

    def crop(prediction: Tensor, kinds: Kinds) -> Tensor:
        (top, bottom), (left, right) = axes[0].span(kinds[0]), axes[1].span(kinds[1])
        return prediction[..., top - rows[0] : bottom - rows[0], left - columns[0] : right - columns[0]]

    return Bands2d(crop(lh, ("high", "low")), crop(hl, ("low", "high")), crop(hh, ("high", "high")))


def _add(details: Bands2d, prediction: Bands2d, sign: int) -> Bands2d:
    pairs = ((details.lh, prediction.lh), (details.hl, prediction.hl), (details.hh, prediction.hh))
    return Bands2d(*(torch.add(band, predicted, alpha=sign) for band, predicted in pairs))


def _axes(x: Tensor, start: Start) -> tuple[Axis, Axis]:
    return Axis(start[0], x.shape[-2]), Axis(start[1], x.shape[-1])


def _any_empty(axes: tuple[Axis, Axis]) -> bool:
    return any(axis.is_empty(kind) for axis in axes for kind in ("low", "high"))
