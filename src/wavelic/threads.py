"""Threads that do not wait for each other within an operation: one call of a function per thread.

torch splits every operation of more than 32768 elements between its OpenMP threads, which turn round at a barrier until
all have arrived.  As soon as another process holds one of the cores, each barrier waits for a time slice of the
scheduler, and an image takes thousands of barriers.  Measured on 2 cores with one of them busy: 15 s instead of 0.14 s
for the wavelet benchmark.  Two things cure it:

- Large work is handed to threads in which torch does not split operations: whole windows or tiles to each.  OpenMP's
  thread count is a property of the calling thread, so these threads have it set to 1.
- Threads at a barrier soon sleep.  How long they turn round is read from the environment when torch is loaded, so
  `let_threads_sleep` sets it when wavelic is imported.  Where torch was there before, networks that would run in the
  calling thread go to one of the threads above as well.

This module is imported with the package and loads torch on first use.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

# Below this torch splits nothing, since an operation works on a quarter of the numbers.
SERIAL_ELEMENTS = 1 << 17

#: What says how long threads of OpenMP turn round before they sleep: of GNU's in rounds, of LLVM's in milliseconds.
#: The defaults are a time slice of the scheduler and more.
WAITING = {"GOMP_SPINCOUNT": "10000", "KMP_BLOCKTIME": "1"}

_lock = threading.Lock()
_pool: tuple[int, int, ThreadPoolExecutor] | None = None
_spins = False


def let_threads_sleep() -> None:
    """Set the variables of `WAITING` that are not set, unless OMP_WAIT_POLICY or one of them is set already.

    It has an effect on the OpenMP that torch brings along if torch has not been imported yet.
    """
    global _spins
    if any(name in os.environ for name in ("OMP_WAIT_POLICY", *WAITING)):
        return
    _spins = "torch" in sys.modules
    os.environ.update(WAITING)


def thread_count(elements: int) -> int:
    """Number of threads `map_on_threads` uses.

    Args:
        elements: numbers that all calls together work on.

    Returns:
        1 for little work, else as many as torch has.
    """
    import torch

    return 1 if elements < SERIAL_ELEMENTS else torch.get_num_threads()


def map_on_threads(
    task: Callable[[int], None], arguments: Iterable[int], elements: int, *, networks: bool = False
) -> None:
    """Call a function for each of several arguments, concurrently where the work is large; exceptions pass through.

    The calls must not depend on each other.  Inside a concurrent call torch does not split operations between threads.

    Args:
        task: the function.
        arguments: what it is called with, one after another.
        elements: numbers that all calls together work on; below SERIAL_ELEMENTS everything runs in the calling thread.
        networks: the calls run networks, whose operations take long enough to be split: a single call runs in the
            calling thread, on all threads of torch, unless these would turn round at barriers.
    """
    import torch

    numbers = list(arguments)
    threads, few = torch.get_num_threads(), thread_count(elements) == 1
    if networks:
        few = not _spins and (few or len(numbers) == 1)
    if few or threads == 1:
        for argument in numbers:
            task(argument)
        return
    inference = torch.is_inference_mode_enabled()  # belongs to the thread, and inference tensors insist on it

    def run(argument: int) -> None:
        with torch.inference_mode(inference), torch.no_grad():
            task(argument)

    for _ in _executor(threads).map(run, numbers):
        pass


def _executor(threads: int) -> ThreadPoolExecutor:
    """Pool of this process: as many threads as torch has, so that concurrent callers do not queue up.

    A forked child makes its own.
    """
    import torch

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
