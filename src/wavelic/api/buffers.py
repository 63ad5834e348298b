"""Files as callers may give them: bytes in any buffer, a name, or a stream."""

from __future__ import annotations

import mmap
import os
from typing import BinaryIO, cast

from wavelic.errors import UsageError

#: The bytes of a file, in any object that has a buffer.
BytesLike = bytes | bytearray | memoryview | mmap.mmap
#: A file: its bytes, its path or URL, or a binary stream, which is read from where it stands to its end.
FileLike = BytesLike | str | os.PathLike[str] | BinaryIO


def bytes_of(source: BytesLike | BinaryIO) -> bytes:
    """Return all bytes of a buffer, or those of a binary stream from where it stands.

    Raises:
        UsageError: it is neither; a stream in text mode above all.
    """
    if isinstance(source, bytes):
        return source
    read = getattr(source, "read", None)
    if read is not None and not isinstance(source, mmap.mmap):
        data = read()
        if not isinstance(data, bytes | bytearray | memoryview):
            raise UsageError(f"the stream gives {type(data).__name__}, expected bytes; open the file in mode 'rb'")
        return bytes(data)
    try:
        return bytes(memoryview(cast("bytes", source)).cast("B"))
    except TypeError as error:
        raise UsageError(
            f"{type(source).__name__} given for a file, expected its bytes, path or URL, or a binary stream"
        ) from error
