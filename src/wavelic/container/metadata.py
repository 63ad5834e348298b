"""Metadata chunks and the description of a file's chunks for `wavelic info`."""

from __future__ import annotations

from dataclasses import dataclass, replace

from wavelic.container.chunks import ALPH, DATA, KINDS, LCRC, METADATA_KINDS, Chunk
from wavelic.container.container import Container, framed_chunks
from wavelic.errors import UsageError


@dataclass(frozen=True)
class ChunkInfo:
    """One line of `info`: `offset` and `size` (framing included) in bytes."""

    kind: str
    offset: int
    size: int
    meaning: str


def with_metadata(container: Container, **blocks: bytes | None) -> Container:
    """Return `container` with exactly this metadata: what it had is replaced, None and empty bytes leave a kind out.

    Args:
        container: any container.
        blocks: payloads by the names of `METADATA_KINDS`: icc, exif, xmp, iptc, resolution.

    Raises:
        UsageError: a name is another one.
    """
    if unknown := blocks.keys() - METADATA_KINDS.keys():
        raise UsageError(f"metadata {sorted(unknown)}, expected some of {', '.join(METADATA_KINDS)}; correct the name")
    kept = tuple(chunk for chunk in container.chunks if chunk.kind not in METADATA_KINDS.values())
    found = ((kind, blocks.get(name)) for name, kind in METADATA_KINDS.items())
    return replace(container, chunks=kept + tuple(Chunk(kind, payload) for kind, payload in found if payload))


def metadata_block(container: Container, name: str) -> bytes | None:
    """Return the payload of the metadata of that name, one of `METADATA_KINDS`, or None."""
    return container.find(METADATA_KINDS[name])


def strip_metadata(container: Container) -> Container:
    """Return `container` without metadata and chunks of unknown meaning; the pixels and their checksum stay."""
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
