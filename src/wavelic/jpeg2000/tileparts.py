"""Tile-parts: where the packets of a codestream lie, and the smallest codestream that holds the same packets.

`canonical` is what libopenjp2 is given: the essential marker segments and one tile-part per tile.  All optional
segments are gone, among them TLM, whose reader in versions 2.5.3 and 2.5.4 can write out of bounds (upstream 1652).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from wavelic.errors import FormatError
from wavelic.jpeg2000.codestream import COD, COM, CUT_SHORT, EOC, ESSENTIAL, PLT, SOC, SOD, SOT, MainHeader, segments

_SOT_BYTES = 12
_PLT_PAYLOAD = 65535 - 3
_USES_EPH = 4


@dataclass(frozen=True)
class TilePart:
    """One tile-part: its packets lie in [start, stop) of the codestream.

    tile: index of the tile.  plt: the payloads of its PLT segments, in order of their index.
    """

    tile: int
    start: int
    stop: int
    plt: tuple[bytes, ...]


def tile_parts(codestream: bytes, header: MainHeader, *, partial: bool = False) -> tuple[TilePart, ...]:
    """All tile-parts in file order.

    partial: admit a file that ends early, with as much of its last tile-part as is there.  Raises FormatError if the
    file is cut short (and not ``partial``) or its tile-parts contradict each other.
    """
    parts: list[TilePart] = []
    seen: dict[int, int] = {}
    position = header.end
    while True:
        marker = codestream[position : position + 2]
        if marker == struct.pack(">H", EOC):
            break
        if len(codestream) - position < _SOT_BYTES:
            if partial:
                break
            raise FormatError(f"the codestream ends at byte {len(codestream)} without an end marker; {CUT_SHORT}")
        part, position = _parse(codestream, position, header, seen, partial)
        parts.append(part)
    missing = header.grid.tiles - len(seen)
    if missing and not partial:
        raise FormatError(f"{missing} of {header.grid.tiles} tiles are missing; {CUT_SHORT}")
    return tuple(parts)


def is_whole(codestream: bytes, header: MainHeader) -> bool:
    """Whether all tile-parts and the end marker are there; bytes behind the marker do not count."""
    try:
        tile_parts(codestream, header)
    except FormatError:
        return False
    return True


def _parse(
    codestream: bytes, position: int, header: MainHeader, seen: dict[int, int], partial: bool
) -> tuple[TilePart, int]:
    """The tile-part at ``position`` and where the next one begins; ``seen`` counts the parts of every tile."""
    marker, length, tile, size, part, _ = struct.unpack_from(">HHHIBB", codestream, position)
    if marker != SOT or length != 10:
        raise FormatError(f"0x{marker:04X} at byte {position}, expected a tile-part; {CUT_SHORT}")
    if tile >= header.grid.tiles or part != seen.get(tile, 0):
        raise FormatError(f"part {part} of tile {tile} at byte {position} is out of order; {CUT_SHORT}")
    seen[tile] = part + 1
    stop = position + size
    if size == 0:  # up to the end marker, allowed for the last tile-part
        end = codestream.find(struct.pack(">H", EOC), position)  # no packet holds these two bytes
        stop = len(codestream) if end < 0 else end
    found = []
    try:
        found = list(segments(codestream, position + _SOT_BYTES, stop))
    except FormatError:
        if not partial:
            raise
    start = found[-1].stop if found else position + _SOT_BYTES
    if any(segment.marker not in (PLT, COM) for segment in found):
        raise FormatError(f"tile {tile} has coding parameters of its own; convert the file to one set for all tiles")
    if codestream[start : start + 2] != struct.pack(">H", SOD) and not partial:
        raise FormatError(f"tile-part at byte {position} has no data marker; {CUT_SHORT}")
    start += 2
    if stop < start or (stop > len(codestream) and not partial):
        there = len(codestream) - position
        raise FormatError(f"tile-part at byte {position} has {size} bytes, {there} are there; {CUT_SHORT}")
    payloads = [codestream[s.start + 4 : s.stop] for s in found if s.marker == PLT]
    payloads.sort(key=lambda payload: payload[:1])
    return TilePart(tile, min(start, len(codestream)), min(stop, len(codestream)), tuple(p[1:] for p in payloads)), stop


def canonical(codestream: bytes, header: MainHeader, parts: tuple[TilePart, ...]) -> bytes:
    """The same packets behind the essential marker segments only, one tile-part per tile."""
    packets: dict[int, list[bytes]] = {}
    for part in parts:
        packets.setdefault(part.tile, []).append(codestream[part.start : part.stop])
    return assemble(codestream, header, {tile: b"".join(packets[tile]) for tile in sorted(packets)})


def assemble(
    codestream: bytes,
    header: MainHeader,
    packets: dict[int, bytes],
    *,
    layers: int | None = None,
    lengths: list[int] | None = None,
) -> bytes:
    """A codestream with the essential segments of ``codestream`` and new packets.

    packets: tile index -> packet bytes.  layers: the layer count to write into COD, if it changes.  lengths: packet
    lengths to write into PLT segments; for a single tile only.
    """
    pieces = [struct.pack(">H", SOC)]
    for segment in header.segments:
        if segment.marker in ESSENTIAL:
            piece = bytearray(codestream[segment.start : segment.stop])
            if layers is not None and segment.marker == COD:
                struct.pack_into(">H", piece, 6, layers)
            pieces.append(bytes(piece))
    plt = _plt_segments(lengths) if lengths is not None else b""
    for tile, data in packets.items():
        size = _SOT_BYTES + len(plt) + 2 + len(data)
        if size > 0xFFFFFFFF:
            raise FormatError(f"tile {tile} has {size} bytes, a tile-part holds at most 2**32 - 1; use fewer layers")
        pieces += [struct.pack(">HHHIBB", SOT, 10, tile, size, 0, 1), plt, struct.pack(">H", SOD), data]
    pieces.append(struct.pack(">H", EOC))
    return b"".join(pieces)


def empty_packet(codestream: bytes, header: MainHeader) -> bytes:
    """A packet without code-blocks: one zero bit, padded, and the end marker if COD announces those."""
    (cod,) = (segment.start for segment in header.segments if segment.marker == COD)
    return b"\x00\xff\x92" if codestream[cod + 4] & _USES_EPH else b"\x00"


def _plt_segments(lengths: list[int]) -> bytes:
    """PLT marker segments (T.800 A.7.3): every length in groups of 7 bits, most significant first."""
    pieces, payload = [], bytearray()
    codes = [_seven_bit_groups(length) for length in lengths]
    for code in codes:
        if len(payload) + len(code) > _PLT_PAYLOAD:
            pieces.append(bytes(payload))
            payload.clear()
        payload += code
    pieces.append(bytes(payload))
    if len(pieces) > 256:
        raise FormatError(f"{len(lengths)} packets do not fit 256 PLT segments; use fewer layers or larger precincts")
    return b"".join(struct.pack(">HHB", PLT, 3 + len(part), index) + part for index, part in enumerate(pieces))


def _seven_bit_groups(number: int) -> bytes:
    groups = [number & 0x7F]
    while number >= 0x80:
        number >>= 7
        groups.append(number & 0x7F | 0x80)
    return bytes(reversed(groups))


def packet_lengths(parts: tuple[TilePart, ...]) -> list[int]:
    """The packet lengths the PLT segments declare, in order; empty without PLT.  Raises FormatError if damaged."""
    lengths: list[int] = []
    value = 0
    for part in parts:
        for payload in part.plt:
            for byte in payload:
                value = value << 7 | byte & 0x7F
                if value > 0xFFFFFFFF:
                    raise FormatError(f"a PLT segment declares a packet of 2**32 bytes or more; {CUT_SHORT}")
                if not byte & 0x80:
                    lengths.append(value)
                    value = 0
    return lengths
