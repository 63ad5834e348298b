"""Images to files and back, whatever the codec: what the package, the command line and the integrations call."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from wavelic.codec.opened import OpenedFile, Pixels, Progress, Region
from wavelic.codec.options import Encoded, Options, Strip, check_access, check_device, psnr
from wavelic.codec.registry import DEFAULT_CODEC, check_options, get_codec, recognize
from wavelic.codec.target import Target
from wavelic.container import DEFAULT_LIMITS, Limits, peek_codec, read_header
from wavelic.errors import FormatError, ImageError, UnsupportedError
from wavelic.images import Image, from_array, from_pillow, stripped
from wavelic.remote import DEFAULT_POLICY, Policy, open_source
from wavelic.remote.opening import is_url

__all__ = [
    "DEFAULT_CODEC",
    "Encoded",
    "OpenedFile",
    "Options",
    "Progress",
    "Target",
    "check_access",
    "check_device",
    "decode",
    "decode_image",
    "encode",
    "encode_image",
    "open_file",
    "open_url",
    "open_within",
    "psnr",
    "read_file",
    "trim",
]

DEFAULT_QUALITY = 50.0
_START = 1024  # bytes from which a file is recognized


def encode_image(
    image: Image, codec: str = DEFAULT_CODEC, target: Target | None = None, options: Options | None = None
) -> Encoded:
    """Compress an image.

    Args:
        image: what to code.
        codec: a name of `wavelic.codec.registry.names`.
        target: what to meet; None: the last of the layers if they are given by their rates, else quality 50.
        options: how.

    Raises:
        UsageError: unknown codec or device, target or option out of range, or an option the codec does not take.
        ModelError: the weights are not installed.
    """
    chosen, settings = get_codec(codec), options or Options()
    check_options(chosen, settings)
    check_device(settings.device)
    if settings.strip or settings.strip_gps:
        image = stripped(image, "all" if settings.strip else "gps")
    return chosen.encode(image, target or _default_target(settings), settings)


def _default_target(options: Options) -> Target:
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
    """Decompress a file, or a part of it, with its metadata.

    Args:
        data: the file.
        limits: what may be spent on it.
        device: torch device of the networks.
        progress: called as ``progress(done, total)``.
        reduce: how often both sides are halved.
        layers: use only the first so many quality layers; None for all.
        region: (x, y, width, height) in pixels of the full image; None for all of it.

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
    strip: bool | Strip = False,
    device: str = "cpu",
) -> bytes:
    """Compress an image to the bytes of a file: of a `.wlic` file, or with codec "lifting" of a JP2 file.

    Args:
        image: `wavelic.Image`, a Pillow image, or an array (H, W) or (H, W, 1..4) of uint8 or uint16.
        codec: a name in `wavelic.CODECS`.
        quality: 0..100, linear in the logarithm of the rate; 50 if no target is given.
        bpp: instead of a quality, bits per pixel of the whole file.  Targets are met within 2 %, or as nearly as the
            weights allow.
        psnr: instead, dB over the colour samples.
        size: instead, bytes of the file; not exceeded if possible.
        layers: lifting only: how many quality layers, or the bits per pixel of each, ascending.
        access: lifting and weconvene only: "windows" arranges the file for reading windows, "whole" for reading all.
        strip: True or "all" to leave out ICC, Exif, XMP, IPTC and resolution, with the samples turned upright; "gps"
            to leave out the position alone.
        device: torch device of the network.

    Raises:
        UsageError, ImageError, ModelError: see each type.

    >>> import numpy as np
    >>> data = encode(np.zeros((40, 60, 3), np.uint8), quality=30)
    >>> decode(data).shape
    (40, 60, 3)
    """
    target = Target.of(quality, bpp, psnr, size)
    options = Options(
        strip=strip in (True, "all"),
        strip_gps=strip == "gps",
        device=device,
        layers=layers,
        access=check_access(access),
    )
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
    """Decompress a file, or a part of it, to samples.

    Args:
        data: the file.
        reduce: how often both sides are halved.
        layers: use only the first so many quality layers; None for all.
        region: (x, y, width, height) in pixels of the full image; None for all of it.
        limits: what may be spent on the file.
        device: torch device of the networks.

    Returns:
        (H, W, C), uint8 or uint16 as in the source: gray C=1, gray+alpha 2, RGB 3, RGBA 4.

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
    """Open a compressed file and verify its checksums; its content says which codec it is of.

    Args:
        source: the file's bytes, its path, or a URL (https, s3, zip, ...), which is read in parts as far as needed.
        limits: what may be spent on it.
        allow_partial: accept a JPEG 2000 file that was cut short, with the whole layers that are there; see
            ``info["whole_layers"]``.

    Raises:
        ImageError: the file cannot be read.
        FormatError, ChecksumError, LimitError: it is of no codec that is installed, or not sound.

    >>> import numpy as np
    >>> file = open_file(encode(np.zeros((40, 60, 3), np.uint8), "lifting"))
    >>> file.codec, file.levels, file.level_dimensions[1], file.read(reduce=1, region=(8, 0, 5, 9)).shape
    ('lifting', 5, (30, 20), (5, 3, 3))
    """
    if is_url(source):
        return open_url(str(source), limits, allow_partial=allow_partial)
    data = source if isinstance(source, bytes) else read_file(source, limits)
    codec = recognize(data[:_START])
    if codec is None:
        raise _unrecognized(data, limits)
    return codec.open(data, limits, allow_partial=allow_partial)


def open_url(
    url: str | os.PathLike[str] | bytes,
    limits: Limits = DEFAULT_LIMITS,
    *,
    allow_partial: bool = False,
    policy: Policy = DEFAULT_POLICY,
) -> OpenedFile:
    """Open a file that lies elsewhere, reading as little of it as its format allows.

    Args:
        url: where it is; a path or bytes are read in the same way.
        limits: as in `open_file`.
        allow_partial: as in `open_file`.
        policy: how often and how much is fetched.

    Raises:
        SourceError: the bytes cannot be had.
        MissingDependencyError: a library for this kind of URL is not installed.
        FormatError, ChecksumError, LimitError: as in `open_file`.
    """
    source = open_source(url, policy)
    start = source.read(0, _START)
    codec = recognize(start)
    if codec is None:
        raise _unrecognized(start, limits)
    return codec.open_source(source, limits, allow_partial=allow_partial)


def open_within(
    where: str | os.PathLike[str] | bytes,
    max_bytes: int,
    reduce: int = 0,
    region: Region | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> tuple[OpenedFile, int]:
    """Open a file in quality layers to read at most so many of its bytes.

    Args:
        where: path, URL or bytes.
        max_bytes: what opening and one read may fetch together.
        reduce: of that read, as in `OpenedFile.read`.
        region: of that read.
        limits: what may be spent on the file.

    Returns:
        The file, and with how many layers to read it.

    Raises:
        UsageError: the first layer takes more, or the file has none that can be read apart.
        SourceError: the file can only be read as a whole, and that is more; or its bytes cannot be had.
        FormatError, ChecksumError, LimitError: as in `open_url`.
    """
    policy = replace(DEFAULT_POLICY, max_bytes=max_bytes)  # also where the format makes it read the whole file
    file = open_url(where, limits, policy=policy)
    source = getattr(file, "source", None)
    return file, file.layers_within(max_bytes - (source.bytes_read if source else 0), reduce, region)


def trim(
    data: bytes, *, max_layers: int | None = None, bpp: float | None = None, limits: Limits = DEFAULT_LIMITS
) -> bytes:
    """Drop the last quality layers of a file; nothing is decoded.

    Args:
        data: the file.
        max_layers: layers to keep at most; None: as many as ``bpp`` admits.
        bpp: bits per pixel of the new file at most; None: no bound.
        limits: what may be spent on the file.

    Raises:
        UsageError: files of this codec have no layers, or not even one is admitted.
        FormatError: the file is damaged, of no codec that is installed, or does not say where its layers are.
    """
    codec = recognize(data[:_START])
    if codec is None:
        raise _unrecognized(data, limits)
    return codec.trim(data, max_layers, bpp, limits)


def read_file(path: str | os.PathLike[str], limits: Limits = DEFAULT_LIMITS) -> bytes:
    """Return the bytes of a compressed file; what is none of ours is refused before the rest of it is read.

    Args:
        path: where it is.
        limits: what may be spent on it; compared with the header of a `.wlic` file.

    Raises:
        ImageError: the file cannot be read.
        FormatError, LimitError: it is of no codec that is installed, or too large.
    """
    try:
        with Path(path).open("rb") as stream:
            start = stream.read(_START)
            if recognize(start) is None:
                raise _unrecognized(start, limits)
            if peek_codec(start) is not None:
                read_header(start, limits)
            return start + stream.read()
    except OSError as error:
        raise ImageError(
            f"{os.fspath(path)} cannot be read ({error.strerror}); check the name and permissions"
        ) from error


def _unrecognized(start: bytes, limits: Limits) -> FormatError:
    """Say what is wrong with a file that no codec recognizes: by its start, it is a bad `.wlic` file, or a strange one.

    Raises FormatError, ChecksumError or LimitError itself, where reading it as a `.wlic` file says more.
    """
    header = read_header(start, limits)
    return UnsupportedError(
        f"the file is of codec number {header.codec}, which is not installed; upgrade wavelic, or install the package"
        " that brings it"
    )
