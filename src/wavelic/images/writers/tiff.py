"""TIFF files of 8 and 16 bits per sample: strips, horizontal differencing, deflate.  Pillow has no 16-bit RGB."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import accumulate
from typing import Any, BinaryIO

import numpy as np
import PIL.Image
from PIL import TiffTags
from PIL.TiffImagePlugin import IFDRational, ImageFileDirectory_v2
from PIL.TiffTags import TAGS_V2_GROUPS

from wavelic.errors import OutputError
from wavelic.images.metadata import Metadata, Resolution

_STRIP_BYTES = 1 << 18
_DEFLATE, _HORIZONTAL_DIFFERENCING, _UNASSOCIATED_ALPHA = 8, 2, 2
_BLACK_IS_ZERO, _RGB = 1, 2
_STRIP_OFFSETS, _STRIP_LENGTHS = 273, 279
_X, _Y, _UNIT = 282, 283, 296
_XMP, _IPTC, _ICC = 700, 33723, 34675
_LARGEST = 1 << 32


def write_tiff(pixels: np.ndarray, metadata: Metadata) -> bytes:
    """A little-endian TIFF file of `pixels` (height, width, channels), uint8 or uint16."""
    stream = io.BytesIO()
    write_tiff_bands(stream, pixels.shape, pixels.dtype, [pixels], metadata)
    return stream.getvalue()


def write_tiff_bands(
    stream: BinaryIO, shape: tuple[int, ...], dtype: np.dtype[Any], bands: Iterable[np.ndarray], metadata: Metadata
) -> None:
    """Write such a file to a stream that can seek; the image comes in `bands` of whole rows.

    The directory comes first in the file; it is written again when the lengths of the strips are known.  Raises
    OutputError if the file grows beyond the 4 GiB its offsets reach.
    """
    height, width, channels = shape
    rows = max(1, _STRIP_BYTES // (width * channels * dtype.itemsize))
    start = stream.tell()
    lengths = [0] * -(-height // rows)
    stream.write(_head(shape, dtype, rows, lengths, metadata))
    for index, strip in enumerate(_strips(bands, rows)):
        difference = strip.copy()
        difference[:, 1:] -= strip[:, :-1]  # modulo 2**depth, as the predictor is defined
        data = zlib.compress(difference.astype(dtype.newbyteorder("<"), copy=False).data)
        stream.write(data)
        lengths[index] = len(data)
    end = stream.tell()
    if end - start > _LARGEST:
        raise OutputError(f"a TIFF file of {end - start} bytes, its offsets reach 2**32; write png")
    stream.seek(start)
    stream.write(_head(shape, dtype, rows, lengths, metadata))
    stream.seek(end)


def _resolution(resolution: Resolution) -> tuple[int, Fraction, Fraction]:
    """Unit (1 none, 2 inch, 3 centimetre) and samples per unit across and down."""
    if not resolution.absolute:
        return 1, resolution.x, resolution.y
    inch = resolution.dpi
    centimetre = resolution.x / 100, resolution.y / 100
    if any(n.denominator > 1 for n in inch) and all(n.denominator == 1 for n in centimetre):
        return 3, *centimetre
    return 2, *inch


def _strips(bands: Iterable[np.ndarray], rows: int) -> Iterator[np.ndarray]:
    """The same rows in portions of ``rows``; only the last may have fewer."""
    left: np.ndarray | None = None
    for band in bands:
        start = 0
        if left is not None:
            start = min(rows - len(left), len(band))
            left = np.concatenate([left, band[:start]])
            if len(left) < rows:
                continue
            yield left
            left = None
        stop = len(band) - (len(band) - start) % rows
        for top in range(start, stop, rows):
            yield band[top : top + rows]
        if stop < len(band):
            left = band[stop:].copy()
    if left is not None:
        yield left


def _head(shape: tuple[int, ...], dtype: np.dtype[Any], rows: int, lengths: list[int], metadata: Metadata) -> bytes:
    """Header and directory, of the same size whatever the lengths are."""
    height, width, channels = shape
    directory: Any = ImageFileDirectory_v2(prefix=b"II")
    if metadata.exif:
        exif = PIL.Image.Exif()
        exif.load(metadata.exif)
        for tag in exif:
            directory[tag] = exif.get_ifd(tag) if tag in TAGS_V2_GROUPS else exif[tag]
    for tag in (_STRIP_OFFSETS, _STRIP_LENGTHS):
        directory.tagtype[tag] = TiffTags.LONG
    layout = {
        "ImageWidth": (256, width),
        "ImageLength": (257, height),
        "BitsPerSample": (258, (8 * dtype.itemsize,) * channels),
        "Compression": (259, _DEFLATE),
        "PhotometricInterpretation": (262, _BLACK_IS_ZERO if channels < 3 else _RGB),
        # Pillow moves the offsets behind the directory, so they count from there
        "StripOffsets": (_STRIP_OFFSETS, tuple(n % _LARGEST for n in accumulate(lengths[:-1], initial=0))),
        "SamplesPerPixel": (277, channels),
        "RowsPerStrip": (278, rows),
        "StripByteCounts": (_STRIP_LENGTHS, tuple(lengths)),
        "PlanarConfiguration": (284, 1),
        "Predictor": (317, _HORIZONTAL_DIFFERENCING),
    }
    for tag, value in layout.values():
        directory[tag] = value
    if channels in (2, 4):
        directory[338] = _UNASSOCIATED_ALPHA
    if metadata.resolution:
        unit, x, y = _resolution(metadata.resolution)
        directory[_UNIT] = unit
        directory[_X], directory[_Y] = (IFDRational(n.numerator, n.denominator) for n in (x, y))
    for tag, block in ((_XMP, metadata.xmp), (_IPTC, metadata.iptc), (_ICC, metadata.icc)):
        if block:
            directory.tagtype[tag] = TiffTags.BYTE if tag == _XMP else TiffTags.UNDEFINED
            directory[tag] = block
    return struct.pack("<2sHI", b"II", 42, 8) + bytes(directory.tobytes(8))
