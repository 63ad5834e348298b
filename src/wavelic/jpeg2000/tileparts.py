"""Tile-parts: where the packets of a codestream lie, and the smallest codestream that holds the same packets.

`canonical` is what libopenjp2 is given: the essential marker segments and one tile-part per tile.  All optional
segments are gone, among them TLM, whose reader in versions 2.5.3 and 2.5.4 can write out of bounds (upstream 1652).
Packet headers that lie in the main header (PPM) are moved to their tiles (PPT).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from wavelic.errors import FormatError
from wavelic.jpeg2000.codestream import check_progressions, parse_main_header, segments
from wavelic.jpeg2000.header import (
    COC,
    COD,
    COM,
    CUT_SHORT,
    DAMAGED,
    EOC,
    ESSENTIAL,
    OF_TILES,
    PLT,
    POC,
    PPM,
    PPT,
    QCC,
    QCD,
    SIZ,
    SOC,
    SOD,
    SOT,
    USES_EPH,
    USES_SOP,
    MainHeader,
)
from wavelic.jpeg2000.limits import DEFAULT_LIMITS, Limits

_SOT_BYTES = 12
_SOP = b"\xff\x91\x00\x04"
_INDEXED_PAYLOAD = 65535 - 3  # bytes of a PLT or PPT segment behind its index


@dataclass(frozen=True)
class TilePart:
    """One tile-part: its packets lie in [start, stop) of the codestream.

    tile: index of the tile.  plt: the payloads of its PLT segments, in order of their index.  own: the marker segments
    with parameters of its tile alone.  packet_headers: those that lie apart from their packets (PPT, PPM); None if they
    are with them.
    """

    tile: int
    start: int
    stop: int
    plt: tuple[bytes, ...]
    own: tuple[bytes, ...] = ()
    packet_headers: bytes | None = None


def tile_parts(codestream: bytes, header: MainHeader, *, partial: bool = False) -> tuple[TilePart, ...]:
    """All tile-parts in file order.

    partial: admit a file that ends early, with as much of its last tile-part as is there.  Raises FormatError if the
    file is cut short (and not ``partial``) or its tile-parts contradict each other.
    """
    parts = _listed_parts(codestream, header, partial)
    if not any(segment.marker == PPM for segment in header.segments):
        return parts
    packed = _packed_in_main_header(codestream, header)
    if len(packed) < len(parts) or any(part.packet_headers is not None for part in parts):
        raise FormatError(f"packet headers for {len(packed)} of {len(parts)} tile-parts (PPM); {CUT_SHORT}")
    return tuple(replace(part, packet_headers=packed[number]) for number, part in enumerate(parts))


def _listed_parts(codestream: bytes, header: MainHeader, partial: bool) -> tuple[TilePart, ...]:
    """All tile-parts in file order, as their own headers describe them."""
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
    for segment in found:
        if segment.marker not in (PLT, PPT, COM, *OF_TILES) or (part and segment.marker in OF_TILES[:-1]):
            raise FormatError(f"marker 0x{segment.marker:04X} does not belong into a tile-part's header; {DAMAGED}")
    if codestream[start : start + 2] != struct.pack(">H", SOD) and not partial:
        raise FormatError(f"tile-part at byte {position} has no data marker; {CUT_SHORT}")
    start += 2
    if stop < start or (stop > len(codestream) and not partial):
        there = len(codestream) - position
        raise FormatError(f"tile-part at byte {position} has {size} bytes, {there} are there; {CUT_SHORT}")
    lengths, packed = (
        sorted((codestream[s.start + 4 : s.stop] for s in found if s.marker == marker), key=lambda data: data[:1])
        for marker in (PLT, PPT)
    )
    result = TilePart(
        tile,
        min(start, len(codestream)),
        min(stop, len(codestream)),
        tuple(payload[1:] for payload in lengths),
        tuple(codestream[s.start : s.stop] for s in found if s.marker in OF_TILES),
        b"".join(payload[1:] for payload in packed) if packed else None,
    )
    return result, stop


def _packed_in_main_header(codestream: bytes, header: MainHeader) -> list[bytes]:
    """The packet headers of every tile-part, from the PPM segments (T.800 A.7.4)."""
    payloads = [codestream[s.start + 4 : s.stop] for s in header.segments if s.marker == PPM]
    data = b"".join(payload[1:] for payload in sorted(payloads, key=lambda payload: payload[:1]))
    found, position = [], 0
    while position < len(data):
        size = int.from_bytes(data[position : position + 4], "big")
        found.append(data[position + 4 : position + 4 + size])
        position += 4 + size
    if position != len(data):
        raise FormatError(f"packed packet headers end {position - len(data)} bytes too early (PPM); {CUT_SHORT}")
    return found


@dataclass
class _Tile:
    """What the tile-parts of one tile come to."""

    packets: list[bytes] = field(default_factory=list)
    own: list[bytes] = field(default_factory=list)
    packet_headers: bytes | None = None


def canonical(
    codestream: bytes, header: MainHeader, parts: tuple[TilePart, ...], limits: Limits = DEFAULT_LIMITS
) -> bytes:
    """The same packets behind the essential marker segments only, one tile-part per tile.

    Raises FormatError if the parameters that a tile has of its own are not those of a codestream, LimitError if they
    ask for more than ``limits`` admit.
    """
    tiles: dict[int, _Tile] = {}
    for part in parts:
        tile = tiles.setdefault(part.tile, _Tile())
        tile.packets.append(codestream[part.start : part.stop])
        tile.own += part.own
        if part.packet_headers is not None:
            tile.packet_headers = (tile.packet_headers or b"") + part.packet_headers
    heads = {}
    for number, tile in tiles.items():
        if tile.own:
            tile_header(codestream, header, tile.own, limits)
        if tile.own or tile.packet_headers is not None:
            heads[number] = b"".join(tile.own) + _indexed_segments(PPT, tile.packet_headers)
    packets = {number: b"".join(tiles[number].packets) for number in sorted(tiles)}
    return assemble(codestream, header, packets, heads=heads)


def tile_header(
    codestream: bytes, header: MainHeader, own: Sequence[bytes], limits: Limits = DEFAULT_LIMITS
) -> MainHeader:
    """The main header as it holds for one tile, by the precedence of T.800 A.6.

    Args:
        codestream: all of it, or its main header.
        header: parsed main header.
        own: the marker segments of the tile alone.
        limits: what is admitted.

    Raises:
        FormatError: they are not those of a codestream.
        LimitError: they ask for more than is admitted.
    """
    kinds = [int.from_bytes(segment[:2], "big") for segment in own]
    for kind, piece in zip(kinds, own, strict=True):
        if kind == POC:
            check_progressions(piece[4:])
    pieces = [struct.pack(">H", SOC)]
    for segment in header.segments:
        replaced = segment.marker in kinds and segment.marker in (COD, QCD)
        replaced |= (segment.marker == COC and COD in kinds) or (segment.marker == QCC and QCD in kinds)
        if segment.marker in ESSENTIAL and not replaced:
            pieces.append(codestream[segment.start : segment.stop])
        if segment.marker == SIZ:
            pieces += [piece for kind, piece in zip(kinds, own, strict=True) if kind in (COD, QCD)]
    pieces += [piece for kind, piece in zip(kinds, own, strict=True) if kind not in (COD, QCD, POC)]
    return parse_main_header(b"".join(pieces) + struct.pack(">H", SOT), limits)


def assemble(
    codestream: bytes,
    header: MainHeader,
    packets: dict[int, bytes],
    *,
    layers: int | None = None,
    lengths: list[int] | Mapping[int, list[int]] | None = None,
    heads: Mapping[int, bytes] | None = None,
) -> bytes:
    """A codestream with the essential segments of ``codestream`` and new packets.

    packets: tile index -> packet bytes.  layers: the layer count to write into COD, if it changes.  lengths: packet
    lengths to write into PLT segments, of the only tile or by tile.  heads: tile index -> marker segments of its own.
    """
    by_tile = lengths if isinstance(lengths, Mapping) else {0: lengths} if lengths is not None else {}
    pieces = [struct.pack(">H", SOC)]
    for segment in header.segments:
        if segment.marker in ESSENTIAL:
            piece = bytearray(codestream[segment.start : segment.stop])
            if layers is not None and segment.marker == COD:
                struct.pack_into(">H", piece, 6, layers)
            pieces.append(bytes(piece))
    for tile, data in packets.items():
        plt = (heads or {}).get(tile, b"") + (_plt_segments(by_tile[tile]) if tile in by_tile else b"")
        size = _SOT_BYTES + len(plt) + 2 + len(data)
        if size > 0xFFFFFFFF:
            raise FormatError(f"tile {tile} has {size} bytes, a tile-part holds at most 2**32 - 1; use fewer layers")
        pieces += [struct.pack(">HHHIBB", SOT, 10, tile, size, 0, 1), plt, struct.pack(">H", SOD), data]
    pieces.append(struct.pack(">H", EOC))
    return b"".join(pieces)


def joined_packets(packets: Iterable[bytes], header: MainHeader) -> bytes:
    """Packets in a row, the markers in front of them (SOP) numbered anew where there are any (T.800 A.8.1)."""
    if not header.markers & USES_SOP:
        return b"".join(packets)
    return b"".join(
        packet[:4] + struct.pack(">H", number & 0xFFFF) + packet[6:] if packet[:4] == _SOP else packet
        for number, packet in enumerate(packets)
    )


def empty_packet(header: MainHeader) -> bytes:
    """A packet without code-blocks: one zero bit, padded, and the end marker if COD announces those."""
    return b"\x00\xff\x92" if header.markers & USES_EPH else b"\x00"


def _plt_segments(lengths: list[int]) -> bytes:
    """PLT marker segments (T.800 A.7.3): every length in groups of 7 bits, most significant first."""
    pieces, payload = [], bytearray()
    codes = [_seven_bit_groups(length) for length in lengths]
    for code in codes:
        if len(payload) + len(code) > _INDEXED_PAYLOAD:
            pieces.append(bytes(payload))
            payload.clear()
        payload += code
    pieces.append(bytes(payload))
    if len(pieces) > 256:
        raise FormatError(f"{len(lengths)} packets do not fit 256 PLT segments; use fewer layers or larger precincts")
    return b"".join(struct.pack(">HHB", PLT, 3 + len(part), index) + part for index, part in enumerate(pieces))


def _indexed_segments(marker: int, data: bytes | None) -> bytes:
    """``data`` in as many marker segments with an index as it takes; nothing for None."""
    if data is None:
        return b""
    pieces = [data[start : start + _INDEXED_PAYLOAD] for start in range(0, max(1, len(data)), _INDEXED_PAYLOAD)]
    if len(pieces) > 256:
        raise FormatError(f"{len(data)} bytes of packet headers do not fit 256 segments; {DAMAGED}")
    return b"".join(struct.pack(">HHB", marker, 3 + len(part), index) + part for index, part in enumerate(pieces))


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
