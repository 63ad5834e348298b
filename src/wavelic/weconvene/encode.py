"""Encoding with `weconvene`: which quantiser step meets a target, and how much work a smaller file is worth."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from wavelic.codec.options import Encoded, Options, check_device, psnr
from wavelic.codec.target import Target, search
from wavelic.codec.weights import family
from wavelic.images import Image
from wavelic.weconvene.config import FAMILIES
from wavelic.weconvene.files import WINDOW_TILE, Encoding, quality_of_step, step_of_quality
from wavelic.weconvene.ms_ssim import SMALLEST
from wavelic.weconvene.rdoq import RDOQ_LAMBDA
from wavelic.weconvene.units import COARSEST, FINEST
from wavelic.weconvene.weights import load_model

#: Rise of the logarithm of the rate, and of PSNR in dB, from one step (1/32 octave) to the next finer one.
_RATE_RISE, _PSNR_RISE = 1.25 * math.log(2) / 32, 3.9 / 32
#: What photographs have at the middle step, about: bits per pixel, and dB.
_MIDDLE_BPP, _MIDDLE_PSNR = 0.2, 31.0


@dataclass(frozen=True)
class Effort:
    """What an encoder does for a smaller file.

    Attributes:
        rdoq: rate-distortion optimised quantisation; without it, residuals are rounded.
        iterations: of the search by gradient (`wavelic.weconvene.refine`).
    """

    rdoq: bool = True
    iterations: int = 0


#: By `Options.effort`, which means the next lower one of these.
EFFORTS = {
    1: Effort(rdoq=False),
    2: Effort(),
    6: Effort(iterations=2),
    7: Effort(iterations=4),
    8: Effort(iterations=8),
    9: Effort(iterations=16),
}
DEFAULT_EFFORT = 5


def effort_of(level: int | None) -> Effort:
    """The effort that `Options.effort` means."""
    level = DEFAULT_EFFORT if level is None else level
    return EFFORTS[max(number for number in EFFORTS if number <= level)]


def encode_weconvene(image: Image, target: Target, options: Options) -> Encoded:
    """Compress ``image`` with the weights for what it is tuned for.  Raises ModelError if there are none."""
    card = family(FAMILIES[options.tune])[-1]
    model = load_model(card, check_device(options.device))
    tile = None if options.access == "whole" else WINDOW_TILE
    effort = effort_of(options.effort)
    encoding = Encoding(
        image, model, options.strip, tile, RDOQ_LAMBDA if effort.rdoq else 0.0, progress=options.progress
    )
    step, note = _step(encoding, target)
    if effort.iterations and options.tune == "msssim" and min(image.height, image.width) < SMALLEST:
        few = f"below {SMALLEST} pixels a side there is no MS-SSIM: effort {options.effort} does what 5 does"
        note = "; ".join(filter(None, (note, few)))
    elif effort.iterations:
        encoding = replace(encoding, iterations=effort.iterations, tune=options.tune)
        step, note = _step(encoding, target, near=step)
    return Encoded(encoding.file(step), card.name, round(quality_of_step(step), 2), note)


def _step(encoding: Encoding, target: Target, near: int | None = None) -> tuple[int, str]:
    """The step that meets a target, and how well it does; ``near``: one that nearly does."""
    if target.kind == "quality":
        return step_of_quality(target.value), ""
    image = encoding.image
    pixels = image.width * image.height

    def measure(position: int) -> float:
        if target.kind == "psnr":
            return psnr(image.colour(), encoding.reconstruction(COARSEST - position))
        size = len(encoding.file(COARSEST - position))
        return size * 8 / pixels if target.kind == "bpp" else float(size)

    start, rise = _first_guess(target, pixels)
    if near is not None:
        start = COARSEST - near
    found = search(measure, 0, COARSEST - FINEST, target, start=start, rise=rise)
    return COARSEST - found.position, found.note(target)


def _first_guess(target: Target, pixels: int) -> tuple[int, float]:
    """Where a search starts for photographs, counted from the coarsest step, and how much a finer step usually adds."""
    if target.kind == "psnr":
        usual, goal, rise = _MIDDLE_PSNR, target.value, _PSNR_RISE
    else:
        bpp = target.value * 8 / pixels if target.kind == "size" else target.value
        usual, goal, rise = math.log(_MIDDLE_BPP), math.log(bpp), _RATE_RISE
    return (COARSEST - FINEST) // 2 + math.floor((goal - usual) / rise + 0.5), rise
