"""Construction of tables: discretised Gaussians on a grid of scales, and a free-form distribution per channel.

Floats are used in this module and in no other.  It runs when weights are exported; the resulting integers are stored
with the weights, and a decoder never repeats it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from wavelic.entropy.tables import MAX_PRECISION, TableSet
from wavelic.errors import UsageError

# Float weights become whole numbers of this many bits before they are normalised.
_WEIGHT_BITS = 40


def gaussian_scales(count: int = 64, lowest: float = 0.11, highest: float = 256.0) -> npt.NDArray[np.float64]:
    """Standard deviations in geometric progression, in quantiser steps.

    The defaults are those of Balle et al. 2018 (scale hyperprior).

    Args:
        count: how many, at least 1.
        lowest: the first, above 0.
        highest: the last.

    Returns:
        float64 (count,), rising.

    Raises:
        UsageError: arguments out of range.

    Examples:
        >>> gaussian_scales(3, 0.5, 8.0).tolist()
        [0.5, 2.0, 8.0]
    """
    if count < 1 or not 0 < lowest <= highest < math.inf:
        raise UsageError(f"{count} scales from {lowest} to {highest}; expected at least 1 and 0 < lowest <= highest")
    return np.exp(np.linspace(math.log(lowest), math.log(highest), count)).round(12)


def scale_index(deviations: npt.ArrayLike, scales: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Index of the scale nearest to each standard deviation, by ratio.

    A float computation: use it in training, or where encoder and decoder are known to agree on ``deviations`` to the
    bit.

    Args:
        deviations: standard deviations of any shape.
        scales: the grid, rising.

    Returns:
        int64, in the shape of ``deviations``.

    Examples:
        >>> scale_index([0.0, 0.9, 1.1, 100.0], [0.5, 2.0, 8.0]).tolist()
        [0, 0, 1, 2]
    """
    grid = np.asarray(scales, dtype=np.float64)
    return np.searchsorted(np.sqrt(grid[1:] * grid[:-1]), np.asarray(deviations), side="right")


def gaussian_tables(
    scales: npt.ArrayLike | None = None, *, tail_mass: float = 2.0**-16, precision: int = MAX_PRECISION
) -> TableSet:
    """Make zero-mean Gaussian tables.

    Symbol k has the mass of [k - 1/2, k + 1/2].  A table covers -r .. r with the smallest r >= 1 that leaves at most
    ``tail_mass`` outside, which is the mass of the escape entry.

    Args:
        scales: standard deviations, one per table, in quantiser steps; by default `gaussian_scales`.
        tail_mass: largest mass outside a table, between 0 and 1.
        precision: every table sums to 2^precision, at most 16.

    Returns:
        One table per scale.

    Raises:
        UsageError: scales that are not positive, or a table that needs more entries than 2^precision allows.

    Examples:
        >>> tables = gaussian_tables([0.25, 1.0])
        >>> tables.table(0).tolist(), tables.offsets.tolist()
        ([1491, 62553, 1491, 1], [-1, -4])
    """
    grid = gaussian_scales() if scales is None else np.asarray(scales, dtype=np.float64).ravel()
    if grid.size == 0 or not np.isfinite(grid).all() or grid.min() <= 0 or not 0 < tail_mass < 1:
        raise UsageError("Gaussian tables need finite positive scales and 0 < tail_mass < 1; check both")
    weights, offsets, escapes = [], [], []
    for scale in grid.tolist():
        radius = _radius(scale, tail_mass)
        upper = [_upper_tail((k - 0.5) / scale) for k in range(1, radius + 2)]
        side = [inner - outer for inner, outer in pairwise(upper)]
        weights.append([*reversed(side), 1.0 - 2.0 * upper[0], *side])
        offsets.append(-radius)
        escapes.append(2.0 * upper[-1])
    return factorized_tables(weights, offsets, escape_weights=escapes, precision=precision)


def factorized_tables(
    weights: Sequence[npt.ArrayLike],
    offsets: Sequence[int],
    *,
    escape_weights: Sequence[float] | None = None,
    precision: int = MAX_PRECISION,
) -> TableSet:
    """Make one table per channel from free-form distributions.

    Args:
        weights: per channel, non-negative numbers proportional to the probabilities of ``offset, offset + 1, ...``: a
            histogram or a probability mass function.
        offsets: per channel, the symbol that the first weight stands for.
        escape_weights: per channel, the weight of all other symbols together; by default the smallest frequency.
        precision: every table sums to 2^precision, at most 16.

    Returns:
        One table per channel.

    Raises:
        UsageError: negative or non-finite weights, or lists of different lengths.

    Examples:
        >>> factorized_tables([[0.25, 0.5, 0.25]], [-1], precision=8).table(0).tolist()
        [64, 127, 64, 1]
    """
    escapes = [0.0] * len(weights) if escape_weights is None else escape_weights
    if len(weights) != len(escapes):
        raise UsageError(f"{len(weights)} distributions and {len(escapes)} escape weights; give one of each per table")
    counts, escape_counts = [], []
    for weight, escape in zip(weights, escapes, strict=True):
        values = np.append(np.asarray(weight, dtype=np.float64).ravel(), escape)
        if not np.isfinite(values).all() or values.min() < 0 or values.sum() <= 0:
            raise UsageError("a distribution has negative or non-finite weights or none at all; give a histogram")
        whole = np.rint(values * (2.0**_WEIGHT_BITS / values.sum())).astype(np.int64)
        counts.append(whole[:-1])
        escape_counts.append(int(whole[-1]))
    return TableSet.from_frequencies(counts, offsets, escape_counts=escape_counts, precision=precision)


def _upper_tail(x: float) -> float:
    """P(X > x) of a standard normal variable."""
    return 0.5 * math.erfc(x / math.sqrt(2.0))


def _radius(scale: float, tail_mass: float) -> int:
    """Smallest r >= 1 with P(|X| > r + 1/2) <= tail_mass."""
    low, high = 0, 1
    while 2.0 * _upper_tail((high + 0.5) / scale) > tail_mass:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if 2.0 * _upper_tail((middle + 0.5) / scale) > tail_mass:
            low = middle
        else:
            high = middle
    return high
