"""Engines by name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from wavelic.collections.engine import Engine
from wavelic.collections.shard import Work
from wavelic.errors import UsageError

ENGINES = ("local", "ray")


@contextmanager
def start_engine(name: str, work: Work, workers: int = 0, threads: int = 1, gpu: bool = False) -> Iterator[Engine]:
    """Workers for ``work``, which end with the block.

    workers: 0 for as many as the processors of the machine or the cluster allow.  threads: of each.  gpu: each worker
    wants one (engine ray).  Raises UsageError for another name or numbers below, MissingDependencyError without Ray.
    """
    if name not in ENGINES:
        raise UsageError(f"engine {name!r}; choose one of {', '.join(ENGINES)}")
    if workers < 0:
        raise UsageError(f"-j {workers}, expected a positive number; give the number of workers")
    engine: Engine
    if name == "ray":
        from wavelic.collections.cluster import RayEngine

        engine = RayEngine(work, workers, threads, gpu)
    else:
        from wavelic.collections.local import LocalEngine

        engine = LocalEngine(work, workers or max(1, _processors() // threads), threads)
    try:
        yield engine
    finally:
        engine.close()


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
