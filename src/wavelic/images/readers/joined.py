"""Parts of an open file read as if they were a file of their own, without a copy of them."""

from __future__ import annotations

import bisect
import io
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, BinaryIO

Part = bytes | tuple[int, int]


class Joined(io.RawIOBase):
    """A stream of parts in order: bytes, or ranges (start, stop) of ``stream``; can be read and seeks."""

    def __init__(self, stream: BinaryIO, parts: Sequence[Part]) -> None:
        super().__init__()
        self._stream = stream
        self._parts = parts
        sizes = [len(part) if isinstance(part, bytes) else part[1] - part[0] for part in parts]
        self._starts = list(accumulate(sizes, initial=0))
        self._position = 0

    def readable(self) -> bool:
        """Whether bytes can be read: always."""
        return True

    def seekable(self) -> bool:
        """Whether the position can be set: always."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Set the position, as in any stream."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._starts[-1]}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Read from one part into ``buffer``; 0 at the end."""
        index = bisect.bisect_right(self._starts, self._position) - 1
        if index >= len(self._parts):
            return 0
        part, inside = self._parts[index], self._position - self._starts[index]
        size = min(len(buffer), self._starts[index + 1] - self._position)
        if isinstance(part, bytes):
            data = part[inside : inside + size]
        else:
            self._stream.seek(part[0] + inside)
            data = self._stream.read(size)
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)
