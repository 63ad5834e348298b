"""The training loop: the same file on one core, two processes or a GPU.

    wavelic train wcae-cpu data=DIR validation=DIR
    torchrun --nproc-per-node 2 -m wavelic.training.loop wcae-cpu data=DIR validation=DIR

Crops and noise are functions of (seed, step, rank), so a checkpoint needs only weights, optimiser and the step: a run
that was killed continues, on one thread, to the same weights it would have reached.
"""

from __future__ import annotations

import copy
import json
import math
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from accelerate import Accelerator
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor

from wavelic.errors import UsageError
from wavelic.models.klt import klt_initialise
from wavelic.models.registry import build_autoencoder
from wavelic.training.data import PackedImages
from wavelic.training.objective import AutoencoderObjective
from wavelic.training.recipe import Recipe, Stage, load_recipe

CHECKPOINT = "checkpoint.pt"
FINAL = "final.pt"


class Interrupted(Exception):
    """A stop was asked for; the checkpoint is written."""


@contextmanager
def _stop_requests() -> Iterator[list[bool]]:
    """Turns SIGINT and SIGTERM into a flag the loop reads between steps."""
    stop = [False]

    def request(_signal: int, _frame: FrameType | None) -> None:
        stop[0] = True

    before = {number: signal.signal(number, request) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def learning_rate(stage: Stage, step: int) -> float:
    """Step size at ``step``: linear warm-up, then constant or a cosine down to 1 % of the peak."""
    rate = stage.learning_rate * min(1.0, (step + 1) / max(1, stage.warmup))
    if stage.schedule == "cosine":
        rate *= 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * step / stage.steps))
    return rate


def _atomic_save(value: dict[str, Any], path: Path) -> None:
    temporary = path.with_suffix(".tmp")
    torch.save(value, temporary)
    os.replace(temporary, path)


def _to_batch(crops: Any, device: torch.device) -> Tensor:
    """uint8 (N, H, W, 3) -> (N, 3, H, W) in channels-last memory order, without a copy on the CPU."""
    return torch.from_numpy(crops).to(device, non_blocking=True).permute(0, 3, 1, 2)


@torch.no_grad()
def validate(objective: AutoencoderObjective, crops: Tensor, batch: int) -> dict[str, float]:
    """Means of loss, bpp and PSNR (of the mean squared error per crop, averaged) with real rounding."""
    objective.eval()
    rows = [objective(crops[i : i + 1]) for i in range(len(crops))]
    objective.train()
    return {
        "loss": sum(float(row.loss) for row in rows) / len(rows),
        "bpp": sum(float(row.bpp) for row in rows) / len(rows),
        "psnr": sum(10 * math.log10(255**2 / float(row.mse)) for row in rows) / len(rows),
    }


class StageRunner:
    """Runs one stage in ``folder``: resumes from its checkpoint, logs JSON lines, leaves ``final.pt``."""

    def __init__(self, recipe: Recipe, stage: Stage, folder: Path, accelerator: Accelerator) -> None:
        self.recipe, self.stage, self.folder, self.accelerator = recipe, stage, folder, accelerator
        torch.manual_seed(recipe.seed)
        model = build_autoencoder(recipe.model).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        form: Any = stage.form
        self.objective = AutoencoderObjective(model, form, stage.lambda_, stage.shared_prior)
        self.average = copy.deepcopy(self.objective).to(accelerator.device)
        optimizer = torch.optim.Adam(self.objective.parameters(), stage.learning_rate)
        self.wrapped, self.optimizer = accelerator.prepare(self.objective, optimizer)
        self.step = 0
        self.best = math.inf
        self.seconds = 0.0
        if accelerator.num_processes > 1 and stage.batch % accelerator.num_processes:
            raise UsageError(f"batch {stage.batch} does not divide over {accelerator.num_processes} processes")

    def load(self, initial: Path | None, data: PackedImages) -> None:
        """Continue from this stage's checkpoint, else start from another stage's final weights, else from a KLT."""
        device = self.accelerator.device
        checkpoint = self.folder / CHECKPOINT
        if checkpoint.exists():
            state = torch.load(checkpoint, map_location="cpu", weights_only=True)
            self.objective.load_state_dict(state["objective"])
            self.average.load_state_dict(state["average"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step, self.best, self.seconds = state["step"], state["best"], state["seconds"]
        elif initial is not None:
            state = torch.load(initial, map_location="cpu", weights_only=True)["objective"]
            if state["prior.mean"].shape != self.objective.prior.mean.shape:
                state = {name: value for name, value in state.items() if not name.startswith("prior.")}
            self.objective.load_state_dict(state, strict=False)
            self.average.load_state_dict(self.objective.state_dict())
        elif self.stage.klt:
            crops = _to_batch(data.random_crops(64, self.stage.crop, self.recipe.seed), device)
            klt_initialise(self.objective.model, crops.float().div_(127.5).sub_(1))
            self.average.load_state_dict(self.objective.state_dict())

    def save(self) -> None:
        if self.accelerator.is_main_process:
            state = {
                "objective": self.objective.state_dict(),
                "average": self.average.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "step": self.step,
                "best": self.best,
                "seconds": self.seconds,
            }
            _atomic_save(state, self.folder / CHECKPOINT)

    def export(self, name: str, metrics: dict[str, float]) -> None:
        """Write the averaged weights with what they are: architecture, stage, step and metrics."""
        if self.accelerator.is_main_process:
            about = {"model": self.recipe.model, "recipe": self.recipe.name, "seed": self.recipe.seed}
            about |= {"stage": asdict(self.stage), "step": self.step, "seconds": self.seconds, "metrics": metrics}
            state = {"objective": self.average.state_dict(), "about": json.dumps(about)}
            _atomic_save(state, self.folder / name)

    def train_step(self, data: PackedImages) -> dict[str, float]:
        stage, rank = self.stage, self.accelerator.process_index
        share = stage.batch // self.accelerator.num_processes
        crops = _to_batch(
            data.random_crops(share, stage.crop, self.recipe.seed, self.step, rank), self.accelerator.device
        )
        noise = torch.Generator(self.accelerator.device)
        noise.manual_seed((self.recipe.seed * 1_000_003 + self.step) * 4099 + rank)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(stage, self.step)
        terms = self.wrapped(crops, noise, self.step >= stage.straight_through_from * stage.steps)
        self.accelerator.backward(terms.loss)
        if stage.clip:
            self.accelerator.clip_grad_norm_(self.objective.parameters(), stage.clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.step += 1
        self._update_average()
        return {"loss": terms.loss.item(), "bpp": terms.bpp.item(), "mse": terms.mse.item()}

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = min(self.stage.ema, (1 + self.step) / (10 + self.step))
        for mine, theirs in zip(self.average.parameters(), self.objective.parameters(), strict=True):
            mine.lerp_(theirs, 1 - decay)
        for kept, current in zip(self.average.buffers(), self.objective.buffers(), strict=True):
            kept.copy_(current)

    def run(self, data: PackedImages, validation: Tensor, progress: Progress, stop: list[bool]) -> None:
        stage = self.stage
        task = progress.add_task(stage.name, total=stage.steps, completed=self.step, note="")
        started = time.perf_counter() - self.seconds
        means: dict[str, float] = {}
        while self.step < stage.steps:
            terms = self.train_step(data)
            means = {key: means.get(key, value) * 0.98 + 0.02 * value for key, value in terms.items()}
            self.seconds = time.perf_counter() - started
            progress.update(task, completed=self.step, note=f"bpp {means['bpp']:.3f} mse {means['mse']:.1f}")
            finished = self.step == stage.steps
            if finished or self.step % stage.validate_every == 0:
                metrics = validate(self.average, validation, stage.batch)
                self.log({"train": means, "validation": metrics})
                if stage.keep == "last" or metrics["loss"] < self.best:
                    self.best = metrics["loss"]
                    self.export("best.pt", metrics)
            if stop[0] or finished or self.step % stage.checkpoint_every == 0:
                self.save()
            if stop[0] and not finished:
                raise Interrupted(f"stopped at step {self.step} of stage {stage.name}; run again to continue")
        if self.accelerator.is_main_process:
            os.replace(self.folder / "best.pt", self.folder / FINAL)
        progress.remove_task(task)

    def log(self, row: dict[str, Any]) -> None:
        if self.accelerator.is_main_process:
            row = {"stage": self.stage.name, "step": self.step, "seconds": round(self.seconds, 1), **row}
            rounded = json.loads(json.dumps(row), parse_float=lambda text: round(float(text), 5))
            with open(self.folder / "log.jsonl", "a") as out:
                out.write(json.dumps(rounded) + "\n")


def train(recipe: Recipe, runs: Path, device: str = "cpu") -> Path:
    """Run every unfinished stage of ``recipe`` under ``runs/<recipe.name>`` and return that folder.

    Raises:
        UsageError: a folder without images, a batch that does not divide over the processes.
        Interrupted: SIGINT or SIGTERM came; the checkpoint is written.
    """
    accelerator = Accelerator(cpu=device == "cpu")
    folder = runs / recipe.name
    crop = max(stage.crop for stage in recipe.stages)
    with accelerator.main_process_first():
        data = PackedImages.from_folder(Path(recipe.data), runs / "cache", crop)
        held_out = PackedImages.from_folder(Path(recipe.validation), runs / "cache", crop)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    more = (TimeRemainingColumn(), TextColumn("{task.fields[note]}"))
    quiet = not accelerator.is_main_process
    with _stop_requests() as stop, Progress(*columns, *more, console=Console(stderr=True), disable=quiet) as progress:
        for stage in recipe.stages:
            stage_folder = folder / stage.name
            stage_folder.mkdir(parents=True, exist_ok=True)
            if (stage_folder / FINAL).exists():
                continue
            runner = StageRunner(recipe, stage, stage_folder, accelerator)
            runner.load(folder / stage.init / FINAL if stage.init else None, data)
            validation = _to_batch(held_out.centre_crops(stage.crop), accelerator.device)
            runner.run(data, validation, progress, stop)
            accelerator.wait_for_everyone()
            accelerator.free_memory()
    return folder


if __name__ == "__main__":
    train(load_recipe(sys.argv[1], tuple(sys.argv[2:])), Path(os.environ.get("WAVELIC_RUNS", "runs")))
