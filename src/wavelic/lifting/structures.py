"""Lifting structures by name: the codec's own, and those that other rooms register.  Loads no torch.

A structure says which operators a transform's levels have and where.  Weights are stored under the name of theirs, so
that a name, once used, keeps its meaning.  `wavelic.papers.catalogue` registers the published structures that are
not shipped.

Examples:
    >>> build_lifting("CDF-9/7").base
    '9/7'
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import TYPE_CHECKING

from wavelic.errors import ModelError
from wavelic.lifting.names import HYBRID, PLAIN_STRUCTURES

if TYPE_CHECKING:
    from wavelic.lifting.transform.steps import LearnedSteps
    from wavelic.lifting.transform.transform import LiftingTransform

_OWN = "wavelic.lifting.transform.levels:build_level"
_BUILDERS = dict.fromkeys((*PLAIN_STRUCTURES.values(), HYBRID), _OWN)


def register_structures(names: Iterable[str], builder: str) -> None:
    """Make structures known to `build_lifting`.

    Args:
        names: of the structures; a name that is known keeps its builder.
        builder: "module:function", imported on first use; called with a name, the function returns a `Level` with new
            weights.
    """
    for name in names:
        _BUILDERS.setdefault(name, builder)


def structure_names() -> tuple[str, ...]:
    """Names of all structures known so far."""
    return tuple(_BUILDERS)


def build_lifting(name: str, *, steps: LearnedSteps | None = None) -> LiftingTransform:
    """Build a transform with new weights.

    Args:
        name: of its structure.
        steps: which learned steps luma, chroma and gray have at which levels; None: all of them everywhere.

    Returns:
        The transform, float32, on the CPU.

    Raises:
        ModelError: there is no structure of that name.
    """
    from wavelic.codec.architectures import architectures
    from wavelic.lifting.transform.steps import EVERYWHERE
    from wavelic.lifting.transform.transform import LiftingTransform

    if name not in _BUILDERS:
        architectures()  # imports what registers other structures
    if name not in _BUILDERS:
        raise ModelError(f"no lifting structure {name!r}; choose one of {', '.join(_BUILDERS)}")
    module, function = _BUILDERS[name].split(":")
    return LiftingTransform(getattr(import_module(module), function)(name), steps=steps or EVERYWHERE)
