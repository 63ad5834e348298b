"""TIFF writing for 8 and 16 bits per sample: strips, horizontal differencing, deflate.  Pillow has no 16-bit RGB."""

from __future__ import annotations

import struct
import zlib
from itertools import accumulate
from typing import Any

import numpy as np
import PIL.Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2
from PIL.TiffTags import TAGS_V2_GROUPS

from wavelic.images.image import Metadata

_STRIP_BYTES = 1 << 18
_DEFLATE, _HORIZONTAL_DIFFERENCING, _UNASSOCIATED_ALPHA = 8, 2, 2
_BLACK_IS_ZERO, _RGB = 1, 2


def write_tiff(pixels: np.ndarray, metadata: Metadata) -> bytes:
    """A little-endian TIFF file of `pixels` (height, width, channels), uint8 or uint16."""
    height, width, channels = pixels.shape
    difference = pixels.copy()
    difference[:, 1:] -= pixels[:, :-1]  # modulo 2**depth, as the predictor is defined
    stored = difference.astype(pixels.dtype.newbyteorder("<"), copy=False)
    rows = max(1, _STRIP_BYTES // stored[0].nbytes)
    strips = [zlib.compress(stored[start : start + rows].tobytes()) for start in range(0, height, rows)]
    lengths = [len(strip) for strip in strips]

    directory: Any = ImageFileDirectory_v2(prefix=b"II")
    if metadata.exif:
        exif = PIL.Image.Exif()
        exif.load(metadata.exif)
        for tag in exif:
            directory[tag] = exif.get_ifd(tag) if tag in TAGS_V2_GROUPS else exif[tag]
    layout = {
        "ImageWidth": (256, width),
        "ImageLength": (257, height),
        "BitsPerSample": (258, (8 * pixels.itemsize,) * channels),
        "Compression": (259, _DEFLATE),
        "PhotometricInterpretation": (262, _BLACK_IS_ZERO if channels < 3 else _RGB),
        # Pillow moves the offsets behind the directory, so they count from there
        "StripOffsets": (273, tuple(accumulate(lengths[:-1], initial=0))),
        "SamplesPerPixel": (277, channels),
        "RowsPerStrip": (278, rows),
        "StripByteCounts": (279, tuple(lengths)),
        "PlanarConfiguration": (284, 1),
        "Predictor": (317, _HORIZONTAL_DIFFERENCING),
    }
    for tag, value in layout.values():
        directory[tag] = value
    if channels in (2, 4):
        directory[338] = _UNASSOCIATED_ALPHA
    for tag, block in ((700, metadata.xmp), (34675, metadata.icc)):
        if block:
            directory[tag] = block
    start = struct.pack("<2sHI", b"II", 42, 8)
    return b"".join([start, directory.tobytes(8), *strips])
