"""Workers as processes of this machine.

A pool of the standard library gives up when a worker is killed, and leaves its workers behind when it is killed itself.
Here a dead worker is noticed by its process handle and replaced, and a worker whose parent is gone ends at once.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
import traceback
from multiprocessing import connection
from typing import Any

from wavelic.collections.engine import Finished
from wavelic.collections.shard import Task, Work
from wavelic.errors import WavelicError
from wavelic.workers import prepare_worker

_GRACE = 5.0  # seconds a worker has to remove its temporary files


class LocalEngine:
    """``workers`` processes with ``threads`` threads each; started when there is work for them."""

    name = "local"

    def __init__(self, work: Work, workers: int, threads: int) -> None:
        self.workers = workers
        self._work, self._threads = work, threads
        self._idle: list[_Worker] = []
        self._busy: list[_Worker] = []

    def start(self, task: Task) -> None:
        """See `Engine.start`."""
        while True:
            worker = self._idle.pop() if self._idle else _Worker(self._work, self._threads)
            if worker.give(task):
                self._busy.append(worker)
                return
            worker.end()

    def wait(self, seconds: float) -> list[Finished]:
        """See `Engine.wait`."""
        handles: list[Any] = []
        for worker in self._busy:
            handles += [worker.channel, worker.process.sentinel]
        ready = set(connection.wait(handles, seconds))
        finished = []
        for worker in list(self._busy):
            if worker.channel not in ready and worker.process.sentinel not in ready:
                continue
            finished.append(worker.take())
            self._busy.remove(worker)
            if finished[-1].died:
                worker.end()
            else:
                self._idle.append(worker)
        return finished

    def close(self) -> None:
        """See `Engine.close`."""
        workers = self._idle + self._busy
        for worker in workers:
            worker.process.terminate()
        for worker in workers:
            worker.end()
        self._idle, self._busy = [], []


class _Worker:
    """A process, the channel to it, and the number of its task."""

    def __init__(self, work: Work, threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.channel, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, work, threads), daemon=True)
        self.number = -1
        self.process.start()
        theirs.close()  # so that the end of the process is the end of the channel

    def give(self, task: Task) -> bool:
        """Send a task; False if the worker is dead."""
        self.number = task.number
        try:
            self.channel.send(task)
            return True
        except OSError:
            return False

    def take(self) -> Finished:
        """What became of the task."""
        with contextlib.suppress(OSError, EOFError):
            if self.channel.poll():
                finished: Finished = self.channel.recv()
                return finished
        return Finished(self.number)

    def end(self) -> None:
        self.process.join(_GRACE)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.channel.close()


def _serve(channel: Any, work: Work, threads: int) -> None:
    prepare_worker()
    set_threads(threads)
    prepared = False
    while True:
        try:
            task: Task = channel.recv()
        except EOFError:
            return
        try:
            if not prepared:
                work.prepare()
                prepared = True
            finished = Finished(task.number, work(task))
        except WavelicError as error:
            finished = Finished(task.number, error=error)
        except Exception as error:
            traceback.print_exc()
            text = f"shard {task.number} failed unexpectedly ({type(error).__name__}: {error}); report this as a bug"
            finished = Finished(task.number, error=WavelicError(text))
        channel.send(finished)


def set_threads(count: int) -> None:
    """Let this process compute on ``count`` threads; before torch is loaded, if it can be."""
    os.environ["OMP_NUM_THREADS"] = str(count)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(count)
