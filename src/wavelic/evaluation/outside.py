"""Codecs, metrics and other objects of the user's own, by the path of a Python file or the name of a module.

path/to/mine.py:Name      the object called Name in that file; its folder can be imported from, as in `python FILE`
package.module:Name       the same in an installed module
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from wavelic.errors import UsageError


def is_outside(name: str) -> bool:
    """Whether a name has the form of this module's references rather than that of a name in a list.

    Args:
        name: what a user gave.

    Returns:
        True for "file.py:Name" and "module:Name".

    Examples:
        >>> is_outside("mine.py:Zip"), is_outside("webp-best")
        (True, False)
    """
    return ":" in name


def load_outside(reference: str) -> Any:
    """Import the object that a reference names.

    Args:
        reference: "path/to/file.py:Name" or "package.module:Name".

    Returns:
        The object.

    Raises:
        UsageError: no such file, module or name, or the import fails; the message has the cause.
    """
    where, _, attribute = reference.rpartition(":")
    if not where or not attribute.isidentifier():
        raise UsageError(f"{reference!r} names no object; write path/to/file.py:Name or package.module:Name")
    try:
        module = _module_of_file(Path(where)) if where.endswith(".py") else importlib.import_module(where)
    except UsageError:
        raise
    except Exception as error:  # whatever the user's module raises
        cause = " ".join(f"{type(error).__name__}: {error}".split())
        raise UsageError(f"{where} cannot be imported ({cause}); correct it") from error
    if not hasattr(module, attribute):
        public = ", ".join(name for name in vars(module) if not name.startswith("_")) or "nothing"
        raise UsageError(f"{where} has no {attribute}; it has {public}")
    return getattr(module, attribute)


def source_hash(thing: Any) -> str:
    """Digits that change with the source file of an object, so that results of another version are not mixed in.

    Args:
        thing: a class, a function or an instance of a class.

    Returns:
        The first 12 hexadecimal digits of the file's SHA-256; empty if there is no file.
    """
    module = sys.modules.get(getattr(thing, "__module__", None) or type(thing).__module__)
    file = getattr(module, "__file__", None)
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()[:12] if file else ""


def _module_of_file(path: Path) -> ModuleType:
    """Import a file once; its folder goes to the front of the search path, for the modules it imports."""
    if not path.is_file():
        raise UsageError(f"{path} is not a file; give the path of a Python file, then a colon and a name")
    path = path.resolve()
    name = f"_wavelic_outside_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}_{path.stem}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look the module up
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
