"""One level of a lifting transform: the base wavelet, and two learned steps that join it.

Li, Naman and Taubman, *Exploration of learned lifting-based transform structures for fully scalable and accessible
wavelet-like image compression* (arXiv 2402.18761), section II and figure 3.  A level maps a signal to a low band and
three details.  Every step adds to some samples a function of *other* samples only, so the steps read backwards undo
the level exactly, whatever the operators are.

Signals are (B, 1, H, W); ``start`` is the absolute (row, column) of their first sample.  Bands have the shapes and
names of `wavelic.wavelets`, low-pass gain 1 at DC, and the sign "odd sample minus its prediction".
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from wavelic.errors import ModelError, UsageError
from wavelic.lifting.names import HYBRID, PLAIN_STRUCTURES
from wavelic.lifting.transform.grid import Axis
from wavelic.lifting.transform.operators import Kinds, Operator, apply
from wavelic.lifting.transform.proposal_opacity import ProposalOpacity, u16
from wavelic.wavelets import Bands2d, Coefficients2d, dwt2, idwt2, level_sizes2d

Start = tuple[int, int]

#: Base wavelet -> samples of the signal that a sample of it depends on to either side: half the longest filter, of 5
#: taps for 5/3 and 9 for 9/7.
BASE_RADIUS = {"5/3": 2, "9/7": 4}


class Level(nn.Module, ABC):
    """One level of a transform.

    Attributes:
        base: "5/3" or "9/7": the wavelet whose inverse turns the bands into a picture close to the image.
    """

    base: str

    @property
    def radii(self) -> tuple[int, ...]:
        """Radius of the operator of every learned step, in samples of its input grid."""
        return ()

    @property
    def base_radius(self) -> int:
        """Radius of the receptive field of the fixed steps, in samples of the signal."""
        return 0

    @property
    def receptive_radius(self) -> int:
        """Radius of the receptive field of the level, in samples of the signal, in analysis and synthesis.

        An operator of radius r sees r samples of one parity on either side: 2 r + 1 samples of the signal.
        """
        return self.base_radius + sum(2 * radius + 1 for radius in self.radii)

    def partial(self, high_to_low: bool, low_to_high: bool) -> Level:
        """Return the level with only some of its learned steps.

        Args:
            high_to_low: keep T_H2L.
            low_to_high: keep T_L2H.

        Raises:
            UsageError: the structure cannot do one step without the other.
        """
        raise UsageError(f"{type(self).__name__} has its learned steps all or none; use a hybrid structure")

    @abstractmethod
    def analyze(self, x: Tensor, start: Start) -> tuple[Tensor, Bands2d]:
        """Split a signal (B, 1, H, W) into its low band and its details."""

    @abstractmethod
    def synthesize(self, low: Tensor, details: Bands2d, start: Start) -> Tensor:
        """Undo `analyze`."""


def axes_of(low: Tensor, details: Bands2d, start: Start) -> tuple[Axis, Axis]:
    """Return rows and columns of the signal with these bands."""
    return (
        Axis(start[0], low.shape[-2] + details.lh.shape[-2]),
        Axis(start[1], low.shape[-1] + details.hl.shape[-1]),
    )


class FixedLevel(Level):
    """Base wavelet alone: LeGall 5/3 or CDF 9/7."""

    def __init__(self, base: str) -> None:
        super().__init__()
        self.base = base

    @property
    def base_radius(self) -> int:
        """Half the longest filter of the base wavelet."""
        return BASE_RADIUS[self.base]

    def analyze(self, x: Tensor, start: Start) -> tuple[Tensor, Bands2d]:
        """Split a signal; see `Level.analyze`."""
        if x.numel() == 0:  # below a band without samples
            sizes = level_sizes2d((x.shape[-2], x.shape[-1]), 1, start)[0]
            low, *details = (x.new_empty((*x.shape[:-2], *s)) for s in (sizes.low, sizes.lh, sizes.hl, sizes.hh))
            return low, Bands2d(*details)
        coefficients = dwt2(x, self.base, 1, "jpeg2000", start=start)
        return coefficients.low, coefficients.levels[0]

    def synthesize(self, low: Tensor, details: Bands2d, start: Start) -> Tensor:
        """Undo `analyze`."""
        rows, columns = axes_of(low, details, start)
        if rows.size * columns.size == 0:
            return low.new_empty((*low.shape[:-2], rows.size, columns.size))
        return idwt2(Coefficients2d(low, (details,), (rows.size, columns.size), self.base, "jpeg2000", start))


class HybridLevel(Level):
    """Base wavelet and two learned steps (figure 3).

    LL' = LL - T_H2L(HL, LH, HH) takes out of the low band what aliasing the details betray; then the details lose what
    the cleaned low band predicts: detail' = detail - T_L2H(LL').  The decoder undoes the second step first, so T_H2L
    has an input even if all details were quantised to zero.  A level with an empty band is left to the base wavelet.

    Args:
        base: "5/3" or "9/7".
        high_to_low: T_H2L, with 3 inputs (HL, LH, HH) and 1 output; None: the level is without it.
        low_to_high: T_L2H, with 1 input and 3 outputs (HL, LH, HH); None: the level is without it.
    """

    def __init__(self, base: str, high_to_low: Operator | None, low_to_high: Operator | None) -> None:
        super().__init__()
        self.base = base
        self.fixed = FixedLevel(base)
        self.high_to_low = high_to_low
        self.low_to_high = low_to_high

    @property
    def radii(self) -> tuple[int, ...]:
        """Radii of the operators there are."""
        return tuple(step.radius for step in (self.high_to_low, self.low_to_high) if step is not None)

    @property
    def base_radius(self) -> int:
        """That of the base wavelet."""
        return self.fixed.base_radius

    def partial(self, high_to_low: bool, low_to_high: bool) -> Level:
        """Return the level with only some of its learned steps, which share their networks with it."""
        first, second = self.high_to_low if high_to_low else None, self.low_to_high if low_to_high else None
        return HybridLevel(self.base, first, second)

    def analyze(self, x: Tensor, start: Start) -> tuple[Tensor, Bands2d]:
        """Split a signal; see `Level.analyze`."""
        low, details = self.fixed.analyze(x, start)
        axes = axes_of(low, details, start)
        if any_empty(axes):
            return low, details
        if self.high_to_low is not None:
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
            if self.high_to_low is not None:
                low = low + high_to_low(self.high_to_low, details, axes)
        return self.fixed.synthesize(low, details, start)


def high_to_low(operator: Operator, details: Bands2d, axes: tuple[Axis, Axis]) -> Tensor:
    """Apply T_H2L to (HL, LH, HH): (B, 1, h, w) on the grid of the low band."""
    bands: Sequence[tuple[Tensor, Kinds]] = (
        (details.hl, ("low", "high")),
        (details.lh, ("high", "low")),
        (details.hh, ("high", "high")),
    )
    return apply(operator, bands, axes, axes[0].span("low"), axes[1].span("low"))


def low_to_high(operator: Operator, low: Tensor, axes: tuple[Axis, Axis]) -> Bands2d:
    """Apply T_L2H to LL': one output per detail band.

    The network runs once, over the indices any of the bands has: with an odd start the high bands begin one index
    before the low band.
    """
    rows, columns = ((min(a.span("low")[0], a.span("high")[0]), max(a.span("low")[1], a.span("high")[1])) for a in axes)
    hl, lh, hh = apply(operator, [(low, ("low", "low"))], axes, rows, columns).split(1, 1)

    def crop(prediction: Tensor, kinds: Kinds) -> Tensor:
        (top, bottom), (left, right) = axes[0].span(kinds[0]), axes[1].span(kinds[1])
        return prediction[..., top - rows[0] : bottom - rows[0], left - columns[0] : right - columns[0]]

    return Bands2d(crop(lh, ("high", "low")), crop(hl, ("low", "high")), crop(hh, ("high", "high")))


def add_details(details: Bands2d, prediction: Bands2d, sign: int) -> Bands2d:
    """Add ``sign`` times the predictions to the details of a level."""
    pairs = ((details.lh, prediction.lh), (details.hl, prediction.hl), (details.hh, prediction.hh))
    return Bands2d(*(torch.add(band, predicted, alpha=sign) for band, predicted in pairs))


def axes_of_signal(x: Tensor, start: Start) -> tuple[Axis, Axis]:
    """Return rows and columns of a signal (B, 1, H, W) whose first sample is at ``start``."""
    return Axis(start[0], x.shape[-2]), Axis(start[1], x.shape[-1])


def any_empty(axes: tuple[Axis, Axis]) -> bool:
    """Whether a band of the signal with these rows and columns has no samples."""
    return any(axis.is_empty(kind) for axis in axes for kind in ("low", "high"))


def build_level(name: str) -> Level:
    """Build a level of one of the codec's own structures, with new weights.

    Args:
        name: "LeGall-5/3" and "CDF-9/7", which have no learned steps, or "Hybrid(9/7)-U16".

    Raises:
        ModelError: there is no own structure of that name.
    """
    for base, plain in PLAIN_STRUCTURES.items():
        if name == plain:
            return FixedLevel(base)
    if name != HYBRID:
        raise ModelError(f"no structure {name!r}; choose one of {', '.join((*PLAIN_STRUCTURES.values(), HYBRID))}")
    low_to_high = replace(u16(1, 3, last=1), zero_sum_input=True, zero_sum_taps=True)
    return HybridLevel("9/7", ProposalOpacity(u16(3, 1, last=3)), ProposalOpacity(low_to_high))
