"""Pictures for the evaluation: 8-bit RGB arrays from files, and the list of image files in a folder."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from wavelic.errors import ImageError, UsageError

EXTENSIONS = (".png", ".webp", ".ppm", ".bmp", ".tif", ".tiff", ".jpg", ".jpeg")


def load_rgb(path: Path) -> np.ndarray:
    """Pixels of an image file as uint8 (height, width, 3); grey is repeated, alpha is refused.

    Raises
    ------
    ImageError
        Not an image, or more than 8 bits, or with transparency: the evaluation compares 8-bit RGB.
    """
    try:
        with Image.open(path) as image:
            if image.mode not in ("RGB", "L"):
                raise ImageError(f"{path.name} has mode {image.mode}, expected 8-bit RGB or grey; convert it first")
            return np.asarray(image.convert("RGB"))
    except (UnidentifiedImageError, OSError) as error:
        raise ImageError(f"{path.name} cannot be read as an image ({error}); give an image file") from error


def png_bytes(pixels: np.ndarray) -> bytes:
    """uint8 (height, width, 3) as a PNG file, for pages that must show exactly these pixels."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def list_images(folder: Path) -> list[Path]:
    """Image files directly in `folder`, sorted by name.

    Raises
    ------
    UsageError
        Not a folder, or without images.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder; give a folder of images")
    found = sorted(p for p in folder.iterdir() if p.suffix.lower() in EXTENSIONS)
    if not found:
        raise UsageError(f"{folder} holds no images ({', '.join(EXTENSIONS)}); give a folder of images")
    return found
