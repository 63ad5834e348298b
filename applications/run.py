"""Train the arms of an application and write what came out.

    python -m applications.run classification --data DIR --recipe short --seeds 3 --budget 3600

Trains what is not yet done, seed by seed and arm by arm, for ``--budget`` processor seconds in all; called again, it
goes on where it stopped.  Checkpoints lie in ``--runs``; a finished run is one entry of ``--results``/NAME.json.
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import os
import time
from pathlib import Path
from typing import Any

import torch

from applications.arms import ARMS, parameters
from applications.training import Outcome, Recipe, Task, start_from, train
from wavelic.errors import UsageError, WavelicError
from wavelic.training.loop import denormals_flushed

ROOT = Path(__file__).resolve().parents[1]
#: Modules with RECIPES, and the task in each.
APPLICATIONS = {
    "classification": ("applications.classification.task", "Classification"),
    "denoising": ("applications.denoising.task", "Denoising"),
    "segmentation": ("applications.segmentation.task", "Segmentation"),
    "video": ("applications.video.task", "Video"),
}


def recipes(name: str) -> dict[str, Recipe]:
    """Recipes of an application.

    Raises:
        UsageError: an unknown application.
    """
    if name not in APPLICATIONS:
        raise UsageError(f"unknown application {name!r}; choose one of {', '.join(APPLICATIONS)}")
    return importlib.import_module(APPLICATIONS[name][0]).RECIPES


def make_task(name: str, recipe: str, data: Path) -> Task:
    """Make an application's task.

    Args:
        name: of the application.
        recipe: name of one of its recipes.
        data: folder of its data.

    Returns:
        The task, with its data read.

    Raises:
        UsageError: an unknown name, or a folder that is not there.
    """
    found = recipes(name)
    if recipe not in found:
        raise UsageError(f"unknown recipe {recipe!r} of {name}; choose one of {', '.join(found)}")
    if not data.is_dir():
        raise UsageError(f"{data} is no folder; give the folder of the data of {name}")
    module, task = APPLICATIONS[name]
    return getattr(importlib.import_module(module), task)(found[recipe], data)


def run_one(
    task: Task, arm: str, seed: int, checkpoint: Path, budget: float, start: Path | None = None
) -> tuple[Outcome, dict[str, Any]]:
    """Train one arm with one seed as far as the budget allows, and measure it if it is done.

    Args:
        task: the application.
        arm: "plain", "wavelet" or "twin".
        seed: of the initial weights and the batches.
        checkpoint: file of the run.
        budget: processor seconds.
        start: file of a finished run, if the recipe starts from one.

    Returns:
        How far it has come, and the entry of the result file; the entry has scores if the run is finished.
    """
    torch.manual_seed(seed)
    network = task.network(arm).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if start and not checkpoint.exists():
        part = task.recipe.option("start_part", "")
        start_from(network.get_submodule(part), start)
    for name, part in network.named_children():
        part.requires_grad_(name in task.recipe.option("trained", [name]))
    outcome = train(
        task, network, seed, checkpoint, budget, report=lambda line: print(f"{checkpoint.stem}: {line}", flush=True)
    )
    entry: dict[str, Any] = {
        "arm": arm, "seed": seed, "width": task.recipe.widths[arm], "parameters": parameters(network),
        "steps": outcome.steps, "processor_seconds": round(outcome.seconds), "loss": round(outcome.loss, 5),
    }  # fmt: skip
    if outcome.finished:
        began = time.process_time()
        entry["scores"] = task.score(network)
        entry["scoring_seconds"] = round(time.process_time() - began, 1)
    return outcome, entry


def record(path: Path, recipe: str, entry: dict[str, Any]) -> None:
    """Add a finished run to a result file, or put it in the place of the same run."""
    document: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    runs = document.setdefault(recipe, {"torch": torch.__version__, "runs": []})["runs"]
    runs[:] = [run for run in runs if (run["arm"], run["seed"]) != (entry["arm"], entry["seed"])] + [entry]
    runs.sort(key=lambda run: (run["seed"], list(ARMS).index(run["arm"])))
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(document, indent=1) + "\n")
    os.replace(partial, path)


def finished(path: Path, recipe: str) -> set[tuple[str, int]]:
    """Arms and seeds that a result file already has."""
    runs = json.loads(path.read_text()).get(recipe, {"runs": []})["runs"] if path.exists() else []
    return {(run["arm"], run["seed"]) for run in runs}


def main(words: list[str] | None = None) -> int:
    """Parse the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=APPLICATIONS)
    parser.add_argument("--data", type=Path, required=True, help="folder of the application's data")
    parser.add_argument("--recipe", default="cpu", help="default: cpu")
    parser.add_argument("--arms", default="", help="default: all that the recipe has")
    parser.add_argument("--seeds", type=int, default=1, help="number of seeds, from 0")
    parser.add_argument("--budget", type=float, default=math.inf, help="processor seconds; default: until all is done")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "applications", help="folder of checkpoints")
    parser.add_argument("--results", type=Path, default=ROOT / "results" / "applications")
    arguments = parser.parse_args(words)
    try:
        with denormals_flushed():
            train_all(arguments)
    except WavelicError as error:
        print(f"error: {error}")
        return error.exit_code
    return 0


def train_all(arguments: argparse.Namespace) -> None:
    """Train all arms and seeds that are not done, until the budget is spent."""
    task = make_task(arguments.name, arguments.recipe, arguments.data)
    path = arguments.results / f"{arguments.name}.json"
    arms = arguments.arms.split(",") if arguments.arms else list(task.recipe.widths)
    if unknown := set(arms) - set(task.recipe.widths):
        raise UsageError(
            f"{arguments.recipe} has no arm {', '.join(unknown)}; choose of {', '.join(task.recipe.widths)}"
        )
    began = time.process_time()
    for seed in range(arguments.seeds):
        for arm in arms:
            left = arguments.budget - (time.process_time() - began)
            if left <= 0:
                print("the budget is spent; call again to go on")
                return
            if (arm, seed) in finished(path, arguments.recipe):
                continue
            first, first_arm = task.recipe.option("start", ""), task.recipe.option("start_arm", arm)
            checkpoint, start = (
                arguments.runs / f"{arguments.name}-{recipe}-{of}-{seed}.pt"
                for recipe, of in ((arguments.recipe, arm), (first, first_arm))
            )
            outcome, entry = run_one(task, arm, seed, checkpoint, left, start if first else None)
            if outcome.finished:
                record(path, arguments.recipe, entry)
                print(f"{arguments.name}, {arm}, seed {seed}: {entry['scores']}", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
