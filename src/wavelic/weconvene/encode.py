"""Encoding with `weconvene`: which quantiser step meets a target, by a few probes."""

from __future__ import annotations

import math

from wavelic.codec.options import Encoded, Options, check_device, psnr
from wavelic.codec.target import Target, search
from wavelic.codec.weights import family
from wavelic.images import Image
from wavelic.weconvene.context import COARSEST, FINEST
from wavelic.weconvene.files import (
    WINDOW_TILE,
    Encoding,
    quality_of_step,
    step_of_quality,
)
from wavelic.weconvene.weights import load_model

#: Rise of the logarithm of the rate, and of PSNR in dB, from one step (1/32 octave) to the next finer one.
_RATE_RISE, _PSNR_RISE = 1.25 * math.log(2) / 32, 3.9 / 32
#: What photographs have at the middle step, about: bits per pixel, and dB.
_MIDDLE_BPP, _MIDDLE_PSNR = 0.2, 31.0


def encode_weconvene(image: Image, target: Target, options: Options) -> Encoded:
    """Compress ``image`` with the shipped `weconvene` weights.  Raises ModelError if there are none."""
    card = family("weconvene")[-1]
    model = load_model(card, check_device(options.device))
    tile = None if options.access == "whole" else WINDOW_TILE
    encoding = Encoding(image, model, options.strip, tile, progress=options.progress)
    if target.kind == "quality":
        step, note = step_of_quality(target.value), ""
    else:
        pixels = image.width * image.height

        def measure(position: int) -> float:
            if target.kind == "psnr":
                return psnr(image.colour(), encoding.reconstruction(COARSEST - position))
            size = len(encoding.file(COARSEST - position))
            return size * 8 / pixels if target.kind == "bpp" else float(size)

        start, rise = _first_guess(target, pixels)
        found = search(measure, 0, COARSEST - FINEST, target, start=start, rise=rise)
        step, note = COARSEST - found.position, found.note(target)
    return Encoded(encoding.file(step), card.name, round(quality_of_step(step), 2), note)


def _first_guess(target: Target, pixels: int) -> tuple[int, float]:
    """Where a search starts for photographs, counted from the coarsest step, and how much a finer step usually adds."""
    if target.kind == "psnr":
        usual, goal, rise = _MIDDLE_PSNR, target.value, _PSNR_RISE
    else:
        bpp = target.value * 8 / pixels if target.kind == "size" else target.value
        usual, goal, rise = math.log(_MIDDLE_BPP), math.log(bpp), _RATE_RISE
    return (COARSEST - FINEST) // 2 + math.floor((goal - usual) / rise + 0.5), rise
