"""Whole `.wlic` file: header, then chunks in a fixed order.

Reading is a pure function of the bytes and the limits, and it is strict: every file that reads is exactly what
`write_container` would write for the result.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from wavelic.container.chunks import (
    ALPH,
    CHUNK_OVERHEAD,
    DATA,
    KINDS,
    LCRC,
    TIDX,
    WEND,
    Chunk,
    is_kind,
    parse_chunk,
    parse_chunk_start,
    write_chunk,
)
from wavelic.container.header import Header, parse_header, write_header
from wavelic.container.limits import DEFAULT_LIMITS, Limits, admit, check_limits
from wavelic.container.tiles import TileGrid
from wavelic.errors import FormatError, UsageError, WavelicError

Buffer = bytes | bytearray | memoryview


@dataclass(frozen=True)
class Container:
    """Header and chunks of a file.

    TIDX and WEND are not among `chunks`: they follow from the rest, and writing adds them.

    Attributes:
        header: the header.
        chunks: one DATA for each tile first, then the others.
    """

    header: Header
    chunks: tuple[Chunk, ...]

    @property
    def tiles(self) -> tuple[bytes, ...]:
        """DATA payloads, in the order of the tile grid."""
        return tuple(chunk.payload for chunk in self.chunks if chunk.kind == DATA)

    def find(self, kind: bytes) -> bytes | None:
        """Payload of the first chunk of a kind.

        Args:
            kind: four letters, for instance `ICCP`.

        Returns:
            The payload, or None where there is no such chunk.
        """
        return next((chunk.payload for chunk in self.chunks if chunk.kind == kind), None)


def write_container(container: Container) -> bytes:
    """Serialise a file: the same bytes for the same container every time.

    Args:
        container: header and chunks.

    Returns:
        The bytes of the file.

    Raises:
        UsageError: a header field is out of range, or the chunks break the rules of docs/format.md.
    """
    header, chunks = container.header, container.chunks
    pieces = [write_header(header)]
    check_chunks(header, _kinds(chunks), UsageError, "correct the chunks before writing")
    pieces += [write_chunk(chunk) for chunk in framed_chunks(container)]
    return b"".join(pieces)


def framed_chunks(container: Container) -> tuple[Chunk, ...]:
    """Every chunk in file order, TIDX (only where there is more than one tile) and WEND included.

    Args:
        container: header and chunks.

    Returns:
        The chunks.
    """
    index: tuple[Chunk, ...] = ()
    if TileGrid.of(container.header).count > 1:
        lengths = [len(payload) for payload in container.tiles]
        index = (Chunk(TIDX, struct.pack(f">{len(lengths)}I", *lengths)),)
    return (*index, *container.chunks, Chunk(WEND, b""))


def read_header(data: Buffer, limits: Limits = DEFAULT_LIMITS) -> Header:
    """Read the header alone.

    Args:
        data: the first bytes of a file; 1024 are always enough.
        limits: what decoding the image may cost.

    Returns:
        The header.

    Raises:
        FormatError: not a `.wlic` file, cut short, or of an unknown version.
        ChecksumError: the checksum does not match.
        LimitError: decoding the image would exceed ``limits``.
    """
    header = parse_header(data)
    check_limits(header, limits)
    return header


def read_container(data: Buffer, limits: Limits = DEFAULT_LIMITS) -> Container:
    """Read a whole file and verify every checksum.

    Nothing but the errors below is raised, whatever ``data`` holds; memory stays within twice the size of ``data``.

    Args:
        data: the file.
        limits: what decoding the image may cost.

    Returns:
        Header and chunks.

    Raises:
        FormatError: malformed, cut short, or bytes after the end.
        ChecksumError: a checksum does not match.
        LimitError: decoding the image would exceed ``limits``.
    """
    view = memoryview(data).cast("B")
    header = read_header(view, limits)
    index, offset = _read_tile_index(view, header, limits)
    chunks: list[Chunk] = []
    others = metadata_bytes = 0
    while True:
        kind, length = parse_chunk_start(view, offset, limits)
        if kind != DATA:
            others += 1
            metadata_bytes += length if kind.islower() else 0
            admit("max_ancillary_chunks", "the number of chunks besides DATA", others - 1, limits)
            admit("max_metadata_bytes", "the size of all ancillary chunks", metadata_bytes, limits)
        elif len(chunks) >= len(index):
            raise FormatError(f"more than {len(index)} DATA chunks, expected one per tile; the file is damaged")
        elif index[len(chunks)] not in (None, length):
            raise FormatError(
                f"tile {len(chunks)} has {length} bytes, the tile index says {index[len(chunks)]}; the file is damaged"
            )
        chunk = parse_chunk(view, offset, limits)
        offset += chunk.size
        if kind == WEND:
            break
        chunks.append(chunk)
    if chunk.payload:
        raise FormatError(f"chunk WEND has {len(chunk.payload)} bytes, expected none; the file is damaged")
    if offset != len(view):
        raise FormatError(f"{len(view) - offset} bytes after the end of the image, expected none; cut them off")
    check_chunks(header, _kinds(chunks), FormatError, "the file is damaged")
    return Container(header, tuple(chunks))


def tile_spans(data: Buffer, limits: Limits = DEFAULT_LIMITS) -> tuple[tuple[int, int], ...]:
    """Find every tile's DATA chunk from the first bytes of a file.

    The start of the file up to the end of TIDX (or of the first chunk's length, where there is one tile) is enough.  A
    window decode reads that and the spans of `TileGrid.meeting`, each of which `read_tile` takes.

    Args:
        data: the first bytes of a file.
        limits: what decoding the image may cost.

    Returns:
        (offset, size) in bytes for each tile, framing included.

    Raises:
        FormatError: malformed, or cut short before the end of the index.
        ChecksumError: the checksum of header or index does not match.
        LimitError: decoding the image would exceed ``limits``.
    """
    view = memoryview(data).cast("B")
    header = read_header(view, limits)
    index, offset = _read_tile_index(view, header, limits)
    spans = []
    for listed in index:
        length = parse_chunk_start(view, offset, limits)[1] if listed is None else listed
        spans.append((offset, length + CHUNK_OVERHEAD))
        offset += length + CHUNK_OVERHEAD
    return tuple(spans)


def read_tile(span: Buffer, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """Read one DATA chunk.

    Args:
        span: exactly the bytes of the chunk.
        limits: bounds of the payload's size.

    Returns:
        The payload.

    Raises:
        FormatError: not a DATA chunk of that length.
        ChecksumError: the checksum does not match.
        LimitError: the payload is larger than the limits allow.
    """
    view = memoryview(span).cast("B")
    chunk = parse_chunk(view, 0, limits)
    if chunk.kind != DATA or chunk.size != len(view):
        raise FormatError(
            f"chunk {chunk.kind.decode()} of {chunk.size} bytes, expected DATA of {len(view)}; the file is damaged"
        )
    return chunk.payload


def _read_tile_index(view: memoryview, header: Header, limits: Limits) -> tuple[Sequence[int | None], int]:
    """Listed length of every tile, None where there is one tile and no list, and the offset of the first DATA."""
    tiles = TileGrid.of(header).count
    if tiles == 1:
        return (None,), header.header_bytes
    kind, length = parse_chunk_start(view, header.header_bytes, limits)
    if kind != TIDX or length != 4 * tiles:
        raise FormatError(
            f"chunk {kind.decode()} of {length} bytes after the header, expected TIDX of {4 * tiles} for {tiles} tiles;"
            " the file is damaged"
        )
    chunk = parse_chunk(view, header.header_bytes, limits)
    return struct.unpack(f">{tiles}I", chunk.payload), header.header_bytes + chunk.size


def check_chunks(header: Header, chunks: Sequence[tuple[bytes, int]], error: type[WavelicError], remedy: str) -> None:
    """Check that the chunks are those the header calls for, in the right order.

    Args:
        header: the header.
        chunks: (kind, bytes of payload) in order, without TIDX and WEND.
        error: the type to raise.
        remedy: the end of its message.

    Raises:
        WavelicError: of type ``error``, if a rule of docs/format.md is broken.
    """
    tiles = TileGrid.of(header).count
    counts = Counter(kind for kind, _ in chunks)
    leading = sum(kind == DATA for kind, _ in chunks[:tiles])
    if not counts[DATA] == leading == tiles:
        raise error(f"{counts[DATA]} DATA chunks, {leading} of them at the front, expected {tiles}; {remedy}")
    alphas = int(header.has_alpha)
    if counts[ALPH] != alphas:
        raise error(f"{counts[ALPH]} ALPH chunks for {header.channels} channels, expected {alphas}; {remedy}")
    for kind, count in counts.items():
        if not is_kind(kind) or (kind.isupper() and kind not in KINDS):
            raise error(
                f"unknown critical chunk {kind!r}, expected one of {', '.join(map(bytes.decode, KINDS))}; {remedy}"
            )
        if kind in (TIDX, WEND) or (kind in KINDS and kind != DATA and count > 1):
            raise error(f"{count} chunks {kind.decode()}, expected at most one in its place; {remedy}")
    latent = next((length for kind, length in chunks if kind == LCRC), None)
    if latent is not None and latent != 4 * tiles:
        raise error(f"chunk lcrc has {latent} bytes, expected {4 * tiles} for {tiles} tiles; {remedy}")


def _kinds(chunks: Sequence[Chunk]) -> list[tuple[bytes, int]]:
    return [(chunk.kind, len(chunk.payload)) for chunk in chunks]
