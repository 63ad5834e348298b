"""A chunk of an array as a compressed image and back: what the numcodecs and the zarr codec share.

A chunk is an image if it is (..., height, width) or (..., height, width, 1 to 4) of uint8 or uint16 and all leading
axes have one entry.  The compressed bytes name the weights they need, so that a stored array says what it was made
with.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wavelic.codec.registry import DEFAULT_CODEC
from wavelic.errors import FormatError, ImageError, UsageError

if TYPE_CHECKING:
    from wavelic.codec.options import Options

CODEC_ID = "wavelic"


@dataclass(frozen=True)
class ChunkOptions:
    """How chunks are encoded, all of it plain JSON.

    codec: as in `wavelic.encode`.  quality, bpp, psnr: at most one, as there.  lossless, layers, access: as there;
    access "windows" is best for arrays that are read in parts.
    """

    codec: str = DEFAULT_CODEC
    quality: float | None = None
    bpp: float | None = None
    psnr: float | None = None
    lossless: bool = False
    layers: int | None = None
    access: str = "whole"

    def __post_init__(self) -> None:
        from wavelic.codec.registry import check_options, get_codec
        from wavelic.codec.target import Target

        check_options(get_codec(self.codec), self._options())
        if Target.of(self.quality, self.bpp, self.psnr, None) is not None and self.lossless:
            raise UsageError("lossless given with a quality or rate, of which it has none; leave one out")

    def to_json(self) -> dict[str, Any]:
        """Everything that is not the default."""
        defaults = {field.name: field.default for field in fields(self)}
        return {name: value for name, value in asdict(self).items() if name == "codec" or value != defaults[name]}

    def encode(self, chunk: NDArray[Any]) -> bytes:
        """Compress a chunk.  Raises ImageError if it is not an image."""
        from wavelic.api.files import encode_image
        from wavelic.codec.target import Target
        from wavelic.images import from_array

        target = Target.of(self.quality, self.bpp, self.psnr, None)
        return encode_image(from_array(as_image(chunk)), self.codec, target, self._options()).data

    def _options(self) -> Options:
        from wavelic.codec.options import Options, check_access

        access = check_access(self.access)
        return Options(strip=True, lossless=self.lossless, layers=self.layers, access=access)


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


def image_axes(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return the axes of rows and columns of a chunk, which `as_image` takes."""
    first = 0
    while len(shape) - first > 2 and shape[first] == 1 and not (len(shape) - first == 3 and shape[-1] <= 4):
        first += 1
    return first, first + 1


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
