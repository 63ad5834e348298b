"""The header box of a JP2 file (ITU-T T.800 I.5.3): size, depths, colour, palette, channels and resolution."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from wavelic.errors import FormatError, UnsupportedError
from wavelic.jpeg2000.boxes import Box, list_boxes, unpack_resolution
from wavelic.jpeg2000.header import DAMAGED
from wavelic.jpeg2000.limits import Limits

_ENUMERATED, _RESTRICTED_ICC, _ANY_ICC, _CODE_POINTS = 1, 2, 3, 5
_MOST_ENTRIES, _MOST_PALETTE_BITS = 1024, 16


@dataclass(frozen=True)
class Colour:
    """One colour specification (`colr`).

    Attributes:
        space: enumerated colour space (T.801 table M.25), if it is stated so.
        icc: ICC profile, if it is stated so.
        code_points: primaries and transfer of ITU-T H.273, and whether the full range is used, if it is stated so.
    """

    space: int | None = None
    icc: bytes | None = None
    code_points: tuple[int, int, bool] | None = None


@dataclass(frozen=True)
class Palette:
    """A palette (`pclr`).

    Attributes:
        columns: the values of every column, int32.
        bits: of the values of every column.
    """

    columns: tuple[NDArray[np.int32], ...]
    bits: tuple[int, ...]


@dataclass(frozen=True)
class Definition:
    """What a channel is (`cdef`).

    Attributes:
        channel: its index.
        kind: 0 colour, 1 opacity, 2 opacity that colours are multiplied with, 65535 unspecified.
        association: 0 the whole image, n the n-th colour, 65535 none.
    """

    channel: int
    kind: int
    association: int


@dataclass(frozen=True)
class HeaderBox:
    """What a `jp2h` box says.

    Attributes:
        width: of the image.
        height: of the image.
        components: how many the codestream has.
        colours: all colour specifications, in order.
        palette: if there is one.
        mapping: for every channel the component and the column of the palette, None for the component itself; empty
            without a palette, as channels are components then.
        definitions: of channels; empty if the file has none.
        resolution: samples per metre across and down, if the file says it.
    """

    width: int
    height: int
    components: int
    colours: tuple[Colour, ...] = ()
    palette: Palette | None = None
    mapping: tuple[tuple[int, int | None], ...] = ()
    definitions: tuple[Definition, ...] = ()
    resolution: tuple[Fraction, Fraction] | None = None


def parse_header_box(data: bytes, header: Box, limits: Limits) -> HeaderBox:
    """Parse a `jp2h` box.

    Args:
        data: the file.
        header: where the box is.
        limits: what is admitted.

    Raises:
        FormatError: a box in it is damaged.
        UnsupportedError: it is of a kind that wavelic does not read.
    """
    inside = list_boxes(data, limits, header.start, header.stop)
    if not inside or inside[0].kind != b"ihdr" or inside[0].stop - inside[0].start != 14:
        raise FormatError(f"the header box does not begin with an image header of 14 bytes; {DAMAGED}")
    height, width, components, _, compression = struct.unpack_from(">IIHBB", data, inside[0].start)
    if compression != 7:
        raise FormatError(f"the image header says compression {compression}, expected 7 (JPEG 2000); {DAMAGED}")
    payloads: dict[bytes, bytes] = {}
    for found in inside[1:]:
        payloads.setdefault(found.kind, data[found.start : found.stop])
    colours = [_colour(data[found.start : found.stop]) for found in inside if found.kind == b"colr"]
    palette = _palette(payloads[b"pclr"]) if b"pclr" in payloads else None
    mapping = _mapping(payloads.get(b"cmap", b""), components, palette) if palette else ()
    channels = len(mapping) if palette else components
    definitions = _definitions(payloads[b"cdef"], channels) if b"cdef" in payloads else ()
    resolutions = (stated_resolution(data, found, limits) for found in inside if found.kind == b"res ")
    resolution = next((both for both in resolutions if both), None)
    found_colours = tuple(colour for colour in colours if colour)
    return HeaderBox(width, height, components, found_colours, palette, mapping, definitions, resolution)


def colours_of_layers(data: bytes, header: Box, limits: Limits) -> tuple[Colour, ...]:
    """Return the colour specifications in a compositing layer header (`jplh`) of a JPX file (T.801 M.11.7)."""
    groups = [box for box in list_boxes(data, limits, header.start, header.stop) if box.kind == b"cgrp"]
    inside = [box for group in groups for box in list_boxes(data, limits, group.start, group.stop)]
    colours = [_colour(data[box.start : box.stop]) for box in inside if box.kind == b"colr"]
    return tuple(colour for colour in colours if colour)


def stated_resolution(data: bytes, found: Box, limits: Limits) -> tuple[Fraction, Fraction] | None:
    """Return samples per metre (across, down) in a `res ` superbox: of the capture, else for display, else None."""
    inside = list_boxes(data, limits, found.start, found.stop)
    payloads = [data[b.start : b.stop] for kind in (b"resc", b"resd") for b in inside if b.kind == kind]
    return next((both for payload in payloads if (both := unpack_resolution(payload))), None)


def _colour(payload: bytes) -> Colour | None:
    """A colour specification; None for a method that is not known, or one that is cut short."""
    method = payload[0] if len(payload) >= 3 else 0
    if method == _ENUMERATED and len(payload) >= 7:
        return Colour(space=int.from_bytes(payload[3:7], "big"))
    if method in (_RESTRICTED_ICC, _ANY_ICC):
        return Colour(icc=bytes(payload[3:]))
    if method == _CODE_POINTS and len(payload) >= 10:
        primaries, transfer, _, flags = struct.unpack_from(">HHHB", payload, 3)
        return Colour(code_points=(primaries, transfer, bool(flags & 0x80)))
    return None


def _palette(payload: bytes) -> Palette:
    damaged = f"the palette of the JP2 file is damaged ({len(payload)} bytes); fetch it again"
    if len(payload) < 4:
        raise FormatError(damaged)
    entries, count = struct.unpack_from(">HB", payload)
    depths = payload[3 : 3 + count]
    bits = tuple((depth & 0x7F) + 1 for depth in depths)
    if any(depth & 0x80 for depth in depths) or any(_MOST_PALETTE_BITS < b <= 38 for b in bits):
        raise UnsupportedError(
            "palettes of signed values, or of more than 16 bits, are not supported; convert the file"
        )
    sizes = [(b + 7) // 8 for b in bits]
    if not 1 <= entries <= _MOST_ENTRIES or not bits or len(payload) != 3 + count + entries * sum(sizes):
        raise FormatError(damaged)
    rows = np.frombuffer(payload, np.uint8, offset=3 + count).reshape(entries, -1).astype(np.int32)
    starts = np.r_[0, np.cumsum(sizes)][:-1].tolist()
    columns = (
        rows[:, at] if size == 1 else rows[:, at] * 256 + rows[:, at + 1]
        for at, size in zip(starts, sizes, strict=True)
    )
    return Palette(tuple(columns), bits)


def _mapping(payload: bytes, components: int, palette: Palette) -> tuple[tuple[int, int | None], ...]:
    """The component mapping (`cmap`), which every palette needs."""
    if not payload or len(payload) % 4:
        raise FormatError(f"the palette has a mapping of {len(payload)} bytes, expected 4 a channel; {DAMAGED}")
    mapping: list[tuple[int, int | None]] = []
    for component, kind, column in struct.iter_unpack(">HBB", payload):
        if component >= components or kind > 1 or (kind == 1 and column >= len(palette.columns)):
            raise FormatError(f"the palette's mapping names component {component}, column {column}; {DAMAGED}")
        mapping.append((component, column if kind == 1 else None))
    return tuple(mapping)


def _definitions(payload: bytes, channels: int) -> tuple[Definition, ...]:
    if len(payload) < 2 or len(payload) != 2 + 6 * int.from_bytes(payload[:2], "big"):
        raise FormatError(f"a channel definition box of {len(payload)} bytes has no matching count; {DAMAGED}")
    found = tuple(Definition(*entry) for entry in struct.iter_unpack(">HHH", payload[2:]))
    wrong = next((entry.channel for entry in found if entry.channel >= channels), None)
    if wrong is not None:
        raise FormatError(f"channel {wrong} is defined, the image has {channels}; {DAMAGED}")
    return found
