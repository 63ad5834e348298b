"""Integer frequency tables, the probabilities of the range coder.

A table covers a run of integers ``offset, offset + 1, ...`` and ends with an escape entry for everything else.  Entry k
has the frequency f_k >= 1, all frequencies sum to 2^precision, and f_k / 2^precision is the probability, exactly.
Tables are made once (at the end of training, or by an encoder that sends them) and stored as integers: no float is
computed when a file is decoded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import constriction
import numpy as np
import numpy.typing as npt

from wavelic.errors import UsageError

# The probabilities of constriction's default coders are multiples of 2^-24.
CODER_PRECISION = 24
MAX_PRECISION = 16
MAX_TABLES = 1 << 16
_INT32_MIN, _INT32_MAX = -(1 << 31), (1 << 31) - 1


@dataclass(frozen=True, eq=False)
class TableSet:
    """Frequency tables numbered 0 .. len(tables) - 1.

    Attributes:
        frequencies: uint16 (total,), the tables one after another, each ending with its escape entry.
        sizes: int32 (tables,), entries of each table including the escape entry, at least 2.
        offsets: int32 (tables,), the symbol that the first entry stands for.
        precision: every table sums to 2^precision, at most 16.

    Raises:
        UsageError: the arrays do not fit together.

    Examples:
        >>> tables = TableSet.from_frequencies([[1, 2, 1], [5, 1]], offsets=[-1, 0], precision=8)
        >>> len(tables), tables.frequencies.tolist(), tables.sizes.tolist()
        (2, [64, 127, 64, 1, 213, 42, 1], [4, 3])
    """

    frequencies: npt.NDArray[np.uint16]
    sizes: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int32]
    precision: int = MAX_PRECISION

    def __post_init__(self) -> None:
        for name, dtype in (("frequencies", np.uint16), ("sizes", np.int32), ("offsets", np.int32)):
            object.__setattr__(self, name, _integers(name, getattr(self, name), dtype))
        if not 1 <= self.precision <= MAX_PRECISION:
            raise UsageError(f"table precision {self.precision} bits; expected 1 to {MAX_PRECISION}")
        if not 1 <= len(self.sizes) <= MAX_TABLES or len(self.sizes) != len(self.offsets):
            raise UsageError(
                f"{len(self.sizes)} table sizes, {len(self.offsets)} offsets; expected equally many, 1 to {MAX_TABLES}"
            )
        sizes = self.sizes.astype(np.int64)
        if sizes.min() < 2 or sizes.sum() != len(self.frequencies):
            raise UsageError(
                f"table sizes sum to {sizes.sum()} (smallest {sizes.min()}) for {len(self.frequencies)} frequencies;"
                " give each table at least one symbol and one escape entry"
            )
        if (self.offsets + (sizes - 2)).max() > _INT32_MAX:
            raise UsageError("a table reaches beyond the int32 range; use a smaller offset or fewer symbols")
        sums = np.add.reduceat(self.frequencies.astype(np.int64), self.starts)
        if self.frequencies.min() < 1 or (sums != 1 << self.precision).any():
            raise UsageError(
                f"table sums are {sums.min()} to {sums.max()}, smallest frequency {self.frequencies.min()}; each table"
                f" must sum to {1 << self.precision} with frequencies of at least 1"
            )

    def __len__(self) -> int:
        return len(self.sizes)

    @classmethod
    def from_frequencies(
        cls,
        counts: Sequence[npt.ArrayLike],
        offsets: Sequence[int],
        *,
        escape_counts: Sequence[int] | None = None,
        precision: int = MAX_PRECISION,
    ) -> TableSet:
        """Make tables from arbitrary histograms.

        Only integer arithmetic is used, so an encoder may send counts and let the decoder repeat this.  Every symbol of
        a table stays codable, also one that was never seen.

        Args:
            counts: ``counts[t][k]`` is how often ``offsets[t] + k`` occurs in context t, a whole number from 0 to 2^40.
            offsets: per table, the symbol that the first count stands for.
            escape_counts: per table, how often other symbols occur; by default 0, which gives the smallest frequency.
            precision: every table sums to 2^precision, at most 16.

        Returns:
            One table per histogram.

        Raises:
            UsageError: negative or fractional counts, or lists of different lengths.
        """
        escapes = [0] * len(counts) if escape_counts is None else escape_counts
        if not len(counts) == len(offsets) == len(escapes):
            raise UsageError(
                f"{len(counts)} histograms, {len(offsets)} offsets, {len(escapes)} escape counts; give one of each"
            )
        tables = []
        for histogram, escape in zip(counts, escapes, strict=True):
            entries = [*np.asarray(histogram).ravel().tolist(), escape]
            tables.append(normalize_frequencies(entries, precision))
        if not tables:
            raise UsageError("no histograms given; a table set has at least one table")
        sizes = np.array([len(table) for table in tables], dtype=np.int32)
        return cls(np.concatenate(tables), sizes, _integers("offsets", np.asarray(offsets), np.int32), precision)

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Named integer arrays that hold the set, ready for safetensors."""
        return {
            "frequencies": self.frequencies,
            "sizes": self.sizes,
            "offsets": self.offsets,
            "precision": np.array([self.precision], dtype=np.int32),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> TableSet:
        """Restore a set; the inverse of `to_arrays`.

        Args:
            arrays: the named arrays.

        Returns:
            The set.

        Raises:
            UsageError: an array is missing, or the arrays do not fit together.
        """
        missing = [name for name in ("frequencies", "sizes", "offsets", "precision") if name not in arrays]
        if missing:
            raise UsageError(f"entropy tables lack {', '.join(missing)}; pass the arrays that to_arrays() gave")
        precision = _integers("precision", arrays["precision"], np.int32)
        if len(precision) != 1:
            raise UsageError(f"precision has {len(precision)} elements; expected 1")
        return cls(arrays["frequencies"], arrays["sizes"], arrays["offsets"], int(precision[0]))

    @cached_property
    def starts(self) -> npt.NDArray[np.int64]:
        """First entry of each table in ``frequencies``: int64 (tables,)."""
        return np.cumsum(self.sizes, dtype=np.int64) - self.sizes

    def table(self, index: int) -> npt.NDArray[np.uint16]:
        """Frequencies of one table.

        Args:
            index: number of the table.

        Returns:
            uint16, the escape entry last.
        """
        begin = int(self.starts[index])
        return self.frequencies[begin : begin + int(self.sizes[index])]

    @cached_property
    def bounds(self) -> list[tuple[int, int]]:
        """(offset, number of symbols without the escape entry) of each table, as Python integers."""
        return list(zip(self.offsets.tolist(), self.counts.tolist(), strict=True))

    @cached_property
    def counts(self) -> npt.NDArray[np.uint32]:
        """Number of symbols of each table, which is also the index of its escape entry: uint32 (tables,)."""
        return (self.sizes - 1).astype(np.uint32)

    @cached_property
    def modular_offsets(self) -> npt.NDArray[np.uint32]:
        """Offsets modulo 2^32: uint32 (tables,)."""
        return self.offsets.view(np.uint32)

    def model(self, index: int) -> Any:
        """Return constriction's model of one table, made on first use.

        Args:
            index: number of the table.

        Returns:
            The model.
        """
        model = self._models[index]
        if model is None:
            model = self._models[index] = exact_model(self.table(index), self.precision)
        return model

    @cached_property
    def _models(self) -> list[Any]:
        return [None] * len(self)


def exact_model(frequencies: npt.ArrayLike, precision: int) -> Any:
    """Make a constriction model in which entry k has the probability frequencies[k] / 2^precision, unrounded.

    constriction takes floats and turns them into 24-bit integers.  For weights w_0 .. w_(n-1) it computes

        cumulative_k = trunc((w_0 + ... + w_(k-1)) * scale) + k,     scale = (2^24 - n) / (w_0 + ... + w_(n-1)),

    reserving 1 of 2^24 for each entry (`fast_quantized_cdf` in constriction 0.4 and 0.5).  We pass the float64 integers
    w_k = f_k * 2^(24 - precision) - 1.  They sum to 2^24 - n, so scale is exactly 1.0, all partial sums are integers
    below 2^53, nothing is rounded, and cumulative_k = (f_0 + ... + f_(k-1)) * 2^(24 - precision) on every IEEE machine.

    Args:
        frequencies: of one table, summing to 2^precision.
        precision: at most 16.

    Returns:
        constriction's Categorical model.
    """
    weights = np.asarray(frequencies).astype(np.int64) << (CODER_PRECISION - precision)
    return constriction.stream.model.Categorical((weights - 1).astype(np.float64), lazy=False, perfect=False)


def normalize_frequencies(counts: Sequence[int], precision: int) -> npt.NDArray[np.uint16]:
    """Scale whole-number counts to frequencies of at least 1 that sum to 2^precision, by integer arithmetic alone.

    Entries whose share is below 1 get 1; the others share the rest in proportion, rounded by largest remainder, the
    first of equal remainders first.  Counts that are all zero give a flat table.

    Args:
        counts: whole numbers from 0 to 2^40.
        precision: 1 to 16.

    Returns:
        uint16, as many as there are counts.

    Raises:
        UsageError: counts or precision out of range, or more than 2^precision entries.

    Examples:
        >>> normalize_frequencies([3, 0, 1], precision=4).tolist()
        [11, 1, 4]
    """
    if not 1 <= precision <= MAX_PRECISION:
        raise UsageError(f"table precision {precision} bits; expected 1 to {MAX_PRECISION}")
    if not 2 <= len(counts) <= 1 << precision:
        raise UsageError(f"{len(counts)} entries in a table of {precision} bits; expected 2 to {1 << precision}")
    values = _integers("counts", np.asarray(counts), np.int64)
    if values.min() < 0 or values.max() > 1 << 40:
        raise UsageError(f"counts from {values.min()} to {values.max()}; expected 0 to 2^40")
    if not values.any():
        values = np.ones_like(values)
    frequencies = np.ones_like(values)
    shared = values > 0
    while True:
        budget = (1 << precision) - int(np.count_nonzero(~shared))
        total = int(values[shared].sum())
        small = shared & (values * budget < total)
        if not small.any():
            break
        shared &= ~small
    indices = np.flatnonzero(shared)
    frequencies[indices], remainders = np.divmod(values[indices] * budget, total)
    missing = (1 << precision) - int(frequencies.sum())
    frequencies[indices[np.argsort(-remainders, kind="stable")[:missing]]] += 1
    return frequencies.astype(np.uint16)


def _integers(name: str, array: npt.ArrayLike, dtype: Any) -> npt.NDArray[Any]:
    """``array`` as a one-dimensional C-contiguous array of ``dtype``, or UsageError if a value does not fit."""
    given = np.asarray(array)
    if given.dtype.kind not in "iu" or given.ndim != 1:
        raise UsageError(f"{name} is {given.ndim}-dimensional {given.dtype}; expected one dimension of integers")
    limits = np.iinfo(dtype)
    if given.size and (int(given.min()) < limits.min or int(given.max()) > limits.max):
        raise UsageError(f"{name} holds {given.min()} to {given.max()}; expected values of {np.dtype(dtype).name}")
    return np.ascontiguousarray(given, dtype=dtype)
