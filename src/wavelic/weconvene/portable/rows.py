"""Rows of a map that go through several layers while they are in a processor's cache, on all cores.

NumPy lets other threads run during products and sums.  Products of matrices themselves run on one thread each: the
threads of OpenBLAS turn round at barriers, and take five times as long when another program has a core.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache

import numpy.linalg._umath_linalg as linked

#: What works on all rows of a map: called with the work on some, rows in all, and how many go together.
Rows = Callable[[Callable[[slice], None], int, int], None]
_MOST_THREADS = 8

_lock = threading.Lock()
_users, _before = 0, 0


@contextmanager
def on_all_cores() -> Iterator[Rows]:
    """Provide `Rows` on as many threads as torch would use: OMP_NUM_THREADS, or one for each core."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    cores = int(given) if given.isdecimal() and int(given) else _cores()

    with ThreadPoolExecutor(min(cores, _MOST_THREADS), "wavelic-rows") as pool, _serial_products():

        def rows(work: Callable[[slice], None], count: int, together: int) -> None:
            parts = [slice(first, min(first + together, count)) for first in range(0, count, together)]
            if len(parts) == 1:
                work(parts[0])
                return
            for _ in pool.map(work, parts):
                pass

        yield rows


@contextmanager
def _serial_products() -> Iterator[None]:
    """Products of matrices on one thread each: a setting of the process, which the last of several users restores."""
    global _users, _before
    found = _openblas()
    if found is None:
        yield
        return
    get_threads, set_threads = found
    with _lock:
        if not _users:
            _before = get_threads()
            set_threads(1)
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if not _users:
                set_threads(_before)


@cache
def _openblas() -> tuple[Callable[[], int], Callable[[int], None]] | None:
    """What reads and sets the threads of the OpenBLAS that NumPy is linked with; None with another library."""
    try:
        library = ctypes.CDLL(linked.__file__)
    except (AttributeError, OSError):  # built into the interpreter
        return None
    for name in ("scipy_openblas_{}_num_threads64_", "openblas_{}_num_threads64_", "openblas_{}_num_threads"):
        if hasattr(library, name.format("set")):
            get_threads, set_threads = (getattr(library, name.format(what)) for what in ("get", "set"))
            get_threads.argtypes, set_threads.argtypes = (), (ctypes.c_int,)
            get_threads.restype, set_threads.restype = ctypes.c_int, None
            return get_threads, set_threads
    return None


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
