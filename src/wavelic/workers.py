"""Start and end of worker processes: no worker outlives the process that started it."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from multiprocessing import connection, parent_process
from multiprocessing.process import BaseProcess

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


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
