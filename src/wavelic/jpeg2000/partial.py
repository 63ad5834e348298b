"""Decoding a part of a codestream from the packets it needs, and nothing else.

`read_layout` reads the headers of a codestream and, from the packet lengths (PLT), where every packet lies.
`needed_packets` says which of them a window, a reduced size or fewer layers depend on; `rebuild` makes a complete
codestream of those, with empty packets in the places of the others.  A decode of it gives, for what was asked, the
samples a decode of the whole codestream gives, bit for bit.

The bytes come from a function ``read(start, stop)``, so that they may be anywhere.

Examples:
    >>> from wavelic.jpeg2000 import EncodeOptions, decode_codestream, encode_codestream
    >>> picture = np.arange(300 * 400).reshape(300, 400) % 251
    >>> data = encode_codestream([picture], 8, EncodeOptions(precincts=((64, 64),), progression="RPCL"))
    >>> layout = read_layout(lambda start, stop: data[start:stop], len(data))
    >>> area = Rect(40, 50, 30, 20)
    >>> needed = needed_packets(layout, area=area)
    >>> short = rebuild(layout, needed, [data[start:stop] for start, stop in layout.spans(needed)])
    >>> bool((decode_codestream(short, area=area).planes[0] == decode_codestream(data, area=area).planes[0]).all())
    True
    >>> len(short) < len(data) / 2
    True
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wavelic.errors import FormatError, UsageError
from wavelic.jpeg2000.codestream import (
    COM,
    CUT_SHORT,
    EOC,
    PLT,
    SOD,
    SOT,
    MainHeader,
    ceil_div,
    parse_main_header,
)
from wavelic.jpeg2000.limits import DEFAULT_LIMITS, Limits, admit
from wavelic.jpeg2000.packets import PacketIndex, index_packets
from wavelic.jpeg2000.tileparts import TilePart, assemble, empty_packet
from wavelic.rect import Rect

#: Bytes [start, stop) of the codestream; fewer only beyond its end.
Read = Callable[[int, int], bytes]
Span = tuple[int, int]  # [start, stop)

_BLOCK = 1 << 12
_SOT_BYTES = 12
#: How far to either side a sample of a level's synthesis sees, among interleaved samples (T.800 F.3): by reversible.
_BASE_RADIUS = {True: 2, False: 4}


@dataclass(frozen=True)
class Layout:
    """Where everything lies in a codestream of one tile.

    head: the bytes of the main header, which is ``header``.  parts: the tile-parts.  index: what every packet holds,
    in file order.  starts: where every packet begins.  size: bytes of the codestream.  All positions are counted from
    the start of the codestream.
    """

    head: bytes
    header: MainHeader
    parts: tuple[TilePart, ...]
    index: PacketIndex
    starts: NDArray[np.int64]
    size: int

    def spans(self, chosen: NDArray[np.bool_]) -> list[Span]:
        """[start, stop) of the ``chosen`` packets, neighbours joined: the bytes `rebuild` wants, in its order."""
        which = np.flatnonzero(chosen)
        if not len(which):
            return []
        starts, stops = self.starts[which], self.starts[which] + self.index.length[which]
        apart = np.flatnonzero((np.diff(which) != 1) | (starts[1:] != stops[:-1]))
        first, last = np.r_[0, apart + 1], np.r_[apart, len(which) - 1]
        return list(zip(starts[first].tolist(), stops[last].tolist(), strict=True))


def read_layout(read: Read, size: int, limits: Limits = DEFAULT_LIMITS, *, kept: int = 0) -> Layout:
    """The layout of a codestream of ``size`` bytes, reading little more than its headers.

    kept: of so many bytes from the start reads cost nothing; the rest is read in blocks.

    Raises FormatError if it is damaged, cut short, has several tiles or no packet lengths (PLT), LimitError if it
    declares more than ``limits`` admit.
    """
    cursor = _Cursor(read, size, limits, kept)
    end = _segments_end(cursor, 2)
    head = cursor.take(0, end)
    header = parse_main_header(head + cursor.take(end, end + 2), limits)
    if header.grid.tiles != 1:
        raise FormatError(f"the image has {header.grid.tiles} tiles; encode it as one to read parts of it")
    parts: list[TilePart] = []
    position = end
    while position != size - 2 and cursor.take(position, position + 2) != struct.pack(">H", EOC):
        parts.append(_read_part(cursor, position, len(parts)))
        position = parts[-1].stop
    index = index_packets(header, tuple(parts))
    if not index.length.all():
        raise FormatError(f"a packet of no bytes is declared, expected at least 1; {CUT_SHORT}")
    return Layout(head, header, tuple(parts), index, _packet_starts(parts, index), size)


class _Cursor:
    """Reads header bytes through a small buffer and refuses to read more of them than limits admit."""

    def __init__(self, read: Read, size: int, limits: Limits, kept: int) -> None:
        self._read, self._size, self._limits, self._kept = read, size, limits, kept
        self._start, self._block, self._total = 0, b"", 0

    def take(self, start: int, stop: int) -> bytes:
        """Bytes [start, stop).  Raises FormatError if the codestream ends before."""
        if stop > self._size:
            raise FormatError(f"the codestream ends at byte {self._size}, its headers go to {stop}; {CUT_SHORT}")
        if start < self._start or stop > self._start + len(self._block):
            end = min(start + _BLOCK, self._kept) if stop <= self._kept else start + _BLOCK
            end = min(max(stop, end), self._size)
            self._total += end - start
            admit("max_metadata_bytes", "the size of the headers", self._total, self._limits)
            self._start, self._block = start, self._read(start, end)
            if len(self._block) != end - start:
                raise FormatError(f"{len(self._block)} bytes read of {end - start} at {start}; {CUT_SHORT}")
        return self._block[start - self._start : stop - self._start]


def _segments_end(cursor: _Cursor, position: int, pieces: list[tuple[int, bytes]] | None = None) -> int:
    """Where SOT or SOD follows the marker segments from ``position`` on; their payloads are put into ``pieces``."""
    while True:
        (marker,) = struct.unpack(">H", cursor.take(position, position + 2))
        if marker in (SOT, SOD):
            return position
        if not 0xFF50 <= marker <= 0xFF6F:
            raise FormatError(f"0x{marker:04X} at byte {position}, expected a marker segment; {CUT_SHORT}")
        (length,) = struct.unpack(">H", cursor.take(position + 2, position + 4))
        if length < 2:
            raise FormatError(f"marker segment 0x{marker:04X} at byte {position} has length {length}; {CUT_SHORT}")
        if pieces is not None:
            pieces.append((marker, cursor.take(position + 4, position + 2 + length)))
        position += 2 + length


def _read_part(cursor: _Cursor, position: int, number: int) -> TilePart:
    """The tile-part at ``position``, as `tileparts.tile_parts` would find it."""
    marker, length, tile, size, part, _ = struct.unpack(">HHHIBB", cursor.take(position, position + _SOT_BYTES))
    if marker != SOT or length != 10 or tile != 0 or part != number:
        raise FormatError(f"no tile-part {number} of tile 0 at byte {position}; {CUT_SHORT}")
    segments: list[tuple[int, bytes]] = []
    start = _segments_end(cursor, position + _SOT_BYTES, segments)
    if any(kind not in (PLT, COM) for kind, _ in segments):
        raise FormatError("the tile has coding parameters of its own; convert the file to plain JPEG 2000")
    if cursor.take(start, start + 2) != struct.pack(">H", SOD):
        raise FormatError(f"tile-part at byte {position} has no data marker; {CUT_SHORT}")
    stop = position + size if size else cursor._size - 2
    if stop < start + 2:
        raise FormatError(f"tile-part at byte {position} has {size} bytes, too few for its headers; {CUT_SHORT}")
    payloads = sorted((payload for kind, payload in segments if kind == PLT), key=lambda payload: payload[:1])
    return TilePart(tile, start + 2, stop, tuple(payload[1:] for payload in payloads))


def _packet_starts(parts: Iterable[TilePart], index: PacketIndex) -> NDArray[np.int64]:
    """Absolute positions from those within the packet data, which the tile-parts interrupt."""
    begins = np.array([part.start for part in parts], np.int64)
    sizes = np.array([part.stop - part.start for part in parts], np.int64)
    ends = np.cumsum(sizes)
    relative = index.start
    which = np.searchsorted(ends, relative, side="right").clip(max=len(sizes) - 1)
    if (relative + index.length > ends[which]).any():
        raise FormatError(f"a packet runs past the end of its tile-part; {CUT_SHORT}")
    starts: NDArray[np.int64] = relative - (ends - sizes)[which] + begins[which]
    return starts


def needed_packets(
    layout: Layout,
    *,
    reduce: int = 0,
    max_layers: int | None = None,
    area: Rect | tuple[int, int, int, int] | None = None,
    margins: Sequence[int] | None = None,
) -> NDArray[np.bool_]:
    """Find the packets that `decode_codestream` with the same arguments depends on.

    A window is widened in every resolution by the receptive field of a level of the synthesis, and rounded out to
    whole precincts (T.800 B.6, B.7).

    Args:
        layout: where the packets lie.
        reduce: as in `decode_codestream`.
        max_layers: as there.
        area: in pixels of the full image; None for all.
        margins: one number per level, the finest first: samples that the synthesis sees to either side, among
            interleaved samples.  None: as many as the codestream's own wavelet sees (T.800 F.3).

    Returns:
        One bool per packet, in file order.

    Raises:
        UsageError: the request is outside the image.
    """
    header, index = layout.header, layout.index
    if not 0 <= reduce <= header.levels:
        raise UsageError(f"reduce is {reduce}, expected 0..{header.levels}, the image's wavelet levels; lower it")
    if max_layers is not None and max_layers < 1:
        raise UsageError(f"max_layers is {max_layers}, expected at least 1; the image has {header.layers}")
    size = header.width, header.height
    window = Rect(0, 0, *size) if area is None else Rect(*area)
    if not window.is_inside(size):
        raise UsageError(f"area {area} does not lie in the image of {header.width}x{header.height}")
    most = max(style.levels for style in header.styles) + 1
    # first and last row, first and last column of precincts, and how many there are in a row
    box = np.zeros((len(header.components), most, 5), np.int64)
    box[..., 1] = box[..., 3] = -1
    for number, (component, style) in enumerate(zip(header.components, header.styles, strict=True)):
        rows: Span = (window.y, window.bottom)
        columns: Span = (window.x, window.right)
        for resolution in range(style.levels, -1, -1):
            level = style.levels - resolution
            precinct_width, precinct_height = style.precincts[resolution]
            size_x = ceil_div(header.width, component.dx << level)
            size_y = ceil_div(header.height, component.dy << level)
            box[number, resolution, 4] = ceil_div(size_x, precinct_width)
            if level < reduce:
                continue
            if level == reduce:
                columns = ceil_div(columns[0], component.dx << level), ceil_div(columns[1], component.dx << level)
                rows = ceil_div(rows[0], component.dy << level), ceil_div(rows[1], component.dy << level)
            if resolution:
                margin = _BASE_RADIUS[style.reversible] if margins is None else margins[level]
                columns = max(0, columns[0] - margin), min(size_x, columns[1] + margin)
                rows = max(0, rows[0] - margin), min(size_y, rows[1] + margin)
            box[number, resolution, :2] = rows[0] // precinct_height, (rows[1] - 1) // precinct_height
            box[number, resolution, 2:4] = columns[0] // precinct_width, (columns[1] - 1) // precinct_width
            columns = ceil_div(columns[0], 2), ceil_div(columns[1], 2)
            rows = ceil_div(rows[0], 2), ceil_div(rows[1], 2)
    top, bottom, left, right, across = np.moveaxis(box[index.component, index.resolution], -1, 0)
    row, column = np.divmod(index.precinct, np.maximum(across, 1))
    chosen = (row >= top) & (row <= bottom) & (column >= left) & (column <= right)
    if max_layers is not None:
        chosen &= index.layer < max_layers
    result: NDArray[np.bool_] = chosen
    return result


def layer_sizes(layout: Layout) -> tuple[int, ...]:
    """Bytes of the codestream trimmed to 1, 2, ... layers, as `trim.layer_sizes` gives them from the whole."""
    sizes = []
    for layers in range(1, layout.header.layers + 1):
        lengths = layout.index.length[layout.index.layer < layers].tolist()
        sizes.append(len(assemble(layout.head, layout.header, {0: b""}, layers=layers, lengths=lengths)) + sum(lengths))
    return tuple(sizes)


def reduced_sizes(layout: Layout) -> tuple[int, ...]:
    """Bytes of the codestream that ``reduce`` 0, 1, ... takes: the headers, and the packets of its resolutions."""
    length = layout.index.length
    headers = layout.size - int(length.sum())
    chosen = (needed_packets(layout, reduce=reduce) for reduce in range(layout.header.levels + 1))
    return tuple(headers + int(length[packets].sum()) for packets in chosen)


def rebuild(layout: Layout, chosen: NDArray[np.bool_], pieces: Iterable[bytes]) -> bytes:
    """A complete codestream with the ``chosen`` packets; ``pieces`` are the bytes of ``layout.spans(chosen)``.

    All other packets of its layers are empty; layers without any chosen packet at the end of the list are left out.
    Raises FormatError if a piece has not the length its span has.
    """
    index = layout.index
    spans, pieces = layout.spans(chosen), list(pieces)
    wrong = [span for span, piece in zip(spans, pieces, strict=True) if span[1] - span[0] != len(piece)]
    if wrong:
        raise FormatError(f"bytes {wrong[0][0]} to {wrong[0][1]} of the codestream are incomplete; {CUT_SHORT}")
    layers = int(index.layer[chosen].max(initial=0)) + 1
    empty = empty_packet(layout.header)
    kept = index.layer < layers
    data: list[bytes] = []
    done = 0
    which = np.flatnonzero(chosen)
    before = np.cumsum(kept & ~chosen)  # empty packets up to and including each packet
    firsts = which[np.searchsorted(layout.starts[which], np.array([start for start, _ in spans], np.int64))]
    for first, piece in zip(firsts, pieces, strict=True):
        data += [empty * int(before[first] - done), piece]
        done = int(before[first])
    data.append(empty * int(before[-1] - done))
    lengths = np.where(chosen, index.length, len(empty))[kept].tolist()
    return assemble(layout.head, layout.header, {0: b"".join(data)}, layers=layers, lengths=lengths)
