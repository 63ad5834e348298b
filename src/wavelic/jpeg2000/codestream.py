"""The main header of a JPEG 2000 codestream (ITU-T T.800 annex A), parsed and checked before libopenjp2 sees it.

Admitted are Part 1 and the block coder of Part 15 (HTJ2K).  What belongs to other parts of the standard is named and
refused with UnsupportedError, and only what no part allows is called damaged.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from wavelic.errors import FormatError, UnsupportedError
from wavelic.jpeg2000.cost import count_code_blocks
from wavelic.jpeg2000.header import (
    CAP,
    COC,
    COD,
    CODESTREAM_START,
    COM,
    CPF,
    CRG,
    CUT_SHORT,
    DAMAGED,
    EOC,
    ESSENTIAL,
    OF_TILES,
    PLM,
    PLT,
    POC,
    PPM,
    PPT,
    PROGRESSIONS,
    QCC,
    QCD,
    RGN,
    SIZ,
    SOC,
    SOD,
    SOT,
    TLM,
    USES_EPH,
    USES_SOP,
    CodingStyle,
    Component,
    Grid,
    MainHeader,
    Segment,
    ceil_div,
)
from wavelic.jpeg2000.limits import DEFAULT_LIMITS, Limits, admit

__all__ = [
    "CAP", "COC", "COD", "CODESTREAM_START", "COM", "CUT_SHORT", "DAMAGED", "EOC", "ESSENTIAL", "OF_TILES", "PLT",
    "POC", "PPM", "PPT", "PROGRESSIONS", "QCC", "QCD", "RGN", "SIZ", "SOC", "SOD", "SOT", "USES_EPH", "USES_SOP",
    "CodingStyle", "Component", "Grid", "MainHeader", "Segment", "ceil_div", "parse_main_header", "segments",
]  # fmt: skip

_DISPENSABLE = (TLM, PLM, CRG, COM, CPF)
#: Marker segments of other parts of the standard.
_OTHER_PARTS = {
    0xFF65: "error protection (Part 11)",
    0xFF66: "error protection (Part 11)",
    0xFF67: "error protection (Part 11)",
    0xFF68: "error protection (Part 11)",
    0xFF69: "error protection (Part 11)",
    **dict.fromkeys(range(0xFF70, 0xFF80), "extensions of Part 2"),
}
_PART_15 = 1 << 17  # of the capabilities in CAP
_OTHER_BLOCK_MODES = 0x80  # HTJ2K and the block coder of Part 1 in turns
_MAX_BITS = 31  # of int32 samples, the library's own limit; Part 1 allows 38
_REMEDY = "convert it to plain JPEG 2000 Part 1"


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
        if not 0xFF50 <= marker <= 0xFF7F:
            raise FormatError(f"0x{marker:04X} at byte {position}, expected a JPEG 2000 marker segment; {DAMAGED}")
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

    Raises FormatError for anything that is no codestream, UnsupportedError for what is of other parts than 1 and 15,
    LimitError if sizes, tiles, layers or code-blocks exceed ``limits``.
    """
    if not codestream.startswith(CODESTREAM_START):
        raise FormatError("no JPEG 2000 codestream (SOC and SIZ markers are missing); give a .jp2, .j2k or .j2c file")
    found = tuple(segments(codestream, 2))
    end = found[-1].stop
    for segment in found:
        if segment.marker in _OTHER_PARTS:
            raise UnsupportedError(f"{_OTHER_PARTS[segment.marker]} are not supported; {_REMEDY}")
        if segment.marker not in (*ESSENTIAL, *_DISPENSABLE, PPM):
            raise FormatError(f"marker 0x{segment.marker:04X} does not belong into a main header; {DAMAGED}")
    if codestream[end : end + 2] != struct.pack(">H", SOT):
        raise FormatError(f"no tile-part follows the main header at byte {end}; {CUT_SHORT}")

    grid, components = _parse_siz(codestream[found[0].start + 4 : found[0].stop], limits)
    _check_capabilities(codestream, found)
    for segment in found:
        if segment.marker == POC:
            check_progressions(codestream[segment.start + 4 : segment.stop])
    cod = _only(codestream, found, COD)
    if len(cod) < 10:
        raise FormatError(f"the COD segment has {len(cod)} bytes, expected at least 10; {DAMAGED}")
    style_bits, progression, layers, transform = struct.unpack_from(">BBHB", cod)
    if transform in (2, 4, 6):
        raise UnsupportedError(f"component transforms of Part 2 are not supported; {_REMEDY}")
    if progression >= len(PROGRESSIONS) or layers == 0 or transform > 1 or style_bits > 7:
        raise FormatError(f"COD says order {progression}, {layers} layers, transform {transform}; {DAMAGED}")
    if transform and len(components) < 3:
        raise FormatError(f"a colour transform of {len(components)} components, expected at least 3; {DAMAGED}")
    admit("max_layers", "the number of layers", layers, limits)
    styles = _component_styles(codestream, found, cod[5:], bool(style_bits & 1), len(components))
    order = PROGRESSIONS[progression]
    markers = style_bits & (USES_SOP | USES_EPH)
    header = MainHeader(grid, components, order, layers, bool(transform), styles, found, end, markers)
    if header.high_throughput and not any(segment.marker == CAP for segment in found):
        raise FormatError(f"the code-blocks are of Part 15, which no CAP segment announces; {DAMAGED}")
    _check_quantisation(codestream, found, header)
    admit("max_tiles", "the number of tiles", grid.tiles, limits)
    admit("max_code_blocks", "the number of code-blocks and precincts", count_code_blocks(header), limits)
    return header


def _check_capabilities(codestream: bytes, found: tuple[Segment, ...]) -> None:
    """Of the parts of the standard that CAP names only Part 15 is supported (T.800 A.5.2)."""
    for segment in found:
        if segment.marker == CAP:
            payload = codestream[segment.start + 4 : segment.stop]
            stated = int.from_bytes(payload[:4], "big")
            if len(payload) < 4 or len(payload) != 4 + 2 * stated.bit_count():
                raise FormatError(f"the CAP segment at byte {segment.start} has a wrong length; {DAMAGED}")
            if stated & ~_PART_15:
                raise UnsupportedError(f"capabilities {stated:#x} of other parts than 15 are not supported; {_REMEDY}")


def check_progressions(payload: bytes) -> None:
    """Check the progression order changes of a POC segment (T.800 table A.32).

    Raises FormatError for anything else.
    """
    entries = list(struct.iter_unpack(">BBHBBB", payload)) if payload and not len(payload) % 7 else []
    for first_resolution, first_component, layers, resolutions, components, order in entries:
        forward = first_resolution < resolutions and (first_component < components or not components)
        if not forward or not layers or order >= len(PROGRESSIONS):
            entries = []
            break
    if not entries:
        raise FormatError(f"the progression order changes {payload[:28].hex()} are none of Part 1; {DAMAGED}")


def _only(codestream: bytes, found: tuple[Segment, ...], marker: int) -> bytes:
    """Payload of the only segment of that kind."""
    payloads = [codestream[s.start + 4 : s.stop] for s in found if s.marker == marker]
    if len(payloads) != 1:
        raise FormatError(f"marker 0x{marker:04X} occurs {len(payloads)} times in the main header, expected once")
    return payloads[0]


def _parse_siz(siz: bytes, limits: Limits) -> tuple[Grid, tuple[Component, ...]]:
    if len(siz) < 37:
        raise FormatError(f"the SIZ segment has {len(siz)} bytes, expected at least 37; {DAMAGED}")
    grid = Grid(*struct.unpack_from(">8I", siz, 2))
    (count,) = struct.unpack_from(">H", siz, 34)
    if count == 0 or len(siz) != 36 + 3 * count:
        raise FormatError(f"the SIZ segment has {len(siz)} bytes, expected {36 + 3 * count}; {DAMAGED}")
    admit("max_components", "the number of components", count, limits)
    if not (grid.x0 < grid.x1 and grid.y0 < grid.y1 and grid.tile_width and grid.tile_height):
        raise FormatError(f"the image area {grid} is empty, expected a size of at least 1; {DAMAGED}")
    inside_x = grid.tile_x0 <= grid.x0 < grid.tile_x0 + grid.tile_width
    inside_y = grid.tile_y0 <= grid.y0 < grid.tile_y0 + grid.tile_height
    if not (inside_x and inside_y):
        raise FormatError(f"the first tile does not contain the image's first sample; {DAMAGED}")
    admit("max_side", "the longer side", max(grid.x1, grid.y1), limits)
    admit("max_pixels", "the number of pixels", (grid.x1 - grid.x0) * (grid.y1 - grid.y0), limits)
    components = []
    for index in range(count):
        depth, dx, dy = siz[36 + 3 * index : 39 + 3 * index]
        bits = (depth & 0x7F) + 1
        if _MAX_BITS < bits <= 38:
            raise UnsupportedError(f"{bits} bits per sample are not supported, only up to {_MAX_BITS}; {_REMEDY}")
        if not dx or not dy or bits > 38:
            raise FormatError(f"component {index} has {bits} bits, steps {dx} and {dy}; {DAMAGED}")
        if ceil_div(grid.x1, dx) <= ceil_div(grid.x0, dx) or ceil_div(grid.y1, dy) <= ceil_div(grid.y0, dy):
            raise FormatError(f"component {index} has no samples in the image area; {DAMAGED}")
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
                raise FormatError(f"the COC segment at byte {segment.start} names no component; {DAMAGED}")
            styles[payload[0]] = _parse_style(payload[2:], bool(payload[1] & 1))
    return tuple(styles)


def _parse_style(parameters: bytes, precincts: bool) -> CodingStyle:
    """The SPcod or SPcoc parameters (T.800 table A.20)."""
    levels, width, height, block_style, transform = parameters[:5]
    sizes = parameters[5:]
    if block_style & _OTHER_BLOCK_MODES:
        raise UnsupportedError(f"HTJ2K code-blocks in turns with others are not supported; {_REMEDY}")
    if levels > 32 or width > 8 or height > 8 or width + height > 8 or transform > 1:
        raise FormatError(
            f"coding style {parameters[:5].hex()} is none of Part 1 (levels, code-block, mode, wavelet); {DAMAGED}"
        )
    if len(sizes) != (levels + 1 if precincts else 0):
        raise FormatError(f"{len(sizes)} precinct sizes for {levels} wavelet levels; {DAMAGED}")
    if not precincts:
        sizes = b"\xff" * (levels + 1)
    if any(not size & 0xF or not size >> 4 for size in sizes[1:]):
        raise FormatError(f"a precinct of width or height 1 above the lowest resolution; {DAMAGED}")
    return CodingStyle(
        levels,
        (4 << width, 4 << height),
        tuple((1 << (size & 0xF), 1 << (size >> 4)) for size in sizes),
        transform == 1,
        block_style,
    )


def _check_quantisation(codestream: bytes, found: tuple[Segment, ...], header: MainHeader) -> None:
    """Every component needs a step size, or an exponent, for each of its subbands."""
    available = {-1: _count_steps(_only(codestream, found, QCD))}
    for segment in found:
        if segment.marker == QCC:
            payload = codestream[segment.start + 4 : segment.stop]
            if len(payload) < 2 or payload[0] >= len(header.components):
                raise FormatError(f"the QCC segment at byte {segment.start} names no component; {DAMAGED}")
            available[payload[0]] = _count_steps(payload[1:])
        if segment.marker == RGN and segment.stop - segment.start != 7:
            raise FormatError(f"the RGN segment at byte {segment.start} has a wrong length; {DAMAGED}")
    for index, style in enumerate(header.styles):
        steps = available.get(index, available[-1])
        if steps is not None and steps < 3 * style.levels + 1:
            raise FormatError(f"{steps} quantiser steps for {3 * style.levels + 1} subbands; {DAMAGED}")


def _count_steps(payload: bytes) -> int | None:
    """Subbands a QCD or QCC payload gives steps for; None if all are derived from one."""
    style = payload[0] & 0x1F if payload else 3
    if style == 0:
        return len(payload) - 1
    if style == 1 and len(payload) == 3:
        return None
    if style == 2:
        return (len(payload) - 1) // 2
    raise FormatError(f"quantisation style {style} with {len(payload)} bytes is none of Part 1; {DAMAGED}")
