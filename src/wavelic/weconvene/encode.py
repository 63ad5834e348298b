"""Encoding with `weconvene`: which quantiser step meets a target, by a few probes."""

from __future__ import annotations

import math
from collections.abc import Callable

from wavelic.codec.options import Encoded, Options, check_device, psnr
from wavelic.codec.target import Found, Kind, Target
from wavelic.codec.weights import family
from wavelic.images import Image
from wavelic.weconvene.files import (
    COARSEST,
    FINEST,
    WINDOWS_TILE,
    SmallEncoding,
    quality_of_step,
    step_of_quality,
)
from wavelic.weconvene.weights import load_small

#: Fall of the logarithm of the rate, and of PSNR in dB, per unit of step (1/32 octave): where a search starts.
_RATE_SLOPE, _PSNR_SLOPE = -1.25 * math.log(2) / 32, -3.9 / 32
#: What photographs have at the middle step, about: bits per pixel, and dB.
_MIDDLE_BPP, _MIDDLE_PSNR = 0.2, 31.0
_SECANTS = 6  # probes after which a search halves its bracket


def encode_weconvene(image: Image, target: Target, options: Options) -> Encoded:
    """Compress ``image`` with the shipped `weconvene` weights.  Raises ModelError if there are none."""
    card = family("weconvene")[-1]
    model = load_small(card, check_device(options.device))
    tile = None if options.access == "whole" else WINDOWS_TILE
    encoding = SmallEncoding(image, model, options.strip, tile, progress=options.progress)
    if target.kind == "quality":
        step, note = step_of_quality(target.value), ""
    else:
        pixels = image.width * image.height
        goal = target.value * pixels / 8 if target.kind == "bpp" else target.value

        def measure(step: int) -> float:
            if target.kind == "psnr":
                return psnr(image.colour(), encoding.reconstruction(step))
            return float(len(encoding.file(step)))

        usual = _MIDDLE_PSNR if target.kind == "psnr" else _MIDDLE_BPP * pixels / 8
        step, value, probes = find_step(measure, goal, target.kind, usual)
        value = value * 8 / pixels if target.kind == "bpp" else value
        note = Found(step, value, probes).note(target)
    return Encoded(encoding.file(step), card.name, round(quality_of_step(step), 2), note)


def find_step(measure: Callable[[int], float], goal: float, kind: Kind, usual: float) -> tuple[int, float, int]:
    """The step FINEST..COARSEST at which a falling measure comes nearest to ``goal``: step, value, probes.

    Bytes are taken as a power of the step and PSNR as linear in its logarithm: secants inside a bracket, and halving
    once they have had their chance.  A size is not exceeded unless every step does.

    Args:
        measure: PSNR in dB for kind "psnr", else bytes, at a step.
        goal: in the same unit.
        usual: what the middle step usually measures.
    """

    def scale(value: float) -> float:
        return min(value, 200.0) if kind == "psnr" else math.log(max(value, 1e-9))

    slope = _PSNR_SLOPE if kind == "psnr" else _RATE_SLOPE
    seen: dict[int, float] = {}
    finer, coarser = FINEST - 1, COARSEST + 1  # beyond the goal on either side, as far as known
    best, at = (FINEST + COARSEST) // 2, scale(usual)
    while coarser - finer > 1:
        step = best + math.floor((scale(goal) - at) / slope + 0.5)
        if len(seen) >= _SECANTS:
            step = (finer + coarser) // 2
        step = min(max(step, finer + 1), coarser - 1)
        seen[step] = measure(step)
        gap = scale(seen[step]) - scale(goal)
        finer, coarser = (step, coarser) if gap > 0 else (finer, step)
        if abs(gap) <= abs(slope) / 2 and (kind != "size" or gap <= 0):
            break  # nearer than the next step is likely to be
        known = sorted(seen, key=lambda s: abs(scale(seen[s]) - scale(goal)))
        best, at = known[0], scale(seen[known[0]])
        if len(known) > 1 and (rise := at - scale(seen[known[1]])) * (known[0] - known[1]) < 0:
            slope = rise / (known[0] - known[1])
    allowed = [s for s, value in seen.items() if kind != "size" or value <= goal] or [max(seen)]
    best = min(allowed, key=lambda s: abs(scale(seen[s]) - scale(goal)))
    return best, seen[best], len(seen)
