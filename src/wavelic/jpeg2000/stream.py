"""libopenjp2 streams over memory: a codestream is read from bytes and written to bytes, never through a file."""

from __future__ import annotations

import ctypes
import io
from ctypes import c_char_p, c_void_p
from types import TracebackType
from typing import Self

from wavelic.errors import WavelicError
from wavelic.jpeg2000 import structs

_CHUNK = 1 << 20  # the library's own default
_END = ctypes.c_size_t(-1).value


class _Stream:
    """Owner of one opj_stream_t; ``handle`` is its address.  Use as a context manager."""

    _callbacks: tuple[ctypes._FuncPointer, ...] = ()

    def __init__(self, api: ctypes.CDLL, *, reading: bool) -> None:
        self._api = api
        self.handle = api.opj_stream_create(_CHUNK, int(reading))
        if not self.handle:
            raise WavelicError("libopenjp2 could not create a stream, expected 1 MiB of memory; free some memory")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._api.opj_stream_destroy(self.handle)
        self._callbacks = ()  # they hold this object and its bytes, which would wait for the garbage collector


class ReadStream(_Stream):
    """A stream the library reads ``data`` from; nothing is copied but what it asks for."""

    def __init__(self, api: ctypes.CDLL, data: bytes) -> None:
        super().__init__(api, reading=True)
        self._data = data
        self._address = ctypes.cast(c_char_p(data), c_void_p).value or 0
        self._position = 0
        self._callbacks = (
            structs.READ_CALLBACK(self._read),
            structs.SKIP_CALLBACK(self._skip),
            structs.SEEK_CALLBACK(self._seek),
        )
        api.opj_stream_set_read_function(self.handle, self._callbacks[0])
        api.opj_stream_set_skip_function(self.handle, self._callbacks[1])
        api.opj_stream_set_seek_function(self.handle, self._callbacks[2])
        api.opj_stream_set_user_data(self.handle, None, None)
        api.opj_stream_set_user_data_length(self.handle, len(data))

    def _read(self, target: int, wanted: int, _user: int) -> int:
        count = min(wanted, len(self._data) - self._position)
        if count <= 0:
            return _END
        ctypes.memmove(target, self._address + self._position, count)
        self._position += count
        return count

    def _skip(self, distance: int, _user: int) -> int:
        moved = max(0, min(distance, len(self._data) - self._position))
        self._position += moved
        return moved if moved or not distance else -1

    def _seek(self, position: int, _user: int) -> int:
        if not 0 <= position <= len(self._data):
            return 0
        self._position = position
        return 1


class WriteStream(_Stream):
    """A stream that collects what the library writes."""

    def __init__(self, api: ctypes.CDLL) -> None:
        super().__init__(api, reading=False)
        self._buffer = io.BytesIO()
        self._callbacks = (
            structs.WRITE_CALLBACK(self._write),
            structs.SKIP_CALLBACK(self._skip),
            structs.SEEK_CALLBACK(self._seek),
        )
        api.opj_stream_set_write_function(self.handle, self._callbacks[0])
        api.opj_stream_set_skip_function(self.handle, self._callbacks[1])
        api.opj_stream_set_seek_function(self.handle, self._callbacks[2])
        api.opj_stream_set_user_data(self.handle, None, None)

    def getvalue(self) -> bytes:
        """Everything written so far."""
        return self._buffer.getvalue()

    def _write(self, source: int, count: int, _user: int) -> int:
        return self._buffer.write(ctypes.string_at(source, count))

    def _skip(self, distance: int, _user: int) -> int:
        self._buffer.seek(distance, io.SEEK_CUR)
        return distance

    def _seek(self, position: int, _user: int) -> int:
        self._buffer.seek(position)
        return 1
