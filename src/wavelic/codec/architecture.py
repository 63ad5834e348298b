"""What an architecture is: a network by name, and where its training is.  Importing this loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Trainer:
    """Where the training of an architecture is, as strings "module:attribute" that are imported on first use.

    Attributes:
        stage: subclass of `wavelic.training.stages.Stage`: the keys of its recipes' stages.
        task: subclass of `wavelic.training.task.Task`.
        export: function as `wavelic.training.export.ExportStages`, from finished stages to installed weights.
    """

    stage: str
    task: str
    export: str


@dataclass(frozen=True)
class Architecture:
    """A network by name.

    Attributes:
        name: as used in recipes, weight cards and on the command line.
        system: the codec or the published system it belongs to.
        parameters: trainable parameters, as published where published; the tests count them.
        summary: one line.
        make: function "module:attribute" that builds the network called ``name`` with new weights.
        trainer: how it is trained; None if it is not.
    """

    name: str
    system: str
    parameters: int
    summary: str
    make: str
    trainer: Trainer | None = None

    def build(self) -> nn.Module:
        """Return the network with new weights."""
        network: nn.Module = resolve(self.make)(self.name)
        return network


def resolve(name: str) -> Any:
    """Import what a string "module:attribute" names."""
    module, _, attribute = name.partition(":")
    return getattr(import_module(module), attribute)
