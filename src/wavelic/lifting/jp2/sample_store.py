"""The samples of a pseudo-image while it waits to be coded, perhaps more than once."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from wavelic.errors import OutputError

#: Bytes of samples that are kept in memory; more go to a temporary file.
IN_MEMORY = 1 << 28
_BAND_BYTES = 1 << 24


class SampleStore:
    """Store of integer samples, (components, height, width), two bytes each if they fit into these, else four.

    libopenjp2 works in the memory it is given, so a search that codes an image at several rates needs the samples
    again: at 100 megapixels 600 MB beside the coder's own need.  From `IN_MEMORY` bytes on they wait in an unnamed
    temporary file (in TMPDIR), which the system removes with the process whatever ends it.
    """

    def __init__(self, components: int, height: int, width: int, dtype: type[np.integer] = np.int16) -> None:
        """Reserve room for samples, which are undefined until they are written.

        Args:
            components: planes.
            height: rows of each.
            width: columns of each.
            dtype: type of the samples.

        Raises:
            OutputError: there is no room for the temporary file.
        """
        self.shape = components, height, width
        self._dtype = np.dtype(dtype)
        self._array: NDArray[np.integer] | None = None
        self._file: BinaryIO | None = None
        size = components * height * width * self._dtype.itemsize
        if size <= IN_MEMORY:
            self._array = np.empty(self.shape, self._dtype)
            return
        try:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115, lives as long as the store
            self._file.truncate(size)
        except OSError as error:
            raise _no_room(error) from error

    @classmethod
    def of(cls, planes: NDArray[np.integer]) -> SampleStore:
        """Store all samples at once, (components, height, width)."""
        components, height, width = planes.shape
        store = cls(components, height, width, planes.dtype.type)
        store.write(0, 0, planes)
        return store

    def write(self, top: int, left: int, window: NDArray[np.integer]) -> None:
        """Set the samples of a window (components, h, w) from a row and a column on."""
        _, height, width = window.shape
        if self._array is not None:
            self._array[:, top : top + height, left : left + width] = window
            return
        assert self._file is not None
        try:
            for component, plane in enumerate(window):
                for row, samples in enumerate(np.ascontiguousarray(plane, self._dtype), top):
                    self._file.seek(self._offset(component, row, left))
                    self._file.write(samples.data)
        except OSError as error:
            raise _no_room(error) from error

    def fill(self, planes: Sequence[NDArray[np.int32]]) -> None:
        """Copy the samples into ``planes`` (height, width), one per component."""
        for component, plane in enumerate(planes):
            for rows in self._bands():
                plane[rows] = self._rows(component, rows)

    def _rows(self, component: int, rows: slice) -> NDArray[np.integer]:
        if self._array is not None:
            return self._array[component, rows]
        assert self._file is not None
        self._file.seek(self._offset(component, rows.start, 0))
        count = (rows.stop - rows.start) * self.shape[2]
        found = np.frombuffer(self._file.read(self._dtype.itemsize * count), self._dtype, count)
        return found.reshape(-1, self.shape[2])

    def _bands(self) -> Iterator[slice]:
        height = self.shape[1]
        step = max(1, _BAND_BYTES // (self._dtype.itemsize * self.shape[2]))
        for first in range(0, height, step):
            yield slice(first, min(first + step, height))

    def _offset(self, component: int, row: int, column: int) -> int:
        return self._dtype.itemsize * ((component * self.shape[1] + row) * self.shape[2] + column)


def _no_room(error: OSError) -> OutputError:
    return OutputError(
        f"a temporary file for a large image cannot be written ({error.strerror or error});"
        " free space, or set TMPDIR to a folder on a larger disk"
    )
