"""The files of a collection: archives or trees of compressed images, and a line of JSON for every image.

A shard is finished when its ``.jsonl`` is there.  It is the last thing written, after the data is on the disk, and like
all outputs it appears in one step.  Archives carry no times and no users, so the same images give the same bytes.
"""

from __future__ import annotations

import json
import os
import re
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import IO, Any

from wavelic.collections.job import Layout
from wavelic.errors import FormatError, OutputError
from wavelic.images.output import atomic_output

Row = dict[str, Any]
Put = Callable[[str, bytes], None]

_TEMPORARY = re.compile(r".+\.[0-9a-f]{8}\.tmp|\.shard-[0-9]{6,}\.now")


def shard_name(number: int) -> str:
    """Name of the files of a shard without extension.

    Examples:
        >>> shard_name(7)
        'shard-000007'
    """
    return f"shard-{number:06d}"


def rows_path(folder: Path, number: int) -> Path:
    """The lines of a shard."""
    return folder / f"{shard_name(number)}.jsonl"


def archive_path(folder: Path, number: int) -> Path:
    """The archive of a shard."""
    return folder / f"{shard_name(number)}.tar"


def note_path(folder: Path, number: int) -> Path:
    """Where the worker of a shard says which image it is at."""
    return folder / f".{shard_name(number)}.now"


@contextmanager
def write_data(folder: Path, number: int, layout: Layout) -> Iterator[Put]:
    """``put(name, data)`` adds a compressed image to a shard.

    An archive appears when the block ends, files of a tree one by one.  Raises OutputError if they cannot be written.
    """
    if layout == "tree":
        yield lambda name, data: _put_file(folder / name, data)
        return
    with atomic_output(archive_path(folder, number), force=True) as stream:
        with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:

            def put(name: str, data: bytes) -> None:
                member = tarfile.TarInfo(name)  # time, user and group are 0 or empty
                member.size = len(data)
                archive.addfile(member, BytesIO(data))

            yield put
        _to_disk(stream)


def _put_file(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"folder {path.parent} cannot be made ({error.strerror}); check the output folder") from error
    with atomic_output(path, force=True) as stream:
        stream.write(data)
        _to_disk(stream)


def write_rows(folder: Path, number: int, rows: list[Row]) -> None:
    """Finish a shard."""
    write_text(rows_path(folder, number), "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows))


def write_text(path: Path, text: str) -> None:
    """A text file, complete or absent."""
    with atomic_output(path, force=True) as stream:
        stream.write(text.encode("ascii"))
        _to_disk(stream)


def _to_disk(stream: IO[bytes]) -> None:
    stream.flush()
    os.fsync(stream.fileno())


def read_rows(folder: Path, number: int) -> list[Row] | None:
    """The lines of a shard, None if it is not finished.  Raises FormatError if they are damaged."""
    path = rows_path(folder, number)
    try:
        text = path.read_text(encoding="ascii")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(f"{path} cannot be read; remove it and run encode-dir --resume") from error
    try:
        rows = [json.loads(line) for line in text.splitlines()]
        if not all(isinstance(row, dict) and _is_sound(row) for row in rows):
            raise ValueError
        return rows
    except ValueError as error:
        raise FormatError(f"{path} is damaged; remove it and run encode-dir --resume") from error


def _is_sound(row: Row) -> bool:
    if not all(isinstance(row.get(name), str) for name in ("key", "source", "status")):
        return False
    if row["status"] == "bad":
        return isinstance(row.get("reason"), str)
    numbers = all(isinstance(row.get(name), int) for name in ("bytes", "source_bytes", "width", "height"))
    return row["status"] == "ok" and numbers and all(isinstance(row.get(n), str) for n in ("file", "sha256"))


def is_finished(folder: Path, number: int, layout: Layout) -> bool:
    """Whether a shard's lines are there, and its archive."""
    rows = rows_path(folder, number).exists()
    return rows and (layout == "tree" or archive_path(folder, number).exists())


def read_data(folder: Path, number: int, layout: Layout, rows: list[Row]) -> Iterator[tuple[Row, bytes | None]]:
    """Every coded row of a shard with its compressed image, None where that is missing; one at a time.

    Raises FormatError if the archive cannot be read or holds what no row names.
    """
    coded = [row for row in rows if row["status"] == "ok"]
    if layout == "tree":
        for row in coded:
            yield row, _file_bytes(folder / row["file"])
        return
    path = archive_path(folder, number)
    wanted = {row["file"]: row for row in coded}
    try:
        with tarfile.open(path, "r:") as archive:
            for member in archive:
                if member.name not in wanted:
                    raise FormatError(
                        f"{path} holds {member.name}, which its lines do not name; encode the shard again"
                    )
                row = wanted.pop(member.name)
                stream = archive.extractfile(member) if member.size == row["bytes"] else None
                yield row, stream.read() if stream else b""
    except (OSError, tarfile.TarError) as error:
        raise FormatError(f"{path} cannot be read ({error}); remove it and run encode-dir --resume") from error
    for row in wanted.values():
        yield row, None


def _file_bytes(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def sweep(folder: Path, layout: Layout) -> None:
    """Remove the temporary files that a killed run or worker left behind."""
    for place, _, names in os.walk(folder):
        for name in names:
            if _TEMPORARY.fullmatch(name):
                with suppress(OSError):
                    os.unlink(os.path.join(place, name))
        if layout == "tar":
            return
