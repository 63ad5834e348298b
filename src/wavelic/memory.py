"""Memory that was freed, back to the system."""

from __future__ import annotations

import ctypes


def give_back() -> None:
    """Return the free pages of the C heap, where the C library can (glibc); elsewhere nothing happens.

    Of thousands of windows' temporary tensors some hundred megabytes stay with the process otherwise, too scattered for
    what a library asks for next.
    """
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # not glibc
        return
    trim(ctypes.c_size_t(0))
