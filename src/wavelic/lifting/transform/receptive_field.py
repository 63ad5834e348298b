"""The region of support of one level, as the paper's table III counts it.

    S = 4 * (sum of the radii) + 2 + (L - 1)        L = 5 for 5/3, 9 for 9/7, 1 where the base steps are replaced

reproduces all eleven printed rows (78, 82, 54, 162, 202, 234).  For the hybrid it is twice the larger one-sided
footprint of a detail sample in the analysis; for the others a plain sum over the steps, which the true footprint stays
below.
"""

from __future__ import annotations

from wavelic.lifting.transform.structures import FixedLevel, HybridLevel
from wavelic.lifting.transform.transform import LiftingTransform

_FILTER_LENGTHS = {"5/3": 5, "9/7": 9}


def region_of_support(transform: LiftingTransform) -> int:
    """Side in pixels of the region of support of one level, by table III's rule.

    >>> from wavelic.lifting.transform.transform import build_lifting
    >>> region_of_support(build_lifting("Hybrid(9/7)-9c-compact"))
    54
    """
    level = transform.level
    keeps_base = isinstance(level, FixedLevel | HybridLevel)
    filter_length = _FILTER_LENGTHS[level.base] if keeps_base else 1
    return 4 * sum(level.radii) + 2 + filter_length - 1
