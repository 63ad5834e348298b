"""One training loop for all applications: resumable, within a budget of processor time, the same steps for every arm.

Batches are functions of (seed, step), so a run that was stopped goes on to the weights it would have reached, and all
arms of a seed see the same pictures in the same order.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from applications.arms import parameters
from wavelic.errors import UsageError
from wavelic.training.soap import SOAP


@dataclass(frozen=True)
class Recipe:
    """How one member of a family of networks is trained.

    Attributes:
        widths: width of the network in each arm; the twin's gives it as many parameters as the wavelet arm has.
        steps: optimiser steps.
        batch: pictures (or crops) in each.
        learning_rate: peak, after the warm-up; falls to zero with a cosine.
        optimizer: "sgd" (Nesterov momentum 0.9), "adamw" or "soap" (`wavelic.training.soap`).
        weight_decay: of the optimiser; 0 with "soap".
        warmup: steps over which the learning rate rises from zero.
        side: of the crops in pixels; 0 where pictures are taken whole.
        clip: largest norm of the gradient; 0 for any.
        options: what else the task is told, by name.  "start": a recipe to start from the end of; "start_arm": of this
            arm instead of the same; "start_part": only this part of the network, all of the recipe that is named.
            "trained": the parts that are trained; the others keep their weights.
    """

    widths: dict[str, int]
    steps: int
    batch: int
    learning_rate: float
    optimizer: str = "adamw"
    weight_decay: float = 0.0
    warmup: int = 0
    side: int = 0
    clip: float = 0.0
    options: tuple[tuple[str, Any], ...] = ()

    def option(self, name: str, default: Any) -> Any:
        """Value of an option, or ``default``."""
        return dict(self.options).get(name, default)


class Task(Protocol):
    """What an application is to the loop."""

    recipe: Recipe

    def network(self, arm: str) -> nn.Module:
        """Make the network of an arm, untrained."""
        ...

    def batch(self, random: torch.Generator) -> tuple[Tensor, ...]:
        """Draw a batch."""
        ...

    def loss(self, network: nn.Module, batch: tuple[Tensor, ...], progress: float) -> Tensor:
        """Compute what is minimised; ``progress`` goes from 0 to 1."""
        ...

    def score(self, network: nn.Module) -> dict[str, Any]:
        """Measure a trained network on the test set."""
        ...


@dataclass(frozen=True)
class Outcome:
    """How far a run has come.

    Attributes:
        steps: optimiser steps done.
        seconds: processor seconds they took, over all calls.
        loss: mean of the last hundred steps.
        finished: whether these are all steps of the recipe.
    """

    steps: int
    seconds: float
    loss: float
    finished: bool


def train(
    task: Task,
    network: nn.Module,
    seed: int,
    checkpoint: Path,
    budget: float = math.inf,
    every: float = 120.0,
    report: Callable[[str], None] = print,
) -> Outcome:
    """Train until the recipe's steps are done or the budget is spent.

    Args:
        task: gives batches, loss and recipe.
        network: untrained, or of any state if there is a checkpoint.
        seed: of the batches.
        checkpoint: file that is continued from, and written now and then and at the end.
        budget: processor seconds that this call may take, a step more or less.
        every: processor seconds between two checkpoints.
        report: takes a line now and then.

    Returns:
        How far the run has come; the network has the weights of that step.

    Raises:
        UsageError: the checkpoint is of another recipe, or the loss is not a number.
    """
    recipe = task.recipe
    optimizer = make_optimizer(network, recipe)
    step, before, losses = _resume(checkpoint, network, optimizer, recipe)
    began = saved = time.process_time()
    network.train()
    while step < recipe.steps and time.process_time() - began < budget:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(recipe, step)
        batch = task.batch(torch.Generator().manual_seed(seed * 1_000_003 + step))
        loss = task.loss(network, batch, step / recipe.steps)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if recipe.clip:
            nn.utils.clip_grad_norm_(network.parameters(), recipe.clip)
        optimizer.step()
        step += 1
        losses = [*losses[-99:], loss.item()]
        if not math.isfinite(losses[-1]):
            raise UsageError(f"the loss is {losses[-1]} after step {step}; lower the learning rate of the recipe")
        if (now := time.process_time()) - saved > every:
            saved = now
            _save(checkpoint, network, optimizer, recipe, step, before + now - began, losses)
            report(f"step {step} of {recipe.steps}, loss {sum(losses) / len(losses):.4f}, {before + now - began:.0f} s")
    seconds = before + time.process_time() - began
    _save(checkpoint, network, optimizer, recipe, step, seconds, losses)
    return Outcome(step, seconds, sum(losses) / max(1, len(losses)), step >= recipe.steps)


def start_from(network: nn.Module, checkpoint: Path) -> None:
    """Load the weights that a finished run has left.

    Args:
        network: of the same kind.
        checkpoint: file of that run.

    Raises:
        UsageError: there is no such run, or it is not finished.
    """
    state = torch.load(checkpoint, weights_only=True) if checkpoint.exists() else None
    if state is None or state["step"] < state["recipe"]["steps"]:
        raise UsageError(f"{checkpoint} is not there or not finished; train that recipe first")
    network.load_state_dict(state["network"])


def learning_rate(recipe: Recipe, step: int) -> float:
    """Learning rate of a step: linear warm-up, then a cosine to zero."""
    if step < recipe.warmup:
        return recipe.learning_rate * (step + 1) / recipe.warmup
    progress = (step - recipe.warmup) / max(1, recipe.steps - recipe.warmup)
    return recipe.learning_rate * 0.5 * (1.0 + math.cos(math.pi * progress))


def make_optimizer(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Make the recipe's optimiser; vectors (biases, factors, norms) and GDNs do not decay.

    Raises:
        UsageError: an unknown name, or weight decay with "soap".
    """
    if recipe.optimizer == "soap" and recipe.weight_decay:
        raise UsageError(f"weight decay {recipe.weight_decay} with soap, which has none; choose adamw, or 0")
    decaying, free = [], []
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            free_of_decay = parameter.dim() < 2 or name.endswith(("gamma", "quantiles"))
            (free if free_of_decay else decaying).append(parameter)
    groups = [{"params": decaying, "weight_decay": recipe.weight_decay}, {"params": free, "weight_decay": 0.0}]
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, recipe.learning_rate, momentum=0.9, nesterov=True)
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(groups, recipe.learning_rate)
    if recipe.optimizer == "soap":
        return SOAP([*decaying, *free], recipe.learning_rate)
    raise UsageError(f"unknown optimizer {recipe.optimizer!r}; choose sgd, adamw or soap")


def _resume(
    checkpoint: Path, network: nn.Module, optimizer: torch.optim.Optimizer, recipe: Recipe
) -> tuple[int, float, list[float]]:
    if not checkpoint.exists():
        return 0, 0.0, []
    state = torch.load(checkpoint, weights_only=True)
    if state["recipe"] != asdict(recipe) | {"options": [list(option) for option in recipe.options]}:
        raise UsageError(f"{checkpoint} is of another recipe; move it away to start again")
    network.load_state_dict(state["network"])
    optimizer.load_state_dict(state["optimizer"])
    return state["step"], state["seconds"], state["losses"]


def _save(
    checkpoint: Path,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    recipe: Recipe,
    step: int,
    seconds: float,
    losses: list[float],
) -> None:
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    state = {
        "recipe": asdict(recipe) | {"options": [list(option) for option in recipe.options]},
        "network": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "parameters": parameters(network),
        "step": step,
        "seconds": seconds,
        "losses": losses,
    }
    partial = checkpoint.with_suffix(".partial")
    torch.save(state, partial)
    os.replace(partial, checkpoint)
