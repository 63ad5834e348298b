"""Bjontegaard deltas: the mean rate saving at equal quality, and the mean quality gain at equal rate.

Bjontegaard (VCEG-M33, 2001) integrates the horizontal distance between two curves of log rate over quality, over the
quality range both cover.  The package `bjontegaard` computes it; what curves may be compared at all is decided here.
Curves are interpolated piecewise, by PCHIP (Fritsch and Carlson 1980, never overshoots) or Akima (1970).  "cubic" is
the fit of VCEG-M33, for comparison with older papers: through more than four points it oscillates.

Quality is any scale on which equal steps mean the same and more is better: PSNR in dB, MS-SSIM in dB
(-10 log10(1 - x)), or that of another metric (`wavelic.evaluation.quality`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from wavelic.errors import UsageError
from wavelic.evaluation.optional import require

Method = Literal["pchip", "akima", "cubic"]
METHODS: tuple[Method, ...] = ("pchip", "akima", "cubic")

MINIMUM_POINTS = 4
MINIMUM_OVERLAP = 0.5
"""Of two quality ranges, in the unit of the quality: dB for PSNR and MS-SSIM."""
MINIMUM_OVERLAP_OCTAVES = 0.25
LARGEST_RATIO = 20.0
"""A mean rate ratio outside 1/20..20 says that the curves are not comparable, not that a codec is that good."""


@dataclass(frozen=True)
class Delta:
    """Bjontegaard delta, and the range it was taken over.

    Attributes:
        value: for `bd_rate` percent of the reference's rate (negative: the test codec needs fewer bits), for
            `bd_quality` dB (positive: the test codec is better).
        low: lower end of the overlap: quality in dB for `bd_rate`, rate in bpp for `bd_quality`.
        high: upper end of the overlap.
        coverage: the overlap divided by the shorter of the two ranges (of log rate for `bd_quality`).
        method: the interpolation, one of `METHODS`.
    """

    value: float
    low: float
    high: float
    coverage: float
    method: Method

    def __str__(self) -> str:
        return f"{self.value:+.2f} on {self.low:.2f}..{self.high:.2f}"


def bd_rate(
    reference_rate: Sequence[float] | np.ndarray,
    reference_quality: Sequence[float] | np.ndarray,
    test_rate: Sequence[float] | np.ndarray,
    test_quality: Sequence[float] | np.ndarray,
    method: Method = "pchip",
    *,
    unit: str = "dB",
    least: float = MINIMUM_OVERLAP,
) -> Delta:
    """Mean rate difference of a test codec against a reference at equal quality, in percent.

    Args:
        reference_rate: positive rates of the reference, any unit, at least four.
        reference_quality: quality of the reference in dB, strictly increasing with rate.
        test_rate: positive rates of the test codec, in the same unit, at least four.
        test_quality: quality of the test codec in dB, strictly increasing with rate.
        method: interpolation, "pchip" (the one that is quoted), "akima" or "cubic".
        unit: of the quality, for messages.
        least: how much the quality ranges of the curves must overlap, in that unit.

    Returns:
        The delta in percent.

    Raises:
        UsageError: fewer than four points, unequal lengths, values not finite, quality not increasing with rate, an
            overlap of less than ``least``, or a result outside a factor of 20.
        MissingDependencyError: the package bjontegaard is not installed.
    """
    reference = _checked("reference", reference_rate, reference_quality)
    test = _checked("test", test_rate, test_quality)
    low, high, coverage = _overlap(reference[1], test[1], unit, least)
    ratio = math.exp(_mean_distance(reference[::-1], test[::-1], method)[0])
    if not 1 / LARGEST_RATIO <= ratio <= LARGEST_RATIO:
        raise UsageError(
            f"BD-rate would be {100 * (ratio - 1):+.0f} % on {low:.2f}..{high:.2f} {unit}, expected a factor below "
            f"{LARGEST_RATIO:g}; check that both curves use bits per pixel and the same pictures"
        )
    return Delta(100 * (ratio - 1), low, high, coverage, method)


def bd_quality(
    reference_rate: Sequence[float] | np.ndarray,
    reference_quality: Sequence[float] | np.ndarray,
    test_rate: Sequence[float] | np.ndarray,
    test_quality: Sequence[float] | np.ndarray,
    method: Method = "pchip",
) -> Delta:
    """Mean quality difference of a test codec over a reference at equal rate, in dB (BD-PSNR where quality is PSNR).

    Args:
        reference_rate: positive rates of the reference, any unit, at least four.
        reference_quality: quality of the reference in dB, strictly increasing with rate.
        test_rate: positive rates of the test codec, in the same unit, at least four.
        test_quality: quality of the test codec in dB, strictly increasing with rate.
        method: interpolation, one of `METHODS`.

    Returns:
        The delta in dB.

    Raises:
        UsageError: fewer than four points, unequal lengths, values not finite, quality not increasing with rate, or an
            overlap of less than a quarter of an octave of rate.
        MissingDependencyError: the package bjontegaard is not installed.
    """
    reference = _checked("reference", reference_rate, reference_quality)
    test = _checked("test", test_rate, test_quality)
    low, high, coverage = _overlap(reference[0], test[0], "nats of rate", MINIMUM_OVERLAP_OCTAVES * math.log(2))
    return Delta(_mean_distance(reference, test, method)[0], math.exp(low), math.exp(high), coverage, method)


def saving_at(
    reference_rate: Sequence[float] | np.ndarray,
    reference_quality: Sequence[float] | np.ndarray,
    test_rate: Sequence[float] | np.ndarray,
    test_quality: Sequence[float] | np.ndarray,
    qualities: Sequence[float],
    method: Method = "pchip",
    *,
    unit: str = "dB",
    least: float = MINIMUM_OVERLAP,
) -> dict[float, float | None]:
    """Rate differences in percent at single qualities.

    One mean hides crossings: a codec that wins at 30 dB and loses at 40 dB may have a BD-rate of zero.

    Args:
        reference_rate: positive rates of the reference, any unit, at least four.
        reference_quality: quality of the reference in dB, strictly increasing with rate.
        test_rate: positive rates of the test codec, in the same unit, at least four.
        test_quality: quality of the test codec in dB, strictly increasing with rate.
        qualities: qualities at which to compare.
        method: interpolation, one of `METHODS`.
        unit: of the quality, for messages.
        least: how much the quality ranges of the curves must overlap, in that unit.

    Returns:
        The difference for each of ``qualities``, negative where the test codec needs fewer bits; None outside the
        overlap.

    Raises:
        UsageError: as for `bd_rate`.
        MissingDependencyError: the package bjontegaard is not installed.
    """
    reference = _checked("reference", reference_rate, reference_quality)
    test = _checked("test", test_rate, test_quality)
    low, high, _ = _overlap(reference[1], test[1], unit, least)
    _, at_reference, at_test = _mean_distance(reference[::-1], test[::-1], method)
    return {
        float(q): 100 * (math.exp(float(at_test(q) - at_reference(q))) - 1) if low <= q <= high else None
        for q in qualities
    }


def _checked(
    name: str, rate: Sequence[float] | np.ndarray, quality: Sequence[float] | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Natural logarithm of the rate, and quality, both increasing."""
    r, q = np.asarray(rate, dtype=np.float64), np.asarray(quality, dtype=np.float64)
    if r.ndim != 1 or r.shape != q.shape:
        raise UsageError(
            f"{name} curve has rates of shape {r.shape} and qualities of shape {q.shape}; give one each per point"
        )
    if len(r) < MINIMUM_POINTS:
        raise UsageError(f"{name} curve has {len(r)} points, expected at least {MINIMUM_POINTS}; measure more rates")
    if not (np.isfinite(r).all() and np.isfinite(q).all() and (r > 0).all()):
        raise UsageError(f"{name} curve has a rate or quality that is not a finite number above zero; drop that point")
    order = np.argsort(r, kind="stable")
    r, q = np.log(r[order]), q[order]
    steps = np.flatnonzero((np.diff(q) <= 0) | (np.diff(r) <= 0))
    if len(steps):
        i = int(steps[0])
        raise UsageError(
            f"{name} curve is not increasing: {q[i]:.3f} at {math.exp(r[i]):.4f} bpp, then {q[i + 1]:.3f} at "
            f"{math.exp(r[i + 1]):.4f} bpp; drop the point that wastes bits"
        )
    return r, q


def _overlap(reference: np.ndarray, test: np.ndarray, unit: str, least: float) -> tuple[float, float, float]:
    low, high = float(max(reference[0], test[0])), float(min(reference[-1], test[-1]))
    if high - low < least:
        raise UsageError(
            f"curves overlap by {max(0.0, high - low):.2f} {unit} (reference {reference[0]:.2f}..{reference[-1]:.2f}, "
            f"test {test[0]:.2f}..{test[-1]:.2f}), expected {least:.2f}; measure rates that reach the same range"
        )
    shorter = float(min(reference[-1] - reference[0], test[-1] - test[0]))
    return low, high, (high - low) / shorter


def _mean_distance(
    reference: tuple[np.ndarray, np.ndarray], test: tuple[np.ndarray, np.ndarray], method: Method
) -> tuple[float, Any, Any]:
    """Mean of test - reference over the overlap of two curves (x, y), and both interpolated curves y(x)."""
    if method not in METHODS:
        raise UsageError(f"unknown interpolation {method!r}; choose one of {', '.join(METHODS)}")
    mean, at_reference, at_test = require("bjontegaard").bd_linear(
        *reference, *test, method, require_matching_points=False, interpolators=True, min_overlap=0
    )
    return float(mean), at_reference, at_test
