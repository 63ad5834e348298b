"""One file or many, in this process or in several: the same outcome, line by line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import typer

from wavelic.cli.boundary import one_line, print_error
from wavelic.cli.files import Job
from wavelic.cli.terminal import Step, dump, progress, remark
from wavelic.errors import UsageError, WavelicError
from wavelic.workers import unordered_map


class Work(Protocol):
    """What is done with one file: picklable, returns facts as JSON types, raises WavelicError."""

    def __call__(self, job: Job, threads: int, step: Step | None) -> dict[str, Any]:
        """Do the work of one input and return what is reported of it."""


@dataclass(frozen=True)
class Outcome:
    """A job with its facts, or with the one line that says why there are none."""

    job: Job
    facts: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    exit_code: int = 0

    def document(self) -> dict[str, Any]:
        """For ``--json``."""
        names = {"input": self.job.source, "output": self.job.target}
        return names | ({"error": self.error, "exit_code": self.exit_code} if self.exit_code else self.facts)


def use_threads(count: int) -> None:
    """Let torch use ``count`` threads; 0 leaves it alone."""
    if count:
        import torch

        torch.set_num_threads(count)


def run_jobs(
    work: Work, jobs: Sequence[Job], processors: int, title: str, describe: Callable[[Outcome], str], as_json: bool
) -> None:
    """Do ``work`` on every job, say how each went, and exit with the code of the first failure if there is one.

    Args:
        work: what is done with one file.
        jobs: the files.
        title: of the progress bar.
        processors: threads for one job, worker processes for several; 0 is one process with torch's own threads.
        describe: the line printed on standard error for a job that went well.
        as_json: print one document on standard output at the end.
    """
    if processors < 0:
        raise UsageError(f"-j {processors}, expected a positive number; give the number of processors to use")
    outcomes: list[Outcome] = []
    with progress(title) as step:
        for outcome in _outcomes(work, jobs, processors, step):
            outcomes.append(outcome)
            if outcome.exit_code:
                print_error(outcome.error)
            else:
                remark(describe(outcome))
            if len(jobs) > 1:
                step(len(outcomes), len(jobs), "files")
    if as_json:
        order = {job: position for position, job in enumerate(jobs)}
        dump({"files": [outcome.document() for outcome in sorted(outcomes, key=lambda o: order[o.job])]})
    if failures := [outcome for outcome in outcomes if outcome.exit_code]:
        if len(jobs) > 1:
            remark(f"{len(failures)} of {len(jobs)} files failed")
        raise typer.Exit(failures[0].exit_code)


def _outcomes(work: Work, jobs: Sequence[Job], processors: int, step: Step) -> Iterator[Outcome]:
    workers = min(processors, len(jobs))
    if workers > 1:
        yield from _in_processes(work, jobs, workers, processors // workers)
        return
    for job in jobs:
        yield _attempt(work, job, processors, step if len(jobs) == 1 else None)


def _attempt(work: Work, job: Job, threads: int, step: Step | None = None) -> Outcome:
    try:
        return Outcome(job, work(job, threads, step))
    except WavelicError as error:
        return Outcome(job, error=job.located(one_line(error)), exit_code=error.exit_code)


def _in_processes(work: Work, jobs: Sequence[Job], workers: int, threads: int) -> Iterator[Outcome]:
    yield from unordered_map(partial(_attempt, work, threads=threads), jobs, workers)
