"""Imports of the `wavelic[eval]` extra, made where they are needed and failing with the remedy."""

from __future__ import annotations

import importlib
from types import ModuleType

from wavelic.errors import MissingDependencyError


def require(module: str) -> ModuleType:
    """Import `module`, or say which extra brings it.

    Raises
    ------
    MissingDependencyError
        The module is not installed; the message names the extra `wavelic[eval]`.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0].replace("_", "-")
        raise MissingDependencyError(
            f"{package} is not installed and the evaluation needs it; run: pip install 'wavelic[eval]'"
        ) from error
