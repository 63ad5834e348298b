"""A codec for zarr format 3: the serializer of an image array, ``serializer=WavelicCodec(...), compressors=None``.

Found by its entry point, so that arrays open in processes that never import wavelic.  A selection within a chunk reads
the bytes it needs; `at_resolution` reads an array at a reduced size, or with fewer layers, from the same chunks.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import zarr
from zarr.abc.codec import ArrayBytesCodec, ArrayBytesCodecPartialDecodeMixin
from zarr.core.array import AsyncArray
from zarr.core.chunk_grids import RegularChunkGrid
from zarr.core.common import JSON, parse_named_configuration
from zarr.core.metadata.v3 import ArrayV3Metadata
from zarr.storage import StorePath

from wavelic.errors import UsageError
from wavelic.integrations.chunk import CODEC_ID, ChunkOptions, decode_chunk, image_axes, options_from
from wavelic.integrations.part import WHOLE, ChunkSource, Part, Resolution, decode_part

if TYPE_CHECKING:
    from zarr.abc.store import ByteGetter
    from zarr.core.array_spec import ArraySpec
    from zarr.core.buffer import Buffer, NDBuffer

    from wavelic.integrations.part import Selection


@dataclass(frozen=True)
class WavelicCodec(ArrayBytesCodec, ArrayBytesCodecPartialDecodeMixin):
    """Lossy image chunks; options as in `wavelic.integrations.chunk.ChunkOptions`."""

    options: ChunkOptions
    resolution: Resolution
    is_fixed_size = False

    def __init__(self, **options: Any) -> None:
        object.__setattr__(self, "options", options_from(**options))
        object.__setattr__(self, "resolution", WHOLE)

    @classmethod
    def from_dict(cls, data: dict[str, JSON]) -> Self:
        """Make the codec that `to_dict` describes."""
        _, configuration = parse_named_configuration(data, CODEC_ID, require_configuration=False)
        return cls(**(configuration or {}))

    def to_dict(self) -> dict[str, JSON]:
        """Return name and configuration, as stored in ``zarr.json``."""
        return {"name": CODEC_ID, "configuration": self.options.to_json()}

    def at(self, resolution: Resolution) -> WavelicCodec:
        """Return the codec that reads the same chunks at another resolution, and writes none."""
        other = WavelicCodec(**self.options.to_json())
        object.__setattr__(other, "resolution", resolution)
        return other

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: ArraySpec) -> int:
        """Raise NotImplementedError: the size depends on the picture."""
        raise NotImplementedError

    async def _encode_single(self, chunk_array: NDBuffer, chunk_spec: ArraySpec) -> Buffer | None:
        if self.resolution != WHOLE:
            raise UsageError("an array opened by at_resolution cannot be written to; write to the array itself")
        data = await asyncio.to_thread(self.options.encode, chunk_array.as_numpy_array())
        return chunk_spec.prototype.buffer.from_bytes(data)

    async def _decode_single(self, chunk_bytes: Buffer, chunk_spec: ArraySpec) -> NDBuffer:
        dtype = chunk_spec.dtype.to_native_dtype()
        if self.resolution == WHOLE:
            pixels = await asyncio.to_thread(decode_chunk, chunk_bytes.to_bytes(), chunk_spec.shape, dtype)
        else:
            part = Part.of(chunk_spec.shape, (), self.resolution)
            pixels = await asyncio.to_thread(decode_part, chunk_bytes.to_bytes(), part, dtype)
        return chunk_spec.prototype.nd_buffer.from_numpy_array(np.ascontiguousarray(pixels, dtype))

    async def _decode_partial_single(
        self, byte_getter: ByteGetter, selection: Selection, chunk_spec: ArraySpec
    ) -> NDBuffer | None:
        part = Part.of(chunk_spec.shape, selection, self.resolution)
        dtype = chunk_spec.dtype.to_native_dtype()
        source: ChunkSource | bytes
        if part.is_everything or not isinstance(byte_getter, StorePath):  # of a shard a chunk is read as a whole
            data = await byte_getter.get(prototype=chunk_spec.prototype)
            if data is None:
                return None
            source = data.to_bytes()
        else:
            opened = await ChunkSource.opened(byte_getter, chunk_spec.prototype)
            if opened is None:
                return None
            source = opened
        pixels = await asyncio.to_thread(decode_part, source, part, dtype)
        return chunk_spec.prototype.nd_buffer.from_numpy_array(np.asarray(pixels, dtype))


def at_resolution(array: zarr.Array[Any], reduce: int = 0, layers: int | None = None) -> zarr.Array[Any]:
    """View an array at a lower resolution or quality, read from the same chunks; nothing is stored for it.

    Only the bytes that this takes are fetched from the store, if the chunks are of a codec with resolutions or layers
    and were written with packet lengths: those of `lifting` and `jp2`, best with ``access="windows"``.

    Args:
        array: of format 3, whose serializer is a `WavelicCodec`, without shards.
        reduce: how often rows and columns are halved, rounding up; chunk sides must be multiples of 2^reduce.
        layers: use only the first so many quality layers; None for all.

    Returns:
        An array to read from.

    Raises:
        UsageError: the array is of another kind, or its chunks cannot be halved so often.
    """
    metadata = array.metadata
    codec = metadata.codecs[0] if isinstance(metadata, ArrayV3Metadata) else None
    if not isinstance(metadata, ArrayV3Metadata) or not isinstance(codec, WavelicCodec) or len(metadata.codecs) != 1:
        raise UsageError(
            "the array's only codec is not wavelic, which has the resolutions; create it as docs/arrays.md"
        )
    step, chunks = 2**reduce, tuple(array.chunks)
    rows, columns = image_axes(chunks)
    if reduce < 0 or chunks[rows] % step or chunks[columns] % step:
        raise UsageError(f"chunks of {chunks} cannot be halved {reduce} times; choose a smaller reduce")
    shape, reduced = list(array.shape), list(chunks)
    for axis in (rows, columns):
        shape[axis], reduced[axis] = -(-shape[axis] // step), chunks[axis] // step
    changed = replace(
        metadata,
        shape=tuple(shape),
        chunk_grid=RegularChunkGrid(chunk_shape=tuple(reduced)),
        codecs=(codec.at(Resolution(reduce, layers)),),
    )
    return zarr.Array(AsyncArray(metadata=changed, store_path=array.store_path))
