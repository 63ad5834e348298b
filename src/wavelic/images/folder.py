"""Which names are images, and the image files of a folder."""

from __future__ import annotations

from pathlib import Path, PurePath

from wavelic.errors import UsageError

#: File name endings taken for images: of every format that `load_image` reads.
IMAGE_EXTENSIONS = (
    ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".tif", ".tiff", ".webp", ".avif", ".jp2", ".j2k", ".j2c", ".jpc",
    ".jpf", ".jpx", ".bmp", ".gif", ".ppm", ".pgm", ".pbm", ".pnm", ".qoi", ".sgi", ".tga", ".pcx",
)  # fmt: skip
#: Endings of pictures that wavelic does not read: a folder that is coded whole must say that it leaves them out.
UNREAD_EXTENSIONS = (
    ".heic", ".heif", ".jxl", ".psd", ".psb", ".xcf", ".svg", ".eps", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf",
    ".raf", ".rw2", ".exr", ".hdr", ".dcm", ".dpx", ".fits", ".ico", ".jxr", ".wdp", ".bpg", ".djvu", ".apng",
)  # fmt: skip
_APPLE_DOUBLE = "._"  # what macOS puts beside files on foreign disks


def is_image_name(name: str) -> bool:
    """Whether a file of that name (or path) is taken for an image: by its ending, and not ``._*``."""
    path = PurePath(name)
    return path.suffix.lower() in IMAGE_EXTENSIONS and not path.name.startswith(_APPLE_DOUBLE)


def is_unread_name(name: str) -> bool:
    """Whether a file of that name is a picture, by its ending, of a format that wavelic does not read."""
    path = PurePath(name)
    return path.suffix.lower() in UNREAD_EXTENSIONS and not path.name.startswith(_APPLE_DOUBLE)


def list_images(folder: Path) -> list[Path]:
    """Return the image files directly in `folder`, sorted by name.

    Raises:
        UsageError: it is no folder, or holds none.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder; give a folder of images")
    found = sorted(path for path in folder.iterdir() if is_image_name(path.name) and path.is_file())
    if not found:
        raise UsageError(f"{folder} holds no images ({', '.join(IMAGE_EXTENSIONS)}); give a folder of images")
    return found
