"""The main header of a JPEG 2000 codestream (ITU-T T.800 annex A), parsed and checked before libopenjp2 sees it.

Only Part 1 is admitted, and of Part 1 what the library reads safely: no progression order changes (POC) and no packed
packet headers (PPM, PPT).  Both are rare, and both have been a source of memory errors in the library.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from wavelic.errors import FormatError
from wavelic.jpeg2000.limits import BYTES_PER_CODE_BLOCK, BYTES_PER_SAMPLE, DEFAULT_LIMITS, Limits, admit

SOC, SIZ, COD, COC, QCD, QCC, RGN = 0xFF4F, 0xFF51, 0xFF52, 0xFF53, 0xFF5C, 0xFF5D, 0xFF5E
CAP, TLM, PLM, PLT, CPF, CRG, COM = 0xFF50, 0xFF55, 0xFF57, 0xFF58, 0xFF59, 0xFF63, 0xFF64
POC, PPM, PPT, SOT, SOD, EOC = 0xFF5F, 0xFF60, 0xFF61, 0xFF90, 0xFF93, 0xFFD9

#: First bytes of every codestream.
CODESTREAM_START = struct.pack(">HH", SOC, SIZ)
#: Marker segments that decide what the samples are; all others may be dropped without changing the picture.
ESSENTIAL = (SIZ, COD, COC, QCD, QCC, RGN)
_DISPENSABLE = (TLM, PLM, CRG, COM)
_REFUSED = {
    CAP: "extended capabilities (Part 15)",
    CPF: "a Part 15 profile",
    POC: "progression order changes",
    PPM: "packed packet headers",
    PPT: "packed packet headers",
}
PROGRESSIONS = ("LRCP", "RLCP", "RPCL", "PCRL", "CPRL")
CUT_SHORT = "the file is cut short or damaged; fetch it again"
_DAMAGED = "the file is damaged; fetch it again"
_MAX_BITS = 31  # of int32 samples, the library's own limit; Part 1 allows 38


@dataclass(frozen=True)
class Component:
    """One component as SIZ declares it: bits per sample 1..31, signedness, distance of samples on the canvas."""

    bits: int
    signed: bool
    dx: int
    dy: int


@dataclass(frozen=True)
class CodingStyle:
    """How one component is coded.

    levels: wavelet levels.  code_block: (width, height).  precincts: (width, height) for every resolution, the coarsest
    first, in samples of that resolution.  reversible: 5/3 integer transform, else 9/7.
    """

    levels: int
    code_block: tuple[int, int]
    precincts: tuple[tuple[int, int], ...]
    reversible: bool


@dataclass(frozen=True)
class Segment:
    """A marker segment: the bytes from its marker at ``start`` to ``stop``."""

    marker: int
    start: int
    stop: int


@dataclass(frozen=True)
class Grid:
    """The image area x0 <= x < x1, y0 <= y < y1 on the canvas, and the tile grid over it, in the order of SIZ."""

    x1: int
    y1: int
    x0: int
    y0: int
    tile_width: int
    tile_height: int
    tile_x0: int
    tile_y0: int

    @property
    def tiles(self) -> int:
        """How many tiles the image area touches."""
        across = ceil_div(self.x1 - self.tile_x0, self.tile_width)
        return across * ceil_div(self.y1 - self.tile_y0, self.tile_height)


@dataclass(frozen=True)
class MainHeader:
    """Everything the main header says that decoding depends on.

    grid: image area and tiles.  styles: one per component.  colour_transform: ICT or RCT on the first three components.
    segments: the marker segments in file order.  end: where the first tile-part begins.
    """

    grid: Grid
    components: tuple[Component, ...]
    progression: str
    layers: int
    colour_transform: bool
    styles: tuple[CodingStyle, ...]
    segments: tuple[Segment, ...]
    end: int

    @property
    def width(self) -> int:
        """Width of the image area on the canvas; that of a component without subsampling."""
        return self.grid.x1 - self.grid.x0

    @property
    def height(self) -> int:
        """Height of the image area on the canvas."""
        return self.grid.y1 - self.grid.y0

    @property
    def levels(self) -> int:
        """Wavelet levels all components have: how often a decode can be halved."""
        return min(style.levels for style in self.styles)


def ceil_div(amount: int, divisor: int) -> int:
    """ceil(amount / divisor) of whole numbers."""
    return -(-amount // divisor)


def segments(codestream: bytes, position: int, end: int | None = None) -> Iterator[Segment]:
    """Marker segments from ``position`` on, up to SOT or SOD exclusively; all must lie before ``end``.

    Raises FormatError at anything else.
    """
    end = len(codestream) if end is None else min(end, len(codestream))
    while True:
        if position + 2 > end:
            raise FormatError(f"the headers run past byte {end}, where their part of the codestream ends; {CUT_SHORT}")
        (marker,) = struct.unpack_from(">H", codestream, position)
        if marker in (SOT, SOD):
            return
        if not 0xFF50 <= marker <= 0xFF6F:
            raise FormatError(f"0x{marker:04X} at byte {position}, expected a JPEG 2000 marker segment; {_DAMAGED}")
        if position + 4 > end:
            raise FormatError(f"the headers run past byte {end}, where their part of the codestream ends; {CUT_SHORT}")
        (length,) = struct.unpack_from(">H", codestream, position + 2)
        stop = position + 2 + length
        if length < 2 or stop > end:
            raise FormatError(f"marker segment 0x{marker:04X} at byte {position} has length {length}; {CUT_SHORT}")
        yield Segment(marker, position, stop)
        position = stop


def parse_main_header(codestream: bytes, limits: Limits = DEFAULT_LIMITS) -> MainHeader:
    """Parse and check the main header of ``codestream``.

    Raises FormatError for anything that is not a Part 1 codestream wavelic admits, LimitError if sizes, tiles, layers
    or code-blocks exceed ``limits``.
    """
    if not codestream.startswith(CODESTREAM_START):
        raise FormatError("no JPEG 2000 codestream (SOC and SIZ markers are missing); give a .jp2, .j2k or .j2c file")
    found = tuple(segments(codestream, 2))
    end = found[-1].stop
    for segment in found:
        if segment.marker in _REFUSED:
            raise FormatError(f"the codestream uses {_REFUSED[segment.marker]}; convert it to plain JPEG 2000 Part 1")
        if segment.marker not in (*ESSENTIAL, *_DISPENSABLE):
            raise FormatError(f"marker 0x{segment.marker:04X} does not belong into a main header; {_DAMAGED}")
    if codestream[end : end + 2] != struct.pack(">H", SOT):
        raise FormatError(f"no tile-part follows the main header at byte {end}; {CUT_SHORT}")

    grid, components = _parse_siz(codestream[found[0].start + 4 : found[0].stop], limits)
    cod = _only(codestream, found, COD)
    if len(cod) < 10:
        raise FormatError(f"the COD segment has {len(cod)} bytes, expected at least 10; {_DAMAGED}")
    style_bits, progression, layers, transform = struct.unpack_from(">BBHB", cod)
    if progression >= len(PROGRESSIONS) or layers == 0 or transform > 1 or style_bits > 7:
        raise FormatError(f"COD says order {progression}, {layers} layers, transform {transform}; {_DAMAGED}")
    if transform and len(components) < 3:
        raise FormatError(f"a colour transform of {len(components)} components, expected at least 3; {_DAMAGED}")
    admit("max_layers", "the number of layers", layers, limits)
    styles = _component_styles(codestream, found, cod[5:], bool(style_bits & 1), len(components))
    header = MainHeader(grid, components, PROGRESSIONS[progression], layers, bool(transform), styles, found, end)
    _check_quantisation(codestream, found, header)
    admit("max_tiles", "the number of tiles", grid.tiles, limits)
    admit("max_code_blocks", "the number of code-blocks and precincts", count_code_blocks(header), limits)
    return header


def decoding_memory(header: MainHeader, reduce: int = 0, area: tuple[int, int, int, int] | None = None) -> int:
    """Estimate the bytes libopenjp2 needs, beyond the codestream, for a decode.

    Args:
        header: main header of the codestream.
        reduce: how many of the finest resolutions are left out.
        area: (x, y, width, height) that is decoded; None: all.
    """
    width, height = (header.width, header.height) if area is None else area[2:]
    samples = sum(
        (ceil_div(ceil_div(width, c.dx), 2**reduce) + 1) * (ceil_div(ceil_div(height, c.dy), 2**reduce) + 1)
        for c in header.components
    )
    return samples * BYTES_PER_SAMPLE + count_code_blocks(header) * BYTES_PER_CODE_BLOCK


def count_code_blocks(header: MainHeader) -> int:
    """Code-blocks plus precincts of the image; a precinct smaller than a code-block splits it.

    An upper bound, which is what limits are compared with: every tile counts as a whole one, and where tiles or the
    image do not begin at the origin a sample and a block are added for what their alignment may cost.
    """
    total = 0
    grid = header.grid
    extra = int(grid.tiles > 1 or grid.x0 > 0 or grid.y0 > 0)
    tile_width = min(grid.tile_width, grid.x1 - grid.tile_x0)
    tile_height = min(grid.tile_height, grid.y1 - grid.tile_y0)
    for component, style in zip(header.components, header.styles, strict=True):
        for resolution, (precinct_width, precinct_height) in enumerate(style.precincts):
            shrink = 2 ** (style.levels - resolution)
            width = ceil_div(ceil_div(tile_width, component.dx), shrink) + extra
            height = ceil_div(ceil_div(tile_height, component.dy), shrink) + extra
            block_width = min(style.code_block[0], max(1, precinct_width // (2 if resolution else 1)))
            block_height = min(style.code_block[1], max(1, precinct_height // (2 if resolution else 1)))
            halves = 2 if resolution else 1  # above the coarsest: three bands of half the sides
            blocks_across = ceil_div(width, halves * block_width) + extra
            blocks = blocks_across * (ceil_div(height, halves * block_height) + extra)
            precincts = (ceil_div(width, precinct_width) + extra) * (ceil_div(height, precinct_height) + extra)
            total += blocks * (3 if resolution else 1) + precincts
    return total * grid.tiles


def _only(codestream: bytes, found: tuple[Segment, ...], marker: int) -> bytes:
    """Payload of the only segment of that kind."""
    payloads = [codestream[s.start + 4 : s.stop] for s in found if s.marker == marker]
    if len(payloads) != 1:
        raise FormatError(f"marker 0x{marker:04X} occurs {len(payloads)} times in the main header, expected once")
    return payloads[0]


def _parse_siz(siz: bytes, limits: Limits) -> tuple[Grid, tuple[Component, ...]]:
    if len(siz) < 37:
        raise FormatError(f"the SIZ segment has {len(siz)} bytes, expected at least 37; {_DAMAGED}")
    grid = Grid(*struct.unpack_from(">8I", siz, 2))
    (count,) = struct.unpack_from(">H", siz, 34)
    if count == 0 or len(siz) != 36 + 3 * count:
        raise FormatError(f"the SIZ segment has {len(siz)} bytes, expected {36 + 3 * count}; {_DAMAGED}")
    admit("max_components", "the number of components", count, limits)
    if not (grid.x0 < grid.x1 and grid.y0 < grid.y1 and grid.tile_width and grid.tile_height):
        raise FormatError(f"the image area {grid} is empty, expected a size of at least 1; {_DAMAGED}")
    inside_x = grid.tile_x0 <= grid.x0 < grid.tile_x0 + grid.tile_width
    inside_y = grid.tile_y0 <= grid.y0 < grid.tile_y0 + grid.tile_height
    if not (inside_x and inside_y):
        raise FormatError(f"the first tile does not contain the image's first sample; {_DAMAGED}")
    admit("max_side", "the longer side", max(grid.x1, grid.y1), limits)
    admit("max_pixels", "the number of pixels", (grid.x1 - grid.x0) * (grid.y1 - grid.y0), limits)
    components = []
    for index in range(count):
        depth, dx, dy = siz[36 + 3 * index : 39 + 3 * index]
        bits = (depth & 0x7F) + 1
        if not dx or not dy or bits > _MAX_BITS:
            raise FormatError(f"component {index} has {bits} bits, steps {dx} and {dy}; {_DAMAGED}")
        if ceil_div(grid.x1, dx) <= ceil_div(grid.x0, dx) or ceil_div(grid.y1, dy) <= ceil_div(grid.y0, dy):
            raise FormatError(f"component {index} has no samples in the image area; {_DAMAGED}")
        components.append(Component(bits, bool(depth & 0x80), dx, dy))
    return grid, tuple(components)


def _component_styles(
    codestream: bytes, found: tuple[Segment, ...], default: bytes, precincts: bool, count: int
) -> tuple[CodingStyle, ...]:
    styles = [_parse_style(default, precincts)] * count
    for segment in found:
        if segment.marker == COC:
            payload = codestream[segment.start + 4 : segment.stop]
            if len(payload) < 7 or payload[0] >= count:
                raise FormatError(f"the COC segment at byte {segment.start} names no component; {_DAMAGED}")
            styles[payload[0]] = _parse_style(payload[2:], bool(payload[1] & 1))
    return tuple(styles)


def _parse_style(parameters: bytes, precincts: bool) -> CodingStyle:
    """The SPcod or SPcoc parameters (T.800 table A.20)."""
    levels, width, height, block_style, transform = parameters[:5]
    sizes = parameters[5:]
    if levels > 32 or width > 8 or height > 8 or width + height > 8 or block_style > 0x3F or transform > 1:
        raise FormatError(
            f"coding style {parameters[:5].hex()} is none of Part 1 (levels, code-block, mode, wavelet); {_DAMAGED}"
        )
    if len(sizes) != (levels + 1 if precincts else 0):
        raise FormatError(f"{len(sizes)} precinct sizes for {levels} wavelet levels; {_DAMAGED}")
    if not precincts:
        sizes = b"\xff" * (levels + 1)
    if any(not size & 0xF or not size >> 4 for size in sizes[1:]):
        raise FormatError(f"a precinct of width or height 1 above the lowest resolution; {_DAMAGED}")
    return CodingStyle(
        levels,
        (4 << width, 4 << height),
        tuple((1 << (size & 0xF), 1 << (size >> 4)) for size in sizes),
        transform == 1,
    )


def _check_quantisation(codestream: bytes, found: tuple[Segment, ...], header: MainHeader) -> None:
    """Every component needs a step size, or an exponent, for each of its subbands."""
    available = {-1: _count_steps(_only(codestream, found, QCD))}
    for segment in found:
        if segment.marker == QCC:
            payload = codestream[segment.start + 4 : segment.stop]
            if len(payload) < 2 or payload[0] >= len(header.components):
                raise FormatError(f"the QCC segment at byte {segment.start} names no component; {_DAMAGED}")
            available[payload[0]] = _count_steps(payload[1:])
        if segment.marker == RGN and segment.stop - segment.start != 7:
            raise FormatError(f"the RGN segment at byte {segment.start} has a wrong length; {_DAMAGED}")
    for index, style in enumerate(header.styles):
        steps = available.get(index, available[-1])
        if steps is not None and steps < 3 * style.levels + 1:
            raise FormatError(f"{steps} quantiser steps for {3 * style.levels + 1} subbands; {_DAMAGED}")


def _count_steps(payload: bytes) -> int | None:
    """Subbands a QCD or QCC payload gives steps for; None if all are derived from one."""
    style = payload[0] & 0x1F if payload else 3
    if style == 0:
        return len(payload) - 1
    if style == 1 and len(payload) == 3:
        return None
    if style == 2:
        return (len(payload) - 1) // 2
    raise FormatError(f"quantisation style {style} with {len(payload)} bytes is none of Part 1; {_DAMAGED}")
