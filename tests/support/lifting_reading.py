"""Reading files and coefficients with a transform that no file names: what tests of the synthesis share."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from wavelic.lifting.jp2 import synthesis
from wavelic.lifting.jp2.file import Jp2File
from wavelic.lifting.transform.grid import Axis
from wavelic.lifting.transform.transform import LiftingTransform
from wavelic.lifting.transform.windows import LevelBands, Region, signals_of, synthesize_pieces, window_axes
from wavelic.wavelets import Coefficients2d


def read_with(
    file: Jp2File,
    transform: LiftingTransform | None = None,
    *,
    reduce: int = 0,
    layers: int | None = None,
    region: Region | None = None,
) -> np.ndarray:
    """`synthesis.read` on one thread, with a request made of its parts."""
    return synthesis.read(file, transform, file.request(reduce, layers, region))


def synthesize_region(transform: LiftingTransform, coefficients: Coefficients2d, region: Region) -> Tensor:
    """The part ``region`` (x, y, width, height) of ``transform.synthesis(coefficients)``, from the samples it needs."""
    c = coefficients
    plan = window_axes(transform, c.size, len(c.levels), region)
    signals = signals_of((Axis(0, c.size[0]), Axis(0, c.size[1])), len(c.levels) + 1)
    pieces = [LevelBands(signal, details) for signal, details in zip(signals, c.levels, strict=False)]
    x, y, width, height = region
    return synthesize_pieces(transform, plan, (Axis(y, height), Axis(x, width)), pieces, (c.low, signals[-1]))
