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
import shutil
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
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from wavelic.codec.architectures import architecture
from wavelic.codec.weights import card_called
from wavelic.errors import UsageError
from wavelic.training.capture import WARM_UP, CapturedStep, use_stream_of_its_own
from wavelic.training.data import CropSource, PackedImages
from wavelic.training.recipe import load_recipe
from wavelic.training.soap import SOAP
from wavelic.training.stages import Recipe, Stage
from wavelic.training.task import make_task
from wavelic.training.throughput import Throughput

CHECKPOINT = "checkpoint.pt"
FINAL = "final.pt"
LEVEL = "level.pt"
#: How much of a trapezoid is level.
LEVEL_SHARE = 0.8
#: Steps between two updates of the progress bar on a GPU, each of which waits for it.
_SHOW_EVERY = 50


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


@contextmanager
def denormals_flushed() -> Iterator[None]:
    """Denormal numbers count as zero meanwhile: late in training they would take most of the time."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def learning_rate(stage: Stage, step: int, fraction: float | None = None) -> float:
    """Step size at ``step``: linear warm-up, then what the stage's ``schedule`` says.

    fraction: how much of the stage is done, if not step / steps.
    """
    fraction = step / stage.steps if fraction is None else fraction
    rate = stage.learning_rate * min(1.0, (step + 1) / max(1, stage.warmup))
    if stage.schedule == "cosine":
        rate *= 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * fraction))
    if stage.schedule == "linear":
        rate *= 0.01 + 0.99 * (1 - fraction)
    if stage.schedule == "trapezoid":
        rate *= 0.01 + 0.99 * min(1.0, (1 - fraction) / (1 - LEVEL_SHARE))
    return rate


def make_optimizer(stage: Stage, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    """The optimiser that a stage names.  Raises UsageError for an unknown name."""
    if stage.optimizer == "adam":
        return torch.optim.Adam(groups, stage.learning_rate)
    if stage.optimizer != "soap":
        raise UsageError(f"optimizer {stage.optimizer!r}; expected 'adam' or 'soap'")
    return SOAP(groups, lr=stage.learning_rate, precondition_every=stage.precondition_every)


def _atomic_save(value: dict[str, Any], path: Path) -> None:
    temporary = path.with_suffix(".tmp")
    torch.save(value, temporary)
    os.replace(temporary, path)


def initial_weights(stage: Stage, folder: Path) -> Path | None:
    """The file of the weights that a stage starts from, perhaps an earlier stage's in ``folder``; None for new ones."""
    if stage.init.endswith((".safetensors", ".pt")):
        return Path(stage.init)
    return folder / stage.init / FINAL if stage.init else None


def load_objective(path: Path) -> dict[str, torch.Tensor]:
    """State of an averaged objective, from a stage's ``final.pt`` or from a safetensors file.

    Raises:
        UsageError: the file cannot be read.
    """
    try:
        if path.suffix == ".safetensors":
            return {
                name: value.float() if value.is_floating_point() else value for name, value in load_file(path).items()
            }
        state: dict[str, torch.Tensor] = torch.load(path, map_location="cpu", weights_only=True)["objective"]
        return state
    except (OSError, ValueError, SafetensorError) as error:
        raise UsageError(f"{path}, named as init of a stage, cannot be read ({error}); give another file") from error


def save_objective(final: Path, path: Path) -> None:
    """Write a stage's averaged objective in bfloat16, to train on from elsewhere (``init`` of a stage)."""
    state = load_objective(final)
    halved = {k: v.bfloat16() if v.is_floating_point() else v for k, v in state.items()}
    save_file({k: v.contiguous() for k, v in halved.items()}, path)


class StageRunner:
    """Runs one stage in ``folder``: resumes from its checkpoint, logs JSON lines, leaves ``final.pt``."""

    def __init__(self, recipe: Recipe, stage: Stage, folder: Path, accelerator: Accelerator) -> None:
        self.recipe, self.stage, self.folder, self.accelerator = recipe, stage, folder, accelerator
        torch.manual_seed(recipe.seed)
        self.task = make_task(recipe, stage)
        self.objective = self.task.objective
        self.average = copy.deepcopy(self.objective).to(accelerator.device)
        optimizer = make_optimizer(stage, self.task.parameter_groups())
        self.wrapped, self.optimizer = accelerator.prepare(self.objective, optimizer)
        if stage.compile:
            self.wrapped = torch.compile(self.wrapped)
        self.noise = torch.Generator(accelerator.device)
        self.taken = 0
        self.captured: CapturedStep | None = None
        self.step = 0
        self.best = math.inf
        self.seconds = 0.0
        self.spent = 0.0
        if accelerator.num_processes > 1 and stage.batch % accelerator.num_processes:
            raise UsageError(f"batch {stage.batch} does not divide over {accelerator.num_processes} processes")

    @property
    def fraction(self) -> float:
        """How much of the stage is done: of its steps, or of its processor time if that is further."""
        stage = self.stage
        return min(1.0, max(self.step / stage.steps, self.spent / stage.budget if stage.budget else 0.0))

    def load(self, initial: Path | None, data: PackedImages) -> None:
        """Continue from this stage's checkpoint, else start as the task says, perhaps from another stage's weights."""
        checkpoint = self.folder / CHECKPOINT
        if checkpoint.exists():
            state = torch.load(checkpoint, map_location="cpu", weights_only=True)
            self.objective.load_state_dict(state["objective"])
            self.average.load_state_dict(state["average"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step, self.best, self.seconds = state["step"], state["best"], state["seconds"]
            self.spent = state.get("spent", 0.0)
            return
        previous = None
        if initial is not None:
            previous = load_objective(initial)
        elif self.stage.weights:
            previous = self.task.installed(card_called(self.stage.weights, *self.task.relatives))
        self.task.start(previous, data)
        self.average.load_state_dict(self.objective.state_dict())

    def save(self) -> None:
        """Write the checkpoint that the stage can be resumed from."""
        if self.accelerator.is_main_process:
            state = {
                "objective": self.objective.state_dict(),
                "average": self.average.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "step": self.step,
                "best": self.best,
                "seconds": self.seconds,
                "spent": self.spent,
            }
            _atomic_save(state, self.folder / CHECKPOINT)

    def export(self, name: str, metrics: dict[str, Any]) -> None:
        """Write the averaged weights with what they are: architecture, stage, step and metrics."""
        if self.accelerator.is_main_process:
            about: dict[str, Any] = {"model": self.recipe.model, "family": architecture(self.recipe.model).system}
            about |= {"recipe": self.recipe.name, "seed": self.recipe.seed}
            about |= {"stage": asdict(self.stage), "step": self.step, "seconds": self.seconds, "metrics": metrics}
            state = {"objective": self.average.state_dict(), "about": json.dumps(about)}
            _atomic_save(state, self.folder / name)

    def train_step(self, data: CropSource) -> dict[str, torch.Tensor]:
        """Take one step of the optimiser; the terms of its loss are returned without waiting for a GPU."""
        stage, rank = self.stage, self.accelerator.process_index
        clock = time.process_time if self.accelerator.device.type == "cpu" else time.perf_counter
        started = clock()
        share = stage.batch // self.accelerator.num_processes
        crops = data.batch(share, stage.crop, self.recipe.seed + stage.seed, self.step, rank)
        self.noise.manual_seed(((self.recipe.seed + stage.seed) * 1_000_003 + self.step) * 4099 + rank)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(stage, self.step, self.fraction) * group["scale"]
        soap = getattr(self.optimizer, "optimizer", self.optimizer)
        if self.captured is None and self.may_capture(soap):
            self.captured = CapturedStep(lambda crops: self._gradients_and_update(crops, soap), crops, self.noise)
        if self.captured is not None:
            soap.begin()
            terms = self.captured(crops)
            soap.refresh()
        else:
            terms = self._gradients(crops)
            self.optimizer.step()
            self.optimizer.zero_grad()
        self.step += 1
        self.taken += 1
        self._update_average()
        self.spent += clock() - started
        return {name: term.detach() for name, term in terms.items()}

    def may_capture(self, optimizer: torch.optim.Optimizer) -> bool:
        """Whether steps are replayed from now on: on one GPU, after a few steps, if the task allows it."""
        alone = self.accelerator.device.type == "cuda" and self.accelerator.num_processes == 1
        able = self.task.capturable and isinstance(optimizer, SOAP) and not self.stage.compile
        return alone and able and self.stage.capture and self.taken >= WARM_UP

    def _gradients(self, crops: torch.Tensor) -> dict[str, torch.Tensor]:
        """Compute the terms of the loss and the clipped gradients."""
        terms = self.task.losses(self.wrapped, crops, self.fraction, self.noise)
        self.accelerator.backward(terms["loss"])
        if self.stage.clip:
            self.accelerator.clip_grad_norm_(self.objective.parameters(), self.stage.clip)
        return terms

    def _gradients_and_update(self, crops: torch.Tensor, optimizer: SOAP) -> dict[str, torch.Tensor]:
        """A whole step for recording; gradients lie in the recording's memory."""
        self.optimizer.zero_grad()
        terms = self._gradients(crops)
        optimizer.update()
        return terms

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = min(self.stage.ema, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(list(self.average.parameters()), list(self.objective.parameters()), 1 - decay)
        for kept, current in zip(self.average.buffers(), self.objective.buffers(), strict=True):
            kept.copy_(current)

    def run(self, data: PackedImages, held_out: PackedImages, progress: Progress, stop: list[bool]) -> None:
        """Train to the end of the stage, or until ``stop[0]`` is set; raises Interrupted then."""
        stage = self.stage
        task = progress.add_task(stage.name, total=stage.steps, completed=self.step, note="")
        started = time.perf_counter() - self.seconds
        means: dict[str, torch.Tensor] = {}
        shown = 1 if self.accelerator.device.type == "cpu" else _SHOW_EVERY
        source, speed = CropSource(data, self.accelerator.device), Throughput(self.accelerator.device)
        while self.fraction < 1:
            terms = self.train_step(source)
            speed.count(stage.batch * stage.crop**2)
            means = {key: means.get(key, value) * 0.98 + 0.02 * value for key, value in terms.items()}
            self.seconds = time.perf_counter() - started
            finished = self.fraction >= 1
            if finished or self.step % shown == 0:
                progress.update(task, completed=self.step, note=f"{self.task.note(_floats(means))} {speed.note()}")
            if finished or self.step % stage.validate_every == 0:
                measured = speed.measured()
                metrics = self.task.validate(self.average, held_out)
                self.log({"train": _floats(means), "validation": metrics, "speed": measured})
                speed.start()
                if stage.keep == "last" or metrics["loss"] < self.best:
                    self.best = metrics["loss"]
                    self.export("best.pt", metrics)
            if stop[0] or finished or self.step % stage.checkpoint_every == 0:
                self.save()
                if stage.schedule == "trapezoid" and self.fraction <= LEVEL_SHARE:
                    shutil.copyfile(self.folder / CHECKPOINT, self.folder / LEVEL)
            if stop[0] and not finished:
                raise Interrupted(f"stopped at step {self.step} of stage {stage.name}; run again to continue")
        if self.accelerator.is_main_process:
            os.replace(self.folder / "best.pt", self.folder / FINAL)
        progress.remove_task(task)

    def log(self, row: dict[str, Any]) -> None:
        """Append a line to the log of the stage."""
        if self.accelerator.is_main_process:
            row = {"stage": self.stage.name, "step": self.step, "seconds": round(self.seconds, 1), **row}
            rounded = json.loads(json.dumps(row), parse_float=lambda text: round(float(text), 5))
            with open(self.folder / "log.jsonl", "a") as out:
                out.write(json.dumps(rounded) + "\n")


def _floats(terms: dict[str, torch.Tensor]) -> dict[str, float]:
    return {name: term.item() for name, term in terms.items()}


def train(recipe: Recipe, runs: Path, device: str = "cpu") -> Path:
    """Run every unfinished stage of ``recipe`` under ``runs/<recipe.name>`` and return that folder.

    Raises:
        UsageError: a folder without images, a batch that does not divide over the processes.
        Interrupted: SIGINT or SIGTERM came; the checkpoint is written.
    """
    accelerator = Accelerator(cpu=device == "cpu")
    use_stream_of_its_own(accelerator.device)
    folder = runs / recipe.name
    crop = max(stage.crop for stage in recipe.stages)
    with accelerator.main_process_first():
        data = PackedImages.from_folder(Path(recipe.data), runs / "cache", crop)
        held_out = PackedImages.from_folder(Path(recipe.validation), runs / "cache", crop)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    more = (TimeRemainingColumn(), TextColumn("{task.fields[note]}"))
    quiet = not accelerator.is_main_process
    shown = Progress(*columns, *more, console=Console(stderr=True), disable=quiet)
    with _stop_requests() as stop, denormals_flushed(), shown as progress:
        for stage in recipe.stages:
            stage_folder = folder / stage.name
            stage_folder.mkdir(parents=True, exist_ok=True)
            if (stage_folder / FINAL).exists():
                continue
            runner = StageRunner(recipe, stage, stage_folder, accelerator)
            runner.load(initial_weights(stage, folder), data)
            runner.run(data, held_out, progress, stop)
            accelerator.wait_for_everyone()
            accelerator.free_memory()
    return folder


if __name__ == "__main__":
    train(load_recipe(sys.argv[1], tuple(sys.argv[2:])), Path(os.environ.get("WAVELIC_RUNS", "runs")))
