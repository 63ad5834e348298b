"""Run a function with torch's own multithreading switched off.

torch splits every operation of more than 32768 elements between its OpenMP threads.  A lifting transform is thousands
of short operations on rows that sit in the cache, so that would mean thousands of barriers; as soon as another process
holds one of the cores, each barrier waits for a time slice of the scheduler.  Measured on 2 cores with one of them
busy: 15 s instead of 0.14 s for the benchmark of this package.  OpenMP's thread count is a property of the calling
thread, so the work is handed to a thread that has it set to 1.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch

# Below this torch hardly splits anything, and handing over costs more than it saves.
SERIAL_ELEMENTS = 1 << 18

_lock = threading.Lock()
_pool: tuple[int, int, ThreadPoolExecutor] | None = None


def run_serially(task: Callable[[], None], elements: int) -> None:
    """Call ``task``, which works on ``elements`` numbers, without torch's parallelism; exceptions pass through."""
    threads = torch.get_num_threads()
    if elements < SERIAL_ELEMENTS or threads == 1:
        task()
    else:
        inference = torch.is_inference_mode_enabled()  # belongs to the thread, and inference tensors insist on it

        def run() -> None:
            with torch.inference_mode(inference), torch.no_grad():
                task()

        _executor(threads).submit(run).result()


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
                ready.wait()

            executor = ThreadPoolExecutor(threads, thread_name_prefix="wavelic-serial", initializer=make_serial)
            for _ in range(threads):
                executor.submit(int)  # any task will do: each submission starts one thread
            ready.wait()
            torch.set_num_threads(threads)
            _pool = (os.getpid(), threads, executor)
        return _pool[2]
