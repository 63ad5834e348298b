"""Metrics by name: what each measures, and the scale on which curves of it are compared.

PSNR and MS-SSIM are measured always (`BASIC`).  The others are measured when asked for (`wavelic eval --metric NAME`):
SSIMULACRA2 and Butteraugli, the entry points of other packages, and a metric of the user's own by the path of its file:

    [project.entry-points."wavelic.metrics"]
    vmaf = "mine.metrics:VMAF"                   # an instance of `Metric`

    wavelic eval weconvene --metric mine.py:VMAF ...
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points

import numpy as np

from wavelic.errors import UsageError
from wavelic.evaluation.metrics import ms_ssim_rgb, psnr_rgb, psnr_y, to_db
from wavelic.evaluation.outside import is_outside, load_outside
from wavelic.evaluation.perceptual import butteraugli, butteraugli_version, ssimulacra2, ssimulacra2_version

#: Group of the entry points of other packages.
GROUP = "wavelic.metrics"


def _unchanged(value: float) -> float:
    return value


def _without_version() -> str:
    return ""


@dataclass(frozen=True)
class Metric:
    """A measure of a decoded picture against its original.

    Attributes:
        name: on the command line and in results files.
        label: for tables and plots.
        measure: from two arrays uint8 (height, width, 3), the original first, to a number; `nan` where it is undefined.
        scale: from that number to a scale on which more is better and equal steps mean the same, for BD figures.
        unit: of the scale.
        least: how much the ranges of two curves must overlap on the scale, to be compared at all.
        fixed: places on the scale at which single rate differences are quoted.
        digits: decimals in results files.
        version: what computes it, for the results file; it may raise MissingDependencyError.
    """

    name: str
    label: str
    measure: Callable[[np.ndarray, np.ndarray], float]
    scale: Callable[[float], float] = _unchanged
    unit: str = ""
    least: float = 0.5
    fixed: tuple[float, ...] = ()
    digits: int = 4
    version: Callable[[], str] = _without_version


def _decibels_below(distance: float) -> float:
    """-10 log10 of a distance: 3 dB more for half of it."""
    return math.inf if distance <= 0 else -10 * math.log10(distance)


_DECIBELS = (28.0, 32.0, 36.0, 40.0)
BASIC: tuple[Metric, ...] = (
    Metric("psnr-rgb", "PSNR RGB", psnr_rgb, unit="dB", fixed=_DECIBELS),
    Metric("psnr-y", "PSNR Y", psnr_y, unit="dB", fixed=_DECIBELS),
    Metric("ms-ssim-rgb", "MS-SSIM RGB", ms_ssim_rgb, to_db, "dB", fixed=(10.0, 14.0, 18.0), digits=6),
)
"""The metrics of every results file."""

MORE: tuple[Metric, ...] = (
    Metric(
        "ssimulacra2", "SSIMULACRA2", ssimulacra2, unit="points", least=5.0, fixed=(30.0, 50.0, 70.0, 85.0),
        version=ssimulacra2_version,
    ),
    Metric(
        "butteraugli", "Butteraugli 3-norm", butteraugli, _decibels_below, "dB", fixed=(-6.0, -3.0, 0.0), digits=6,
        version=butteraugli_version,
    ),
)  # fmt: skip
"""Metrics that are measured when asked for."""


@cache
def _named() -> dict[str, Metric | str]:
    """Every metric that has a name; one of this module cannot be taken by another package."""
    found: dict[str, Metric | str] = {point.name: point.value for point in entry_points(group=GROUP)}
    return found | {metric.name: metric for metric in (*BASIC, *MORE)}


def metric_names() -> tuple[str, ...]:
    """Return the names of all metrics: those of every results file first, those of other packages last."""
    own = [metric.name for metric in (*BASIC, *MORE)]
    return (*own, *sorted(name for name in _named() if name not in own))


def get_metric(name: str) -> Metric:
    """Look up a metric.

    Args:
        name: one of `metric_names`, or "path/to/file.py:Name" or "package.module:Name" of an instance of `Metric`.

    Returns:
        The metric.

    Raises:
        UsageError: there is none, or what the name stands for is not a metric.
    """
    if not is_outside(name) and name not in _named():
        raise UsageError(
            f"metric {name!r}, expected one of {', '.join(metric_names())}, or a path as mine.py:NAME; choose one"
        )
    found = name if is_outside(name) else _named()[name]
    if isinstance(found, Metric):
        return found
    metric = load_outside(found)
    if not isinstance(metric, Metric):
        raise UsageError(
            f"{found} is {metric!r}, expected an instance of wavelic.evaluation.quality.Metric; make it one"
        )
    if is_outside(name) and metric.name in _named():
        raise UsageError(f"{found} is called {metric.name}, as another metric is; rename it")
    return metric
