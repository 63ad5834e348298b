"""Encoding with `3dm`: which rate, in octaves of lambda, meets a target, by a few probes."""

from __future__ import annotations

import math

from wavelic.codec.options import Encoded, Options, check_device, psnr
from wavelic.codec.target import Target, search
from wavelic.codec.weights import family
from wavelic.images import Image
from wavelic.threedm.entropy import RATE_UNIT, RATES
from wavelic.threedm.files import TILE, WINDOW_TILE, Encoding, quality_of_rate, rate_of_quality
from wavelic.threedm.weights import load_model

#: Rise of the logarithm of the rate, and of PSNR in dB, from one position (1/32 octave of lambda) to the next.
_RATE_RISE, _PSNR_RISE = 0.6 * math.log(2) / RATE_UNIT, 1.6 / RATE_UNIT
#: What photographs have at r = 0, about: bits per pixel, and dB.
_MIDDLE_BPP, _MIDDLE_PSNR = 0.35, 31.0


def encode_threedm(image: Image, target: Target, options: Options) -> Encoded:
    """Compress an image with the installed `3dm` weights.

    Args:
        image: 8 or 16 bits, 1 to 4 channels.
        target: what is to be met.
        options: checked already.

    Returns:
        The file.

    Raises:
        ModelError: there are no weights.
    """
    card = family("3dm")[-1]
    model = load_model(card, check_device(options.device))
    tile = TILE if options.access == "whole" else WINDOW_TILE
    encoding = Encoding(image, model, options.strip, tile, options.progress)
    if target.kind == "quality":
        rate, note = rate_of_quality(target.value), ""
    else:
        pixels = image.width * image.height

        def measure(rate: int) -> float:
            if target.kind == "psnr":
                return psnr(image.colour(), encoding.reconstruction(rate))
            size = len(encoding.file(rate))
            return size * 8 / pixels if target.kind == "bpp" else float(size)

        start, rise = _first_guess(target, pixels)
        found = search(measure, -RATES, RATES, target, start=start, rise=rise)
        rate, note = found.position, found.note(target)
    return Encoded(encoding.file(rate), card.name, round(quality_of_rate(rate), 2), note)


def _first_guess(target: Target, pixels: int) -> tuple[int, float]:
    """Where a search starts for photographs, and how much one position usually adds."""
    if target.kind == "psnr":
        usual, goal, rise = _MIDDLE_PSNR, target.value, _PSNR_RISE
    else:
        bpp = target.value * 8 / pixels if target.kind == "size" else target.value
        usual, goal, rise = math.log(_MIDDLE_BPP), math.log(bpp), _RATE_RISE
    return math.floor((goal - usual) / rise + 0.5), rise
