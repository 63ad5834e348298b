"""Networks by name: what can be built and trained, with or without shipped weights.  Importing this loads no torch.

Every codec lists its own (`Codec.architectures`); the published systems that are no codecs are listed in
`wavelic.papers.catalogue`, which is named by a string here, as it lies above this room.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from wavelic.codec.architecture import Architecture, Trainer, resolve
from wavelic.codec.registry import codecs
from wavelic.errors import ModelError, UsageError

if TYPE_CHECKING:
    from torch import nn

_PAPERS = "wavelic.papers.catalogue:PUBLISHED"


@cache
def architectures() -> Mapping[str, Architecture]:
    """Return every architecture there is by its name: those of the codecs first, then the published ones."""
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
