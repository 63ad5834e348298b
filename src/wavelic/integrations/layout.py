"""Chunks that are not native and C-contiguous: the layout in memory goes in front of the compressed file.

numcodecs hands over a buffer and later views the decoded bytes as the array's type in the array's order.  A file of
samples says neither; so a chunk of another byte order, or in Fortran order, begins with a magic number, its byte order
and its order of axes.  A chunk of the usual layout is the file alone, which any wavelic program opens.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wavelic.errors import FormatError, ImageError
from wavelic.integrations.chunk import ChunkOptions, decode_chunk

_MAGIC = b"\x8awlchunk"
_NATIVE = "<" if sys.byteorder == "little" else ">"


def encode_laid_out(chunk: NDArray[Any], options: ChunkOptions) -> bytes:
    """Compress a chunk and record its layout, if that is not the usual one.

    Raises:
        ImageError: the chunk is not an image, or has gaps in memory.
    """
    if not (chunk.flags.c_contiguous or chunk.flags.f_contiguous):
        raise ImageError(
            f"a chunk {chunk.shape} with strides {chunk.strides}, expected C or Fortran order; "
            "pass it through numpy.ascontiguousarray"
        )
    order = "C" if chunk.flags.c_contiguous else "F"
    byte_order = _NATIVE if chunk.dtype.isnative else chunk.dtype.byteorder
    data = options.encode(chunk)
    if order == "C" and byte_order == _NATIVE == "<":
        return data
    return _MAGIC + byte_order.encode("ascii") + order.encode("ascii") + data


def decode_laid_out(data: bytes) -> NDArray[Any]:
    """Return the samples of `encode_laid_out`, with the byte order and the order of axes they had.

    Raises:
        FormatError: the bytes are damaged or hold something else.
    """
    if not data.startswith(_MAGIC):
        return _as_stored(decode_chunk(data), "<", "C")
    layout = data[len(_MAGIC) : len(_MAGIC) + 2].decode("latin-1")
    if layout[:1] not in ("<", ">") or layout[1:] not in ("C", "F"):
        raise FormatError(f"a chunk of layout {layout!r}, expected byte order < or > and order C or F; it is damaged")
    return _as_stored(decode_chunk(data[len(_MAGIC) + 2 :]), layout[0], layout[1])


def _as_stored(pixels: NDArray[Any], byte_order: str, order: str) -> NDArray[Any]:
    """The samples with that byte order, contiguous in that order."""
    dtype = pixels.dtype.newbyteorder(">" if byte_order == ">" else "<")
    return np.asarray(pixels, dtype, order="C" if order == "C" else "F")
