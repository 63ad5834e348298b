"""Units and ranges of what is coded: integers, so that every machine computes the same.  Loads no torch.

    what                    unit
    coefficients, means     1/16 quantiser step
    input features          1/32 octave of a coefficient in steps
    log2 scales             1/64 octave
    quantiser steps         1/32 octave of a grey level

Scales name tables of symbols, a fifth of an octave apart.
"""

from __future__ import annotations

import math

#: Units of a coefficient in quantiser steps.
VALUE = 16
#: Units of an input feature: of an octave.
FEATURE = 32
#: Units of an octave of scale and of an octave of the quantiser step.
SCALE_UNIT, STEP_UNIT = 64, 32
#: Largest coefficient, in steps: 2^24; residuals are as large.
MAX_VALUE = 1 << 24
#: Largest mean, in steps.
MAX_MEAN = float(1 << 11)
#: log2 of the smallest logistic scale.
LOG2_LOWEST = -4.5
#: Tables in an octave of scale, and in all.
PER_OCTAVE, SCALES = 5, 64
#: What the networks' scales are multiplied by: they reach 8 octaves, and the last layer would learn them slowly.
HEAD_SCALE = 2.0
#: Quantiser steps in grey levels of an orthonormal transform that the networks are trained for.
LOWEST_STEP, HIGHEST_STEP = 12.0, 320.0
#: log2 of the step that the transform networks see as 0.
CENTRE = 6


def step_code(step: float) -> int:
    """A quantiser step in grey levels -> 1/32 octave, the nearest."""
    return round(STEP_UNIT * math.log2(step))


#: Steps that a file may have, in 1/32 octave.
FINEST, COARSEST = step_code(LOWEST_STEP), step_code(HIGHEST_STEP)


def magnitude_features(limit: int) -> list[int]:
    """Features of the coefficients 0, 1, 2 .. in 1/16 step, log2(1 + v): up to the first that is ``limit`` at least.

    Larger coefficients have the feature of the last.
    """
    last = VALUE * (1 << (limit // FEATURE + 1))
    return [min(limit, round(FEATURE * math.log2(1 + k / VALUE))) for k in range(last + 1)]
