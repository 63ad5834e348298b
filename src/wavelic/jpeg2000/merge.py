"""One codestream of several: components that were coded apart, each by its own wavelet and precision.

libopenjp2 codes all components of an image alike.  Part 1 does not ask for that: COC and QCC segments say how a single
component differs (ITU-T T.800 A.6.2, A.6.5).  So opacity can be coded without loss beside colours that are not, and
chroma at half the size of luma.  No code-block is touched; the packets are put into the order of the new codestream.

Examples:
    >>> from wavelic.jpeg2000 import EncodeOptions, decode_codestream, encode_codestream
    >>> ramp = np.arange(40 * 30).reshape(30, 40) % 256
    >>> lossy = encode_codestream([ramp] * 3, 8, EncodeOptions(colour_transform=True, layer_bytes=(400,)))
    >>> both = merge_components([lossy, encode_codestream([ramp], 8, EncodeOptions(reversible=True))])
    >>> bool((decode_codestream(both).planes[3] == ramp).all())
    True
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wavelic.errors import UsageError
from wavelic.jpeg2000.codestream import parse_main_header
from wavelic.jpeg2000.header import COC, COD, QCC, QCD, SIZ, SOC, SOT, MainHeader, ceil_div
from wavelic.jpeg2000.packets import PacketIndex, index_packets, packet_order
from wavelic.jpeg2000.tileparts import assemble, empty_packet, joined_packets, tile_parts

Steps = tuple[int, int]


@dataclass(frozen=True)
class _Part:
    """One of the codestreams: its header, packet index and packets."""

    data: bytes
    header: MainHeader
    index: PacketIndex
    packets: bytes

    def payload(self, marker: int) -> bytes:
        """Payload of the only segment of that kind in the main header."""
        (segment,) = (segment for segment in self.header.segments if segment.marker == marker)
        return self.data[segment.start + 4 : segment.stop]


def merge_components(codestreams: Sequence[bytes], steps: Sequence[Steps] | None = None) -> bytes:
    """Put the components of several codestreams into one.

    Args:
        codestreams: each of one tile at the origin, with packet lengths and one set of parameters for its components
            (as `encode_codestream` writes them), all in one progression.  The colour transform is that of the first.
            Where one has fewer quality layers than another, its later packets are empty.
        steps: for each codestream the distance of its samples (dx, dy) on the canvas, whose size is that of the first;
            None: 1 for all.

    Returns:
        The codestream of all components, with packet lengths.

    Raises:
        UsageError: sizes or progressions do not fit together.
        FormatError: one cannot be indexed: several tiles, no packet lengths.
    """
    parts = [_read(data) for data in codestreams]
    steps = steps or [(1, 1)] * len(parts)
    first = parts[0].header
    for part, (dx, dy) in zip(parts, steps, strict=True):
        size, expected = (
            (part.header.width, part.header.height),
            (ceil_div(first.width, dx), ceil_div(first.height, dy)),
        )
        if size != expected or part.header.progression != first.progression or part.header.markers != first.markers:
            raise UsageError(
                f"components of {size}, {part.header.progression}, expected {expected}, {first.progression} and equal"
                " markers around packets; encode them alike"
            )
    head = _main_header(parts, steps)
    header = parse_main_header(head + struct.pack(">H", SOT))
    owner = np.repeat(np.arange(len(parts)), [len(part.header.components) for part in parts])
    before = np.r_[0, np.cumsum([len(part.header.components) for part in parts])]
    where = [_places(part.index) for part in parts]
    pieces, empty = [], empty_packet(header)
    for layer, resolution, component, precinct in packet_order(header).T.tolist():
        number = owner[component]
        span = where[number].get((layer, resolution, component - int(before[number]), precinct))
        pieces.append(empty if span is None else parts[number].packets[span[0] : span[0] + span[1]])
    return assemble(head, header, {0: joined_packets(pieces, header)}, lengths=[len(piece) for piece in pieces])


def _read(data: bytes) -> _Part:
    header = parse_main_header(data)
    found = tile_parts(data, header)
    return _Part(data, header, index_packets(header, found), b"".join(data[part.start : part.stop] for part in found))


def _places(index: PacketIndex) -> dict[tuple[int, int, int, int], tuple[int, int]]:
    """(layer, resolution, component, precinct) -> (start, length) within the packets."""
    keys = zip(
        *(axis.tolist() for axis in (index.layer, index.resolution, index.component, index.precinct)), strict=True
    )
    return dict(zip(keys, zip(index.start.tolist(), index.length.tolist(), strict=True), strict=True))


def _main_header(parts: Sequence[_Part], steps: Sequence[Steps]) -> bytes:
    """SOC, SIZ, COD and QCD of the first codestream, and what differs from it in COC and QCC."""
    first = parts[0]
    entries, differing, count = b"", b"", 0
    cod, qcd = first.payload(COD), first.payload(QCD)
    for part, (dx, dy) in zip(parts, steps, strict=True):
        own_cod, own_qcd = part.payload(COD), part.payload(QCD)
        for component in part.header.components:
            entries += bytes([component.bits - 1 | component.signed << 7, dx, dy])
            if own_cod[:1] + own_cod[5:] != cod[:1] + cod[5:]:
                differing += _segment(COC, bytes([count, own_cod[0] & 1]) + own_cod[5:])
            if own_qcd != qcd:
                differing += _segment(QCC, bytes([count]) + own_qcd)
            count += 1
    layers = max(part.header.layers for part in parts)
    siz = first.payload(SIZ)[:34] + struct.pack(">H", count) + entries
    cod = cod[:2] + struct.pack(">H", layers) + cod[4:]
    return struct.pack(">H", SOC) + _segment(SIZ, siz) + _segment(COD, cod) + _segment(QCD, qcd) + differing


def _segment(marker: int, payload: bytes) -> bytes:
    return struct.pack(">HH", marker, len(payload) + 2) + payload
