"""Images to files and back, whatever the codec: what the package, the command line and the Pillow plugin call."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from wavelic.api.wlic_file import WlicFile, encode_wlic
from wavelic.codec.opened import OpenedFile, Pixels, Progress, Region
from wavelic.codec.options import (
    DEFAULT_CODEC,
    Encoded,
    Options,
    check_access,
    check_device,
    check_layers_asked,
    psnr,
)
from wavelic.codec.target import Target
from wavelic.container import DEFAULT_LIMITS, Limits, read_container, read_header
from wavelic.errors import ImageError, UsageError
from wavelic.images import Image, from_array, from_pillow
from wavelic.jpeg2000 import DEFAULT_LIMITS as JPEG2000_LIMITS
from wavelic.jpeg2000 import Limits as Jpeg2000Limits
from wavelic.jpeg2000 import is_jpeg2000
from wavelic.lifting.jp2.opening import open_jp2
from wavelic.remote.opening import is_url

__all__ = [
    "CODECS",
    "DEFAULT_CODEC",
    "EXTENSIONS",
    "LADDERS",
    "WLIC_CODECS",
    "Encoded",
    "OpenedFile",
    "Options",
    "Progress",
    "Target",
    "check_access",
    "check_codec",
    "check_device",
    "decode",
    "decode_image",
    "encode",
    "encode_image",
    "open_file",
    "psnr",
    "read_file",
]

#: Codecs of kind wcae; each is a family of weights with a ladder of rates.
LADDERS = ("wcae", "wcae-64", "nowcae")
#: Codecs that write `.wlic` files.
WLIC_CODECS = (*LADDERS, "weconvene")
#: Codec names on the command line.
CODECS = (*WLIC_CODECS, "lifting")
#: Codec -> extension of its files.
EXTENSIONS = {**dict.fromkeys(WLIC_CODECS, ".wlic"), "lifting": ".jp2"}
DEFAULT_QUALITY = 50.0


def check_codec(name: str) -> str:
    """``name`` if it is a codec, else UsageError listing those there are."""
    if name not in CODECS:
        raise UsageError(f"no codec {name!r}; choose one of {', '.join(CODECS)}")
    return name


def encode_image(
    image: Image, codec: str = DEFAULT_CODEC, target: Target | None = None, options: Options | None = None
) -> Encoded:
    """Compress ``image``; without a target at quality 50.

    Raises:
        UsageError: unknown codec or device, target or option out of range.
        ModelError: the weights are not installed.
    """
    check_codec(codec)
    settings = options or Options()
    target = target or _default_target(settings)
    if codec in WLIC_CODECS:
        if settings.layers is not None or (settings.access != "whole" and codec != "weconvene"):
            raise UsageError(
                f"layers or access given for codec {codec}; they are options of lifting, access also of weconvene"
            )
        if codec in LADDERS:
            return encode_wlic(image, codec, target, settings)
        if settings.published:
            raise UsageError(f"published coding given for codec {codec}; it is an option of wcae, wcae-64 and nowcae")
        from wavelic.weconvene.encode import encode_weconvene

        return encode_weconvene(image, target, settings)
    check_layers_asked(settings.layers)
    from wavelic.lifting.encode import encode_lifting

    return encode_lifting(image, target, settings)


def _default_target(options: Options) -> Target:
    """Quality 50, or the last of the layers if they are given by their rates."""
    if isinstance(options.layers, tuple) and options.layers:
        return Target("bpp", options.layers[-1])
    return Target("quality", DEFAULT_QUALITY)


def decode_image(
    data: bytes,
    limits: Limits = DEFAULT_LIMITS,
    device: str = "cpu",
    progress: Progress | None = None,
    *,
    reduce: int = 0,
    layers: int | None = None,
    region: Region | None = None,
) -> Image:
    """Decompress a file, or a part of it as in `OpenedFile.read`.

    Raises:
        FormatError, ChecksumError, LimitError: not a file of ours, damaged or too large.
        ModelError: the weights it names are not installed.
        UsageError: it has no such resolution, layer or region.
    """
    return open_file(data, limits).decode(reduce, layers, region, device, progress)


def encode(
    image: Any,
    codec: str = DEFAULT_CODEC,
    quality: float | None = None,
    *,
    bpp: float | None = None,
    psnr: float | None = None,
    size: int | None = None,
    layers: int | tuple[float, ...] | None = None,
    access: str = "whole",
    strip: bool = False,
    device: str = "cpu",
) -> bytes:
    """Compress an image to the bytes of a `.wlic` file, or of a JP2 file with codec "lifting".

    Args:
        image: `wavelic.Image`, a Pillow image, or an array (H, W) or (H, W, 1..4) of uint8 or uint16.
        codec: "weconvene", "lifting", or of the older kind "wcae", "wcae-64", "nowcae".
        quality: 0..100, linear in the logarithm of the rate; 50 if no target is given.
        bpp, psnr, size: instead of a quality, a target for the whole file: bits per pixel, dB of the colour samples,
            or bytes (not exceeded if possible).  Met within 2 %, or the nearest the weights allow.
        layers: lifting only: how many quality layers, or the bits per pixel of each, ascending.
        access: lifting and weconvene only: "windows" arranges the file for reading windows, "whole" for reading all.
        strip: leave out ICC, Exif and XMP.
        device: torch device of the network.

    Raises:
        UsageError, ImageError, ModelError: see each type.

    >>> import numpy as np
    >>> data = encode(np.zeros((40, 60, 3), np.uint8), quality=30)
    >>> decode(data).shape
    (40, 60, 3)
    """
    target = Target.of(quality, bpp, psnr, size)
    options = Options(strip=strip, device=device, layers=layers, access=check_access(access))
    return encode_image(_as_image(image), codec, target, options).data


def decode(
    data: bytes,
    *,
    reduce: int = 0,
    layers: int | None = None,
    region: Region | None = None,
    limits: Limits = DEFAULT_LIMITS,
    device: str = "cpu",
) -> Pixels:
    """The samples (H, W, C) in a file, uint8 or uint16 as in the source: gray C=1, gray+alpha 2, RGB 3, RGBA 4.

    reduce, layers, region: decode less, as in `OpenedFile.read`.

    Raises:
        FormatError, ChecksumError, LimitError, ModelError, UsageError: see each type.
    """
    return decode_image(data, limits, device, reduce=reduce, layers=layers, region=region).pixels


def _as_image(image: Any) -> Image:
    if isinstance(image, Image):
        return image
    if hasattr(image, "mode") and hasattr(image, "tobytes"):
        return from_pillow(image)
    if isinstance(image, str | os.PathLike | bytes):
        raise ImageError(f"{type(image).__name__} given where pixels are expected; use wavelic.images.load_image first")
    return from_array(image)


def open_file(
    source: str | os.PathLike[str] | bytes, limits: Limits = DEFAULT_LIMITS, *, allow_partial: bool = False
) -> OpenedFile:
    """Open a compressed file by path or from its bytes, and verify its checksums.

    What it is follows from its content: a `.wlic` file, or a JP2 file or JPEG 2000 codestream, ours or not.
    allow_partial: accept a JPEG 2000 file that was cut short, with the whole layers that are there; see
    ``info["whole_layers"]``.  A URL (https, s3, zip, ...) of a JPEG 2000 file is read in parts, as far as needed.

    Raises:
        ImageError: the file cannot be read.
        FormatError, ChecksumError, LimitError: it is neither, or not sound.

    >>> import numpy as np
    >>> file = open_file(encode(np.zeros((40, 60, 3), np.uint8), "lifting"))
    >>> file.codec, file.levels, file.level_dimensions[1], file.read(reduce=1, region=(8, 0, 5, 9)).shape
    ('lifting', 5, (30, 20), (5, 3, 3))
    """
    if is_url(source):
        from wavelic.api.remote import open_url

        return open_url(str(source), limits, _jpeg2000_limits(limits), allow_partial=allow_partial)
    data = source if isinstance(source, bytes) else read_file(source, limits)
    if is_jpeg2000(data):
        return open_jp2(data, _jpeg2000_limits(limits), allow_partial=allow_partial)
    return WlicFile(read_container(data, limits), len(data))


def read_file(path: str | os.PathLike[str], limits: Limits = DEFAULT_LIMITS) -> bytes:
    """The bytes of a compressed file; a `.wlic` header is checked before the rest is read."""
    try:
        with Path(path).open("rb") as stream:
            start = stream.read(1024)
            if not is_jpeg2000(start):
                read_header(start, limits)
            return start + stream.read()
    except OSError as error:
        raise ImageError(
            f"{os.fspath(path)} cannot be read ({error.strerror}); check the name and permissions"
        ) from error


def _jpeg2000_limits(limits: Limits) -> Jpeg2000Limits:
    """The same bounds for the other format; those it has alone keep their defaults."""
    return replace(
        JPEG2000_LIMITS,
        max_pixels=limits.max_pixels,
        max_side=limits.max_side,
        max_metadata_bytes=limits.max_metadata_bytes,
        max_memory_bytes=limits.max_memory_bytes,
    )
