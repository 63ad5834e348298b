"""A codec for numcodecs: zarr v2 arrays, kerchunk, and everything else that stores a codec as JSON.

Found by its entry point, so that arrays open in processes that never import wavelic.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numcodecs.abc import Codec
from numcodecs.compat import ensure_bytes, ensure_contiguous_ndarray, ndarray_copy

from wavelic.integrations.chunk import CODEC_ID, decode_chunk, options_from


class Wavelic(Codec):
    """Lossy image chunks; options as in `arrays.chunk.ChunkOptions`.  Safe to use from several threads.

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
        """Compress an array.  Raises ImageError if it is not an image chunk."""
        return self.options.encode(np.asarray(buf))

    def decode(self, buf: Any, out: Any = None) -> Any:
        """The samples (height, width) or (height, width, channels), or ``out`` filled with them."""
        pixels = decode_chunk(ensure_bytes(buf))
        if out is None:
            return pixels
        ndarray_copy(np.ascontiguousarray(pixels), ensure_contiguous_ndarray(out))
        return out

    def get_config(self) -> dict[str, Any]:
        """The codec as JSON."""
        return {"id": self.codec_id, **self.options.to_json()}

    def __repr__(self) -> str:
        options = ", ".join(f"{name}={value!r}" for name, value in self.options.to_json().items())
        return f"Wavelic({options})"
