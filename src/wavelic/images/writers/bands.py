"""Writing an image band by band: PNG, TIFF and PPM go to the file while later rows are not there yet."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import numpy as np

from wavelic.errors import UsageError
from wavelic.images.metadata import Metadata
from wavelic.images.writers.png import png_pieces
from wavelic.images.writers.tiff import write_tiff_bands

#: Formats that can be written so, as named in `writing.OUTPUT_FORMATS`.
BAND_FORMATS = ("png", "tiff", "ppm")


def write_bands(
    stream: BinaryIO,
    format: str,
    shape: tuple[int, int, int],
    dtype: np.dtype[np.generic],
    bands: Iterable[np.ndarray],
    metadata: Metadata | None = None,
) -> None:
    """Write an image of ``shape`` (height, width, channels), uint8 or uint16, given as ``bands`` of rows from the top.

    Memory is that of a band, not of the image; TIFF on a stream that cannot seek also holds the compressed file.  Which
    channels and depths a format takes is for the caller to check.  Raises UsageError for another format, or if the
    bands are not together of that shape.
    """
    if format == "png":
        for piece in png_pieces(shape, dtype, checked_bands(shape, dtype, bands), metadata):
            stream.write(piece)
    elif format == "tiff":
        target = stream if stream.seekable() else io.BytesIO()
        write_tiff_bands(target, shape, dtype, checked_bands(shape, dtype, bands), metadata or Metadata())
        if isinstance(target, io.BytesIO) and target is not stream:
            stream.write(target.getbuffer())
    elif format == "ppm":
        maximum = int(np.iinfo(dtype).max)  # type: ignore[type-var]
        stream.write(f"P{5 if shape[2] == 1 else 6}\n{shape[1]} {shape[0]}\n{maximum}\n".encode("ascii"))
        for band in checked_bands(shape, dtype, bands):
            stream.write(np.ascontiguousarray(band, band.dtype.newbyteorder(">")).data)
    else:
        raise UsageError(f"format {format!r} cannot be written in bands; choose one of {', '.join(BAND_FORMATS)}")


def checked_bands(
    shape: tuple[int, int, int], dtype: np.dtype[np.generic], bands: Iterable[np.ndarray]
) -> Iterator[np.ndarray]:
    """``bands``, which must be of that type and together of that shape."""
    rows = 0
    for band in bands:
        rows += len(band)
        if band.shape[1:] != shape[1:] or band.dtype != dtype or rows > shape[0]:
            raise UsageError(f"a band of {band.shape} {band.dtype} up to row {rows}, in an image of {shape} {dtype}")
        yield band
    if rows != shape[0]:
        raise UsageError(f"bands of {rows} rows in all, expected {shape[0]}; pass all of them")


def split_bands(pixels: np.ndarray, most_bytes: int = 1 << 22) -> Iterator[np.ndarray]:
    """Views of consecutive rows of ``pixels``, of about ``most_bytes``."""
    rows = max(1, most_bytes // max(1, pixels[0].nbytes))
    for start in range(0, len(pixels), rows):
        yield pixels[start : start + rows]
