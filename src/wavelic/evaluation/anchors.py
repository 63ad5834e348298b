"""Anchors, the codecs that wavelic is measured against: each at its defaults and at its best setting for PSNR.

An anchor is data: a name, a list of settings, and two functions between pixels and file bytes.  What each parameter
does to the rate was measured before it was chosen; docs/evaluation.md has the figures.  A weak anchor is a false
result, so where a library version changes a default, the setting is changed here.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from PIL import Image

from wavelic.errors import UsageError
from wavelic.evaluation.anchor import Anchor, library_version, pillow_decode, pillow_encode
from wavelic.evaluation.jpeg2000 import jpeg2000_anchors
from wavelic.evaluation.optional import require
from wavelic.evaluation.video import VVENC, X265, X265_BEST, IntraCodec, decode_intra, encode_intra, ffmpeg_version
from wavelic.evaluation.webp import encode_webp, libwebp_version

# --- JPEG ----------------------------------------------------------------------------------------------------------

JPEG_CHROMA_STEP = {"4:2:0": 0.5, "4:4:4": 1.0}
"""Chroma step / luma step of least RGB error: the synthesis norms of Y, Cb, Cr are alike (1.73, 1.81, 1.57), and a
chroma coefficient of a 2x2 sub-sampled plane touches four times as many pixels."""

JPEG_TABLE_RISE = 0.6
"""Relative rise of the quantiser step from DC to the highest frequency, in place of the dead zone libjpeg has not."""


def _flat_tables(step: float, chroma: float) -> list[list[int]]:
    def table(dc_step: float) -> list[int]:
        rise = (1 + JPEG_TABLE_RISE * (row + column) / 14 for row in range(8) for column in range(8))
        return [max(1, min(255, round(dc_step * factor))) for factor in rise]

    return [table(step), table(step * chroma)]


def _jpeg_flat_encode(subsampling: str, pixels: np.ndarray, step: float) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(
        buffer,
        "JPEG",
        qtables=_flat_tables(step, JPEG_CHROMA_STEP[subsampling]),
        subsampling=subsampling,
        optimize=True,
        progressive=True,
    )
    return buffer.getvalue()


def _jpeg(subsampling: str) -> Anchor:
    return Anchor(
        name=f"jpeg-{subsampling.replace(':', '')}",
        label=f"JPEG {subsampling}",
        description=f"JPEG {subsampling}, Annex K tables, optimised Huffman; {library_version('libjpeg_turbo')}",
        parameter="quality",
        settings=(5, 8, 12, 18, 26, 38, 52, 66, 78, 88),
        encode=partial(pillow_encode, "JPEG", {"subsampling": subsampling, "optimize": True}),
        decode=pillow_decode,
        coarsest=1,
        finest=95,
        integer=True,
    )


def _jpeg_best(subsampling: str) -> Anchor:
    return Anchor(
        name=f"jpeg-{subsampling.replace(':', '')}-best",
        label=f"JPEG {subsampling}, best",
        description=(
            f"JPEG {subsampling}, nearly flat tables (chroma step x {JPEG_CHROMA_STEP[subsampling]}), progressive, "
            f"optimised Huffman; {library_version('libjpeg_turbo')}"
        ),
        parameter="luma step",
        settings=(150, 106, 75, 53, 38, 27, 19, 13, 9),
        encode=partial(_jpeg_flat_encode, subsampling),
        decode=pillow_decode,
        coarsest=255,
        finest=2,
    )


# --- WebP and AVIF -------------------------------------------------------------------------------------------------


def _webp() -> Anchor:
    return Anchor(
        name="webp",
        label="WebP",
        description=f"WebP lossy, method 4; {library_version('webp').replace('webp', 'libwebp', 1)}",
        parameter="quality",
        settings=(0, 4, 10, 20, 35, 50, 65, 78, 88, 94),
        encode=partial(pillow_encode, "WEBP", {"method": 4}),
        decode=pillow_decode,
        coarsest=0,
        finest=100,
        integer=True,
    )


def _webp_best() -> Anchor:
    return Anchor(
        name="webp-best",
        label="WebP, best",
        description=f"WebP lossy, method 6, noise shaping off, sharp YUV (cwebp -m 6 -sns 0 -sharp_yuv); libwebp "
        f"{libwebp_version()}",
        parameter="quality",
        settings=(0, 2, 5, 12, 25, 40, 58, 75, 87, 94),
        encode=encode_webp,
        decode=pillow_decode,
        coarsest=0,
        finest=100,
    )


_AOM_PSNR = {"tune": "psnr", "enable-cdef": "1", "enable-restoration": "1"}
"""libavif tunes stills for looks and switches aom's loop filters off; together these give 8 % rate back in PSNR."""


def _avif(name: str, label: str, text: str, options: dict[str, Any]) -> Anchor:
    return Anchor(
        name=name,
        label=label,
        description=f"AVIF 8 bit, {text}; {library_version('avif').replace('avif', 'libavif', 1)}, {_aom_version()}",
        parameter="quality",
        settings=(2, 12, 24, 36, 48, 60, 72, 84),
        encode=partial(pillow_encode, "AVIF", {"codec": "aom", "max_threads": 1, **options}),
        decode=pillow_decode,
        coarsest=0,
        finest=99,
        integer=True,
    )


def _aom_version() -> str:
    from PIL import _avif

    return next((part.strip() for part in _avif.codec_versions().split(",") if "aom" in part), "aom")


# --- JPEG XL -------------------------------------------------------------------------------------------------------


def _jpegxl_encode(effort: int, pixels: np.ndarray, distance: float) -> bytes:
    data: bytes = require("imagecodecs").jpegxl_encode(
        pixels, distance=distance, effort=effort, lossless=False, numthreads=1, usecontainer=False
    )
    return data


def _jpegxl_decode(data: bytes) -> np.ndarray:
    pixels: np.ndarray = require("imagecodecs").jpegxl_decode(data, numthreads=1)
    return np.ascontiguousarray(pixels[..., :3])


def _jpegxl(name: str, label: str, effort: int) -> Anchor:
    imagecodecs = require("imagecodecs")
    return Anchor(
        name=name,
        label=label,
        description=f"JPEG XL VarDCT, effort {effort}; {imagecodecs.jpegxl_version()} in imagecodecs "
        f"{imagecodecs.__version__}",
        parameter="distance",
        settings=(25, 18, 12, 8, 5.5, 3.7, 2.5, 1.6, 1.0),
        encode=partial(_jpegxl_encode, effort),
        decode=_jpegxl_decode,
        coarsest=25,
        finest=0.1,
    )


# --- HEVC and VVC --------------------------------------------------------------------------------------------------


def _intra(name: str, label: str, text: str, codec: IntraCodec, settings: tuple[float, ...], coarsest: int) -> Anchor:
    return Anchor(
        name=name,
        label=label,
        description=f"{text}, one intra frame, constant quantiser; {codec.encoder} of {ffmpeg_version(codec.encoder)}",
        parameter="qp",
        settings=settings,
        encode=partial(encode_intra, codec),
        decode=partial(decode_intra, codec),
        coarsest=coarsest,
        finest=1,
        integer=True,
    )


_HEVC_QUANTISERS = (47, 42, 37, 33, 29, 25, 21, 17, 13)
_VVC_QUANTISERS = (50, 45, 41, 37, 33, 29, 25, 21, 17)

# --- Registry ------------------------------------------------------------------------------------------------------

_FACTORIES: dict[str, Callable[[], Anchor]] = {
    "jpeg-420": partial(_jpeg, "4:2:0"),
    "jpeg-444": partial(_jpeg, "4:4:4"),
    "jpeg-420-best": partial(_jpeg_best, "4:2:0"),
    "jpeg-444-best": partial(_jpeg_best, "4:4:4"),
    "jpeg2000-default": lambda: jpeg2000_anchors()[0],
    "jpeg2000": lambda: jpeg2000_anchors()[1],
    "jpeg2000-layers": lambda: jpeg2000_anchors()[2],
    "webp": _webp,
    "webp-best": _webp_best,
    "avif": partial(_avif, "avif", "AVIF", "speed 6, 4:2:0", {}),
    "avif-best": partial(
        _avif,
        "avif-best",
        "AVIF, best",
        "speed 2, 4:4:4, tune=psnr, enable-cdef=1, enable-restoration=1",
        {"speed": 2, "subsampling": "4:4:4", "autotiling": False, "advanced": _AOM_PSNR},
    ),
    "jpegxl": partial(_jpegxl, "jpegxl", "JPEG XL", 7),
    "jpegxl-best": partial(_jpegxl, "jpegxl-best", "JPEG XL, best", 9),
    "hevc": partial(_intra, "hevc", "HEVC", "HEVC 8 bit, 4:2:0, x265 preset medium", X265, _HEVC_QUANTISERS, 51),
    "hevc-best": partial(
        _intra,
        "hevc-best",
        "HEVC, best",
        "HEVC 10 bit, 4:4:4, x265 preset placebo, tune psnr",
        X265_BEST,
        _HEVC_QUANTISERS,
        51,
    ),
    "vvc": partial(
        _intra, "vvc", "VVC", "VVC 10 bit, 4:2:0, vvenc preset medium, perceptual QPA off", VVENC, _VVC_QUANTISERS, 63
    ),
}

ANCHORS: tuple[str, ...] = tuple(_FACTORIES)
"""Names of all anchors.  `-best` is the setting of best PSNR; of VVC there is that one only.

For JPEG 2000 the names say how bits are spread over pictures: `jpeg2000` at equal slope d(MSE)/d(bpp), as codecs with
one quantiser or one lambda do; `jpeg2000-default` at equal rate, which is nearly the spread of highest mean PSNR.
"""

REFERENCE_ANCHOR = "jpeg2000"
"""What the BD-rates of the anchors are quoted against."""


def get_anchor(name: str) -> Anchor:
    """Look up an anchor.

    Args:
        name: one of `ANCHORS`.

    Returns:
        The anchor.

    Raises:
        UsageError: there is no such anchor.
        MissingDependencyError: its library is not installed.
    """
    if name not in _FACTORIES:
        raise UsageError(f"unknown anchor {name!r}; choose one of {', '.join(ANCHORS)}")
    return _FACTORIES[name]()
