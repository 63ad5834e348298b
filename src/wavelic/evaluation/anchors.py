"""Anchors, the codecs that wavelic is measured against: each at its defaults and at its best setting for PSNR.

An anchor is data: a name, a list of settings, and two functions between pixels and file bytes.  What each parameter
does to the rate was measured before it was chosen; docs/evaluation.md has the figures.  A weak anchor is a false
result, so where a library version changes a default, the setting is changed here.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from PIL import Image, features

from wavelic.errors import ImageError, MissingDependencyError, UsageError
from wavelic.evaluation.jpeg2000 import lowest_cost
from wavelic.evaluation.metrics import bits_per_pixel, mse_rgb
from wavelic.evaluation.optional import require
from wavelic.evaluation.webp import encode_webp, library_version
from wavelic.jpeg2000 import without_packet_lengths


@dataclass(frozen=True)
class Anchor:
    """Codec with everything needed to measure it.

    Attributes:
        name: on the command line and in files.
        label: for plots and tables.
        description: settings and library versions.
        parameter: name of the setting that changes the rate.
        settings: values of it, from the lowest rate to the highest.
        encode: uint8 pixels (height, width, 3) and a setting to the bytes of a complete file.
        decode: these bytes, and nothing else, to pixels.
        coarsest: setting of lowest rate that `match_size` may try.
        finest: setting of highest rate that `match_size` may try.
        integer: whether only whole numbers are settings.
    """

    name: str
    label: str
    description: str
    parameter: str
    settings: tuple[float, ...]
    encode: Callable[[np.ndarray, float], bytes]
    decode: Callable[[bytes], np.ndarray]
    coarsest: float
    finest: float
    integer: bool = False


# --- Pillow --------------------------------------------------------------------------------------------------------


def _pillow_encode(file_format: str, options: Mapping[str, Any], pixels: np.ndarray, setting: float) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, file_format, quality=round(setting), **options)
    return buffer.getvalue()


def _pillow_decode(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        if image.mode not in ("RGB", "L"):
            raise ImageError(f"anchor decoded to mode {image.mode}, expected RGB; report this as a bug")
        return np.asarray(image.convert("RGB"))


def _version(feature: str) -> str:
    version = features.version(feature)
    if version is None:
        raise MissingDependencyError(
            f"this Pillow was built without {feature}, expected a build with it; run: pip install 'wavelic[eval]'"
        )
    return f"{feature} {version} in Pillow {features.version('pil')}"


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
        description=f"JPEG {subsampling}, Annex K tables, optimised Huffman; {_version('libjpeg_turbo')}",
        parameter="quality",
        settings=(5, 8, 12, 18, 26, 38, 52, 66, 78, 88),
        encode=partial(_pillow_encode, "JPEG", {"subsampling": subsampling, "optimize": True}),
        decode=_pillow_decode,
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
            f"optimised Huffman; {_version('libjpeg_turbo')}"
        ),
        parameter="luma step",
        settings=(150, 106, 75, 53, 38, 27, 19, 13, 9),
        encode=partial(_jpeg_flat_encode, subsampling),
        decode=_pillow_decode,
        coarsest=255,
        finest=2,
    )


# --- JPEG 2000 -----------------------------------------------------------------------------------------------------

_JPEG2000 = {
    "no_jp2": True,
    "irreversible": True,
    "mct": 1,
    "num_resolutions": 6,
    "codeblock_size": (64, 64),
    "progression": "LRCP",
}
_JPEG2000_TEXT = "9/7, ICT, 5 levels, 64x64 code-blocks, one precinct, raw codestream"
_JPEG2000_RATES = (0.05, 0.08, 0.125, 0.2, 0.3, 0.45, 0.7, 1.0, 1.5, 2.2)
_RGB_BITS = 24


def _jpeg2000_file(pixels: np.ndarray, rates: tuple[float, ...], **more: Any) -> bytes:
    """One codestream with a quality layer per rate in bits per pixel, ascending."""
    buffer = io.BytesIO()
    ratios = [_RGB_BITS / rate for rate in rates]
    Image.fromarray(pixels).save(
        buffer, "JPEG2000", quality_mode="rates", quality_layers=ratios, **{**_JPEG2000, **more}
    )
    return buffer.getvalue()


def _jpeg2000_rate_encode(pixels: np.ndarray, rate: float) -> bytes:
    return _jpeg2000_file(pixels, (rate,), no_jp2=False)


def _jpeg2000_slope_encode(pixels: np.ndarray, slope: float) -> bytes:
    height, width = pixels.shape[:2]

    def cost_of(data: bytes) -> float:
        return mse_rgb(pixels, _pillow_decode(data)) + slope * bits_per_pixel(len(data), width, height)

    return lowest_cost(lambda rate: without_packet_lengths(_jpeg2000_file(pixels, (rate,))), cost_of)


def _jpeg2000_layer_encode(pixels: np.ndarray, layers: float) -> bytes:
    return without_packet_lengths(_jpeg2000_file(pixels, _JPEG2000_RATES, plt=True), round(layers))


def _jpeg2000_anchors() -> list[Anchor]:
    version = _version("jpg_2000").replace("jpg_2000", "OpenJPEG")
    return [
        Anchor(
            name="jpeg2000-default",
            label="JPEG 2000, fixed rate",
            description=f"JPEG 2000 {_JPEG2000_TEXT.replace('raw codestream', '.jp2')}, one layer, same rate for every "
            f"picture (opj_compress -I -r); {version}",
            parameter="bpp",
            settings=_JPEG2000_RATES,
            encode=_jpeg2000_rate_encode,
            decode=_pillow_decode,
            coarsest=0.01,
            finest=16,
        ),
        Anchor(
            name="jpeg2000",
            label="JPEG 2000, equal slope",
            description=f"JPEG 2000 {_JPEG2000_TEXT} without comment, one layer, each picture at the same slope "
            f"d(MSE)/d(bpp); {version}",
            parameter="slope",
            settings=(4800, 2400, 1200, 600, 300, 150, 75, 37, 18, 9),
            encode=_jpeg2000_slope_encode,
            decode=_pillow_decode,
            coarsest=100000,
            finest=0.01,
        ),
        Anchor(
            name="jpeg2000-layers",
            label="JPEG 2000, layers dropped",
            description=f"JPEG 2000 {_JPEG2000_TEXT}, one codestream of {len(_JPEG2000_RATES)} layers per picture, "
            f"lower rates by dropping layers (PLT and comment not counted); {version}",
            parameter="layers",
            settings=tuple(range(1, len(_JPEG2000_RATES) + 1)),
            encode=_jpeg2000_layer_encode,
            decode=_pillow_decode,
            coarsest=1,
            finest=len(_JPEG2000_RATES),
            integer=True,
        ),
    ]


# --- WebP and AVIF -------------------------------------------------------------------------------------------------


def _webp() -> Anchor:
    return Anchor(
        name="webp",
        label="WebP",
        description=f"WebP lossy, method 4; {_version('webp').replace('webp', 'libwebp', 1)}",
        parameter="quality",
        settings=(0, 4, 10, 20, 35, 50, 65, 78, 88, 94),
        encode=partial(_pillow_encode, "WEBP", {"method": 4}),
        decode=_pillow_decode,
        coarsest=0,
        finest=100,
        integer=True,
    )


def _webp_best() -> Anchor:
    return Anchor(
        name="webp-best",
        label="WebP, best",
        description=f"WebP lossy, method 6, noise shaping off, sharp YUV (cwebp -m 6 -sns 0 -sharp_yuv); libwebp "
        f"{library_version()}",
        parameter="quality",
        settings=(0, 2, 5, 12, 25, 40, 58, 75, 87, 94),
        encode=encode_webp,
        decode=_pillow_decode,
        coarsest=0,
        finest=100,
    )


_AOM_PSNR = {"tune": "psnr", "enable-cdef": "1", "enable-restoration": "1"}
"""libavif tunes stills for looks and switches aom's loop filters off; together these give 8 % rate back in PSNR."""


def _avif(name: str, label: str, text: str, options: dict[str, Any]) -> Anchor:
    return Anchor(
        name=name,
        label=label,
        description=f"AVIF 8 bit, {text}; {_version('avif').replace('avif', 'libavif', 1)}, {_aom_version()}",
        parameter="quality",
        settings=(2, 12, 24, 36, 48, 60, 72, 84),
        encode=partial(_pillow_encode, "AVIF", {"codec": "aom", "max_threads": 1, **options}),
        decode=_pillow_decode,
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


# --- Registry ------------------------------------------------------------------------------------------------------

_FACTORIES: dict[str, Callable[[], Anchor]] = {
    "jpeg-420": partial(_jpeg, "4:2:0"),
    "jpeg-444": partial(_jpeg, "4:4:4"),
    "jpeg-420-best": partial(_jpeg_best, "4:2:0"),
    "jpeg-444-best": partial(_jpeg_best, "4:4:4"),
    "jpeg2000-default": lambda: _jpeg2000_anchors()[0],
    "jpeg2000": lambda: _jpeg2000_anchors()[1],
    "jpeg2000-layers": lambda: _jpeg2000_anchors()[2],
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
}

ANCHORS: tuple[str, ...] = tuple(_FACTORIES)
"""Names of all anchors.  `-best` is the setting of best PSNR.  For JPEG 2000 the names say how bits are spread over
pictures: `jpeg2000` at equal slope d(MSE)/d(bpp), as codecs with one quantiser or one lambda do; `jpeg2000-default` at
equal rate, which is nearly the spread of highest mean PSNR."""

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
