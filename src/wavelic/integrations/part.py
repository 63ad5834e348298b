"""Parts of a compressed chunk: a selection, a reduced size, fewer layers, from no more of its bytes than they need."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wavelic.errors import FormatError, SourceError
from wavelic.integrations.chunk import image_axes
from wavelic.remote import Source

if TYPE_CHECKING:
    from zarr.core.buffer import BufferPrototype
    from zarr.storage import StorePath

#: What zarr selects of a chunk: an integer, a slice or an array of indices for every axis; none for everything.
Selection = Any
#: Bytes that are read of a chunk first: headers, and small chunks as a whole.
HEAD = 1 << 13


@dataclass(frozen=True)
class Resolution:
    """How often rows and columns are halved, and how many quality layers are used; None for all."""

    reduce: int = 0
    layers: int | None = None


#: Everything there is.
WHOLE = Resolution()


@dataclass(frozen=True)
class Part:
    """What is asked for of a chunk.

    Attributes:
        shape: of the whole chunk at that resolution.
        rows: [start, stop) that are decoded, at that resolution.
        columns: likewise.
        selection: within the decoded rows and columns.
        resolution: as stated.
    """

    shape: tuple[int, ...]
    rows: tuple[int, int]
    columns: tuple[int, int]
    selection: tuple[Any, ...]
    resolution: Resolution

    @classmethod
    def of(cls, shape: tuple[int, ...], selection: Selection, resolution: Resolution) -> Part:
        """Find the rows and columns that a selection needs.

        Args:
            shape: of the chunk at that resolution.
            selection: as zarr gives it; indices in arrays, which may depend on each other, are applied to all of it.
            resolution: of the chunk.
        """
        given = selection if isinstance(selection, tuple) else (selection,)
        spans = [(0, size) for size in shape]
        axes = image_axes(shape)
        if len(given) != len(shape) or not all(isinstance(part, slice | int | np.integer) for part in given):
            return cls(shape, spans[axes[0]], spans[axes[1]], given if selection != () else (), resolution)
        inner = list(given)
        for axis in axes:
            part, size = given[axis], shape[axis]
            if isinstance(part, slice):
                start, stop, step = part.indices(size)
                if step > 0 and start < stop:
                    spans[axis] = start, stop
                    inner[axis] = slice(0, stop - start, step)
            else:
                spans[axis] = int(part), int(part) + 1
                inner[axis] = 0
        return cls(shape, spans[axes[0]], spans[axes[1]], tuple(inner), resolution)

    @property
    def is_everything(self) -> bool:
        """Whether all bytes of the chunk are needed."""
        rows, columns = (self.shape[axis] for axis in image_axes(self.shape))
        return self.resolution == WHOLE and self.rows == (0, rows) and self.columns == (0, columns)


class ChunkSource(Source):
    """A chunk in a zarr store, read by ranges from a thread that is not the store's own.

    Args:
        store_path: where the chunk is.
        prototype: of the buffers that the store makes.
        size: bytes of the chunk.
        head: the first of them.
        loop: that the store runs in.
    """

    def __init__(
        self, store_path: StorePath, prototype: BufferPrototype, size: int, head: bytes, loop: asyncio.AbstractEventLoop
    ) -> None:
        super().__init__()
        self.name, self.size, self.kept = str(store_path), size, len(head)
        self._path, self._prototype, self._head, self._loop = store_path, prototype, head, loop
        self._count(len(head), 1)

    @classmethod
    async def opened(cls, store_path: StorePath, prototype: BufferPrototype) -> ChunkSource | None:
        """Open a chunk; None if there is none."""
        from zarr.abc.store import RangeByteRequest

        try:
            size = await store_path.store.getsize(store_path.path)
        except FileNotFoundError:
            return None
        head = await store_path.get(prototype=prototype, byte_range=RangeByteRequest(0, min(size, HEAD)))
        if head is None:
            return None
        return cls(store_path, prototype, size, head.to_bytes(), asyncio.get_running_loop())

    def _fetch(self, spans: list[tuple[int, int]]) -> list[bytes]:
        far = [span for span in spans if span[1] > self.kept]
        pieces = asyncio.run_coroutine_threadsafe(self._gather(far), self._loop).result() if far else []
        self._count(sum(map(len, pieces)), len(pieces))
        fetched = iter(pieces)
        return [next(fetched) if stop > self.kept else self._head[start:stop] for start, stop in spans]

    async def _gather(self, spans: list[tuple[int, int]]) -> list[bytes]:
        from zarr.abc.store import RangeByteRequest

        requests = (self._path.get(prototype=self._prototype, byte_range=RangeByteRequest(*span)) for span in spans)
        found = await asyncio.gather(*requests)
        if any(piece is None for piece in found):
            raise SourceError(f"{self.name} is gone since it was opened; open the array again")
        return [piece.to_bytes() for piece in found if piece is not None]


def decode_part(source: bytes | Source, part: Part, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Decode what is asked for of a chunk.

    Args:
        source: the chunk, or where it is.
        part: from `Part.of`.
        dtype: of the array.

    Returns:
        The selected samples.

    Raises:
        FormatError: the bytes are damaged or hold something else.
        UsageError: the chunk has no such resolution or layer.
    """
    from wavelic.api.files import open_file
    from wavelic.codec.registry import recognize
    from wavelic.container import DEFAULT_LIMITS

    if isinstance(source, bytes):
        file = open_file(source)
    else:
        codec = recognize(source.read(0, 64))
        if codec is None:
            raise FormatError(f"{source.name} holds nothing that wavelic wrote; it belongs to another array")
        file = codec.open_source(source, DEFAULT_LIMITS)
    reduce, layers = part.resolution.reduce, part.resolution.layers
    axes = image_axes(part.shape)
    size = tuple(part.shape[axis] for axis in axes)
    height, width, channels = file.shape
    stored = (-(-height // 2**reduce), -(-width // 2**reduce))
    if stored != size or channels * size[0] * size[1] != int(np.prod(part.shape)):
        raise FormatError(f"the chunk holds {file.shape}, expected {part.shape} at reduce={reduce}; it is another's")
    if 8 * dtype.itemsize != file.bit_depth:
        raise FormatError(f"the chunk holds {file.bit_depth} bits, the array {dtype}; it belongs to another array")
    (top, bottom), (left, right) = part.rows, part.columns
    region = left << reduce, top << reduce, min(right << reduce, width), min(bottom << reduce, height)
    pixels = file.read(reduce, layers, (*region[:2], region[2] - region[0], region[3] - region[1]))
    shape = list(part.shape)
    shape[axes[0]], shape[axes[1]] = bottom - top, right - left
    result: NDArray[Any] = pixels.reshape(shape)[part.selection]
    return result
