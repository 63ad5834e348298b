"""JPEG 2000: a binding to libopenjp2, the JP2 boxes, and selecting packets without decoding.

The parsers and writers (`codestream`, `tileparts`, `packets`, `boxes`, `trim`) are wavelic's own, work on bytes and
need no library.  Encoding and decoding of code-blocks is libopenjp2's work; it is loaded on the first use.

Examples:
    >>> import numpy as np
    >>> picture = np.arange(64 * 48).reshape(48, 64) % 256
    >>> codestream = encode_codestream([picture], bits=8, options=EncodeOptions(reversible=True))
    >>> bool((decode_codestream(codestream).planes[0] == picture).all())
    True
    >>> decode_codestream(codestream, reduce=2).planes[0].shape
    (12, 16)
"""

from wavelic.jpeg2000.binding import OpenJpeg, openjpeg
from wavelic.jpeg2000.boxes import (
    GREY,
    SRGB,
    SYCC,
    Uuid,
    is_jp2,
    is_jpeg2000,
    replace_codestream,
    write_jp2,
)
from wavelic.jpeg2000.codestream import parse_main_header
from wavelic.jpeg2000.cost import decoding_memory
from wavelic.jpeg2000.decode import Decoded, decode_codestream
from wavelic.jpeg2000.encode import EncodeOptions, encode_codestream, encode_filled
from wavelic.jpeg2000.files import Jp2, read_jp2, read_jpeg2000
from wavelic.jpeg2000.header import CodingStyle, Component, MainHeader
from wavelic.jpeg2000.limits import DEFAULT_LIMITS, Limits
from wavelic.jpeg2000.merge import merge_components
from wavelic.jpeg2000.packets import PacketIndex, index_packets
from wavelic.jpeg2000.salvage import Salvaged, salvage
from wavelic.jpeg2000.tileparts import TilePart, tile_parts
from wavelic.jpeg2000.trim import layer_sizes, trim_codestream, without_packet_lengths

__all__ = [
    "DEFAULT_LIMITS",
    "GREY",
    "SRGB",
    "SYCC",
    "CodingStyle",
    "Component",
    "Decoded",
    "EncodeOptions",
    "Jp2",
    "Limits",
    "MainHeader",
    "OpenJpeg",
    "PacketIndex",
    "Salvaged",
    "TilePart",
    "Uuid",
    "decode_codestream",
    "decoding_memory",
    "encode_codestream",
    "encode_filled",
    "index_packets",
    "is_jp2",
    "is_jpeg2000",
    "layer_sizes",
    "merge_components",
    "openjpeg",
    "parse_main_header",
    "read_jp2",
    "read_jpeg2000",
    "replace_codestream",
    "salvage",
    "tile_parts",
    "trim_codestream",
    "without_packet_lengths",
    "write_jp2",
]
