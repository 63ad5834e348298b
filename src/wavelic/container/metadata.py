"""Metadata chunks and the description of a file's chunks for `wavelic info`."""

from __future__ import annotations

from dataclasses import dataclass, replace

from wavelic.container.chunks import ALPH, DATA, KINDS, LCRC, METADATA_KINDS, Chunk
from wavelic.container.container import Container, framed_chunks
from wavelic.errors import UsageError


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


def with_metadata(container: Container, **blocks: bytes | None) -> Container:
    """Replace the metadata of a file.

    Args:
        container: header and chunks.
        **blocks: payloads by the names of `METADATA_KINDS`: icc, exif, xmp, iptc, resolution.  None and empty bytes
            leave a kind out.

    Returns:
        A container with exactly this metadata.

    Raises:
        UsageError: a name is another one.
    """
    if unknown := blocks.keys() - METADATA_KINDS.keys():
        raise UsageError(f"metadata {sorted(unknown)}, expected some of {', '.join(METADATA_KINDS)}; correct the name")
    kept = tuple(chunk for chunk in container.chunks if chunk.kind not in METADATA_KINDS.values())
    found = ((kind, blocks.get(name)) for name, kind in METADATA_KINDS.items())
    return replace(container, chunks=kept + tuple(Chunk(kind, payload) for kind, payload in found if payload))


def metadata_block(container: Container, name: str) -> bytes | None:
    """Look up metadata.

    Args:
        container: header and chunks.
        name: one of `METADATA_KINDS`.

    Returns:
        The payload, or None where there is none.
    """
    return container.find(METADATA_KINDS[name])


def strip_metadata(container: Container) -> Container:
    """Drop metadata and chunks of unknown meaning; pixels and their checksum stay.

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
