"""Imports of optional packages, made where they are needed, with an error that names the extra that brings them."""

from __future__ import annotations

import importlib
from types import ModuleType

from wavelic.errors import MissingDependencyError


def require(module: str, extra: str = "eval") -> ModuleType:
    """Import a module of an extra.

    Args:
        module: its full name.
        extra: what has to be installed for it.

    Returns:
        The module.

    Raises:
        MissingDependencyError: it is not installed; the message names the extra.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0].replace("_", "-")
        raise MissingDependencyError(
            f"{package} is not installed and the evaluation needs it; run: pip install 'wavelic[{extra}]'"
        ) from error
