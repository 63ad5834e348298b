"""Encoding with `weconvene`: which quantiser step meets a target, by a few probes."""

from __future__ import annotations

import math
from collections.abc import Callable

from wavelic.codecs.options import Encoded, Options, check_device, psnr
from wavelic.codecs.search import Found, Target
from wavelic.codecs.weconvene import COARSEST, FINEST, SmallEncoding, quality_of_step, step_of_quality
from wavelic.images import Image
from wavelic.models.small_deployed import load_small
from wavelic.models.weights import family

#: Fall of the logarithm of the rate, and of PSNR in dB, per unit of step (1/32 octave): where a search starts.
_RATE_SLOPE, _PSNR_SLOPE = -1.25 * math.log(2) / 32, -3.9 / 32


def encode_weconvene(image: Image, target: Target, options: Options) -> Encoded:
    """Compress ``image`` with the shipped `weconvene` weights.  Raises ModelError if there are none."""
    card = family("weconvene")[-1]
    model = load_small(card, check_device(options.device))
    encoding = SmallEncoding(image, model, options.strip, progress=options.progress)
    if target.kind == "quality":
        step, note = step_of_quality(target.value), ""
    else:
        goal = target.value * image.width * image.height / 8 if target.kind == "bpp" else target.value

        def measure(step: int) -> float:
            data = encoding.file(step)
            return psnr(image.colour(), encoding.reconstruction(step)) if target.kind == "psnr" else float(len(data))

        step, value, probes = find_step(measure, goal, target.kind)
        value = value * 8 / (image.width * image.height) if target.kind == "bpp" else value
        note = Found(step, value, probes).note(target)
    return Encoded(encoding.file(step), card.name, round(quality_of_step(step), 2), note)


def find_step(measure: Callable[[int], float], goal: float, kind: str) -> tuple[int, float, int]:
    """The step FINEST..COARSEST at which a falling measure comes nearest to ``goal``: step, value, probes.

    Bytes are taken as a power of the step and PSNR as linear in its logarithm: secants, with the bracket as a safe-
    guard.  A size is not exceeded unless every step does.
    """

    def scale(value: float) -> float:
        return min(value, 200.0) if kind == "psnr" else math.log(max(value, 1e-9))

    seen: dict[int, float] = {}
    slope = _PSNR_SLOPE if kind == "psnr" else _RATE_SLOPE
    low, high = FINEST, COARSEST  # the goal lies between: values fall
    step = (FINEST + COARSEST) // 2
    while step not in seen:
        seen[step] = measure(step)
        gap = scale(seen[step]) - scale(goal)
        low, high = (step, high) if gap >= 0 else (low, step)
        known = sorted(seen, key=lambda s: abs(scale(seen[s]) - scale(goal)))
        if len(known) > 1 and (rise := scale(seen[known[0]]) - scale(seen[known[1]])):
            slope = rise / (known[0] - known[1])
        best = known[0]
        step = (low + high) // 2 if slope >= 0 else best + round((scale(goal) - scale(seen[best])) / slope)
        step = min(max(step, low), high)
        if step in seen and abs(scale(seen[best]) - scale(goal)) > abs(slope) * 0.75 and high - low > 1:
            step = (low + high) // 2  # the secant stands still short of the goal
    allowed = [s for s, value in seen.items() if kind != "size" or value <= goal] or [max(seen)]
    best = min(allowed, key=lambda s: abs(scale(seen[s]) - scale(goal)))
    if kind == "size" and seen[best] > goal and COARSEST not in seen:
        seen[COARSEST] = measure(COARSEST)
        best = COARSEST
    return best, seen[best], len(seen)
