"""Metadata chunks and the description of a file's chunks for `wavelic info`."""

from __future__ import annotations

from dataclasses import dataclass, replace

from wavelic.container.chunks import ALPH, DATA, EXIF, ICCP, KINDS, LCRC, METADATA_KINDS, XMPP, Chunk
from wavelic.container.container import Container, framed_chunks


@dataclass(frozen=True)
class ChunkInfo:
    """One line of `info`: `offset` and `size` (framing included) in bytes."""

    kind: str
    offset: int
    size: int
    meaning: str


def with_metadata(
    container: Container, *, icc: bytes | None = None, exif: bytes | None = None, xmp: bytes | None = None
) -> Container:
    """`container` with exactly this metadata: what it had is replaced, None and empty bytes leave a kind out."""
    kept = tuple(chunk for chunk in container.chunks if chunk.kind not in METADATA_KINDS)
    new = zip((ICCP, EXIF, XMPP), (icc, exif, xmp), strict=True)
    return replace(container, chunks=kept + tuple(Chunk(kind, payload) for kind, payload in new if payload))


def strip_metadata(container: Container) -> Container:
    """`container` without ICC, Exif, XMP and chunks of unknown meaning; the pixels and their checksum stay."""
    return replace(container, chunks=tuple(c for c in container.chunks if c.kind in (DATA, LCRC, ALPH)))


def describe_chunks(container: Container) -> tuple[ChunkInfo, ...]:
    """Every chunk of the file in order, TIDX and WEND included; with the header their sizes add up to the file's."""
    lines = []
    offset = container.header.header_bytes
    for chunk in framed_chunks(container):
        meaning = KINDS.get(chunk.kind, "unknown, kept as it is")
        lines.append(ChunkInfo(chunk.kind.decode("ascii"), offset, chunk.size, meaning))
        offset += chunk.size
    return tuple(lines)
