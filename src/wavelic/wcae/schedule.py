"""The order in which a latent is coded and the table each symbol gets: one object for encoder and decoder.

The channels are cut into slices, coded one after another.  How much a symbol is likely to deviate from zero depends on
its channel and on the energy that the slices before it have already shown around its position: a weighted sum of
magnitudes over a 3x3 neighbourhood, compared with thresholds.  Everything here is integer arithmetic on numbers
stored with the weights, so that the same file gives the same symbols on every machine.

Scales are in 1/64 octave.  A gain of g multiplies the latent by 2^(g/64) before rounding, which moves every scale by g
and every threshold by the same factor.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wavelic.errors import ModelError, UsageError

GAIN_UNIT = 64  # gains and scales per octave
MAX_GAIN = 4 * GAIN_UNIT
MAX_CHANNELS = 512
_MAX_WEIGHT = 1 << 12
_MAX_MAGNITUDE = 1 << 20  # larger symbols count as this, so that sums stay below 2^63
_FRACTION_BITS = 15
# round(2^(i/64) * 2^15) for i in 0..63, written out because the last bit of a power differs between libraries
_OCTAVE = (
    32768, 33125, 33486, 33850, 34219, 34591, 34968, 35349, 35734, 36123, 36516, 36914, 37316, 37722, 38133, 38548,
    38968, 39392, 39821, 40255, 40693, 41136, 41584, 42037, 42495, 42958, 43425, 43898, 44376, 44859, 45348, 45842,
    46341, 46846, 47356, 47871, 48393, 48920, 49452, 49991, 50535, 51085, 51642, 52204, 52773, 53347, 53928, 54515,
    55109, 55709, 56316, 56929, 57549, 58176, 58809, 59449, 60097, 60751, 61413, 62081, 62757, 63441, 64132, 64830,
)  # fmt: skip


def gain_factor(gain: int) -> int:
    """2^(gain/64) in units of 2^-15, for gains within +-256, the same integer everywhere."""
    octave, step = divmod(gain, GAIN_UNIT)
    return _OCTAVE[step] << octave if octave >= 0 else _OCTAVE[step] >> -octave


@dataclass(frozen=True, eq=False)
class SliceSchedule:
    """Slices, contexts and scales of a latent of C channels.

    Attributes:
        order: int32 (C,), the channels in coding order.
        slices: int32 (S + 1,), rising from 0 to C: slice s holds ``order[slices[s]:slices[s + 1]]``.
        weights: int32 (C,), what a unit magnitude of each channel adds to the energy, 0..4096.
        thresholds: int64 (S, K - 1), rising energies that separate the K contexts of each slice.
        tables: int32 (C, K), base table of each channel and context: family * ``per_family`` + scale.
        per_family: tables of one family, ordered by scale.
        step: scale distance of neighbouring tables in 1/64 octave.
    """

    order: NDArray[np.int32]
    slices: NDArray[np.int32]
    weights: NDArray[np.int32]
    thresholds: NDArray[np.int64]
    tables: NDArray[np.int32]
    per_family: int
    step: int

    def __post_init__(self) -> None:
        channels = len(self.order)
        good = (
            0 < channels <= MAX_CHANNELS
            and sorted(self.order.tolist()) == list(range(channels))
            and self.slices[0] == 0
            and self.slices[-1] == channels
            and bool((np.diff(self.slices) > 0).all())
            and self.weights.shape == (channels,)
            and bool(((self.weights >= 0) & (self.weights <= _MAX_WEIGHT)).all())
            and self.thresholds.shape == (len(self.slices) - 1, self.tables.shape[1] - 1)
            and bool((np.diff(self.thresholds, axis=1) >= 0).all())
            and self.tables.shape[0] == channels
            and self.per_family > 0
            and self.step > 0
        )
        if not good:
            raise ModelError("the slice schedule in the weights contradicts itself; export the weights again")

    @property
    def channels(self) -> int:
        """Channels of the latent."""
        return len(self.order)

    def __iter__(self) -> Iterator[NDArray[np.int32]]:
        """The channels of each slice in coding order."""
        for start, stop in zip(self.slices[:-1], self.slices[1:], strict=True):
            yield self.order[start:stop]

    def table_indices(self, number: int, symbols: NDArray[np.int32], gain: int) -> NDArray[np.int32]:
        """Table of every symbol of slice ``number``: (channels of the slice, h, w).

        Args:
            number: 0..S-1.
            symbols: int32 (C, h, w); only channels of earlier slices are looked at.
            gain: -256..256, in 1/64 octave.

        Raises:
            UsageError: the gain is out of range.
        """
        if abs(gain) > MAX_GAIN:
            raise UsageError(f"gain {gain} is outside {-MAX_GAIN}..{MAX_GAIN}; choose a smaller one")
        channels = self.order[self.slices[number] : self.slices[number + 1]]
        energy = self.energy(number, symbols) << _FRACTION_BITS
        context = np.searchsorted(self.thresholds[number] * gain_factor(gain), energy, side="right")
        base = self.tables[channels][:, context]
        family, scale = np.divmod(base, self.per_family)
        scale = np.clip(scale + (2 * gain + self.step) // (2 * self.step), 0, self.per_family - 1)
        return (family * self.per_family + scale).astype(np.int32)

    def energy(self, number: int, symbols: NDArray[np.int32]) -> NDArray[np.int64]:
        """What the slices before ``number`` show around each position: int64 (h, w), binomial 3x3 neighbourhood."""
        before = self.order[: self.slices[number]]
        magnitudes = np.minimum(np.abs(symbols[before].astype(np.int64)), _MAX_MAGNITUDE)
        total = np.tensordot(self.weights[before].astype(np.int64), magnitudes, 1)
        padded = np.pad(total, 1)
        rows = padded[:-2] + 2 * padded[1:-1] + padded[2:]
        return rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]

    def to_arrays(self) -> dict[str, NDArray[np.int32] | NDArray[np.int64]]:
        """Integer arrays for the weights file."""
        return {
            "schedule.order": self.order,
            "schedule.slices": self.slices,
            "schedule.weights": self.weights,
            "schedule.thresholds": self.thresholds,
            "schedule.tables": self.tables,
            "schedule.grid": np.array([self.per_family, self.step], np.int32),
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[np.int32] | NDArray[np.int64]]) -> SliceSchedule:
        """Inverse of `to_arrays`.  Raises ModelError for arrays that do not fit together."""
        try:
            per_family, step = (int(value) for value in arrays["schedule.grid"])
            return cls(
                arrays["schedule.order"].astype(np.int32),
                arrays["schedule.slices"].astype(np.int32),
                arrays["schedule.weights"].astype(np.int32),
                arrays["schedule.thresholds"].astype(np.int64),
                arrays["schedule.tables"].astype(np.int32),
                per_family,
                step,
            )
        except (KeyError, ValueError, IndexError) as error:
            raise ModelError(f"the weights hold no valid slice schedule ({error}); export the weights again") from error
