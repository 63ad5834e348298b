"""Run a function over parts of the work with torch's own multithreading switched off.

torch splits every operation of more than 32768 elements between its OpenMP threads.  A lifting transform is thousands
of short operations on rows that sit in the cache, so that would mean thousands of barriers; as soon as another process
holds one of the cores, each barrier waits for a time slice of the scheduler.  Measured on 2 cores with one of them
busy: 15 s instead of 0.14 s for the benchmark of this package.  OpenMP's thread count is a property of the calling
thread, so the work is handed to threads that have it set to 1: whole planes or large parts of planes to each, which
need no barrier between them.
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


def serial_threads(elements: int) -> int:
    """On how many threads `run_serially` works for that many numbers."""
    return 1 if elements < SERIAL_ELEMENTS else torch.get_num_threads()


def run_serially(task: Callable[[int], None], arguments: Iterable[int], elements: int) -> None:
    """Call ``task`` for each of ``arguments``, without torch's parallelism in a call; exceptions pass through.

    The calls work on ``elements`` numbers in all.  If that is much, they run beside each other, on as many threads as
    torch has; they must not depend on each other.
    """
    threads = serial_threads(elements)
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
    """The serial threads of this process: as many as torch has, so that concurrent callers do not queue up.

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
