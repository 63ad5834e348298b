"""What Pillow's ``save`` options and an image's ``info`` say, for both plugins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import PIL.Image

if TYPE_CHECKING:
    from wavelic.images import Metadata

_METADATA_OPTIONS = ("exif", "icc_profile", "xmp", "dpi")
_CODEC_OPTIONS = ("codec", "quality", "bpp", "psnr", "size", "layers", "access", "lossless", "strip", "device")


def info_of(metadata: Metadata) -> dict[Any, Any]:
    """Return the entries of a Pillow image's ``info`` for this metadata, under the names Pillow's own readers use."""
    info: dict[Any, Any] = {"icc_profile": metadata.icc, "xmp": metadata.xmp}
    info["exif"] = b"Exif\0\0" + metadata.exif if metadata.exif else None
    if metadata.resolution and metadata.resolution.absolute:
        info["dpi"] = tuple(float(side) for side in metadata.resolution.dpi)
    return {name: value for name, value in info.items() if value}


def encoded(picture: PIL.Image.Image, default_codec: str | None = None) -> bytes:
    """Return the file of a Pillow image being saved, by the options given to ``save``.

    The colour profile is that of the image unless ``icc_profile`` is given; Exif, XMP and the resolution are written
    only if they are given (``exif``, ``xmp``, ``dpi``), as Pillow's own writers do.

    Args:
        picture: the image; its ``encoderinfo`` has the options, those of `wavelic.encode` and of metadata.
        default_codec: the codec if none is given; None for that of `wavelic.encode`.

    Raises:
        UsageError: an option is unknown.
        ImageError: the image's mode is not supported.
    """
    from dataclasses import replace

    from wavelic.api.files import encode
    from wavelic.errors import UsageError
    from wavelic.images import Resolution, from_pillow

    given = dict(picture.encoderinfo)
    known = (*_CODEC_OPTIONS, *_METADATA_OPTIONS)
    if unknown := sorted(given.keys() - set(known)):
        raise UsageError(
            f"option {', '.join(unknown)} of save() is not known to wavelic, expected some of {', '.join(known)}; "
            "leave it out"
        )
    image = from_pillow(picture)
    exif = given.get("exif")
    exif = exif.tobytes() if isinstance(exif, PIL.Image.Exif) else exif
    xmp = given.get("xmp")
    dpi = given.get("dpi")
    metadata = replace(
        image.metadata,
        icc=given.get("icc_profile", image.metadata.icc) or None,
        exif=exif.removeprefix(b"Exif\0\0") if exif else None,
        xmp=xmp.encode("utf-8") if isinstance(xmp, str) else xmp or None,
        resolution=Resolution.from_dpi(*dpi) if dpi else None,
    )
    options = {name: given[name] for name in _CODEC_OPTIONS if name in given}
    if default_codec is not None:
        options.setdefault("codec", default_codec)
    return encode(replace(image, metadata=metadata), **options)
