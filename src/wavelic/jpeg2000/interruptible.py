"""Waiting for a long call into a C library so that Ctrl-C and other signals still end the wait."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")

_TICK_SECONDS = 1.0


class Abandoned(Exception):
    """Nobody waits for the result any more."""


def run_interruptibly(task: Callable[[Callable[[], None]], Result], tick: Callable[[], None] | None = None) -> Result:
    """``task(check)`` on a thread of its own; an exception of a signal handler meanwhile ends the wait at once.

    Python runs signal handlers in the main thread between its own instructions, so a call that stays in C for minutes
    would hold them up.  What then goes on behind the scenes ends at the next ``check()``, which raises `Abandoned`; the
    task frees what it took.  Outside the main thread, which no signal reaches, the task simply runs.

    tick: called about every second.
    """
    if threading.current_thread() is not threading.main_thread():
        return task(lambda: None)
    ended, abandoned = threading.Event(), threading.Event()
    results: list[Result] = []
    errors: list[BaseException] = []

    def check() -> None:
        if abandoned.is_set():
            raise Abandoned

    def work() -> None:
        try:
            results.append(task(check))
        except BaseException as error:
            errors.append(error)
        finally:
            ended.set()

    thread = threading.Thread(target=work, name="wavelic-coder", daemon=True)
    try:
        thread.start()
        while not ended.wait(_TICK_SECONDS):
            if tick:
                tick()
    except BaseException:
        abandoned.set()
        raise
    if errors:
        raise errors[0]
    return results[0]
