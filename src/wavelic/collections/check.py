"""Verify a collection against its own checksums, or evaluate it against its source, shard by shard like the encoder."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wavelic.collections.encode import REPORT_FILE
from wavelic.collections.engine import Engine, run_tasks
from wavelic.collections.job import Job, read_job
from wavelic.collections.shard import MAX_EXAMPLES, Note, Task
from wavelic.collections.store import Row, archive_path, read_data, read_rows, rows_path
from wavelic.errors import FormatError, MissingDependencyError, ModelError, WavelicError

Step = Callable[[int, int, str], None]


@dataclass
class Checked:
    """What was found in a shard, or in all of them.

    images: lines.  sound: compressed images that passed.  uncoded: lines that say why there is none.  problems: what
    is wrong, and with which source.  The sums are over sound images, those of PSNR over inexact ones, of MS-SSIM over
    those with 161 pixels and more a side.
    """

    images: int = 0
    sound: int = 0
    uncoded: int = 0
    problems: list[dict[str, str]] = field(default_factory=list)
    damaged: int = 0
    bpp: float = 0.0
    psnr: float = 0.0
    measured: int = 0
    ms_ssim: float = 0.0
    compared: int = 0

    def problem(self, source: str, reason: str) -> None:
        """One image is not as it should be."""
        self.damaged += 1
        if len(self.problems) < MAX_EXAMPLES:
            self.problems.append({"source": source, "reason": " ".join(reason.split())})

    def merge(self, other: Checked) -> None:
        """Add another shard, in the order of shards."""
        for name in ("images", "sound", "uncoded", "damaged", "bpp", "psnr", "measured", "ms_ssim", "compared"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.problems += other.problems[: MAX_EXAMPLES - len(self.problems)]


@dataclass(frozen=True)
class CheckShard:
    """Reads a shard back; its result is a `Checked`.

    compare: decode every image and measure it against its source, instead of verifying the file's own checksums.
    """

    job: Job
    compare: bool

    def prepare(self) -> None:
        """Weights are loaded by the first file that names them."""

    def __call__(self, task: Task) -> Checked:
        """Check one shard: its index, its data and every file in it."""
        checked = Checked()
        try:
            rows = read_rows(task.output, task.number)
        except FormatError as error:
            checked.problem(rows_path(task.output, task.number).name, str(error))
            return checked
        rows = rows or []
        checked.images = len(rows)
        checked.uncoded = sum(row["status"] != "ok" for row in rows)
        coded = [row for row in rows if row["status"] == "ok"]
        done = 0
        with Note(task) as note:
            try:
                for row, data in read_data(task.output, task.number, self.job.layout, rows):
                    note.at(done)
                    if done in task.bad:
                        checked.problem(row["source"], task.bad[done])
                    else:
                        self._check(task, row, data, checked)
                    done += 1
            except FormatError as error:
                checked.problem(archive_path(task.output, task.number).name, str(error))
                checked.damaged += max(0, len(coded) - done - 1)
        return checked

    def _check(self, task: Task, row: Row, data: bytes | None, checked: Checked) -> None:
        try:
            if data is None:
                raise FormatError(f"{row['file']} is missing; remove the shard's files and run encode-dir --resume")
            if len(data) != row["bytes"] or hashlib.sha256(data).hexdigest() != row["sha256"]:
                raise FormatError(
                    f"{row['file']} is not what was written; remove the shard's files and run encode-dir --resume"
                )
            if self.compare:
                self._compare(task.root / row["source"], data, checked)
            else:
                from wavelic.api.files import open_file

                open_file(data).verify()
        except (ModelError, MissingDependencyError):
            raise
        except WavelicError as error:
            checked.problem(row["source"], str(error))
            return
        checked.sound += 1
        checked.bpp += 8 * len(data) / (row["width"] * row["height"])

    def _compare(self, path: Path, data: bytes, checked: Checked) -> None:
        import numpy as np

        from wavelic.api.files import decode_image, psnr
        from wavelic.evaluation.metrics import ms_ssim_rgb
        from wavelic.images import load_image

        reference = load_image(path).colour()
        decoded = decode_image(data, device=self.job.device).colour()
        if reference.shape != decoded.shape or reference.dtype != decoded.dtype:
            raise FormatError(f"{path.name} is not the image that was coded; restore it")
        decibels = psnr(reference, decoded)
        if math.isfinite(decibels):
            checked.psnr += decibels
            checked.measured += 1
        if reference.dtype == np.uint8:
            likeness = ms_ssim_rgb(reference, decoded)
            if math.isfinite(likeness):
                checked.ms_ssim += likeness
                checked.compared += 1


def verify_collection(folder: Path, engine: Engine, *, step: Step) -> dict[str, Any]:
    """Check every compressed image of a collection: there, unchanged since it was written, sound in itself.

    The engine's work must be ``CheckShard(read_job(folder), compare=False)``.  ``complete`` in the result says that all
    shards of the report are there.  Raises FormatError if ``folder`` holds no collection.
    """
    checked, shards = _check(folder, folder, engine, step)
    return {**shards, **_counts(checked), "problems": checked.problems}


def evaluate_collection(source: Path, folder: Path, engine: Engine, *, step: Step) -> dict[str, Any]:
    """Decode every compressed image of a collection and compare it with its source: means over images.

    The engine's work must be ``CheckShard(read_job(folder), compare=True)``.  psnr: dB over colour samples, without the
    images that came back exactly.  ms_ssim: of 8-bit images with sides of 161 pixels and more.  Raises FormatError if
    ``folder`` holds no collection, MissingDependencyError without `pytorch_msssim`.
    """
    checked, shards = _check(source.resolve(), folder, engine, step)

    def mean(total: float, number: int) -> float | None:
        return round(total / number, 6) if number else None

    return {
        **shards,
        **_counts(checked),
        "bpp": mean(checked.bpp, checked.sound),
        "psnr": mean(checked.psnr, checked.measured),
        "psnr_images": checked.measured,
        "ms_ssim": mean(checked.ms_ssim, checked.compared),
        "ms_ssim_images": checked.compared,
        "problems": checked.problems,
    }


def _counts(checked: Checked) -> dict[str, Any]:
    return {name: getattr(checked, name) for name in ("images", "sound", "uncoded", "damaged")}


def _check(root: Path, folder: Path, engine: Engine, step: Step) -> tuple[Checked, dict[str, Any]]:
    """What was found in all shards, and which shards there are."""
    folder = folder.resolve()
    read_job(folder)
    there = sorted(int(path.stem.removeprefix("shard-")) for path in folder.glob("shard-[0-9]*.jsonl"))
    promised = _promised(folder)
    count = max(promised, there[-1] + 1 if there else 0)
    missing = sorted(set(range(count)) - set(there))
    lengths = [_lines(folder, number) for number in there]

    def tasks() -> Iterator[Task]:
        for number, length in zip(there, lengths, strict=True):
            yield Task(number, root, folder, length)

    found: dict[int, Checked] = {}
    for task, checked in run_tasks(engine, tasks(), lambda done: step(done, sum(lengths), "images")):
        found[task.number] = checked
    total = Checked()
    for number in there:
        total.merge(found[number])
    # without a report the run that wrote the collection is not over
    return total, {"shards": count, "complete": bool(promised) and not missing, "missing_shards": missing}


def _lines(folder: Path, number: int) -> int:
    try:
        with rows_path(folder, number).open("rb") as stream:
            return sum(1 for _ in stream)
    except OSError:
        return 0


def _promised(folder: Path) -> int:
    """How many shards the report of the collection names; a collection without a report is not finished."""
    try:
        return int(json.loads((folder / REPORT_FILE).read_text())["shards"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0
