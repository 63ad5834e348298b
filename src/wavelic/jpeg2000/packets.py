"""The packet index: which bytes of a codestream belong to which layer, resolution, component and precinct.

A packet holds one quality layer of one precinct of one resolution of one component; the codestream is a sequence of
packets in the progression order that COD names (ITU-T T.800 annex B.12).  Given the packet lengths of the PLT segments
the index follows by counting, without decoding anything.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wavelic.errors import FormatError
from wavelic.jpeg2000.codestream import CUT_SHORT, MainHeader, ceil_div
from wavelic.jpeg2000.tileparts import TilePart, packet_lengths

_NEEDS_PLT = "encode with packet lengths (PLT)"


@dataclass(frozen=True)
class PacketIndex:
    """Packets in file order; every array has one entry per packet.

    layer, resolution (0 the coarsest), component, precinct: what it holds.  length: its bytes.
    """

    layer: NDArray[np.int32]
    resolution: NDArray[np.int32]
    component: NDArray[np.int32]
    precinct: NDArray[np.int32]
    length: NDArray[np.int64]

    @property
    def start(self) -> NDArray[np.int64]:
        """Position of every packet within the packet data."""
        return np.cumsum(self.length) - self.length

    def layer_bytes(self, layers: int) -> list[int]:
        """Packet bytes of every layer."""
        return [int(total) for total in np.bincount(self.layer, weights=self.length, minlength=layers)]


@dataclass(frozen=True)
class _Precincts:
    """All precincts of an image, one entry each; y, x: where on the canvas they begin."""

    resolution: NDArray[np.int64]
    component: NDArray[np.int64]
    precinct: NDArray[np.int64]
    y: NDArray[np.int64]
    x: NDArray[np.int64]


def _precincts(header: MainHeader) -> _Precincts:
    tables = []
    for number, (component, style) in enumerate(zip(header.components, header.styles, strict=True)):
        for resolution, (precinct_width, precinct_height) in enumerate(style.precincts):
            shrink = 2 ** (style.levels - resolution)
            across = ceil_div(ceil_div(ceil_div(header.width, component.dx), shrink), precinct_width)
            down = ceil_div(ceil_div(ceil_div(header.height, component.dy), shrink), precinct_height)
            row, column = (axis.ravel() for axis in np.mgrid[:down, :across])
            y = row * (precinct_height * shrink * component.dy)
            x = column * (precinct_width * shrink * component.dx)
            same = np.ones(across * down, np.int64)
            tables.append(np.stack([resolution * same, number * same, np.arange(across * down), y, x]))
    return _Precincts(*np.concatenate(tables, axis=1))


def packet_order(header: MainHeader) -> NDArray[np.int32]:
    """Layer, resolution, component and precinct (the four rows) of every packet of a codestream, in file order.

    Raises FormatError if the image has several tiles or does not begin at the canvas origin.
    """
    if header.reorders:
        raise FormatError("the order of the packets changes on the way (POC, PPM); encode it in one progression")
    if header.grid.tiles != 1 or header.grid.x0 or header.grid.y0:
        raise FormatError(f"the image has several tiles or an offset ({header.grid}); encode it as one tile")
    found = _precincts(header)
    layer, which = (axis.ravel() for axis in np.mgrid[: header.layers, : len(found.precinct)])
    resolution, component, precinct = found.resolution[which], found.component[which], found.precinct[which]
    y, x = found.y[which], found.x[which]
    keys = {
        "LRCP": (layer, resolution, component, precinct),
        "RLCP": (resolution, layer, component, precinct),
        "RPCL": (resolution, y, x, component, layer),
        "PCRL": (y, x, component, resolution, layer),
        "CPRL": (component, y, x, resolution, layer),
    }[header.progression]
    order = np.lexsort(keys[::-1])
    return np.stack([layer, resolution, component, precinct])[:, order].astype(np.int32)


def index_packets(header: MainHeader, parts: tuple[TilePart, ...], *, partial: bool = False) -> PacketIndex:
    """The packet index of a single-tile codestream.

    partial: the packet data may end early.  Raises FormatError without PLT, if the declared lengths do not add up, or
    for several tiles.
    """
    if any(part.own or part.packet_headers is not None for part in parts):
        raise FormatError("tiles have parameters or packet headers of their own; encode it with one set for all")
    lengths = np.array(packet_lengths(parts), np.int64)
    if not len(lengths):
        raise FormatError(f"the codestream has no packet lengths, which selecting packets needs; {_NEEDS_PLT}")
    order = packet_order(header)
    available = sum(part.stop - part.start for part in parts)
    if len(lengths) != order.shape[1]:
        raise FormatError(f"{len(lengths)} packet lengths for {order.shape[1]} packets; {CUT_SHORT}")
    if lengths.sum() != available and not (partial and lengths.sum() > available):
        raise FormatError(f"the packet lengths add up to {lengths.sum()} bytes, {available} are there; {CUT_SHORT}")
    return PacketIndex(order[0], order[1], order[2], order[3], lengths)
