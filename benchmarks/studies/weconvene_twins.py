"""What each lever of `weconvene` brings: runs with and without it, at equal processor time.

    python -m benchmarks.studies.weconvene_twins --data DIR --validation DIR [--budget 600] [--arms wide adam ...]
        [--seed 0] [--runs runs] [--folder results/training]

Two families of arms.  Those of the network are trained from new weights for the budget, the step size falling to
nothing, and judged with rounded symbols.  Those of the last stage go on from the shipped run's stage `main`
(`results/training/weconvene-next.safetensors`) and are judged with the symbols of an encoder with RDOQ, whichever they
were trained with.  One arm runs after the other on one core, so all have the same company; an arm that is there already
is left as it is.  Every arm leaves one line in ``FOLDER/twin-ARM.jsonl``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor

from benchmarks.measuring import RESULTS

START = RESULTS / "training" / "weconvene-next.safetensors"
#: RDOQ of the symbols by which the last stage is judged.
RDOQ = 0.1


@contextmanager
def no_state() -> Iterator[None]:
    """Every level begins without the state of the level before."""
    from wavelic.weconvene.context import LevelContext

    begin = LevelContext.begin
    with mock.patch.object(LevelContext, "begin", lambda self, parent, state: begin(self, parent, None)):
        yield


@contextmanager
def no_low() -> Iterator[None]:
    """The context model sees nothing of the lowest band."""
    from wavelic.weconvene import context

    found = context.low_features

    def nothing(low: Tensor) -> Tensor:
        return torch.zeros_like(found(low))

    with mock.patch.object(context, "low_features", nothing):
        yield


@contextmanager
def no_corrections() -> Iterator[None]:
    """A plain wavelet codec with the learned context model: f and g add nothing."""
    from wavelic.weconvene.network import GridNet

    with mock.patch.object(GridNet, "forward", lambda self, grid, log2_step: torch.zeros_like(grid)):
        yield


@dataclass(frozen=True)
class Arm:
    """One run.

    Attributes:
        text: what it is, for the table.
        settings: of the recipe.
        model: architecture.
        changed: holds while the arm is trained and judged.
        last_stage: of which family it is.
    """

    text: str
    settings: tuple[str, ...] = ()
    model: str = "weconvene"
    changed: Callable[[], Any] = nullcontext
    last_stage: bool = False


ARMS: dict[str, Arm] = {
    "weconvene": Arm("wide blocks, colours in order, SOAP"),
    "adam": Arm(
        "the same by Adam, with a step size of 1e-3", ("defaults.optimizer=adam", "defaults.learning_rate=1e-3")
    ),
    "weconvene-wavelet": Arm("3DM-WeConv layers in f and g for wide blocks", model="weconvene-wavelet"),
    "weconvene-plain": Arm("those layers without their wavelet transforms", model="weconvene-plain"),
    "weconvene-2d": Arm("luma and chroma of a subband coded together", model="weconvene-2d"),
    "no-state": Arm("the context model's state not carried from level to level", changed=no_state),
    "no-low": Arm("the context model blind to the lowest band", changed=no_low),
    "no-corrections": Arm("no f and g: a 9/7 transform and the context model alone", changed=no_corrections),
    "finish": Arm("crops of 512, symbols as RDOQ chooses them", last_stage=True),
    "finish-256": Arm("crops of 256, four times as many", ("stages.0.crop=256", "stages.0.batch=8"), last_stage=True),
    "finish-rounded": Arm("symbols rounded, with noise for their rate", ("stages.0.rdoq_lambda=0",), last_stage=True),
}


def recipe_of(name: str, arguments: argparse.Namespace) -> Any:
    """The one stage of an arm."""
    from wavelic.training.recipe import load_recipe

    arm, number = ARMS[name], 1 if ARMS[name].last_stage else 0
    recipe = load_recipe(
        "weconvene-cpu",
        (
            f"data={arguments.data}",
            f"validation={arguments.validation}",
            f"name=twin-{name}",
            f"seed={arguments.seed}",
            f"model={arm.model}",
            "defaults.schedule=linear",
            "defaults.warmup=50",
            "defaults.ema=0.99",
            "defaults.validate_every=1000000",
            "defaults.checkpoint_every=100",
            *(setting.replace("stages.0.", f"stages.{number}.") for setting in arm.settings),
        ),
    )
    stage = recipe.stages[number]
    stage.steps, stage.budget, stage.init = 1_000_000, arguments.budget, str(START) if number else ""
    recipe.stages = [stage]
    return recipe


def run(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Train an arm, or go on with it, and judge it."""
    from wavelic.training.data import PackedImages
    from wavelic.training.loop import CHECKPOINT, FINAL, load_objective, train
    from wavelic.training.task import make_task

    arm, recipe = ARMS[name], recipe_of(name, arguments)
    stage: Any = recipe.stages[0]
    with arm.changed():
        folder = train(recipe, arguments.runs) / stage.name
        log = json.loads((folder / "log.jsonl").read_text().splitlines()[-1])
        log["processor_seconds"] = round(torch.load(folder / CHECKPOINT, weights_only=True)["spent"], 1)
        if arm.last_stage:
            stage.rdoq_lambda, stage.crop = RDOQ, 512
            task: Any = make_task(recipe, stage)
            task.objective.load_state_dict(load_objective(folder / FINAL))
            held_out = PackedImages.from_folder(arguments.validation, arguments.runs / "cache", stage.crop)
            log["validation"] = task.validate(task.objective, held_out)
    return log


def main() -> int:
    """Run the arms."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--validation", type=Path, required=True)
    parser.add_argument("--budget", type=float, default=600.0, help="processor seconds of an arm")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--folder", type=Path, default=RESULTS / "training")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for name in arguments.arms:
        target = arguments.folder / f"twin-{name}.jsonl"
        if not target.exists():
            found = json.loads(json.dumps(run(name, arguments)), parse_float=lambda text: round(float(text), 5))
            target.write_text(json.dumps(found) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
