"""Interface of a source of bytes, and the two sources that need no network: memory and local files."""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from types import TracebackType
from typing import Self

from wavelic.errors import SourceError
from wavelic.remote.policy import DEFAULT_POLICY, Policy

Span = tuple[int, int]  # [start, stop)


def merge_spans(spans: Sequence[Span], max_gap: int, max_spans: int) -> list[Span]:
    """Join ranges that lie close to each other.

    Args:
        spans: [start, stop) of each range, sorted.
        max_gap: ranges up to this many bytes apart are joined.
        max_spans: after that, the ranges closest to each other are joined until no more than this remain.

    Returns:
        Ranges that cover all of ``spans``, sorted.

    Examples:
        >>> merge_spans([(0, 4), (4, 8), (10, 12), (50, 60)], 2, 9)
        [(0, 12), (50, 60)]
        >>> merge_spans([(0, 1), (5, 6), (20, 21)], 0, 2)
        [(0, 6), (20, 21)]
    """
    gaps = [after[0] - before[1] for before, after in pairwise(spans)]
    if len(gaps) >= max_spans:  # the widest max_spans - 1 gaps stay
        max_gap = max(max_gap, sorted(gaps, reverse=True)[max_spans - 1])
    merged: list[Span] = []
    for start, stop in spans:
        if merged and start - merged[-1][1] <= max_gap:
            merged[-1] = merged[-1][0], max(stop, merged[-1][1])
        else:
            merged.append((start, stop))
    return merged


class Source(ABC):
    """File that is read by ranges.  Safe to use from several threads.

    Args:
        policy: bounds of a read.

    Attributes:
        name: of the file, for messages.
        size: bytes of the whole file.
        bytes_read: bytes received so far.
        requests: requests sent so far.
        kept: bytes from the start of the file that are kept and not fetched again.
    """

    name: str
    size: int

    def __init__(self, policy: Policy = DEFAULT_POLICY) -> None:
        self.policy = policy
        self.bytes_read = 0
        self.requests = 0
        self.kept = 0
        self._lock = threading.Lock()

    def read(self, start: int, stop: int) -> bytes:
        """Read one range.

        Args:
            start: first byte.
            stop: end of the range; cut at the end of the file.

        Returns:
            The bytes [start, stop).

        Raises:
            SourceError: they cannot be read.
        """
        start, stop = min(start, self.size), min(stop, self.size)
        return self.read_spans([(start, stop)])[0]

    def read_spans(self, spans: Sequence[Span]) -> list[bytes]:
        """Read several ranges; neighbours are fetched together.

        Args:
            spans: [start, stop) of each range, sorted and inside the file.

        Returns:
            The bytes of each range.

        Raises:
            SourceError: they cannot be read, or the file is not the one that was opened any more.
        """
        wanted = [span for span in spans if span[0] < span[1]]
        if any(start < 0 or stop > self.size for start, stop in wanted):
            raise SourceError(f"{self.name}: bytes {wanted[0][0]}..{wanted[-1][1]} asked for, the file has {self.size}")
        merged = merge_spans(wanted, self.policy.max_gap, self.policy.max_requests)
        blocks = self._fetch(merged)
        for (start, stop), block in zip(merged, blocks, strict=True):
            if len(block) != stop - start:
                raise SourceError(f"{self.name}: {len(block)} bytes instead of {stop - start} at {start}; try again")
        pieces, which = [], 0
        for start, stop in spans:
            while start < stop and stop > merged[which][1]:
                which += 1
            first = merged[which][0] if start < stop else start
            pieces.append(blocks[which][start - first : stop - first] if start < stop else b"")
        return pieces

    def read_all(self) -> bytes:
        """Read the whole file.

        Returns:
            Its bytes.

        Raises:
            SourceError: it cannot be read, or is larger than the policy admits.
        """
        if self.size > self.policy.max_bytes:
            raise SourceError(f"{self.name} has {self.size} bytes, above max_bytes={self.policy.max_bytes}; raise it")
        return self.read(0, self.size)

    def close(self) -> None:  # noqa: B027 (most sources hold nothing open)
        """Release what is held open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @abstractmethod
    def _fetch(self, spans: list[Span]) -> list[bytes]:
        """Read every span; they are sorted, inside the file, not empty, and worth a request each."""

    def _count(self, count: int, requests: int = 0) -> None:
        with self._lock:
            self.bytes_read += count
            self.requests += requests


class BytesSource(Source):
    """Bytes in memory.

    Args:
        data: the bytes.
        name: for messages.
        policy: bounds of a read.
    """

    def __init__(self, data: bytes, name: str = "the data", policy: Policy = DEFAULT_POLICY) -> None:
        super().__init__(policy)
        self.name, self.size, self._data = name, len(data), data

    def _fetch(self, spans: list[Span]) -> list[bytes]:
        blocks = [self._data[start:stop] for start, stop in spans]
        self._count(sum(map(len, blocks)), len(blocks))
        return blocks


class FileSource(Source):
    """Local file, held open.  A file that shrinks or is written to while it is read is an error.

    Args:
        path: of the file.
        policy: bounds of a read.

    Raises:
        SourceError: the file cannot be opened.
    """

    def __init__(self, path: str | os.PathLike[str], policy: Policy = DEFAULT_POLICY) -> None:
        super().__init__(policy)
        self.name = os.fspath(path)
        try:
            self._stream = open(self.name, "rb", buffering=0)  # noqa: SIM115 (closed in close)
            self._state = self._stat()
        except OSError as error:
            reason = error.strerror
            raise SourceError(f"{self.name} cannot be read ({reason}); check the name and permissions") from error
        self.size = self._state[0]

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def _stat(self) -> tuple[int, int]:
        status = os.fstat(self._stream.fileno())
        return status.st_size, status.st_mtime_ns

    def _fetch(self, spans: list[Span]) -> list[bytes]:
        blocks = []
        try:
            with self._lock:
                for start, stop in spans:
                    self._stream.seek(start)
                    blocks.append(self._read_fully(stop - start))
            changed = self._stat() != self._state
        except (OSError, ValueError) as error:
            raise SourceError(f"{self.name} cannot be read ({error}); check the file and open it again") from error
        if changed:
            raise SourceError(f"{self.name} changed while it was read; open it again")
        self._count(sum(map(len, blocks)), len(blocks))
        return blocks

    def _read_fully(self, count: int) -> bytes:
        pieces = []
        while count and (piece := self._stream.read(count)):
            pieces.append(piece)
            count -= len(piece)
        return b"".join(pieces)
