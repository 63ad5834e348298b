"""Structures, topologies, pre-training and rates compared at one small training budget.

    python -m benchmarks.studies.lifting_ablation TRAIN VALIDATION RUNS [SECONDS]     # results/lifting/ablation.json

Every variant gets the same processor time for training steps (one thread, crops of 256 x 256, one a step) and is then
judged by the real coder: luma BD-rate against CDF 9/7 on the validation images with most detail.  Such a budget shows
how fast a variant learns, not where it ends.  Variants that are in the file already are not run again.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.measuring import RESULTS
from wavelic.lifting.training.stage import LiftingStage
from wavelic.lifting.training.task import LiftingTask, transform_of
from wavelic.lifting.transform.transform import build_lifting
from wavelic.training.data import PackedImages
from wavelic.training.loop import FINAL, train
from wavelic.training.stages import Recipe
from wavelic.training.task import make_task

OUT = RESULTS / "lifting" / "ablation.json"
JUDGED, SIDE, CROP = 8, 512, 256

# share of the budget -> what that stage sets
PLANS: dict[str, list[tuple[float, dict[str, Any]]]] = {
    "none": [(0.3, {"rate": "smooth"}), (0.7, {"rate": "coder"})],
    "progressive": [(0.2, {"progressive": True}), (0.1, {"rate": "smooth"}), (0.7, {"rate": "coder"})],
    "oracle": [
        (0.2, {"rate": "coder", "oracle": True, "train": "proposals"}),
        (0.2, {"rate": "coder", "train": "opacities"}),
        (0.6, {"rate": "coder"}),
    ],
    "smooth rate only": [(1.0, {"rate": "smooth"})],
    "context rate": [(0.3, {"rate": "smooth"}), (0.7, {"rate": "context"})],
    "histogram rate": [(0.3, {"rate": "smooth"}), (0.7, {"rate": "histogram"})],
}
VARIANTS = (
    ("Hybrid(9/7)-U16", "none"),
    ("Hybrid(9/7)-9c-compact", "none"),
    ("PO-P-U", "none"),
    ("PO-U-P", "none"),
    ("Hybrid(9/7)-9c", "none"),
    ("Hybrid(9/7)-5c", "none"),
    ("Hybrid(9/7)-U16", "progressive"),
    ("Hybrid(9/7)-U16", "oracle"),
    ("iWave-P-U", "none"),
    ("iWave++-P-U", "none"),
    ("iWave-U-P", "none"),
    ("Hybrid(5/3)-9c", "none"),
    ("Hybrid(9/7)-U16", "histogram rate"),
    ("Hybrid(9/7)-U16", "context rate"),
    ("Hybrid(9/7)-U16", "smooth rate only"),
)


def recipe_of(model: str, plan: str, data: str, validation: str, seconds: float) -> Recipe:
    """The recipe of one variant."""
    stages, previous = [], ""
    for number, (share, keys) in enumerate(PLANS[plan]):
        last = number == len(PLANS[plan]) - 1
        stage = LiftingStage(
            name=f"stage{number}", init=previous, steps=10**6, budget=share * seconds, batch=1, crop=CROP,
            learning_rate=2e-4, warmup=50, clip=1.0, ema=0.99, schedule="cosine" if last else "constant",
            validate_every=10**6, checkpoint_every=10**6, keep="last", judged=1, judged_side=64,
            distortion=keys.get("rate") in ("coder", "histogram", "context"),
            penalty=0.02 if keys.get("rate") in ("coder", "histogram", "context") else 0.1,
            **keys,
        )  # fmt: skip
        stages.append(stage)
        previous = stage.name
    name = f"{model}-{plan}".replace("/", "").replace(" ", "-")
    return Recipe(name, model, data, validation, seed=1, stages=list(stages))


def main() -> None:
    """Run what is missing and write the file after every variant."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", help="folder of training photographs")
    parser.add_argument("validation", help="folder of validation photographs")
    parser.add_argument("runs", type=Path, help="folder for training runs")
    parser.add_argument("seconds", type=float, nargs="?", default=200.0, help="processor time of a variant")
    options = parser.parse_args()
    data, validation, runs = options.train, options.validation, options.runs
    torch.set_num_threads(1)
    held_out = PackedImages.from_folder(Path(validation), runs / "cache", SIDE)
    first = recipe_of(*VARIANTS[0], data, validation, options.seconds)
    judging = make_task(first, LiftingStage(judged=JUDGED, judged_side=SIDE))
    assert isinstance(judging, LiftingTask)
    judge = judging.judge(held_out)
    found: dict[str, Any] = {"seconds": options.seconds, "crop": CROP, "images": JUDGED, "side": SIDE, "rows": []}
    if OUT.exists():
        found = json.loads(OUT.read_text())
    for model, plan in VARIANTS:
        if any((row["model"], row["pretraining"]) == (model, plan) for row in found["rows"]):
            continue
        recipe = recipe_of(model, plan, data, validation, float(found["seconds"]))
        started = time.process_time()
        run = train(recipe, runs)
        state = torch.load(run / recipe.stages[-1].name / FINAL, weights_only=True)
        steps = [
            json.loads(torch.load(run / s.name / FINAL, weights_only=True)["about"])["step"] for s in recipe.stages
        ]
        weights = sum(value.numel() for value in build_lifting(model).parameters())
        row = {"model": model, "pretraining": plan, "weights": weights, "steps": steps}
        row |= {key: round(value, 3) for key, value in judge(transform_of(model, state["objective"])).items()}
        found["rows"].append(row)
        OUT.parent.mkdir(parents=True, exist_ok=True)
        rows = ",\n  ".join(json.dumps(row) for row in found["rows"])
        head = json.dumps({key: value for key, value in found.items() if key != "rows"}, indent=1)[:-2]
        OUT.write_text(f'{head},\n "rows": [\n  {rows}\n ]\n}}\n')
        print(model, plan, row["bd_rate"], round(time.process_time() - started), file=sys.stderr)


if __name__ == "__main__":
    main()
