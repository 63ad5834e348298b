"""BD-rates of studies: of mean curves, and the mean of the pictures' own."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wavelic.evaluation.bd import bd_rate


def bd_rates(reference: NDArray[np.float64], test: NDArray[np.float64]) -> tuple[float, float]:
    """BD-rates in percent, negative for fewer bits: of the mean curve, and the mean of those of single pictures.

    Args:
        reference: (pictures, points, 2): bits per pixel and dB.
        test: likewise, of the same pictures.
    """

    def change(a: NDArray[Any], b: NDArray[Any]) -> float:
        return bd_rate(a[:, 0], a[:, 1], b[:, 0], b[:, 1]).value

    own = [change(a, b) for a, b in zip(reference, test, strict=True)]
    return change(reference.mean(0), test.mean(0)), float(np.mean(own))
