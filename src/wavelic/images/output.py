"""Output files appear complete or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from wavelic.errors import OutputError


@contextmanager
def atomic_output(path: str | os.PathLike[str], *, force: bool) -> Iterator[BinaryIO]:
    """A binary stream whose content becomes the file `path` when the block ends, and vanishes when it raises.

    The bytes go to a temporary file in the same folder, which then takes the name in one step; a symbolic link is
    followed.  Raises OutputError if `path` exists and `force` is false, is a folder or a device, or cannot be written.
    """
    name = os.path.realpath(path)
    _check_target(name, force)
    temporary = f"{name}.{secrets.token_hex(4)}.tmp"
    with _output_errors(name):
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        with _output_errors(name, temporary):
            with os.fdopen(descriptor, "wb") as stream:
                yield stream
            _check_target(name, force)
            os.replace(temporary, name)
    except BaseException:  # KeyboardInterrupt too: no partial file stays
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _check_target(name: str, force: bool) -> None:
    try:
        mode = os.stat(name).st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise OutputError(f"{name} cannot be written ({error.strerror}); choose another place") from error
    if stat.S_ISDIR(mode):
        raise OutputError(f"{name} is a folder, expected a file name; add the name of the file")
    if not stat.S_ISREG(mode):
        raise OutputError(f"{name} is a device or a pipe, expected a file name; use - for the standard output")
    if not force:
        raise OutputError(f"{name} exists; use --force (force=True) to replace it or choose another name")


@contextmanager
def _output_errors(name: str, temporary: str = "") -> Iterator[None]:
    """Turn errors about the output into OutputError; an OSError that names another file is not ours to explain."""
    try:
        yield
    except OSError as error:
        if error.filename not in (None, name, temporary) and temporary:
            raise
        folder = os.path.dirname(name)
        if not os.path.isdir(folder):
            raise OutputError(f"folder {folder} does not exist; create it first") from error
        reason = error.strerror or str(error)
        raise OutputError(f"{name} cannot be written ({reason}); check permissions and free space") from error
