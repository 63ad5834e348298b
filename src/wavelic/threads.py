"""Thread pool in which torch does not split operations: one call of a function per thread.

torch splits every operation of more than 32768 elements between its OpenMP threads.  A lifting transform is thousands
of short operations on rows that sit in the cache, so that would mean thousands of barriers; as soon as another process
holds one of the cores, each barrier waits for a time slice of the scheduler.  Measured on 2 cores with one of them
busy: 15 s instead of 0.14 s for the wavelet benchmark.  OpenMP's thread count is a property of the calling thread, so
the work is handed to threads that have it set to 1: whole planes or large parts of planes to each, which need no
barrier between them.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import torch

# Below this torch splits nothing, since an operation works on a quarter of the numbers.
SERIAL_ELEMENTS = 1 << 17

_lock = threading.Lock()
_pool: tuple[int, int, ThreadPoolExecutor] | None = None


def thread_count(elements: int) -> int:
    """Number of threads `map_on_threads` uses.

    Args:
        elements: numbers that all calls together work on.

    Returns:
        1 for little work, else as many as torch has.
    """
    return 1 if elements < SERIAL_ELEMENTS else torch.get_num_threads()


def map_on_threads(task: Callable[[int], None], arguments: Iterable[int], elements: int) -> None:
    """Call a function for each of several arguments, concurrently where the work is large; exceptions pass through.

    The calls must not depend on each other.  Inside a call torch does not split operations between threads.

    Args:
        task: the function.
        arguments: what it is called with, one after another.
        elements: numbers that all calls together work on; below SERIAL_ELEMENTS everything runs in the calling thread.
    """
    threads = thread_count(elements)
    if threads == 1:
        for argument in arguments:
            task(argument)
        return
    inference = torch.is_inference_mode_enabled()  # belongs to the thread, and inference tensors insist on it

    def run(argument: int) -> None:
        with torch.inference_mode(inference), torch.no_grad():
            task(argument)

    for _ in _executor(threads).map(run, arguments):
        pass


def _executor(threads: int) -> ThreadPoolExecutor:
    """Pool of this process: as many threads as torch has, so that concurrent callers do not queue up.

    A forked child makes its own.
    """
    global _pool
    with _lock:
        if _pool is None or _pool[:2] != (os.getpid(), threads):
            ready = threading.Barrier(threads + 1)

            def make_serial() -> None:
                # The setting belongs to this thread, but it is also the default of threads to come: hence the restore.
                torch.set_num_threads(1)
                torch.get_num_threads()  # a thread takes the default when it first needs one: now, while that is 1
                ready.wait()

            executor = ThreadPoolExecutor(threads, thread_name_prefix="wavelic-serial", initializer=make_serial)
            for _ in range(threads):
                executor.submit(int)  # any task will do: each submission starts one thread
            ready.wait()
            torch.set_num_threads(threads)
            _pool = (os.getpid(), threads, executor)
        return _pool[2]
