"""Start and end of worker processes: no worker outlives the process that started it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection, parent_process
from multiprocessing.process import BaseProcess
from typing import TypeVar

from wavelic.errors import WavelicError

Argument = TypeVar("Argument")
Result = TypeVar("Result")

#: Seconds that a worker has to remove its temporary files and go.
GRACE = 10.0


def prepare_worker() -> None:
    """Set up the signals of a worker process; to be called first in it.

    Ctrl-C reaches every process of a terminal: the worker ignores it, and the parent ends its workers in order.
    SIGTERM ends the worker after cleaning up.  When the parent ends, in whatever way, the worker ends at once.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    threading.Thread(target=_end_with_parent, daemon=True).start()


def end_workers(workers: Sequence[BaseProcess], grace: float = GRACE) -> None:
    """Wait for workers that were asked to end, and kill those that have not ended in time.

    Args:
        workers: the processes.
        grace: seconds to wait for all of them together.
    """
    deadline = time.monotonic() + grace
    left = [worker for worker in workers if worker.is_alive()]
    while left and (seconds := deadline - time.monotonic()) > 0:
        ended = connection.wait([worker.sentinel for worker in left], seconds)
        left = [worker for worker in left if worker.sentinel not in ended]
    for worker in left:
        worker.kill()


def prepare_nothing() -> None:
    """Do nothing: a worker needs nothing besides `prepare_worker`."""


def unordered_map(
    task: Callable[[Argument], Result],
    arguments: Sequence[Argument],
    processes: int,
    prepare: Callable[[], None] = prepare_nothing,
) -> Iterator[Result]:
    """Call a function on each of several arguments in worker processes.

    Args:
        task: the function; it, the arguments and the results are pickled.
        arguments: what it is called with.
        processes: workers, started anew with "spawn".
        prepare: called first in each worker; pickled.

    Yields:
        The results as they come, in no order.

    Raises:
        WavelicError: a worker died.  What the function raises comes through; the other calls are then given up.
    """
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, context, initializer=_prepare, initargs=(prepare,))
    try:
        for future in as_completed([pool.submit(task, argument) for argument in arguments]):
            yield future.result()
    except BrokenProcessPool as error:
        raise WavelicError("a worker process died, most likely for lack of memory; use a smaller -j") from error
    except BaseException:  # Ctrl-C above all: workers remove their temporary files and go
        children = multiprocessing.active_children()
        for worker in children:
            worker.terminate()
        pool.shutdown(wait=False, cancel_futures=True)
        end_workers(children)
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _prepare(more: Callable[[], None]) -> None:
    prepare_worker()
    more()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
