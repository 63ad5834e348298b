"""Pixels in and out: any still image Pillow opens, at 8 or 16 bits, with its ICC, Exif and XMP bytes."""

from wavelic.images.alpha import decode_alpha, encode_alpha
from wavelic.images.bands import BAND_FORMATS, write_bands
from wavelic.images.folder import list_images
from wavelic.images.image import Image, Metadata, convert_depth, from_array
from wavelic.images.mapped import set_aside
from wavelic.images.output import atomic_output
from wavelic.images.picture import from_pillow, to_pillow
from wavelic.images.reading import load_image
from wavelic.images.writing import OUTPUT_FORMATS, encode_image, save_image, write_image

__all__ = [
    "BAND_FORMATS",
    "OUTPUT_FORMATS",
    "Image",
    "Metadata",
    "atomic_output",
    "convert_depth",
    "decode_alpha",
    "encode_alpha",
    "encode_image",
    "from_array",
    "from_pillow",
    "list_images",
    "load_image",
    "save_image",
    "set_aside",
    "to_pillow",
    "write_bands",
    "write_image",
]
