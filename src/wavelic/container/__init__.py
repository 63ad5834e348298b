"""The `.wlic` file format (docs/format.md): header, chunks, limits and checksums, as pure functions over bytes.

The format does not know what a codec puts into its DATA chunks, and needs neither numpy nor torch.
"""

from wavelic.container.chunks import ALPH, CHUNK_OVERHEAD, DATA, EXIF, ICCP, KINDS, LCRC, TIDX, WEND, XMPP, Chunk
from wavelic.container.container import (
    Container,
    read_container,
    read_header,
    read_tile,
    tile_spans,
    write_container,
)
from wavelic.container.crc import crc32c
from wavelic.container.header import (
    FIELDS,
    HEADER_BYTES,
    MAGIC,
    PRIVATE_CODECS,
    VERSION,
    CodecId,
    ColourEncoding,
    Header,
    PaddingRule,
    peek_codec,
)
from wavelic.container.limits import DEFAULT_LIMITS, Limits, memory_estimate
from wavelic.container.metadata import ChunkInfo, describe_chunks, metadata_block, strip_metadata, with_metadata
from wavelic.container.outline import Outline, Place, read_chunk, read_outline
from wavelic.container.tiles import TileGrid

__all__ = [
    "ALPH",
    "CHUNK_OVERHEAD",
    "DATA",
    "DEFAULT_LIMITS",
    "EXIF",
    "FIELDS",
    "HEADER_BYTES",
    "ICCP",
    "KINDS",
    "LCRC",
    "MAGIC",
    "PRIVATE_CODECS",
    "TIDX",
    "VERSION",
    "WEND",
    "XMPP",
    "Chunk",
    "ChunkInfo",
    "CodecId",
    "ColourEncoding",
    "Container",
    "Header",
    "Limits",
    "Outline",
    "PaddingRule",
    "Place",
    "TileGrid",
    "crc32c",
    "describe_chunks",
    "memory_estimate",
    "metadata_block",
    "peek_codec",
    "read_chunk",
    "read_container",
    "read_header",
    "read_outline",
    "read_tile",
    "strip_metadata",
    "tile_spans",
    "with_metadata",
    "write_container",
]
