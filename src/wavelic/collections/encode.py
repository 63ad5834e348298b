"""Encode a collection: walk, skip what is finished, code the rest, report."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from wavelic.codec.registry import DEFAULT_CODEC
from wavelic.collections.engine import Engine, run_tasks
from wavelic.collections.job import JOB_FILE, Job, read_job
from wavelic.collections.listing import Source, Walk, shards, walk
from wavelic.collections.shard import Summary, Task, summarize
from wavelic.collections.store import is_finished, read_rows, rows_path, sweep, write_text
from wavelic.errors import OutputError, UsageError

#: What a finished collection adds up to.
REPORT_FILE = "report.json"

Step = Callable[[int, int, str], None]


def encode_collection(
    source: Path, output: Path, job: Job, engine: Engine, *, resume: bool = False, step: Step
) -> dict[str, Any]:
    """Code every image below ``source`` into shards in ``output`` and return the report, which is also written there.

    The same source and job give the same files, byte for byte, whatever the engine, the number of workers and the
    interruptions.  resume: continue in an ``output`` that a run of the same job has begun; without it ``output`` must
    be absent or empty.  step: called as ``step(done, total, "images")``.

    Raises:
        UsageError: no image in ``source``, ``output`` inside it, or another job or other images when resuming.
        OutputError: ``output`` is not empty, in use by another run, or cannot be written.
        ModelError: the weights are not installed.
    """
    source, output = source.resolve(), output.resolve()
    if not source.is_dir():
        raise UsageError(f"{source} is not a folder; give a folder of images")
    if output == source or source in output.parents:
        raise UsageError(f"output {output} lies inside the source {source}; choose a folder outside it")
    seen = Walk()
    for _ in walk(source, seen):
        pass
    if not seen.images:
        raise UsageError(f"{source} holds no images, nor do the folders below it; give a folder of images")
    _open_output(output, job, resume)
    with _alone(output):
        if resume:
            sweep(output, job.layout)
        plan = _Plan(source, output, job, -(-seen.images // job.shard_size))
        tasks = plan.unfinished()
        for task, summary in run_tasks(engine, tasks, lambda done: step(plan.kept + done, seen.images, "images")):
            plan.summaries[task.number] = summary
        sweep(output, job.layout)
        total = plan.total()
        if total.images != seen.images:
            raise UsageError(f"{source} changed while it was read; encode it again into another folder")
        report = _report(job, len(plan.summaries), total, seen)
        write_text(output / REPORT_FILE, json.dumps(report, indent=2) + "\n")
    return report


class _Plan:
    """The shards of a run: which there are, what those add up to that are finished."""

    def __init__(self, source: Path, output: Path, job: Job, count: int) -> None:
        self._source, self._output, self._job = source, output, job
        self.kept = 0
        self.summaries: dict[int, Summary] = {}
        if rows_path(output, count).exists():
            raise UsageError(f"{output} has more than the {count} shards of {source}; {_CHANGED}")

    def unfinished(self) -> Iterator[Task]:
        """Tasks for the shards that are not there yet; the others are checked and counted on the way."""
        for number, sources in shards(walk(self._source, Walk()), self._job.shard_size):
            if is_finished(self._output, number, self._job.layout):
                self._keep(number, sources)
            else:
                yield Task(number, self._source, self._output, len(sources), sources)

    def _keep(self, number: int, sources: tuple[Source, ...]) -> None:
        rows = read_rows(self._output, number) or []
        if [row["source"] for row in rows] != [source.name for source in sources]:
            raise UsageError(f"{rows_path(self._output, number)} names other images than {self._source}; {_CHANGED}")
        self.summaries[number] = summarize(rows)
        self.kept += len(rows)

    def total(self) -> Summary:
        """The sums over all shards."""
        total = Summary()
        for number in sorted(self.summaries):
            total.merge(self.summaries[number])
        return total


_CHANGED = "the source changed since the first run: encode it into another folder"


def _open_output(output: Path, job: Job, resume: bool) -> None:
    try:
        output.mkdir(parents=True, exist_ok=True)
        entries = {path.name for path in output.iterdir()}
    except OSError as error:
        raise OutputError(f"folder {output} cannot be used ({error.strerror}); choose another place") from error
    if JOB_FILE in entries:
        if not resume:
            raise OutputError(f"{output} holds a collection; use --resume to continue it or choose another folder")
        changes = job.differences(read_job(output))
        if changes:
            raise UsageError(
                f"{output} was begun with other settings ({changes}); repeat them or choose another folder"
            )
        return
    if entries:
        raise OutputError(f"{output} is not empty and no collection; choose another folder")
    write_text(output / JOB_FILE, job.to_json())


@contextmanager
def _alone(output: Path) -> Iterator[None]:
    """Hold the collection; the system lets go of it however this process ends."""
    try:
        import fcntl
    except ModuleNotFoundError:  # not on Windows: there the shards still appear whole or not at all
        yield
        return
    with (output / JOB_FILE).open("rb") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise OutputError(f"another run is writing to {output}; wait for it or choose another folder") from error
        yield


def _report(job: Job, count: int, total: Summary, seen: Walk) -> dict[str, Any]:
    return {
        "format": "wavelic collection report 1",
        "codec": job.codec or DEFAULT_CODEC,
        "target": list(job.target) if job.target else None,
        "shards": count,
        "images": total.images,
        "coded": total.coded,
        "failed": total.images - total.coded,
        "source_bytes": total.source_bytes,
        "bytes": total.bytes,
        "bytes_saved": total.source_bytes - total.bytes,
        "bpp": round(8 * total.bytes / total.pixels, 6) if total.pixels else None,
        "mean_psnr": round(total.psnr / total.measured, 4) if total.measured else None,
        "exact": total.exact,
        "failures": {"reasons": dict(sorted(total.reasons.items())), "examples": total.examples},
        "skipped_pictures": dict(sorted(seen.skipped.items())),
        "other_files": dict(sorted(seen.other.items())),
        "unreadable_folders": seen.unreadable,
    }
