"""From a finished training run to installed weights, whatever was trained.

wavelic export runs/weconvene-s-cpu --to weights --images data/train --validation data/val
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from wavelic.codec.architecture import resolve
from wavelic.codec.architectures import trainer_of
from wavelic.codec.weights import Card
from wavelic.errors import UsageError
from wavelic.training.loop import FINAL

#: Called as progress(done, total, what).
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Export:
    """Where weights go and what they are calibrated with.

    Attributes:
        folder: gets weights, cards and ladders.
        images: folder of training images, to fit probability tables.
        validation: folder of images on which rates are measured.
        every: of the training images, each so many-th is used.
        progress: told of the work, if anything.
    """

    folder: Path
    images: Path
    validation: Path
    every: int = 4
    progress: Progress | None = None


class ExportStages(Protocol):
    """What `Trainer.export` names."""

    def __call__(self, finals: Sequence[Path], export: Export) -> list[Card]:
        """Write weights and cards.

        Args:
            finals: the ``final.pt`` of every finished stage but the trunk, by name; at least one.
            export: where to and what with.

        Raises:
            UsageError: the stages do not belong together.
        """


def about_run(path: Path) -> dict[str, Any]:
    """Return what a ``final.pt`` or ``best.pt`` says about itself: model, recipe, stage, step and metrics."""
    about: dict[str, Any] = json.loads(torch.load(path, map_location="cpu", weights_only=True)["about"])
    return about


def latest(finals: Sequence[Path]) -> Path:
    """Return the stage that was finished last."""
    return max(finals, key=lambda path: path.stat().st_mtime)


def export_run(run: Path, export: Export) -> list[Card]:
    """Write the weights of a run's finished stages, as its model's trainer does.

    Args:
        run: folder that `wavelic.training.loop.train` returned.
        export: where to and what with.

    Raises:
        UsageError: the run has no finished stage, or its model cannot be trained by this wavelic.
    """
    finals = [path for path in sorted(run.glob(f"*/{FINAL}")) if path.parent.name != "trunk"]
    if not finals:
        raise UsageError(f"no finished stage in {run}; train it first")
    write: ExportStages = resolve(trainer_of(about_run(finals[-1])["model"]).export)
    return write(finals, export)
