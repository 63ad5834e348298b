"""A chunk of an array as a compressed image and back: what the numcodecs and the zarr codec share.

A chunk is an image if it is (..., height, width) or (..., height, width, 1 to 4) of uint8 or uint16 and all leading
axes have one entry.  The compressed bytes name the weights they need, so that a stored array says what it was made
with.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wavelic.codec.registry import DEFAULT_CODEC
from wavelic.errors import FormatError, ImageError, UsageError

CODEC_ID = "wavelic"


@dataclass(frozen=True)
class ChunkOptions:
    """How chunks are encoded, all of it plain JSON.

    codec: as in `wavelic.encode`.  quality, bpp, psnr: at most one, as in `wavelic.encode`.
    """

    codec: str = DEFAULT_CODEC
    quality: float | None = None
    bpp: float | None = None
    psnr: float | None = None

    def __post_init__(self) -> None:
        from wavelic.codec.registry import get_codec
        from wavelic.codec.target import Target

        get_codec(self.codec)
        Target.of(self.quality, self.bpp, self.psnr, None)

    def to_json(self) -> dict[str, Any]:
        """Everything that is not the default."""
        return {name: value for name, value in asdict(self).items() if name == "codec" or value is not None}

    def encode(self, chunk: NDArray[Any]) -> bytes:
        """Compress a chunk.  Raises ImageError if it is not an image."""
        from wavelic.api.files import encode

        return encode(as_image(chunk), self.codec, self.quality, bpp=self.bpp, psnr=self.psnr, strip=True)


def as_image(chunk: NDArray[Any]) -> NDArray[Any]:
    """The chunk as (height, width) or (height, width, channels).  Raises ImageError if it is neither."""
    array = np.asarray(chunk)
    while array.ndim > 2 and array.shape[0] == 1 and not (array.ndim == 3 and array.shape[2] <= 4):
        array = array[0]
    is_image = array.ndim == 2 or (array.ndim == 3 and array.shape[2] <= 4)
    if array.dtype.kind != "u" or array.itemsize > 2 or not is_image:
        raise ImageError(
            f"a chunk of shape {chunk.shape} and type {chunk.dtype}; expected (..., height, width) or (..., height, "
            "width, 1 to 4) of uint8 or uint16, leading axes of one entry; choose other chunks"
        )
    return array


def decode_chunk(data: bytes, shape: tuple[int, ...] | None = None, dtype: Any = None) -> NDArray[Any]:
    """The samples in ``data``, in the given shape and type if those are known.

    Raises FormatError if the bytes are damaged or hold something else.
    """
    from wavelic.api.files import decode

    pixels: NDArray[Any] = decode(data)
    if dtype is not None and pixels.dtype != np.dtype(dtype).newbyteorder("="):
        raise FormatError(f"the chunk holds {pixels.dtype}, the array {dtype}; it belongs to another array")
    if shape is None:
        return pixels[:, :, 0] if pixels.shape[2] == 1 else pixels
    if pixels.size != int(np.prod(shape)):
        raise FormatError(f"the chunk holds {pixels.shape}, expected {tuple(shape)}; it belongs to another array")
    return pixels.reshape(shape)


def options_from(**given: Any) -> ChunkOptions:
    """Options from a stored configuration.  Raises UsageError for a name this version does not know."""
    unknown = given.keys() - ChunkOptions.__dataclass_fields__.keys()
    if unknown:
        raise UsageError(f"option {', '.join(sorted(unknown))} of codec wavelic is unknown; upgrade wavelic")
    return ChunkOptions(**given)
