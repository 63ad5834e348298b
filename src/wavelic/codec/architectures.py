"""Networks by name: what can be built and trained, with or without shipped weights.  Importing this loads no torch.

Every codec lists its own (`Codec.architectures`); the published systems that are no codecs are listed in
`wavelic.papers.catalogue`, which is named by a string here, as it lies above this room.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from wavelic.errors import ModelError, UsageError

if TYPE_CHECKING:
    from torch import nn

_PAPERS = "wavelic.papers.catalogue:PUBLISHED"


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


@cache
def architectures() -> Mapping[str, Architecture]:
    """Return every architecture there is by its name: those of the codecs first, then the published ones."""
    from wavelic.codec.registry import codecs

    own = [entry for codec in codecs() for entry in codec.architectures()]
    return MappingProxyType({entry.name: entry for entry in (*own, *resolve(_PAPERS))})


def architecture(name: str) -> Architecture:
    """Return the entry called ``name``.

    Raises:
        ModelError: there is none; the message lists those there are.
    """
    if name not in architectures():
        raise ModelError(f"no architecture {name!r}; choose one of {', '.join(architectures())}")
    return architectures()[name]


def build(name: str) -> nn.Module:
    """Return the network called ``name`` with new weights.

    Raises:
        ModelError: there is no such architecture.
    """
    return architecture(name).build()


def trainer_of(model: str) -> Trainer:
    """Return how the architecture called ``model`` is trained.

    Raises:
        UsageError: there is no such architecture or it cannot be trained; the message lists those that can.
    """
    entry = architectures().get(model)
    if entry is not None and entry.trainer is not None:
        return entry.trainer
    trainable = ", ".join(name for name, entry in architectures().items() if entry.trainer is not None)
    what = "there is no such architecture" if entry is None else "it can be built but not trained"
    raise UsageError(f"model {model!r}: {what}; choose one of {trainable}")
