"""What learned steps of luma and chroma gain at which levels, and what part of the networks' work they are.

    python -m benchmarks.studies.lifting_steps --images DIR [--weights lifting] [--only NAME] [--json FILE]

Twelve photographs of DIR (every fourth by name, drawings left out), the middle 768x512 of each, coded once with layers
of 0.1, 0.2, 0.4, 0.7 and 1.0 bits per pixel.  BD-rate (PCHIP) of the mean curve and mean over images of the BD-rates,
in percent against CDF 9/7 with the same layers: RGB PSNR, and PSNR of luma rounded to 8 bits.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.measuring import write_results
from benchmarks.pictures import luma, psnr
from benchmarks.rates import bd_rates
from wavelic.images import list_images, load_image
from wavelic.jpeg2000 import EncodeOptions
from wavelic.lifting.jp2 import synthesis
from wavelic.lifting.jp2.opening import open_jp2
from wavelic.lifting.jp2.pseudo_image import encode_coefficients
from wavelic.lifting.jp2.samples import to_components
from wavelic.lifting.structures import build_lifting
from wavelic.lifting.transform.levels import HybridLevel
from wavelic.lifting.transform.steps import EVERYWHERE, NEVER, PRODUCT_STEPS, LearnedSteps, Steps
from wavelic.lifting.transform.transform import LiftingTransform
from wavelic.lifting.weights import load_lifting

RATES = (0.1, 0.2, 0.4, 0.7, 1.0)
COUNT, STRIDE, WIDTH, HEIGHT, LEVELS = 12, 4, 768, 512, 5
DRAWINGS = ("Chart", "Graph")
CHOICES = {
    "everywhere": EVERYWHERE,
    "chroma from level 2": LearnedSteps(chroma=Steps(2, 2)),
    "chroma from level 3": LearnedSteps(chroma=Steps(3, 3)),
    "chroma from level 4": LearnedSteps(chroma=Steps(4, 4)),
    "luma only": LearnedSteps(chroma=Steps(NEVER, NEVER)),
    "luma and chroma from level 2": LearnedSteps(Steps(2, 2), Steps(2, 2)),
    "chroma T_L2H alone, from level 2": LearnedSteps(chroma=Steps(NEVER, 2)),
    "product": PRODUCT_STEPS,
    "luma T_H2L from level 2; chroma T_L2H alone": LearnedSteps(Steps(2, 1), Steps(NEVER, 1)),
    "luma T_H2L from level 2; chroma from level 2": LearnedSteps(Steps(2, 1), Steps(2, 2)),
    "T_L2H alone, luma and chroma": LearnedSteps(Steps(NEVER, 1), Steps(NEVER, 1)),
}


def photographs(folder: Path) -> list[NDArray[np.uint8]]:
    """The middles of the pictures measured, (H, W, 3)."""
    names = [name for name in list_images(folder) if not any(word in name.name for word in DRAWINGS)]
    middles = []
    for name in names[::STRIDE][:COUNT]:
        pixels = load_image(name).colour()
        height, width = min(HEIGHT, pixels.shape[0]), min(WIDTH, pixels.shape[1])
        top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
        part = pixels[top : top + height, left : left + width]
        middles.append(np.ascontiguousarray(np.broadcast_to(part, (height, width, 3)), np.uint8))
    return middles


@torch.inference_mode()
def curves(transform: LiftingTransform, pictures: list[NDArray[np.uint8]]) -> NDArray[np.float64]:
    """(pictures, rates, 3): bits per pixel of the file, RGB PSNR, luma PSNR."""
    learned = any(True for _ in transform.parameters())
    found = []
    for pixels in pictures:
        count = pixels.shape[0] * pixels.shape[1]
        options = EncodeOptions(layer_bytes=[int(rate * count / 8) for rate in RATES])
        coefficients = transform.analysis(to_components(pixels), LEVELS)
        data = encode_coefficients(coefficients, 8, options, model=b"measured" if learned else bytes(8))
        file = open_jp2(data)
        rows = []
        for number, layer in enumerate(file.layers, 1):
            request = file.request(layers=number)
            decoded = synthesis.read(file, transform if learned else None, request).astype(np.uint8)
            rows.append((layer.bpp, psnr(decoded, pixels), psnr(luma(decoded), luma(pixels))))
        found.append(rows)
    return np.array(found)


def saving(anchor: NDArray[np.float64], test: NDArray[np.float64]) -> dict[str, float]:
    """BD-rates in percent."""
    result = {}
    for column, name in ((1, "rgb"), (2, "luma")):
        result[name], result[f"{name}_per_image"] = bd_rates(anchor[..., [0, column]], test[..., [0, column]])
    return {key: round(value, 2) for key, value in result.items()}


def share(level: HybridLevel, steps: LearnedSteps) -> float:
    """The networks' multiplications for a colour image, as a share of those with all steps everywhere."""

    def work(chosen: LearnedSteps) -> float:
        networks = [sum(w.numel() for w in step.parameters()) for step in (level.high_to_low, level.low_to_high)]
        return sum(
            planes * at * weights / 4**number
            for planes, part in ((1, chosen.luma), (2, chosen.chroma))
            for number in range(1, LEVELS + 1)
            for at, weights in zip(part.at(number), networks, strict=True)
        )

    return work(steps) / work(EVERYWHERE)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--weights", default="lifting")
    parser.add_argument("--only", choices=CHOICES)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    pictures, weights = photographs(arguments.images), load_lifting(arguments.weights)
    assert isinstance(weights.level, HybridLevel)
    anchor, rows = curves(build_lifting("CDF-9/7"), pictures), {}
    for name in [arguments.only] if arguments.only else CHOICES:
        transform = LiftingTransform(weights.level, steps=CHOICES[name])
        rows[name] = {
            "steps": CHOICES[name].pack(),
            "work": round(share(weights.level, CHOICES[name]), 3),
            **saving(anchor, curves(transform, pictures)),
        }
        print(name, json.dumps(rows[name]), flush=True)
    if arguments.json:
        head = {"what": "BD-rate in percent against CDF 9/7", "weights": arguments.weights, "images": len(pictures)}
        write_results({**head, "choices": rows}, arguments.json)
