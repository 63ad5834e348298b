"""Workers as actors of a Ray cluster: one process per actor, which keeps the model it has loaded.

The cluster is the one `RAY_ADDRESS` names, else one is started on this machine.  Source and output folders must be
reachable under the same paths on every node.
"""

from __future__ import annotations

import logging
import os
from typing import Any

from wavelic.collections.engine import Finished
from wavelic.collections.local import set_threads
from wavelic.collections.shard import Task, Work
from wavelic.errors import MissingDependencyError, UsageError, WavelicError


class ShardActor:
    """What runs on a node: a worker with its model."""

    def __init__(self, work: Work, threads: int) -> None:
        set_threads(threads)
        self._work = work
        self._prepared = False

    def run(self, task: Task) -> Finished:
        """Do a task; errors of ours come back as values."""
        try:
            if not self._prepared:
                self._work.prepare()
                self._prepared = True
            return Finished(task.number, self._work(task))
        except WavelicError as error:
            return Finished(task.number, error=error)


class RayEngine:
    """``workers`` actors with ``threads`` processors each and, if ``gpu``, a GPU; 0 workers: as many as fit."""

    name = "ray"

    def __init__(self, work: Work, workers: int, threads: int, gpu: bool = False) -> None:
        self._ray, self._ours = connect(workers * threads)
        ray = self._ray
        have = ray.cluster_resources()
        room = int(have.get("GPU", 0)) if gpu else int(have.get("CPU", 1)) // threads
        if gpu and not room:
            raise UsageError("device cuda on a Ray cluster without GPUs; choose --device cpu or add nodes with GPUs")
        self.workers = min(workers, room) if workers else room
        if self.workers < 1:
            raise UsageError(f"workers of {threads} threads do not fit the {have.get('CPU', 0):g} CPUs of the cluster")
        self._make = lambda: ray.remote(ShardActor).options(num_cpus=threads, num_gpus=int(gpu)).remote(work, threads)
        self._idle: list[Any] = []
        self._busy: dict[Any, tuple[Any, int]] = {}

    def start(self, task: Task) -> None:
        """See `Engine.start`."""
        actor = self._idle.pop() if self._idle else self._make()
        self._busy[actor.run.remote(task)] = actor, task.number

    def wait(self, seconds: float) -> list[Finished]:
        """See `Engine.wait`."""
        ready, _ = self._ray.wait(list(self._busy), num_returns=1, timeout=seconds)
        finished = []
        for reference in ready:
            actor, number = self._busy.pop(reference)
            try:
                finished.append(self._ray.get(reference))
                self._idle.append(actor)
            except self._ray.exceptions.RayActorError as error:
                text = " ".join(str(error).split())
                started = "creation task" not in text  # else it could not be set up, and never will be
                finished.append(
                    Finished(number, error=None if started else WavelicError(f"no actor: ...{text[-200:]}"))
                )
            except self._ray.exceptions.RayTaskError as error:
                text = f"shard {number} failed unexpectedly ({error.cause}); report this as a bug"
                finished.append(Finished(number, error=WavelicError(" ".join(text.split()))))
        return finished

    def close(self) -> None:
        """See `Engine.close`."""
        for actor in [*self._idle, *(actor for actor, _ in self._busy.values())]:
            self._ray.kill(actor)
        self._idle, self._busy = [], {}
        if self._ours:
            self._ray.shutdown()


def connect(processors: int) -> tuple[Any, bool]:
    """The module `ray`, connected, and whether this call did it.

    processors: of the cluster started here if `RAY_ADDRESS` names none; 0 for those of the machine.  Raises
    MissingDependencyError without Ray, WavelicError if there is no cluster to be had.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ModuleNotFoundError as error:
        raise MissingDependencyError("engine ray needs Ray; run: pip install 'wavelic[ray]'") from error
    if ray.is_initialized():
        return ray, False
    local: dict[str, Any] = {} if os.environ.get("RAY_ADDRESS") else {"num_cpus": processors or os.cpu_count() or 1}
    try:
        ray.init(log_to_driver=False, include_dashboard=False, logging_level=logging.ERROR, **local)
    except Exception as error:
        ray.shutdown()
        reason = " ".join(str(error).split())[:200]
        raise WavelicError(f"no Ray cluster ({reason}); check RAY_ADDRESS, or use --engine local") from error
    return ray, True
