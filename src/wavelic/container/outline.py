"""Positions of a file's chunks, found from its header, its tile index and the chunks' first bytes.

A reader of a window needs nothing else of a file than this and the tiles of the window: docs/format.md, TIDX.  What can
be checked without payloads is checked: the header and the tile index with their checksums, that the chunks are those
the header calls for, and that they end where the file ends.  `read_chunk` checks a chunk once its bytes are there.

Examples:
    >>> from wavelic.container import CodecId, Container, write_container
    >>> header = Header(CodecId.WECONVENE, 3, 256, 128, bytes(16), tile_width=128, tile_height=128)
    >>> data = write_container(Container(header, (Chunk(DATA, b"left"), Chunk(DATA, b"right"))))
    >>> outline = read_outline(lambda start, stop: data[start:stop], len(data))
    >>> [read_chunk(data[place.offset : place.stop], place).payload for place in outline.tiles]
    [b'left', b'right']
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from wavelic.container.chunks import (
    CHUNK_OVERHEAD,
    DATA,
    KINDS,
    TIDX,
    WEND,
    Chunk,
    parse_chunk,
    parse_chunk_start,
)
from wavelic.container.container import check_chunks, read_header, tile_spans
from wavelic.container.header import MAX_HEADER_BYTES, Header
from wavelic.container.limits import DEFAULT_LIMITS, Limits, admit
from wavelic.container.metadata import ChunkInfo
from wavelic.container.tiles import TileGrid
from wavelic.errors import FormatError

#: Bytes [start, stop) of the file; fewer only beyond its end.
Read = Callable[[int, int], bytes]
#: Bytes behind the tiles that are read at once: as a rule all that is there.
_BLOCK = 1 << 12


@dataclass(frozen=True)
class Place:
    """Position of a chunk in a file.

    Attributes:
        kind: the four letters.
        offset: first byte in the file.
        size: bytes in the file, framing included.
    """

    kind: bytes
    offset: int
    size: int

    @property
    def stop(self) -> int:
        """First byte after the chunk."""
        return self.offset + self.size


@dataclass(frozen=True)
class Outline:
    """Header of a file and the positions of its chunks.

    Attributes:
        header: the header.
        tiles: DATA of every tile, in the order of the grid.
        others: all other chunks except TIDX and WEND.
    """

    header: Header
    tiles: tuple[Place, ...]
    others: tuple[Place, ...]

    def describe(self) -> tuple[ChunkInfo, ...]:
        """Describe every chunk, as `metadata.describe_chunks` does for a whole file."""
        first, last = self.tiles[0].offset, (self.others or self.tiles)[-1].stop
        index = (
            (Place(TIDX, self.header.header_bytes, first - self.header.header_bytes),) if len(self.tiles) > 1 else ()
        )
        places = (*index, *self.tiles, *self.others, Place(WEND, last, CHUNK_OVERHEAD))
        return tuple(
            ChunkInfo(
                place.kind.decode("ascii"), place.offset, place.size, KINDS.get(place.kind, "unknown, kept as it is")
            )
            for place in places
        )


def read_outline(read: Read, size: int, limits: Limits = DEFAULT_LIMITS) -> Outline:
    """Find the chunks of a file that is read in parts.

    Args:
        read: returns the bytes [start, stop) of the file, fewer only beyond its end.
        size: bytes of the file.
        limits: what decoding the image may cost.

    Returns:
        Header and positions.

    Raises:
        FormatError: malformed, or cut short.
        ChecksumError: the checksum of header or index does not match.
        LimitError: decoding the image would exceed ``limits``.
    """
    header = read_header(read(0, MAX_HEADER_BYTES), limits)
    count = TileGrid.of(header).count
    start = header.header_bytes + (CHUNK_OVERHEAD + 4 * count if count > 1 else CHUNK_OVERHEAD)
    tiles = tuple(Place(DATA, *span) for span in tile_spans(read(0, start), limits))
    others = _walk(read, tiles[-1].stop, size, limits)
    kinds = [(place.kind, place.size - CHUNK_OVERHEAD) for place in (*tiles, *others)]
    check_chunks(header, kinds, FormatError, "the file is damaged")
    return Outline(header, tiles, others)


def read_chunk(data: bytes, place: Place, limits: Limits = DEFAULT_LIMITS) -> Chunk:
    """Read a chunk whose position is known.

    Args:
        data: exactly the bytes of the chunk.
        place: its position.
        limits: bounds of the payload's size.

    Returns:
        The chunk.

    Raises:
        FormatError: another chunk than the one expected there.
        ChecksumError: the checksum does not match.
        LimitError: the payload is larger than the limits allow.
    """
    view = memoryview(data)
    kind, length = parse_chunk_start(view, 0, limits)
    if (kind, length + CHUNK_OVERHEAD) != (place.kind, place.size):
        raise FormatError(
            f"chunk {kind.decode()} of {length + CHUNK_OVERHEAD} bytes at byte {place.offset},"
            f" expected {place.kind.decode()} of {place.size}; the file is damaged"
        )
    return parse_chunk(view, 0, limits)


def _walk(read: Read, position: int, size: int, limits: Limits) -> tuple[Place, ...]:
    """Chunks from ``position`` to WEND, which ends the file."""
    places: list[Place] = []
    begin, block = position, b""
    metadata_bytes = 0
    while True:
        if position + CHUNK_OVERHEAD > size:
            raise FormatError(f"the file ends at byte {size}, a chunk begins at {position}; get it again")
        if position + CHUNK_OVERHEAD > begin + len(block):
            begin, block = position, read(position, min(position + _BLOCK, size))
        kind, length = parse_chunk_start(memoryview(block), position - begin, limits)
        place = Place(kind, position, length + CHUNK_OVERHEAD)
        position = place.stop
        if kind == WEND:
            break
        places.append(place)
        metadata_bytes += length if kind.islower() else 0
        admit("max_ancillary_chunks", "the number of chunks besides DATA", len(places), limits)
        admit("max_metadata_bytes", "the size of all ancillary chunks", metadata_bytes, limits)
    if length or position != size:
        raise FormatError(f"chunk WEND of {length} bytes ends at byte {position} of {size}; the file is damaged")
    return tuple(places)
