"""torch without the parts of it that coding never uses: a quarter of the time that loading it takes.

``import torch`` executes its compiler's front end and Python versions of its operations for tensors without data, and
one command that decodes one file pays for them each time.  `postpone_compiler` leaves empty modules in their places,
which are executed as soon as anything is taken from them.  It is for processes of the command line: a program that
imports wavelic gets torch as it is.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

#: Modules that torch imports and takes nothing from, in the order in which they can be executed later.  The first gives
#: shapes to operations of tensors without data, which the second needs.
POSTPONED = ("torch._meta_registrations", "torch.export")
#: What the first of them imports and every process needs: without it there is no torch.Generator().
NEEDED = "torch._prims.rng_prims"


class _Postponed(ModuleType):
    """Module that is executed, with the others, when the first name of any of them is asked for."""

    def __getattr__(self, name: str) -> object:
        if name.startswith("__") and name != "__all__":  # what the import system itself looks for
            raise AttributeError(name)
        for module in [sys.modules[postponed] for postponed in POSTPONED if postponed in sys.modules]:
            if isinstance(module, _Postponed) and module.__spec__ and isinstance(module.__spec__.loader, _Later):
                module.__class__ = ModuleType  # type: ignore[assignment]
                module.__spec__.loader.loader.exec_module(module)
        return getattr(self, name)


class _Later(Loader):
    def __init__(self, loader: Loader) -> None:
        self.loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Postponed(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Leave the module empty."""
        if module.__name__ == POSTPONED[0]:
            importlib.import_module(NEEDED)


class _Finder(MetaPathFinder):
    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target) if name in POSTPONED else None
        if spec is not None and spec.loader is not None:
            spec.loader = _Later(spec.loader)
        return spec


def postpone_compiler() -> None:
    """Let a later ``import torch`` leave out `POSTPONED` until they are used; nothing happens if torch is loaded."""
    if "torch" not in sys.modules and not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
