"""A collection's work without a codec: fast, and with accidents on demand.  Workers import it by name."""

from __future__ import annotations

import hashlib
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from wavelic.collections import Job, encode_collection, start_engine
from wavelic.collections.listing import Source
from wavelic.collections.shard import EncodeShard
from wavelic.collections.store import Row
from wavelic.errors import ImageError, ModelError


@dataclass(frozen=True)
class CopyShard(EncodeShard):
    """Writes the bytes of the source backwards.  What a source holds decides what happens to the worker."""

    seconds: float = 0.0

    def prepare(self) -> None:
        pass

    def compress(self, path: Path, source: Source) -> tuple[Row, bytes]:
        time.sleep(self.seconds)
        data = path.read_bytes()
        marker = path.with_suffix(".died")
        if data == b"deadly" or (data == b"deadly once" and not marker.exists()):
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if data == b"bad":
            raise ImageError(f"{path} is not an image; convert it")
        if data == b"bug":
            raise ZeroDivisionError("division by zero")
        if data == b"no weights":
            raise ModelError("the weights are missing; install them")
        row: Row = {
            "key": source.key,
            "source": source.name,
            "status": "ok",
            "file": source.key + self.job.extension(),
            "width": len(data),
            "height": 1,
            "source_bytes": 2 * len(data),
            "bytes": len(data),
            "psnr": 30.0 + len(data) % 7,
            "exact": False,
            "note": self.job.codec_options().access,
            "sha256": hashlib.sha256(data[::-1]).hexdigest(),
        }
        return row, data[::-1]


def encode(
    source: Path, output: Path, *, engine: str = "local", resume: bool = False, seconds: float = 0.0, **job: object
) -> dict:
    """`encode_collection` with `CopyShard` and two workers."""
    described = Job(**{"shard_size": 3, **job})  # type: ignore[arg-type]
    with start_engine(engine, CopyShard(described, seconds), 2) as running:
        return encode_collection(source, output, described, running, resume=resume, step=lambda *_: None)


if __name__ == "__main__":
    encode(Path(sys.argv[1]), Path(sys.argv[2]), seconds=float(sys.argv[3]), resume="--resume" in sys.argv)
