"""The task: code the images of one shard, one after another, and say of each what became of it."""

from __future__ import annotations

import hashlib
import math
import os
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from wavelic.collections.job import Job
from wavelic.collections.listing import Source
from wavelic.collections.store import Row, note_path, write_data, write_rows
from wavelic.errors import MissingDependencyError, ModelError, OutputError, WavelicError

MAX_EXAMPLES = 100  # failures a report spells out; the lines of the shards hold all


@dataclass(frozen=True)
class Task:
    """One shard: paths, no pixels.

    images: how many.  sources: which, where they are not read from the shard itself.  bad: position -> reason, for
    images that must not be tried because they ended workers before.
    """

    number: int
    root: Path
    output: Path
    images: int
    sources: tuple[Source, ...] = ()
    bad: dict[int, str] = field(default_factory=dict)


class Work(Protocol):
    """What a worker does with a task: picklable; `prepare` loads whatever the tasks share."""

    def prepare(self) -> None:
        """Load whatever the tasks share."""

    def __call__(self, task: Task) -> Any:
        """Do one task."""


@dataclass
class Summary:
    """What a shard's lines add up to.  Sums over coded images, but for `images` and `failures`."""

    images: int = 0
    coded: int = 0
    source_bytes: int = 0
    bytes: int = 0
    pixels: int = 0
    measured: int = 0
    psnr: float = 0.0
    exact: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    examples: list[dict[str, str]] = field(default_factory=list)

    def add(self, row: Row) -> None:
        """Count one line."""
        self.images += 1
        if row["status"] != "ok":
            self.reasons[row["reason"].replace(row["source"], "IMAGE")] += 1
            if len(self.examples) < MAX_EXAMPLES:
                self.examples.append({"source": row["source"], "reason": row["reason"]})
            return
        self.coded += 1
        self.source_bytes += row["source_bytes"]
        self.bytes += row["bytes"]
        self.pixels += row["width"] * row["height"]
        if row["exact"]:
            self.exact += 1
        elif row["psnr"] is not None:
            self.measured += 1
            self.psnr += row["psnr"]

    def merge(self, other: Summary) -> None:
        """Add the sums of another shard; in the order of shards, so that float sums come out the same."""
        for name in ("images", "coded", "source_bytes", "bytes", "pixels", "measured", "psnr", "exact"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.reasons += other.reasons
        self.examples += other.examples[: MAX_EXAMPLES - len(self.examples)]


def summarize(rows: list[Row]) -> Summary:
    """The sums of a shard's lines."""
    summary = Summary()
    for row in rows:
        summary.add(row)
    return summary


class Note:
    """A few bytes on the disk that say which image of a shard is being worked on, and by which process.

    A worker that dies cannot say any more what it died of; whoever started it reads it here, and how far it was.
    """

    def __init__(self, task: Task) -> None:
        self._path = note_path(task.output, task.number)
        try:
            self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        except OSError as error:
            raise OutputError(
                f"{task.output} cannot be written ({error.strerror}); check permissions and space"
            ) from error

    def __enter__(self) -> Note:
        return self

    def at(self, position: int) -> None:
        """The image at ``position`` is next."""
        os.pwrite(self._file, f"{position:12d} {os.getpid():12d}\n".encode(), 0)

    def __exit__(self, *_: object) -> None:
        os.close(self._file)
        with suppress(OSError):
            os.unlink(self._path)


def read_note(folder: Path, number: int) -> tuple[int, int] | None:
    """(position, process) of a shard in the making, None if nothing is known."""
    try:
        position, process = note_path(folder, number).read_text().split()
        return int(position), int(process)
    except (OSError, ValueError):
        return None


@dataclass(frozen=True)
class EncodeShard:
    """Codes the shards of a job; its result is a `Summary`."""

    job: Job

    def prepare(self) -> None:
        """Load the weights, by coding a small image."""
        import numpy as np

        from wavelic.api.files import encode_image
        from wavelic.images import from_array

        encode_image(from_array(np.zeros((16, 16, 3), np.uint8)), self.job.codec, None, self.job.codec_options())

    def __call__(self, task: Task) -> Summary:
        """Encode the pictures of one shard and write its data and index."""
        rows = []
        with Note(task) as note:
            with write_data(task.output, task.number, self.job.layout) as put:
                for position, source in enumerate(task.sources):
                    note.at(position)
                    if position in task.bad:
                        row, data = _bad(task.root, source, task.bad[position]), b""
                    else:
                        row, data = self.code(task.root, source)
                    rows.append(row)
                    if row["status"] == "ok":
                        put(row["file"], data)
            write_rows(task.output, task.number, rows)
        return summarize(rows)

    def code(self, root: Path, source: Source) -> tuple[Row, bytes]:
        """The line of an image and its compressed bytes, which are empty if the line says why it could not be coded.

        Raises OutputError, ModelError or MissingDependencyError, which are not the image's fault.
        """
        path = root / source.name
        try:
            return self.compress(path, source)
        except (OutputError, ModelError, MissingDependencyError):
            raise
        except WavelicError as error:
            reason = " ".join(str(error).split())
        except Exception as error:  # a bug, of ours or of a library: the other images are still worth coding
            reason = f"unexpected {type(error).__name__}: {' '.join(str(error).split())[:200]}"
        return _bad(root, source, reason.replace(str(path), source.name)), b""

    def compress(self, path: Path, source: Source) -> tuple[Row, bytes]:
        """The line of the image at ``path`` and its compressed bytes; raises whatever is wrong with it."""
        from wavelic.api.files import decode_image, encode_image, psnr
        from wavelic.images import load_image

        image = load_image(path)
        encoded = encode_image(image, self.job.codec, self.job.codec_target(), self.job.codec_options())
        decibels = None
        if self.job.measure:
            decibels = psnr(image.colour(), decode_image(encoded.data, device=self.job.device).colour())
        exact = decibels is not None and math.isinf(decibels)
        row: Row = {
            "key": source.key,
            "source": source.name,
            "status": "ok",
            "file": source.key + self.job.extension(),
            "width": image.width,
            "height": image.height,
            "channels": image.channels,
            "bit_depth": 8 * image.pixels.dtype.itemsize,
            "source_bytes": path.stat().st_size,
            "bytes": len(encoded.data),
            "bpp": round(8 * len(encoded.data) / (image.width * image.height), 6),
            "psnr": None if decibels is None or exact else round(decibels, 4),
            "exact": exact,
            "codec": encoded.codec,
            "model": encoded.model,
            "quality": encoded.quality,
            "note": encoded.note,
            "sha256": hashlib.sha256(encoded.data).hexdigest(),
        }
        return row, encoded.data


def _bad(root: Path, source: Source, reason: str) -> Row:
    try:
        size = (root / source.name).stat().st_size
    except OSError:
        size = None
    return {"key": source.key, "source": source.name, "status": "bad", "reason": reason, "source_bytes": size}
