"""Images to files and back, whatever the codec: what the package, the command line and the integrations call."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal, overload

from wavelic.api.buffers import FileLike
from wavelic.api.inputs import image_of, read_image, tensor_of
from wavelic.api.opening import open_file, open_url, open_within, read_file, trim
from wavelic.codec.opened import OpenedFile, Pixels, Progress, Region
from wavelic.codec.options import Encoded, Options, Strip, check_access, check_device, check_learned, check_tune, psnr
from wavelic.codec.registry import DEFAULT_CODEC, check_options, get_codec, special_for
from wavelic.codec.target import Target
from wavelic.container import DEFAULT_LIMITS, Limits
from wavelic.errors import UsageError
from wavelic.images import Image, stripped

if TYPE_CHECKING:
    import torch

    from wavelic.api.inputs import ImageLike

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
    "read_image",
    "trim",
]

DEFAULT_QUALITY = 50.0


def encode_image(
    image: Image, codec: str | None = None, target: Target | None = None, options: Options | None = None
) -> Encoded:
    """Compress an image.

    Args:
        image: what to code.
        codec: a name of `wavelic.codec.registry.names` or a special one; None: the special codec that suits the image,
            if there is one and its file is no larger than the target allows, else the default.
        target: what to meet; None: the last of the layers if they are given by their rates, else quality 50.
        options: how.

    Raises:
        UsageError: unknown codec or device, target or option out of range, or an option the codec does not take.
        ModelError: the weights are not installed.
    """
    settings = options or Options()
    if settings.lossless and target is not None:
        raise UsageError(f"lossless given with {target.kind} {target}, and such a file has but one size; leave one out")
    check_device(settings.device)
    default = get_codec(codec or DEFAULT_CODEC)
    special = special_for(image, default.extension, settings) if codec is None else None
    if special is None:
        check_options(default, settings)
    if settings.strip or settings.strip_gps:
        image = stripped(image, "all" if settings.strip else "gps")
    aim = target or _default_target(settings)
    if special is not None:
        encoded = special.encode(image, aim, settings)
        if aim.admits(len(encoded.data), image.width * image.height):
            return replace(encoded, codec=special.name)
        check_options(default, settings)
    encoded = default.encode(image, aim, settings)
    exact = special_for(image, None, Options())
    if exact is not None and exact is not default and not settings.lossless:
        remark = f"coded with loss, though codec {exact.name} keeps such a picture exactly, in a {exact.extension} file"
        encoded = replace(encoded, note="; ".join(filter(None, (encoded.note, remark))))
    return replace(encoded, codec=default.name)


def _default_target(options: Options) -> Target:
    if isinstance(options.layers, tuple) and options.layers:
        return Target("bpp", options.layers[-1])
    return Target("quality", DEFAULT_QUALITY)


def decode_image(
    data: FileLike,
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
        data: the file, as in `open_file`.
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
    with open_file(data, limits) as file:
        return file.decode(reduce, layers, region, device, progress)


def encode(
    image: ImageLike,
    codec: str | None = None,
    quality: float | None = None,
    *,
    bpp: float | None = None,
    psnr: float | None = None,
    size: int | None = None,
    layers: int | tuple[float, ...] | None = None,
    access: str = "whole",
    effort: int | None = None,
    tune: str = "psnr",
    lossless: bool = False,
    tile_size: int | None = None,
    learned: str = "all",
    enhance: bool = False,
    strip: bool | Strip = False,
    device: str = "cpu",
    bit_depth: int = 8,
) -> bytes:
    """Compress an image to the bytes of a file: of a `.wlic` file, or with codec "lifting" or "jp2" of a JP2 file.

    Args:
        image: pixels: `wavelic.Image`, a Pillow image, an array (H, W) or (H, W, 1..4), or a tensor (H, W) or
            (1..4, H, W); of uint8 or uint16, floats from 0 to 1, or booleans.  Or an image file, or a `.wlic` file to
            code anew: path, URL, bytes, or a binary stream.
        codec: a name in `wavelic.CODECS`; None: "bilevel", without loss, for pictures of black and white alone, unless
            a rate or size is asked for that this does not meet; else "weconvene".
        quality: 0..100; 50 if no target is given.  The same number stands for about the same PSNR whatever the codec.
        bpp: instead of a quality, bits per pixel of the whole file.  Targets are met within 2 %, or as nearly as the
            weights allow.
        psnr: instead, dB over the colour samples.
        size: instead, bytes of the file; not exceeded if possible.
        layers: lifting and jp2 only: how many quality layers, or the bits per pixel of each, ascending.
        access: lifting, jp2, weconvene and 3dm only: "windows" arranges the file for reading windows, "whole" for
            reading all.
        effort: weconvene only: 1 (larger files) .. 9 (smallest, takes minutes for large ones); None: 5.
        tune: weconvene only: "psnr", or "msssim" for weights that were trained for MS-SSIM.  Files decode alike.
        lossless: jp2 only: every sample comes back; without a target.
        tile_size: jp2 only: side of independent tiles in pixels; None: one tile, which codes better.
        learned: lifting only: which components have learned steps: "all", "luma" or "none".  Other JPEG 2000 software
            undoes none of them.
        enhance: jp2 and lifting: say in the file that it is meant to be decoded with a network.
        strip: True or "all" to leave out ICC, Exif, XMP, IPTC and resolution, with the samples turned upright; "gps"
            to leave out the position alone.
        device: torch device of the network.
        bit_depth: 8 or 16: of the samples that floats and booleans are turned into.

    Raises:
        UsageError, ImageError, ModelError: see each type.

    Examples:
        >>> import numpy as np, wavelic
        >>> data = wavelic.encode(np.zeros((40, 60, 3), np.float32), quality=30)
        >>> wavelic.decode(data).shape
        (40, 60, 3)
    """
    target = Target.of(quality, bpp, psnr, size)
    options = Options(
        strip=strip in (True, "all"),
        strip_gps=strip == "gps",
        device=device,
        layers=layers,
        access=check_access(access),
        effort=effort,
        tune=check_tune(tune),
        lossless=lossless,
        tile_size=tile_size,
        learned=check_learned(learned),
        enhance=enhance,
    )
    return encode_image(image_of(image, bit_depth), codec, target, options).data


@overload
def decode(
    data: FileLike,
    *,
    reduce: int = 0,
    layers: int | None = None,
    region: Region | None = None,
    limits: Limits = DEFAULT_LIMITS,
    device: str = "cpu",
    as_tensor: Literal[False] = False,
) -> Pixels: ...


@overload
def decode(
    data: FileLike,
    *,
    reduce: int = 0,
    layers: int | None = None,
    region: Region | None = None,
    limits: Limits = DEFAULT_LIMITS,
    device: str = "cpu",
    as_tensor: Literal[True],
) -> torch.Tensor: ...


def decode(
    data: FileLike,
    *,
    reduce: int = 0,
    layers: int | None = None,
    region: Region | None = None,
    limits: Limits = DEFAULT_LIMITS,
    device: str = "cpu",
    as_tensor: bool = False,
) -> Pixels | torch.Tensor:
    """Decompress a file, or a part of it, to samples.

    Args:
        data: the file: its bytes, its path or URL, or a binary stream.
        reduce: how often both sides are halved.
        layers: use only the first so many quality layers; None for all.
        region: (x, y, width, height) in pixels of the full image; None for all of it.
        limits: what may be spent on the file.
        device: torch device of the networks, and of the tensor.
        as_tensor: give a torch tensor (C, H, W) instead of an array.

    Returns:
        (H, W, C), uint8 or uint16 as in the source: gray C=1, gray+alpha 2, RGB 3, RGBA 4.

    Raises:
        FormatError, ChecksumError, LimitError, ModelError, UsageError: see each type.
    """
    pixels = decode_image(data, limits, device, reduce=reduce, layers=layers, region=region).pixels
    return tensor_of(pixels, device) if as_tensor else pixels
