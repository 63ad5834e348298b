"""How good WCAE's pictures could be at any rate: the network trained on with no rate term and nothing rounded.

    python -m benchmarks.studies.wcae_capacity --train DIR --validation DIR [--steps 3500] [--json FILE]

Starts from the shipped weights of the highest rate.  What the latent's size costs remains; what bits cost is gone.  So
the PSNR and MS-SSIM reached here, on central crops of the validation images, bound what any rate of this network can
have, as far as so many more steps tell.  One thread, about 0.11 s a step.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import torch

from benchmarks.measuring import RESULTS, write_results

SIDE, BATCH, RATE, SEED = 256, 4, 4e-4, 77


def main() -> None:
    """Train and write the curve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--validation", type=Path, required=True)
    parser.add_argument("--model", default="wcae-5")
    parser.add_argument("--steps", type=int, default=3500)
    parser.add_argument("--cache", type=Path, default=Path("runs/cache"))
    parser.add_argument("--json", type=Path, default=RESULTS / "training" / "wcae-capacity.json")
    arguments = parser.parse_args()

    from pytorch_msssim import ms_ssim

    from wavelic.codec.weights import cards
    from wavelic.training.data import PackedImages, to_batch
    from wavelic.wcae.weights import load_model

    torch.set_num_threads(1)
    device = torch.device("cpu")
    card = next(card for card in cards() if card.name == arguments.model)
    network = load_model(card).network.requires_grad_(True).train()
    data = PackedImages.from_folder(arguments.train, arguments.cache, SIDE)
    held_out = PackedImages.from_folder(arguments.validation, arguments.cache, SIDE)
    crops = to_batch(held_out.centre_crops(SIDE), device).float().div_(127.5).sub_(1)

    @torch.no_grad()
    def measure(step: int) -> dict[str, float]:
        psnr, similarity = 0.0, 0.0
        for x in crops.split(1):
            shown = network.synthesis(network.analysis(x)).clamp(-1, 1)
            psnr += 10 * math.log10(4 / float((shown - x).square().mean())) / len(crops)
            similarity += float(ms_ssim((shown + 1) * 127.5, (x + 1) * 127.5, data_range=255)) / len(crops)
        row = {"step": step, "psnr": round(psnr, 3), "ms_ssim": round(similarity, 5)}
        print(json.dumps(row), flush=True)
        return row

    rows = [measure(0)]
    optimiser = torch.optim.Adam(network.parameters(), lr=RATE)
    for step in range(arguments.steps):
        cosine = 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * step / arguments.steps))
        optimiser.param_groups[0]["lr"] = RATE * min(1, (step + 1) / 100) * cosine
        x = to_batch(data.random_crops(BATCH, SIDE, SEED, step), device).float().div_(127.5).sub_(1)
        loss = (network.synthesis(network.analysis(x)) - x).square().mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        if (step + 1) % 500 == 0:
            rows.append(measure(step + 1))
    found = {"model": card.name, "weights": card.hash[:8], "crops": len(crops), "side": SIDE, "rows": rows}
    write_results(found, arguments.json)


if __name__ == "__main__":
    main()
