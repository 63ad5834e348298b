"""`.wlic` files read in parts: a window costs the bytes of the tiles it needs.

Opening reads the header, the tile index and the first bytes of the chunks behind the tiles.  Every `read` then fetches
the tiles that its codec decodes for the window, so that a window has the very pixels a local file gives.  Every chunk
has a checksum of its own, which is compared for all that is fetched.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from wavelic.codec.request import Request
from wavelic.codec.wlic_file import WlicFile, wlic_info
from wavelic.container import (
    DATA,
    DEFAULT_LIMITS,
    Chunk,
    Container,
    Limits,
    Outline,
    Place,
    TileGrid,
    read_chunk,
    read_container,
    read_header,
    read_outline,
)
from wavelic.images import Metadata
from wavelic.remote import Source

#: Bytes read on opening: the header, and the index of 1,700 tiles.
_HEAD_BYTES = 1 << 13


@dataclass(frozen=True)
class SourcedWlicFile(WlicFile):
    """An opened `.wlic` file that was read as a whole from a `Source`."""

    source: Source


@dataclass(frozen=True)
class RangedWlicFile(SourcedWlicFile):
    """An opened `.wlic` file (`opened.OpenedFile`) whose tiles are fetched when they are needed.

    Safe to use from several threads.

    container: header without chunks.  outline: where the chunks are.
    """

    outline: Outline
    limits: Limits

    @property
    def metadata(self) -> Metadata:
        return WlicFile(Container(self.header, self._others), self.size).metadata

    @property
    def info(self) -> dict[str, Any]:
        return wlic_info(self.container, self.size, self.outline.describe())

    def fetched(self, request: Request) -> Container:
        """Return a container with the payloads of the tiles a request needs, and nothing in the places of the others.

        Raises:
            SourceError: they cannot be had.
            FormatError, ChecksumError, ModelError: as in `WlicCodec.tiles_needed`, or a chunk is damaged.
        """
        places = self.outline.tiles
        needed = self._codec.tiles_needed(self.header, request)
        wanted = range(len(places)) if needed is None else needed
        fetched = dict(zip(wanted, self._fetch([places[index] for index in wanted]), strict=True))
        tiles = (fetched.get(index, Chunk(DATA, b"")) for index in range(len(places)))
        return Container(self.header, (*tiles, *self._others))

    def _beside(self) -> Container:
        return Container(self.header, self._others)

    def verify(self) -> None:
        """Read the whole file, compare all checksums, and decode every tile against its own."""
        WlicFile(read_container(self.source.read_all(), self.limits), self.size).verify()

    @cached_property
    def _others(self) -> tuple[Chunk, ...]:
        """Alpha and metadata, which every read needs as a whole: fetched once."""
        return tuple(self._fetch(list(self.outline.others)))

    def _fetch(self, places: list[Place]) -> list[Chunk]:
        pieces = self.source.read_spans([(place.offset, place.stop) for place in places])
        return [read_chunk(piece, place, self.limits) for piece, place in zip(pieces, places, strict=True)]


def open_ranged_wlic(source: Source, limits: Limits = DEFAULT_LIMITS) -> WlicFile:
    """Open a `.wlic` file, reading as little of it as possible.

    A file of one tile is read as a whole, once its header has been admitted.

    Args:
        source: ranges of the file's bytes.
        limits: what the reader is willing to spend.

    Raises:
        SourceError: the bytes cannot be had.
        FormatError, ChecksumError, LimitError: as `read_container`.
    """
    head = source.read(0, _HEAD_BYTES)
    header = read_header(head, limits)
    if TileGrid.of(header).count == 1:
        return SourcedWlicFile(read_container(source.read_all(), limits), source.size, source)

    def read(start: int, stop: int) -> bytes:
        return head[start:stop] if stop <= len(head) else source.read(start, stop)

    return RangedWlicFile(Container(header, ()), source.size, source, read_outline(read, source.size, limits), limits)
