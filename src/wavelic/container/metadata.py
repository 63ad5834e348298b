"""Metadata chunks and the description of a file's chunks for `wavelic info`."""

from __future__ import annotations

from dataclasses import dataclass, replace

from wavelic.container.chunks import ALPH, DATA, EXIF, ICCP, KINDS, LCRC, METADATA_KINDS, XMPP, Chunk
from wavelic.container.container import Container, framed_chunks


@dataclass(frozen=True)
class ChunkInfo:
    """Description of a chunk, one line of `wavelic info`.

    Attributes:
        kind: the four letters.
        offset: first byte in the file.
        size: bytes in the file, framing included.
        meaning: what the chunk holds.
    """

    kind: str
    offset: int
    size: int
    meaning: str


def with_metadata(
    container: Container, *, icc: bytes | None = None, exif: bytes | None = None, xmp: bytes | None = None
) -> Container:
    """Replace the metadata of a file.

    Args:
        container: header and chunks.
        icc: ICC profile; None or empty leaves it out.
        exif: Exif metadata, starting with its TIFF header; None or empty leaves it out.
        xmp: XMP packet; None or empty leaves it out.

    Returns:
        A container with exactly this metadata.
    """
    kept = tuple(chunk for chunk in container.chunks if chunk.kind not in METADATA_KINDS)
    new = zip((ICCP, EXIF, XMPP), (icc, exif, xmp), strict=True)
    return replace(container, chunks=kept + tuple(Chunk(kind, payload) for kind, payload in new if payload))


def strip_metadata(container: Container) -> Container:
    """Drop ICC, Exif, XMP and chunks of unknown meaning; pixels and their checksum stay.

    Args:
        container: header and chunks.

    Returns:
        A container without them.
    """
    return replace(container, chunks=tuple(c for c in container.chunks if c.kind in (DATA, LCRC, ALPH)))


def describe_chunks(container: Container) -> tuple[ChunkInfo, ...]:
    """Describe every chunk of a file in order, TIDX and WEND included.

    The sizes of header and chunks add up to that of the file.

    Args:
        container: header and chunks.

    Returns:
        One description per chunk.
    """
    lines = []
    offset = container.header.header_bytes
    for chunk in framed_chunks(container):
        meaning = KINDS.get(chunk.kind, "unknown, kept as it is")
        lines.append(ChunkInfo(chunk.kind.decode("ascii"), offset, chunk.size, meaning))
        offset += chunk.size
    return tuple(lines)
