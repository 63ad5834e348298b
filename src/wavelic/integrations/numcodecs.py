"""A codec for numcodecs: zarr v2 arrays, kerchunk, and everything else that stores a codec as JSON.

Found by its entry point, so that arrays open in processes that never import wavelic.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numcodecs.abc import Codec
from numcodecs.compat import ensure_bytes, ensure_contiguous_ndarray, ndarray_copy

from wavelic.integrations.chunk import CODEC_ID, options_from
from wavelic.integrations.layout import decode_laid_out, encode_laid_out


class Wavelic(Codec):
    """Lossy image chunks; options as in `wavelic.integrations.chunk.ChunkOptions`.  Safe to use from several threads.

    Examples:
        >>> import numpy as np
        >>> codec = Wavelic(codec="lifting", quality=60)
        >>> codec.get_config()
        {'id': 'wavelic', 'codec': 'lifting', 'quality': 60}
        >>> codec.decode(codec.encode(np.zeros((1, 40, 30), np.uint16))).shape
        (40, 30)
    """

    codec_id = CODEC_ID

    def __init__(self, **options: Any) -> None:
        self.options = options_from(**options)

    def encode(self, buf: Any) -> bytes:
        """Compress an array, with its byte order and the order of its axes in memory.

        Raises:
            ImageError: it is not an image chunk, or neither C- nor Fortran-contiguous.
        """
        return encode_laid_out(np.asarray(buf), self.options)

    def decode(self, buf: Any, out: Any = None) -> Any:
        """Return the samples (height, width) or (height, width, channels), laid out in memory as they were given.

        ``out``, if given, is filled with them instead.
        """
        pixels = decode_laid_out(ensure_bytes(buf))
        if out is None:
            return pixels
        ndarray_copy(pixels.reshape(-1, order="A"), ensure_contiguous_ndarray(out))
        return out

    def get_config(self) -> dict[str, Any]:
        """The codec as JSON."""
        return {"id": self.codec_id, **self.options.to_json()}

    def __repr__(self) -> str:
        options = ", ".join(f"{name}={value!r}" for name, value in self.options.to_json().items())
        return f"Wavelic({options})"
