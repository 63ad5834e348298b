"""What other JPEG 2000 software shows of files of codec `lifting`, and which learned steps that comes from.

    python -m benchmarks.studies.lifting_stock --images DIR [--weights lifting] [--only NAME] [--json FILE]

The pictures, rates and BD-rates are those of `lifting_steps`, which this adds to: every choice of learned steps is
coded and its last layer, 1 bit per pixel, is decoded by libopenjp2 alone, with bit depth and headroom undone.  PSNR of
that view in RGB and of its luma and chroma planes, in dB, mean over pictures; of plain 9/7 they are what wavelic shows.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.measuring import write_results
from benchmarks.studies.lifting_results import stock_view
from benchmarks.studies.lifting_steps import LEVELS, RATES, curves, photographs, saving, share
from wavelic.evaluation.metrics import psnr_rgb
from wavelic.jpeg2000 import EncodeOptions
from wavelic.lifting.jp2.pseudo_image import encode_coefficients
from wavelic.lifting.jp2.samples import to_components
from wavelic.lifting.structures import build_lifting
from wavelic.lifting.transform.levels import HybridLevel
from wavelic.lifting.transform.steps import NEVER, PRODUCT_STEPS, LearnedSteps, Steps
from wavelic.lifting.transform.transform import LiftingTransform
from wavelic.lifting.weights import load_lifting

_NONE, _CHROMA, _LUMA = Steps(NEVER, NEVER), PRODUCT_STEPS.chroma, PRODUCT_STEPS.luma
CHOICES = {
    "plain": LearnedSteps(_NONE, _NONE),
    "product": PRODUCT_STEPS,
    "luma as in the product, chroma plain": LearnedSteps(_LUMA, _NONE),
    "luma plain, chroma as in the product": LearnedSteps(_NONE, _CHROMA),
    "luma T_L2H alone": LearnedSteps(Steps(NEVER, 1), _CHROMA),
    "luma T_H2L alone": LearnedSteps(Steps(2, NEVER), _CHROMA),
    "luma T_L2H from level 2": LearnedSteps(Steps(2, 2), _CHROMA),
    "luma T_L2H alone, from level 2": LearnedSteps(Steps(NEVER, 2), _CHROMA),
    "luma from level 3": LearnedSteps(Steps(3, 3), _CHROMA),
}
PLANES = ("y", "cb", "cr")


def planes(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Luma and colour differences (3, H, W) of RGB, in gray levels."""
    matrix = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
    return np.einsum("pc,hwc->phw", matrix, pixels.astype(np.float64))


@torch.inference_mode()
def view(transform: LiftingTransform, pictures: list[NDArray[np.uint8]]) -> dict[str, float]:
    """Mean PSNR of what libopenjp2 alone shows at the highest of the rates."""
    rows = []
    for pixels in pictures:
        count = pixels.shape[0] * pixels.shape[1]
        options = EncodeOptions(layer_bytes=[int(rate * count / 8) for rate in RATES])
        data = encode_coefficients(transform.analysis(to_components(pixels), LEVELS), 8, options, model=b"measured")
        seen = stock_view(data)
        errors = np.square(planes(seen) - planes(pixels)).mean((1, 2))
        rows.append([psnr_rgb(pixels, seen), *(10 * np.log10(255**2 / np.maximum(errors, 1e-9)))])
    return {key: round(float(v), 3) for key, v in zip(("rgb", *PLANES), np.mean(rows, 0), strict=True)}


def main() -> None:
    """Measure, print and perhaps write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--weights", default="lifting")
    parser.add_argument("--only", choices=CHOICES, action="append")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    pictures, weights = photographs(arguments.images), load_lifting(arguments.weights)
    assert isinstance(weights.level, HybridLevel)
    anchor = curves(build_lifting("CDF-9/7"), pictures)
    rows: dict[str, Any] = {}
    for name in arguments.only or CHOICES:
        transform = LiftingTransform(weights.level, steps=CHOICES[name])
        rows[name] = {
            "steps": CHOICES[name].pack(),
            "work": round(share(weights.level, CHOICES[name]), 3),
            **({} if name == "plain" else saving(anchor, curves(transform, pictures))),
            "stock_psnr": view(transform, pictures),
        }
        print(name, json.dumps(rows[name]), flush=True)
    if arguments.json:
        head = {"what": "BD-rate in percent against CDF 9/7; PSNR in dB of other software's view at 1 bpp"}
        write_results({**head, "weights": arguments.weights, "images": len(pictures), "choices": rows}, arguments.json)


if __name__ == "__main__":
    main()
