"""A codec for zarr format 3: the serializer of an image array, ``serializer=WavelicCodec(...), compressors=None``.

Found by its entry point, so that arrays open in processes that never import wavelic.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from zarr.abc.codec import ArrayBytesCodec
from zarr.core.common import JSON, parse_named_configuration

from wavelic.integrations.chunk import CODEC_ID, ChunkOptions, decode_chunk, options_from

if TYPE_CHECKING:
    from zarr.core.array_spec import ArraySpec
    from zarr.core.buffer import Buffer, NDBuffer


@dataclass(frozen=True)
class WavelicCodec(ArrayBytesCodec):
    """Lossy image chunks; options as in `wavelic.integrations.chunk.ChunkOptions`."""

    options: ChunkOptions
    is_fixed_size = False

    def __init__(self, **options: Any) -> None:
        object.__setattr__(self, "options", options_from(**options))

    @classmethod
    def from_dict(cls, data: dict[str, JSON]) -> Self:
        """The codec that `to_dict` describes."""
        _, configuration = parse_named_configuration(data, CODEC_ID, require_configuration=False)
        return cls(**(configuration or {}))

    def to_dict(self) -> dict[str, JSON]:
        """Name and configuration, as stored in ``zarr.json``."""
        return {"name": CODEC_ID, "configuration": self.options.to_json()}

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: ArraySpec) -> int:
        """Raises NotImplementedError: the size depends on the picture."""
        raise NotImplementedError

    async def _encode_single(self, chunk_array: NDBuffer, chunk_spec: ArraySpec) -> Buffer | None:
        data = await asyncio.to_thread(self.options.encode, chunk_array.as_numpy_array())
        return chunk_spec.prototype.buffer.from_bytes(data)

    async def _decode_single(self, chunk_bytes: Buffer, chunk_spec: ArraySpec) -> NDBuffer:
        dtype = chunk_spec.dtype.to_native_dtype()
        pixels = await asyncio.to_thread(decode_chunk, chunk_bytes.to_bytes(), chunk_spec.shape, dtype)
        return chunk_spec.prototype.nd_buffer.from_numpy_array(np.ascontiguousarray(pixels, dtype))
