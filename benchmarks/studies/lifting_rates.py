"""How the rates used in training compare with the real coder's bytes.

    python -m benchmarks.studies.lifting_rates TRAIN CACHE        # results/lifting/rates.json

CDF 9/7 on random training crops of 512x512 luma, coded at five rates.  For each file the quantiser step whose
dead-zone quantisation gives the file's squared error is found, and every rate of training is evaluated at that step.
The file keeps, for each rate, estimated bits of the details divided by the file's bits: mean and standard deviation
over crops.  Code lengths ("coder", "histogram") are adapted to all crops first.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.measuring import RESULTS
from wavelic.jpeg2000 import EncodeOptions, layer_sizes
from wavelic.lifting.jp2.pseudo_image import encode_carrier, open_carrier, to_components
from wavelic.lifting.training.objective import LEVELS, LiftingObjective, Plan
from wavelic.lifting.training.score import luma
from wavelic.lifting.training.surrogate import dead_zone
from wavelic.lifting.transform.transform import build_lifting
from wavelic.training.data import PackedImages
from wavelic.wavelets import Coefficients2d, dwt2

RATES = (0.1, 0.2, 0.4, 0.7, 1.0)
CROPS, SIDE, SEED = 16, 512, 99
KINDS = ("smooth", "context", "histogram", "coder")


def steps_and_rates(objective: LiftingObjective, pixels: np.ndarray) -> list[tuple[float, float]]:
    """For every layer the step of its squared error, in grey levels, and the file's bits per pixel."""
    x = to_components(pixels, "9/7")
    y = dwt2(x, "9/7", LEVELS, "jpeg2000")
    options = EncodeOptions(layer_bytes=[int(rate * pixels.size / 8) for rate in RATES])
    file = open_carrier(encode_carrier(y, 8, options).data)
    sizes, found = layer_sizes(file.codestream), []
    for layer, size in enumerate(sizes):
        wanted = np.square(file.read(max_layers=layer + 1).astype(float) - pixels).mean()
        low, high = 0.0, 6.0
        for _ in range(12):
            middle = (low + high) / 2
            step = torch.full((1, 1, 1, 1), math.exp(middle))
            error = y.low.new_zeros(())
            scaled = objective.scaled(y, step)
            for band in (scaled.low, *objective.details(scaled)):
                error += (dead_zone(band) - band).square().sum() * math.exp(2 * middle)
            low, high = (low, middle) if float(error) / pixels.size > wanted else (middle, high)
        found.append((math.exp(low), 8 * size / pixels.size))
    return found


@torch.no_grad()
def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", type=Path, help="folder of training photographs")
    parser.add_argument("cache", type=Path, help="folder for decoded photographs")
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = PackedImages.from_folder(options.train, options.cache, SIDE)
    objectives = {
        kind: LiftingObjective(build_lifting("CDF-9/7"), Plan(rate=kind, distortion=True)).eval() for kind in KINDS
    }
    scaled: list[tuple[int, float, Coefficients2d]] = []
    for crop in data.random_crops(CROPS, SIDE, SEED):
        pixels = luma(crop)
        y = dwt2(to_components(pixels, "9/7"), "9/7", LEVELS, "jpeg2000")
        for layer, (step, bpp) in enumerate(steps_and_rates(objectives["smooth"], pixels)):
            step_: Tensor = torch.full((1, 1, 1, 1), step)
            scaled.append((layer, bpp * pixels.size, objectives["smooth"].scaled(y, step_)))
    rows = {}
    for kind, objective in objectives.items():
        if objective.lengths is not None:
            objective.lengths.decay = 1.0
            for _, _, u in scaled:
                bands = objective.details(u)
                objective.lengths.update(bands, objective.lengths.rows(bands))
        ratios = [(layer, float(objective.bits(u)) / bits) for layer, bits, u in scaled]
        rows[kind] = {
            f"{rate:g} bpp": [
                round(float(f([r for layer, r in ratios if layer == number])), 3) for f in (np.mean, np.std)
            ]
            for number, rate in enumerate(RATES)
        }
    out = RESULTS / "lifting" / "rates.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    head = {"what": "estimated bits / bits of the file: mean, standard deviation over crops", "crops": CROPS}
    lines = ",\n  ".join(f"{json.dumps(kind)}: {json.dumps(row)}" for kind, row in rows.items())
    out.write_text(json.dumps(head, indent=1)[:-2] + ',\n "rates": {\n  ' + lines + "\n }\n}\n")


if __name__ == "__main__":
    main()
