"""Smaller files from a layered one, without decoding: drop whole quality layers.

The kept packets stay in their order, which is also their order in a codestream with fewer layers, so that lowering the
layer count in COD and the tile-part length is all it takes.  The result is a complete Part 1 codestream and carries
packet lengths of its own.
"""

from __future__ import annotations

import numpy as np

from wavelic.errors import FormatError, UsageError
from wavelic.jpeg2000.code_blocks import packet_spans, tiles_of
from wavelic.jpeg2000.codestream import parse_main_header
from wavelic.jpeg2000.header import CUT_SHORT, MainHeader
from wavelic.jpeg2000.limits import DEFAULT_LIMITS, Limits
from wavelic.jpeg2000.packets import PacketIndex, index_packets, packet_order
from wavelic.jpeg2000.tileparts import TilePart, assemble, canonical, joined_packets, tile_parts


def layer_sizes(codestream: bytes, limits: Limits = DEFAULT_LIMITS) -> tuple[int, ...]:
    """Bytes of the codestream trimmed to 1, 2, ... layers.  Raises FormatError as `trim_codestream` does."""
    header, parts, index = _read(codestream, limits)
    return tuple(len(_keep(codestream, header, parts, index, layers)) for layers in range(1, header.layers + 1))


def trim_codestream(
    codestream: bytes,
    *,
    max_layers: int | None = None,
    max_bytes: int | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> bytes:
    """``codestream`` with as many of its first layers as ``max_layers`` and ``max_bytes`` (of the result) admit.

    Raises UsageError if neither bound is given or the first layer alone is too large; FormatError if the codestream
    is damaged or has several tiles.
    """
    if max_layers is None and max_bytes is None:
        raise UsageError("nothing to trim to; give max_layers or max_bytes")
    if max_layers is not None and max_layers < 1:
        raise UsageError(f"max_layers is {max_layers}, expected at least 1; a picture needs one layer")
    header, parts, index = _read(codestream, limits)
    layers = header.layers if max_layers is None else min(max_layers, header.layers)
    result = _keep(codestream, header, parts, index, layers)
    while max_bytes is not None and len(result) > max_bytes:
        layers -= 1
        if layers == 0:
            raise UsageError(f"max_bytes is {max_bytes}, the first layer needs {len(result)}; ask for at least that")
        result = _keep(codestream, header, parts, index, layers)
    return result


def without_packet_lengths(codestream: bytes, layers: int | None = None, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """The first ``layers`` layers, None for all, without optional marker segments: the smallest file that holds them.

    Raises UsageError if there are not so many, FormatError if the codestream is damaged, or has several tiles while
    layers are to be dropped.
    """
    header = parse_main_header(codestream, limits)
    if layers is not None and not 1 <= layers <= header.layers:
        raise UsageError(f"{layers} layers, the codestream has {header.layers}; ask for 1..{header.layers}")
    parts = tile_parts(codestream, header)
    if layers is None or layers == header.layers:
        return canonical(codestream, header, parts)
    index = _index(codestream, header, parts)
    packets = b"".join(codestream[part.start : part.stop] for part in parts)
    spans = _spans(index, index.layer < layers)
    kept = joined_packets((packets[start : start + length] for start, length in spans), header)
    return assemble(codestream, header, {0: kept}, layers=layers)


def _read(codestream: bytes, limits: Limits) -> tuple[MainHeader, tuple[TilePart, ...], PacketIndex]:
    header = parse_main_header(codestream, limits)
    parts = tile_parts(codestream, header)
    return header, parts, _index(codestream, header, parts)


def _index(codestream: bytes, header: MainHeader, parts: tuple[TilePart, ...]) -> PacketIndex:
    """The packet index, from packet lengths (PLT) or, where there are none, from the packet headers themselves."""
    if any(part.plt for part in parts) or header.high_throughput:
        return index_packets(header, parts)
    order = packet_order(header)
    if any(part.own or part.packet_headers is not None for part in parts):
        raise FormatError("the tile has parameters or packet headers of its own; encode it with one set for all")
    data = b"".join(codestream[part.start : part.stop] for part in parts)
    _, ends = packet_spans(header, tiles_of(header)[0], data)
    if len(ends) != order.shape[1] or ends[-1] != len(data):
        raise FormatError(f"{len(ends)} of {order.shape[1]} packets are whole, of {len(data)} bytes; {CUT_SHORT}")
    lengths = np.array(ends, np.int64) - np.array([0, *ends[:-1]], np.int64)
    return PacketIndex(order[0], order[1], order[2], order[3], lengths)


def _keep(codestream: bytes, header: MainHeader, parts: tuple[TilePart, ...], index: PacketIndex, layers: int) -> bytes:
    """A codestream of the first ``layers`` layers."""
    packets = b"".join(codestream[part.start : part.stop] for part in parts)
    spans = _spans(index, index.layer < layers)
    kept = joined_packets((packets[start : start + length] for start, length in spans), header)
    return assemble(codestream, header, {0: kept}, layers=layers, lengths=[length for _, length in spans])


def _spans(index: PacketIndex, chosen: np.ndarray) -> list[tuple[int, int]]:
    """(start, length) of the chosen packets within the packet data."""
    return list(zip(index.start[chosen].tolist(), index.length[chosen].tolist(), strict=True))
