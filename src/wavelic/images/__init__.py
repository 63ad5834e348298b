"""Pixels in and out: still images of 8 or 16 bits, with their colours, Exif, XMP, IPTC and resolution.

What is kept, turned and refused for each format is in docs/images.md.
"""

from wavelic.images.alpha import decode_alpha, encode_alpha
from wavelic.images.folder import list_images
from wavelic.images.image import CHANNEL_NAMES, Image, convert_depth, from_array
from wavelic.images.mapped import set_aside
from wavelic.images.metadata import Metadata, Resolution
from wavelic.images.orientation import orientation_of, upright
from wavelic.images.output import atomic_output
from wavelic.images.picture import from_pillow, to_pillow
from wavelic.images.reading import load_image
from wavelic.images.stripping import stripped, stripped_metadata
from wavelic.images.writers.bands import BAND_FORMATS, write_bands
from wavelic.images.writing import OUTPUT_FORMATS, encode_image, left_out, save_image, write_image

__all__ = [
    "BAND_FORMATS",
    "CHANNEL_NAMES",
    "OUTPUT_FORMATS",
    "Image",
    "Metadata",
    "Resolution",
    "atomic_output",
    "convert_depth",
    "decode_alpha",
    "encode_alpha",
    "encode_image",
    "from_array",
    "from_pillow",
    "left_out",
    "list_images",
    "load_image",
    "orientation_of",
    "save_image",
    "set_aside",
    "stripped",
    "stripped_metadata",
    "to_pillow",
    "upright",
    "write_bands",
    "write_image",
]
