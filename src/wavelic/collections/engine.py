"""Driving tasks through workers that may die: at most one task in flight for each worker, none lost, none blamed twice.

An engine knows how to start a task and how to wait; the rules of this module are the same for all engines.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

from wavelic.collections.shard import Task, read_note
from wavelic.errors import WavelicError

#: A worker may die so often at one image, or so often before its first, until that is held against it.
DEATHS = 2
EARLY_DEATHS = 3

#: Seconds between looks at how far the workers are.
GLANCE = 0.5

Progress = Callable[[int], None]


@dataclass(frozen=True)
class Finished:
    """How a task ended: with a result, with an error, or with the death of its worker (neither)."""

    number: int
    result: Any = None
    error: WavelicError | None = None

    @property
    def died(self) -> bool:
        """Whether the worker ended without a result or an error."""
        return self.result is None and self.error is None


class Engine(Protocol):
    """Workers, each with one task at a time; a dead worker is replaced."""

    name: str
    workers: int

    def start(self, task: Task) -> None:
        """Hand ``task`` to an idle worker; there must be one."""

    def wait(self, seconds: float) -> list[Finished]:
        """Tasks that ended since the last call; returns after ``seconds`` at the latest."""

    def close(self) -> None:
        """End the workers, whatever they are doing."""


def run_tasks(engine: Engine, tasks: Iterator[Task], progress: Progress) -> Iterator[tuple[Task, Any]]:
    """Each task with its result, in the order in which they end.

    The death of a worker costs its task a second try.  Two deaths at the same image are the image's fault: the third
    try leaves it out, with a reason.  progress: called with the number of images behind us in tasks of this run.

    Raises the error of the first task that fails, and WavelicError if workers keep dying before their first image.
    """
    running: dict[int, Task] = {}
    again: deque[Task] = deque()
    deaths: Counter[tuple[int, int]] = Counter()
    behind = 0
    exhausted = False
    while True:
        while len(running) < engine.workers and not (exhausted and not again):
            task = again.popleft() if again else next(tasks, None)
            if task is None:
                exhausted = True
                break
            engine.start(task)
            running[task.number] = task
        if not running:
            return
        for finished in engine.wait(GLANCE):
            task = running.pop(finished.number)
            if finished.error is not None:
                raise finished.error
            if finished.died:
                again.append(_after_death(task, deaths))
                continue
            behind += task.images
            yield task, finished.result
        progress(behind + sum(_position(task) for task in running.values()))


def _position(task: Task) -> int:
    note = read_note(task.output, task.number)
    return note[0] if note else 0


def _after_death(task: Task, deaths: Counter[tuple[int, int]]) -> Task:
    note = read_note(task.output, task.number)
    position = note[0] if note else -1
    deaths[task.number, position] += 1
    if position < 0:
        if deaths[task.number, position] >= EARLY_DEATHS:
            raise WavelicError(
                f"{EARLY_DEATHS} workers died before the first image of shard {task.number}, most likely for lack of"
                " memory; use a smaller -j"
            )
        return task
    if deaths[task.number, position] < DEATHS:
        return task
    reason = f"the worker died {DEATHS} times at this image, most likely for lack of memory; code it alone"
    return replace(task, bad={**task.bad, position: reason})
