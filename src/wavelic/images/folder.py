"""The image files of a folder."""

from __future__ import annotations

from pathlib import Path

from wavelic.errors import UsageError

#: File name endings taken for images.
IMAGE_EXTENSIONS = (".png", ".webp", ".ppm", ".bmp", ".tif", ".tiff", ".jpg", ".jpeg")


def list_images(folder: Path) -> list[Path]:
    """Image files directly in `folder`, sorted by name.  Raises UsageError if it is no folder or holds none."""
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder; give a folder of images")
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_EXTENSIONS)
    if not found:
        raise UsageError(f"{folder} holds no images ({', '.join(IMAGE_EXTENSIONS)}); give a folder of images")
    return found
