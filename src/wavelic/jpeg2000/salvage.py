"""A picture from the beginning of a codestream: of a file that was cut short, or is still arriving.

Packets come one after another, so that what is there is a first part of each tile's packets.  The last whole layer is
kept if there is one.  Else (in progressions by resolution or position the finest resolution comes last) the packets
that are missing become empty, and the coarser resolutions are whole.
"""

from __future__ import annotations

from dataclasses import dataclass

from wavelic.errors import FormatError, UnsupportedError
from wavelic.jpeg2000.code_blocks import packet_spans, tiles_of
from wavelic.jpeg2000.codestream import parse_main_header
from wavelic.jpeg2000.header import CUT_SHORT, MainHeader
from wavelic.jpeg2000.limits import DEFAULT_LIMITS, Limits
from wavelic.jpeg2000.packets import index_packets
from wavelic.jpeg2000.tileparts import TilePart, assemble, empty_packet, joined_packets, tile_parts


@dataclass(frozen=True)
class Salvaged:
    """What there is of a codestream that ends early.

    Attributes:
        codestream: complete and decodable.
        layers: whole layers it holds; 0 if even the first lacks packets, which then are empty.
        of_layers: layers the original had.
        by_reduce: whole layers at ``reduce`` 0, 1, ...: of each resolution and all coarser ones.
    """

    codestream: bytes
    layers: int
    of_layers: int
    by_reduce: tuple[int, ...]

    @property
    def best_reduce(self) -> int:
        """The finest resolution that has a whole layer, as a ``reduce``; the coarsest if none has."""
        return next((reduce for reduce, layers in enumerate(self.by_reduce) if layers), len(self.by_reduce) - 1)


@dataclass(frozen=True)
class _Packet:
    """A packet: layer, by how often the picture is halved where it is needed, and its bytes; None if it is missing."""

    layer: int
    reduce: int
    data: bytes | None


def salvage(codestream: bytes, limits: Limits = DEFAULT_LIMITS) -> Salvaged:
    """Make a decodable codestream of the beginning of one.

    Args:
        codestream: up to wherever it ends; where there are no packet lengths (PLT), packet headers say what is whole.
        limits: what is admitted.

    Raises:
        FormatError: it ends before its first packet does.
        UnsupportedError: its packets cannot be told apart: of HTJ2K, or with headers or an order of their own.
    """
    header = parse_main_header(codestream, limits)
    parts = tile_parts(codestream, header, partial=True)
    tiles = _packets(codestream, header, parts)
    everything = [packet for packets in tiles.values() for packet in packets]
    if not any(packet.data for packet in everything):
        raise FormatError(f"the codestream ends at byte {len(codestream)}, before its first packet does; {CUT_SHORT}")
    missing = [(packet.reduce, packet.layer) for packet in everything if packet.data is None]
    by_reduce = tuple(
        min((layer for needed, layer in missing if needed >= reduce), default=header.layers)
        for reduce in range(header.levels + 1)
    )
    layers = by_reduce[0]
    if layers:  # what coarser resolutions have of the next layer goes with it
        by_reduce = (layers,) * len(by_reduce)
    empty, kept = empty_packet(header), {}
    lengths: dict[int, list[int]] = {}
    for number, packets in tiles.items():
        pieces = [packet.data or empty for packet in packets if not layers or packet.layer < layers]
        kept[number], lengths[number] = joined_packets(pieces, header), [len(piece) for piece in pieces]
    result = assemble(codestream, header, kept, layers=layers or None, lengths=lengths)
    return Salvaged(result, layers, header.layers, by_reduce)


def _packets(codestream: bytes, header: MainHeader, parts: tuple[TilePart, ...]) -> dict[int, list[_Packet]]:
    """The packets of every tile in their order."""
    if header.reorders or any(part.own or part.packet_headers is not None for part in parts):
        raise UnsupportedError("a part of a file with packets or parameters out of the usual order is not supported")
    data: dict[int, bytes] = {}
    for part in parts:
        data[part.tile] = data.get(part.tile, b"") + codestream[part.start : part.stop]
    top = [style.levels for style in header.styles]
    try:
        index = index_packets(header, parts, partial=True)
    except FormatError:
        if header.high_throughput:
            raise UnsupportedError("a part of an HTJ2K file without packet lengths is not supported") from None
        found = {}
        for tile in tiles_of(header):
            there = data.get(tile.number, b"")
            order, ends = packet_spans(header, tile, there)
            pieces = [there[start:stop] for start, stop in zip([0, *ends], ends, strict=False)]
            found[tile.number] = [
                _Packet(layer, top[component] - resolution, pieces[n] if n < len(pieces) else None)
                for n, (layer, resolution, component) in enumerate(order)
            ]
        return found
    there, packets = data.get(0, b""), []
    for layer, resolution, component, start, length in zip(
        *(axis.tolist() for axis in (index.layer, index.resolution, index.component, index.start, index.length)),
        strict=True,
    ):
        whole = start + length <= len(there)
        packets.append(_Packet(layer, top[component] - resolution, there[start : start + length] if whole else None))
    return {0: packets}
