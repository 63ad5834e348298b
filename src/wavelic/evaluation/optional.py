"""Imports of the extra `wavelic[eval]`, made where they are needed, with an error that names the extra."""

from __future__ import annotations

import importlib
from types import ModuleType

from wavelic.errors import MissingDependencyError


def require(module: str) -> ModuleType:
    """Import a module of the extra.

    Args:
        module: its full name.

    Returns:
        The module.

    Raises:
        MissingDependencyError: it is not installed; the message names the extra `wavelic[eval]`.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0].replace("_", "-")
        raise MissingDependencyError(
            f"{package} is not installed and the evaluation needs it; run: pip install 'wavelic[eval]'"
        ) from error
