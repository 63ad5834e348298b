"""Decoding in a few threads, with a queue that is bounded and that clients who went away leave."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any, TypeVar

from wavelic.memory import give_back
from wavelic.serving.refusal import Refusal

#: Seconds after which memory that decodes left free goes back to the system: every thread has a heap of its own.
TRIM_SECONDS = 10.0

Result = TypeVar("Result")


class ClientGone(Exception):
    """The client closed the connection before its answer was ready."""


class Workers:
    """``threads`` threads, and at most ``queue`` jobs that wait for one."""

    def __init__(self, threads: int, queue: int) -> None:
        self.threads = threads
        self.queue = queue
        self.jobs = 0
        self._lock = Lock()
        self._trimmed = time.monotonic()
        self._pool = ThreadPoolExecutor(threads, "decode")

    @property
    def most(self) -> int:
        """Jobs that may run and wait at a time."""
        return self.threads + self.queue

    async def run(self, job: Callable[[], Result], gone: Callable[[], Awaitable[None]]) -> Result:
        """The result of ``job``.  ``gone()`` ends when the client has left; a job not yet begun is then dropped.

        Raises Refusal (503) when the queue is full, ClientGone, or what ``job`` raises.
        """
        with self._lock:
            if self.jobs >= self.most:
                raise Refusal(503, "the server is busy; ask again", retry_after=1)
            self.jobs += 1
        work = self._pool.submit(job)
        work.add_done_callback(lambda _: self._done())
        answer = asyncio.wrap_future(work)
        leaving = asyncio.ensure_future(gone())
        try:
            either: set[asyncio.Future[Any]] = {answer, leaving}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                return answer.result()
            answer.cancel()
            raise ClientGone
        finally:
            leaving.cancel()

    def submit(self, job: Callable[[], None]) -> None:
        """Do ``job`` when a thread is free, for nobody in particular."""
        self._pool.submit(job)

    def _done(self) -> None:
        with self._lock:
            self.jobs -= 1
            now = time.monotonic()
            due = now - self._trimmed >= TRIM_SECONDS
            self._trimmed = now if due else self._trimmed
        if due:
            give_back()

    def close(self) -> None:
        """Wait for what runs; drop what waits."""
        self._pool.shutdown(wait=True, cancel_futures=True)
