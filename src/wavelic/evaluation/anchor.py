"""An anchor as data, and what the anchors that Pillow codes have in common."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, features

from wavelic.errors import ImageError, MissingDependencyError


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


def pillow_encode(file_format: str, options: Mapping[str, Any], pixels: np.ndarray, setting: float) -> bytes:
    """Write a file with Pillow.

    Args:
        file_format: as Pillow names it.
        options: of its writer, besides ``quality``.
        pixels: uint8 (height, width, 3).
        setting: its ``quality``, rounded.

    Returns:
        The file.
    """
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, file_format, quality=round(setting), **options)
    return buffer.getvalue()


def pillow_decode(data: bytes) -> np.ndarray:
    """Read a file with Pillow.

    Args:
        data: the file.

    Returns:
        uint8 (height, width, 3).

    Raises:
        ImageError: it is neither RGB nor gray.
    """
    with Image.open(io.BytesIO(data)) as image:
        if image.mode not in ("RGB", "L"):
            raise ImageError(f"anchor decoded to mode {image.mode}, expected RGB; report this as a bug")
        return np.asarray(image.convert("RGB"))


def library_version(feature: str) -> str:
    """Version of a library inside Pillow, and of Pillow.

    Args:
        feature: as `PIL.features` names it.

    Returns:
        For instance "webp 1.6.0 in Pillow 13.0.0".

    Raises:
        MissingDependencyError: this Pillow was built without it.
    """
    version = features.version(feature)
    if version is None:
        raise MissingDependencyError(
            f"this Pillow was built without {feature}, expected a build with it; run: pip install 'wavelic[eval]'"
        )
    return f"{feature} {version} in Pillow {features.version('pil')}"
