"""Return of freed memory to the system."""

from __future__ import annotations

import ctypes


def give_back() -> None:
    """Return the free pages of the C heap to the system, where the C library can (glibc); elsewhere do nothing.

    Without it some hundred megabytes of the temporary tensors of thousands of windows stay with the process, too
    scattered to serve what a library asks for next.
    """
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # not glibc
        return
    trim(ctypes.c_size_t(0))
