"""How far every code-block of a codestream is decoded: a parser of packet headers (T.800 annex B.10).

A packet header says of each code-block in its precinct whether the packet has something of it, at the first time how
many of its bit-planes are zero, how many coding passes follow and in how many bytes.  The first pass codes all of the
highest plane that is not zero; every further plane takes three.  So the headers alone tell the interval that each
decoded coefficient lies in, without decoding one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wavelic.errors import FormatError, UnsupportedError
from wavelic.jpeg2000.header import CUT_SHORT, USES_EPH, MainHeader, ceil_div
from wavelic.jpeg2000.packet_bits import BitReader, TagTree, read_passes, segment_passes
from wavelic.jpeg2000.tileparts import tile_parts

_SOP, _EPH = b"\xff\x91", b"\xff\x92"
_MOST_PASSES = 3 * 38  # of the 38 bit-planes that Part 1 allows


@dataclass(frozen=True)
class BandBlocks:
    """The code-blocks of one subband of one tile, a grid whose lines are at multiples of their size.

    Attributes:
        area: (x0, y0, x1, y1) of the subband, in its own coordinates.
        shift: (log2 of the width, log2 of the height) of a code-block.
        zero_planes: int16 (rows, columns) of code-blocks: the highest bit-planes that have only zeros.
        passes: int16 of the same shape: coding passes that are there; 0: nothing is known of the code-block.
    """

    area: tuple[int, int, int, int]
    shift: tuple[int, int]
    zero_planes: NDArray[np.int16]
    passes: NDArray[np.int16]

    @property
    def origin(self) -> tuple[int, int]:
        """(row, column) of the first code-block, counted from coordinate 0."""
        return self.area[1] >> self.shift[1], self.area[0] >> self.shift[0]


#: (component, band) -> blocks; bands are numbered as in `quantisers.quantisers`.
Blocks = dict[tuple[int, int], BandBlocks]


@dataclass(frozen=True)
class TileGeometry:
    """A tile on the canvas: its number and x0 <= x < x1, y0 <= y < y1."""

    number: int
    x0: int
    y0: int
    x1: int
    y1: int


def tiles_of(header: MainHeader) -> list[TileGeometry]:
    """List the tiles of an image in their order (T.800 B.3)."""
    grid = header.grid
    across = ceil_div(grid.x1 - grid.tile_x0, grid.tile_width)
    result = []
    for number in range(grid.tiles):
        row, column = divmod(number, across)
        left, top = grid.tile_x0 + column * grid.tile_width, grid.tile_y0 + row * grid.tile_height
        x0, y0 = max(left, grid.x0), max(top, grid.y0)
        result.append(
            TileGeometry(number, x0, y0, min(left + grid.tile_width, grid.x1), min(top + grid.tile_height, grid.y1))
        )
    return result


@dataclass(frozen=True)
class TilePackets:
    """Where the packets of every tile lie in a codestream.

    Attributes:
        codestream: all of it.
        header: its main header.
        spans: for every tile that is there the [start, stop) of its packets.
    """

    codestream: bytes
    header: MainHeader
    spans: dict[int, tuple[tuple[int, int], ...]]

    @classmethod
    def of(cls, codestream: bytes, header: MainHeader) -> TilePackets:
        """Find the packets by the headers of the tile-parts.

        Args:
            codestream: all of it.
            header: its main header.

        Raises:
            FormatError: it is damaged.
            UnsupportedError: packets are ordered or coded in a way that `code_blocks` does not follow.
        """
        if header.reorders or header.high_throughput:
            raise UnsupportedError("the packet headers are of HTJ2K, POC or PPM, which are not read; convert the file")
        spans: dict[int, tuple[tuple[int, int], ...]] = {}
        for part in tile_parts(codestream, header):
            if part.own or part.packet_headers is not None:
                raise UnsupportedError(
                    f"packet headers of tile {part.tile} are packed or by parameters of its own, which are not read;"
                    " convert the file"
                )
            spans[part.tile] = (*spans.get(part.tile, ()), (part.start, part.stop))
        return cls(codestream, header, spans)

    def code_blocks(self, tile: TileGeometry, layers: int | None = None) -> Blocks:
        """Read from the packet headers of a tile how far its code-blocks are decoded.

        Args:
            tile: of `tiles_of`.
            layers: count only the passes of the first so many quality layers; None: of all.

        Returns:
            The code-blocks of every subband of every component.

        Raises:
            FormatError: the packets are damaged or cut short.
        """
        layers = self.header.layers if layers is None else min(layers, self.header.layers)
        data = b"".join(self.codestream[start:stop] for start, stop in self.spans.get(tile.number, ()))
        try:
            return _Tile(self.header, tile, len(data)).read(data, layers)
        except (IndexError, ValueError) as error:
            raise FormatError(
                f"the packet headers of tile {tile.number} cannot be read ({error}); {CUT_SHORT}"
            ) from None


class _Band:
    """Code-blocks of a subband while packets are read; arrays as in `BandBlocks`."""

    def __init__(self, area: tuple[int, int, int, int], shift: tuple[int, int]) -> None:
        x0, y0, x1, y1 = area
        empty = x0 >= x1 or y0 >= y1
        rows = 0 if empty else ceil_div(y1, 1 << shift[1]) - (y0 >> shift[1])
        columns = 0 if empty else ceil_div(x1, 1 << shift[0]) - (x0 >> shift[0])
        self.area, self.shift = area, shift
        self.zero_planes = np.zeros((rows, columns), np.int16)
        self.passes = np.zeros((rows, columns), np.int16)


class _Block:
    """What a reader remembers of a code-block: where it is, passes, length bits, passes left in its segment."""

    __slots__ = ("at", "length_bits", "passes", "room")

    def __init__(self, at: tuple[int, int]) -> None:
        self.at, self.passes, self.length_bits, self.room = at, 0, 3, 0


class _PrecinctBand:
    """The part of a subband in a precinct: its code-blocks and their tag trees; mode: of its block coder."""

    def __init__(self, band: _Band, mode: int, x0: int, y0: int, x1: int, y1: int) -> None:
        x0, y0 = max(x0, band.area[0]), max(y0, band.area[1])
        x1, y1 = min(x1, band.area[2]), min(y1, band.area[3])
        self.band, self.mode = band, mode
        self.blocks: list[_Block] = []
        if x0 >= x1 or y0 >= y1:
            return
        across, down = band.shift
        top, left = band.area[1] >> down, band.area[0] >> across
        rows = range((y0 >> down) - top, ceil_div(y1, 1 << down) - top)
        columns = range((x0 >> across) - left, ceil_div(x1, 1 << across) - left)
        self.blocks = [_Block((row, column)) for row in rows for column in columns]
        self.inclusion, self.zeros = TagTree(len(rows), len(columns)), TagTree(len(rows), len(columns))


class _Tile:
    """Packets of one tile, in their order."""

    def __init__(self, header: MainHeader, tile: TileGeometry, size: int | None = None) -> None:
        """Lay out precincts and packets; ValueError if a packet each is more than ``size`` bytes can hold."""
        self._header, self._tile, self._size = header, tile, size
        self._uses_eph = bool(header.markers & USES_EPH)
        self._bands: dict[tuple[int, int], _Band] = {}
        self._packets = 0
        self._precincts: dict[tuple[int, int, int], list[_PrecinctBand]] = {}
        self._layout: dict[tuple[int, int], tuple[list[_Band], int, int, int, int, int]] = {}
        keys: list[tuple[int, int, int, int, int]] = []  # resolution, component, precinct, y, x
        for number in range(len(header.components)):
            keys.extend(self._component(number))
        self._keys = keys

    def _component(self, number: int) -> Iterator[tuple[int, int, int, int, int]]:
        component, style, tile = self._header.components[number], self._header.styles[number], self._tile
        x0, y0 = ceil_div(tile.x0, component.dx), ceil_div(tile.y0, component.dy)
        x1, y1 = ceil_div(tile.x1, component.dx), ceil_div(tile.y1, component.dy)
        block = style.code_block[0].bit_length() - 1, style.code_block[1].bit_length() - 1
        for resolution, (width, height) in enumerate(style.precincts):
            down = style.levels - resolution
            scale = 1 << down
            rx0, ry0, rx1, ry1 = (ceil_div(edge, scale) for edge in (x0, y0, x1, y1))
            log_w, log_h = width.bit_length() - 1, height.bit_length() - 1
            halved = int(resolution > 0)
            shift = min(block[0], log_w - halved), min(block[1], log_h - halved)
            bands = []
            for orientation in range(1, 4) if halved else range(1):
                level = down + halved
                half = 1 << (level - 1) if level else 0
                ox, oy = half * (orientation & 1), half * (orientation >> 1)
                whole = 1 << level
                area = (
                    ceil_div(x0 - ox, whole),
                    ceil_div(y0 - oy, whole),
                    ceil_div(x1 - ox, whole),
                    ceil_div(y1 - oy, whole),
                )
                band = _Band(area, shift)
                self._bands[number, 3 * (resolution - 1) + orientation if halved else 0] = band
                bands.append(band)
            if rx0 >= rx1 or ry0 >= ry1:
                continue
            first_x, first_y = rx0 >> log_w, ry0 >> log_h
            across, high = ceil_div(rx1, width) - first_x, ceil_div(ry1, height) - first_y
            self._packets += across * high * self._header.layers
            if self._size is not None and self._packets > self._size:
                raise ValueError(f"{self._packets} packets or more in {self._size} bytes")
            self._layout[resolution, number] = bands, first_x, first_y, across, width >> halved, height >> halved
            for index in range(across * high):
                row, column = divmod(index, across)
                px, py = first_x + column, first_y + row
                y = max(tile.y0, py * height * scale * component.dy)
                x = max(tile.x0, px * width * scale * component.dx)
                yield resolution, number, index, y, x

    def precinct(self, key: tuple[int, int, int]) -> list[_PrecinctBand]:
        """The bands of a precinct (resolution, component, number)."""
        if key not in self._precincts:
            bands, first_x, first_y, across, width, height = self._layout[key[:2]]
            mode = self._header.styles[key[1]].mode
            row, column = divmod(key[2], across)
            x, y = (first_x + column) * width, (first_y + row) * height
            self._precincts[key] = [_PrecinctBand(band, mode, x, y, x + width, y + height) for band in bands]
        return self._precincts[key]

    def _order(self) -> list[tuple[int, tuple[int, int, int]]]:
        """(layer, key of the precinct) of every packet in the order of the codestream (T.800 B.12)."""
        layers = self._header.layers
        sort = {
            "LRCP": lambda k: (k[0], k[1], k[2]),
            "RLCP": lambda k: (k[0], k[1], k[2]),
            "RPCL": lambda k: (k[0], k[3], k[4], k[1], k[2]),
            "PCRL": lambda k: (k[3], k[4], k[1], k[0], k[2]),
            "CPRL": lambda k: (k[1], k[3], k[4], k[0], k[2]),
        }[self._header.progression]
        keys = sorted(self._keys, key=sort)
        if self._header.progression == "LRCP":
            return [(layer, key[:3]) for layer in range(layers) for key in keys]
        if self._header.progression == "RLCP":
            most = max((key[0] for key in keys), default=-1)
            by_resolution = [[key[:3] for key in keys if key[0] == r] for r in range(most + 1)]
            return [(layer, key) for some in by_resolution for layer in range(layers) for key in some]
        return [(layer, key[:3]) for key in keys for layer in range(layers)]

    def read(self, data: bytes, layers: int) -> Blocks:
        """Read all packets of the tile and note the passes of the first ``layers``."""
        position = 0
        last = layers == self._header.layers
        for layer, key in self._order():
            if self._header.progression == "LRCP" and layer >= layers:
                break
            position = self._packet(data, position, layer, self.precinct(key), last or layer < layers)
            if position > len(data):
                raise ValueError(f"a packet runs to byte {position} of {len(data)}")
        return {
            key: BandBlocks(band.area, band.shift, band.zero_planes, band.passes) for key, band in self._bands.items()
        }

    def _packet(self, data: bytes, position: int, layer: int, bands: list[_PrecinctBand], counts: bool) -> int:
        """Read the packet at ``position`` and return where it ends."""
        if data[position : position + 2] == _SOP:
            position += 6
        reader = BitReader(data, position)
        length = 0
        if reader.bit():
            for part in bands:
                for index, block in enumerate(part.blocks):
                    if block.passes:
                        if not reader.bit():
                            continue
                    elif not part.inclusion.reaches(reader, index, layer + 1):
                        continue
                    else:
                        zeros = part.zeros.value(reader, index)
                        if counts:
                            part.band.zero_planes[block.at] = zeros
                    passes = read_passes(reader)
                    length += _lengths(reader, block, passes, part.mode)
                    if counts:
                        part.band.passes[block.at] = block.passes
        position = reader.end()
        if self._uses_eph and _EPH.startswith(data[position : position + 2]):  # of which the data may end before
            position += 2
        return position + length


def _lengths(reader: BitReader, block: _Block, passes: int, mode: int) -> int:
    """Read the bytes of ``passes`` further passes of a code-block and count these."""
    while reader.bit():
        block.length_bits += 1
    length = 0
    while passes:
        if not block.room:
            block.room = segment_passes(block.passes, mode)
        here = min(passes, block.room)
        length += reader.bits(block.length_bits + here.bit_length() - 1)
        block.passes += here
        if block.passes > _MOST_PASSES:
            raise ValueError(f"a code-block of more than {_MOST_PASSES} passes")
        block.room -= here
        passes -= here
    return length


def packet_spans(header: MainHeader, tile: TileGeometry, data: bytes) -> tuple[list[tuple[int, int, int]], list[int]]:
    """Find the packets of a tile by reading their headers, where no packet lengths (PLT) say where they are.

    Args:
        header: main header of the codestream.
        tile: which.
        data: its packets, as far as they are there.

    Returns:
        Layer, resolution and component of every packet that the tile has, in their order; and where the first of them,
        which are there, end.
    """
    reader = _Tile(header, tile)
    order = reader._order()
    ends: list[int] = []
    position = 0
    for layer, key in order:
        try:
            position = reader._packet(data, position, layer, reader.precinct(key), False)
        except (IndexError, ValueError):
            break
        if position > len(data):
            break
        ends.append(position)
    return [(layer, key[0], key[1]) for layer, key in order], ends
