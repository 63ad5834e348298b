"""WebP at its best PSNR, through libwebp options that Pillow does not pass on.

libwebp spends bits where they look best (spatial noise shaping, 50 of 100 by default) and averages the chroma of
neighbouring pixels without regard to luma.  Noise shaping off and the sharp chroma conversion on (`cwebp -m 6 -sns 0
-sharp_yuv`) save about 6 % rate at equal PSNR.  The binding is to a part of `webp/encode.h`, by ctypes, in the library
inside Pillow's wheel or else the system's.  Neither imagecodecs 2026.3 nor the packages webp and av pass these options
on, so they could not replace it.
"""

from __future__ import annotations

import ctypes
import ctypes.util
from functools import cache
from pathlib import Path

import numpy as np

from wavelic.errors import ImageError, MissingDependencyError

_ABI = 0x0200  # libwebp compares the major byte only; both structures have kept their layout since 2012

_CONFIG_FIELDS = (
    "lossless quality* method image_hint target_size target_psnr* segments sns_strength filter_strength "
    "filter_sharpness filter_type autofilter alpha_compression alpha_filtering alpha_quality passes show_compressed "
    "preprocessing partitions partition_limit emulate_jpeg_size thread_level low_memory near_lossless exact "
    "use_delta_palette use_sharp_yuv qmin qmax"
)


class _Config(ctypes.Structure):
    """WebPConfig; floats are starred above, all else is int."""

    _fields_ = [
        (name.rstrip("*"), ctypes.c_float if name.endswith("*") else ctypes.c_int) for name in _CONFIG_FIELDS.split()
    ]


class _Picture(ctypes.Structure):
    """WebPPicture up to the writer; the rest is only zeroed by the library and lies in `_rest`."""

    _fields_ = [
        ("use_argb", ctypes.c_int),
        ("colorspace", ctypes.c_int),
        ("width", ctypes.c_int),
        ("height", ctypes.c_int),
        ("yuv", ctypes.c_void_p * 3),
        ("yuv_strides", ctypes.c_int * 2),
        ("alpha", ctypes.c_void_p),
        ("alpha_stride", ctypes.c_int),
        ("pad1", ctypes.c_uint32 * 2),
        ("argb", ctypes.c_void_p),
        ("argb_stride", ctypes.c_int),
        ("pad2", ctypes.c_uint32 * 3),
        ("writer", ctypes.c_void_p),
        ("custom_ptr", ctypes.c_void_p),
        ("_rest", ctypes.c_uint8 * 1024),
    ]


class _Writer(ctypes.Structure):
    """WebPMemoryWriter."""

    _fields_ = [
        ("memory", ctypes.c_void_p),
        ("size", ctypes.c_size_t),
        ("max_size", ctypes.c_size_t),
        ("pad", ctypes.c_uint32 * 1),
    ]


@cache
def _library() -> ctypes.CDLL:
    from PIL import _webp

    beside_pillow = sorted((Path(_webp.__file__).parents[1] / "pillow.libs").glob("libwebp-*.so*"))
    candidates = [*map(str, beside_pillow), ctypes.util.find_library("webp")]
    for candidate in filter(None, candidates):
        try:
            library = ctypes.CDLL(candidate)
        except OSError:
            continue
        library.WebPMemoryWrite  # noqa: B018  (refuses a decoder-only build)
        return library
    raise MissingDependencyError("libwebp was not found beside Pillow or on the system; run: apt-get install libwebp7")


def libwebp_version() -> str:
    """Version of libwebp's encoder, for instance "1.6.0"."""
    packed = int(_library().WebPGetEncoderVersion())
    return f"{packed >> 16}.{packed >> 8 & 255}.{packed & 255}"


def encode_webp(
    pixels: np.ndarray, quality: float, *, method: int = 6, noise_shaping: int = 0, sharp_yuv: bool = True
) -> bytes:
    """Write a lossy WebP file.

    Args:
        pixels: uint8 (height, width, 3).
        quality: 0..100, not only whole numbers.
        method: effort, 0..6.
        noise_shaping: `-sns` of cwebp, 0..100; 0 is best for PSNR.
        sharp_yuv: iterative 4:2:0 conversion that keeps the colours of edges.

    Returns:
        The file.

    Raises:
        MissingDependencyError: there is no libwebp.
        ImageError: libwebp refused the picture, for instance sides above 16383.
    """
    library = _library()
    config, picture, writer = _Config(), _Picture(), _Writer()
    height, width = pixels.shape[:2]
    if not (
        library.WebPConfigInitInternal(ctypes.byref(config), 0, ctypes.c_float(quality), _ABI)
        and library.WebPPictureInitInternal(ctypes.byref(picture), _ABI)
    ):
        raise MissingDependencyError("libwebp has another interface than expected (major 2); install libwebp 1.x")
    config.method, config.sns_strength, config.use_sharp_yuv = method, noise_shaping, int(sharp_yuv)
    picture.use_argb, picture.width, picture.height = 1, width, height
    library.WebPMemoryWriterInit(ctypes.byref(writer))
    picture.writer = ctypes.cast(library.WebPMemoryWrite, ctypes.c_void_p)
    picture.custom_ptr = ctypes.cast(ctypes.byref(writer), ctypes.c_void_p)
    rgb = np.ascontiguousarray(pixels, dtype=np.uint8)
    try:
        imported = library.WebPPictureImportRGB(ctypes.byref(picture), rgb.ctypes.data_as(ctypes.c_void_p), 3 * width)
        if not (imported and library.WebPEncode(ctypes.byref(config), ctypes.byref(picture))):
            raise ImageError(
                f"libwebp refused a picture of {width}x{height}, expected sides of 1..16383; crop it first"
            )
        return ctypes.string_at(writer.memory, writer.size)
    finally:
        library.WebPPictureFree(ctypes.byref(picture))
        library.WebPMemoryWriterClear(ctypes.byref(writer))
