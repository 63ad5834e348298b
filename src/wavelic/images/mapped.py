"""Samples of a large image in a file that is mapped to memory, so that a process can do without them for a while."""

from __future__ import annotations

import mmap
import os
import tempfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Bytes of samples that stay in ordinary memory.
IN_MEMORY = 1 << 29


def mapped(pixels: NDArray[Any]) -> NDArray[Any]:
    """The same samples, C-contiguous, in an unnamed temporary file (in TMPDIR) if they are more than `IN_MEMORY`.

    The system removes the file with the process, whatever ends it.  Where it cannot be had, for want of room or of the
    system calls, ``pixels`` are returned as they are.
    """
    if pixels.nbytes <= IN_MEMORY or not hasattr(os, "posix_fallocate"):
        return pixels
    try:
        with tempfile.TemporaryFile() as file:
            os.posix_fallocate(file.fileno(), 0, pixels.nbytes)  # or a full disk would end the process later
            mapping = mmap.mmap(file.fileno(), pixels.nbytes)
    except OSError:
        return pixels
    result = np.frombuffer(mapping, pixels.dtype).reshape(pixels.shape)
    result[:] = pixels
    return result


def set_aside(pixels: NDArray[Any]) -> None:
    """Take `mapped` samples out of the process's memory until they are read again; others stay where they are."""
    base: Any = pixels
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, memoryview):
        base = base.obj
    if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        base.madvise(mmap.MADV_DONTNEED)  # of a shared mapping: the file keeps what was written
