"""Validation with the real coder: luma BD-rate of a lifting transform against CDF 9/7 in JP2 files.

Every image is encoded once with a quality layer per rate; lower rates are the same file with layers dropped.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from wavelic.jpeg2000 import EncodeOptions, decode_codestream
from wavelic.lifting.jp2 import synthesis
from wavelic.lifting.jp2.opening import open_jp2
from wavelic.lifting.jp2.pseudo_image import pseudo_image
from wavelic.lifting.jp2.samples import to_components
from wavelic.lifting.structures import build_lifting
from wavelic.lifting.transform.transform import LiftingTransform

RATES = (0.1, 0.2, 0.4, 0.7, 1.0)
_MODEL = b"training"


@dataclass(frozen=True)
class Score:
    """Means over images.

    Attributes:
        bpp: bits per pixel of the files, one entry per rate.
        psnr: of the learned decoder in dB, one entry per rate.
        stock_psnr: of the picture a standard decoder shows at the highest rate, bit depth undone.
        lowest: the least sample of the pseudo-images in gray levels.
        highest: the largest.
        clipped: samples outside the code range.
    """

    bpp: tuple[float, ...]
    psnr: tuple[float, ...]
    stock_psnr: float
    lowest: float
    highest: float
    clipped: int


def luma(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Convert RGB (H, W, 3) to luma of BT.601 rounded to 8 bits, (H, W, 1)."""
    weights = np.array([0.299, 0.587, 0.114], np.float32)
    return np.rint(pixels @ weights).astype(np.uint8)[..., None]


def psnr(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """Measure PSNR in dB of 8-bit samples; identical pictures count as an error of one sample of one gray level."""
    squared = np.square(a.astype(np.float64) - b).sum()
    return 10 * math.log10(255**2 * a.size / max(squared, 1.0))


@torch.no_grad()
def score(transform: LiftingTransform, images: Sequence[NDArray[np.uint8]], rates: Sequence[float] = RATES) -> Score:
    """Code gray images (H, W, 1) at ``rates`` bits per pixel and average."""
    plain = not any(True for _ in transform.parameters())
    bpp, quality = np.zeros(len(rates)), np.zeros(len(rates))
    stock, lowest, highest, clipped = 0.0, math.inf, -math.inf, 0
    for pixels in images:
        coefficients = transform.analysis(to_components(pixels, transform.base), 5)
        options = EncodeOptions(layer_bytes=[int(rate * pixels.size / 8) for rate in rates])
        pseudo = pseudo_image(coefficients, 8)
        file = open_jp2(pseudo.file(options, model=bytes(8) if plain else _MODEL))
        bpp += np.array([layer.bpp for layer in file.layers], np.float64)
        for layer in range(len(rates)):
            decoded = synthesis.read(file, None if plain else transform, file.request(layers=layer + 1))
            quality[layer] += psnr(pixels, decoded.astype(np.uint8))
        codes = decode_codestream(file.jp2.codestream).planes[0]
        seen = ((codes - file.box.offset) / file.box.scale * 255)[..., None]
        lowest, highest, clipped = min(lowest, seen.min()), max(highest, seen.max()), clipped + pseudo.clipped
        stock += psnr(pixels, np.clip(np.rint(seen), 0, 255).astype(np.uint8))
    count = len(images)
    return Score(tuple(bpp / count), tuple(quality / count), stock / count, float(lowest), float(highest), clipped)


def rate_difference(reference: Score, test: Score) -> float:
    """Mean difference of log rate at equal PSNR, in percent, between the curves' points joined by straight lines.

    `wavelic.evaluation.bd.bd_rate` is the figure to quote; this one needs no scipy and agrees to a few hundredths.
    """
    low, high = max(reference.psnr[0], test.psnr[0]), min(reference.psnr[-1], test.psnr[-1])
    quality = np.linspace(low, high, 1001)
    logs = [np.interp(quality, curve.psnr, np.log(curve.bpp)) for curve in (reference, test)]
    return 100 * math.expm1(float(np.trapezoid(logs[1] - logs[0], dx=1 / 1000)))


class Validator:
    """Scores transforms on fixed images against CDF 9/7, which is coded once."""

    def __init__(self, images: Sequence[NDArray[np.uint8]], rates: Sequence[float] = RATES) -> None:
        self.images, self.rates = list(images), rates
        self.anchor = score(build_lifting("CDF-9/7"), self.images, rates)

    def __call__(self, transform: LiftingTransform) -> dict[str, float]:
        """Score a transform.

        Args:
            transform: of one component.

        Returns:
            bd_rate in percent (negative: better than 9/7), stock_psnr, lowest, highest and clipped of `Score`.
        """
        result = score(transform, self.images, self.rates)
        return {
            "bd_rate": rate_difference(self.anchor, result),
            "stock_psnr": result.stock_psnr,
            "lowest": result.lowest,
            "highest": result.highest,
            "clipped": float(result.clipped),
        }
