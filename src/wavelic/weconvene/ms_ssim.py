"""1 - MS-SSIM with a gradient: what is minimised where a picture is to look alike instead of measuring alike.

Wang, Simoncelli and Bovik, *Multi-scale structural similarity for image quality assessment* (Asilomar 2003), computed
by the package pytorch-msssim.
"""

from __future__ import annotations

import math
import warnings
from functools import cache

from torch import Tensor

from wavelic.errors import MissingDependencyError
from wavelic.nn.constants import constant

#: Of the five scales.
_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_WINDOW, _DEVIATION = 11, 1.5
#: Least side of a picture: at the coarsest scale the window fits once.
SMALLEST = (_WINDOW - 1) * 2 ** (len(_WEIGHTS) - 1) + 1


def one_minus_ms_ssim(test: Tensor, reference: Tensor) -> Tensor:
    """1 - MS-SSIM of each picture, (N,).

    Args:
        test: (N, 3, H, W), samples 0..255, sides SMALLEST or more.
        reference: the same shape.

    Raises:
        MissingDependencyError: pytorch-msssim is not installed.
    """
    try:
        from pytorch_msssim import ms_ssim
    except ImportError as error:
        raise MissingDependencyError(
            "pytorch-msssim is not installed, and tuning for MS-SSIM needs it; run: pip install 'wavelic[eval]'"
        ) from error
    # window and weights are given, since a step that makes them from numbers cannot be recorded on a GPU
    window = constant((((_window(),),),) * 3, reference)
    weights = constant(_WEIGHTS, reference)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that weights are a tensor
        similarity: Tensor = ms_ssim(test, reference, 255.0, size_average=False, win=window, weights=weights)
    return 1 - similarity


@cache
def _window() -> tuple[float, ...]:
    """A Gaussian."""
    values = [math.exp(-((x - _WINDOW // 2) ** 2) / (2 * _DEVIATION**2)) for x in range(_WINDOW)]
    return tuple(value / sum(values) for value in values)
