"""JPEG 2000 -> `Image`: boxes by our own parser, codestreams by libopenjp2; wavelic's own files as `decode` shows them.

Palettes, the order that the channel definition box gives, YCC, and samples of up to 16 bits are resolved here.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field, replace
from fractions import Fraction
from importlib import import_module
from typing import BinaryIO

import numpy as np

from wavelic.errors import ImageError
from wavelic.images import icc as profiles
from wavelic.images.image import Image, scale_to_full
from wavelic.images.metadata import Metadata, Resolution
from wavelic.images.photoshop import iptc_of
from wavelic.images.readers.checks import check_size
from wavelic.jpeg2000 import DEFAULT_LIMITS, decode_codestream, is_jp2, parse_main_header
from wavelic.jpeg2000.boxes import Box, list_boxes, stated_resolution
from wavelic.jpeg2000.codestream import MainHeader, ceil_div

#: The `uuid` box that makes a JP2 file one of codec lifting.
LIFTING_BOX = bytes.fromhex("c79fe95b3407414aa66c0b6083a53724")
EXIF_BOXES = (b"JpgTiffExif->JP2", bytes.fromhex("0537cdab9d0c4431a72afa561f2a113e"))
XMP_BOX = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
IPTC_BOX = bytes.fromhex("33c7a4d2b81d4723a0baf1a3e097ad38")
_GEO_BOX = bytes.fromhex("b14bf8bd083d4b43a5ae8cd7d5a6ce03")

_SRGB, _GREY, _SYCC = 16, 17, 18
_COLOUR, _OPACITY, _PREMULTIPLIED = 0, 1, 2
_MOST_BITS = 16


@dataclass
class Boxes:
    """What the boxes of a JP2 file say, as far as it concerns samples; empty for a bare codestream.

    Attributes:
        colour: enumerated colour space.
        icc: ICC profile.
        code_points: colour primaries and transfer of H.273, and whether the full range is used.
        palette, mapping, channels: payloads of the boxes pclr, cmap and cdef.
        resolution: samples per metre across and down.
        uuids: the data of the first `uuid` box of each identifier.
        codestream: the first one; empty if there is none.
        has_xml: whether there is an XML box.
    """

    colour: int | None = None
    icc: bytes | None = None
    code_points: tuple[int, int, bool] | None = None
    palette: bytes | None = None
    mapping: bytes | None = None
    channels: bytes | None = None
    resolution: tuple[Fraction, Fraction] | None = None
    uuids: dict[bytes, bytes] = field(default_factory=dict)
    codestream: bytes = b""
    has_xml: bool = False

    def metadata(self, channels: int, remarks: list[str]) -> Metadata:
        """Return the metadata for samples of so many channels; what is left out is appended to ``remarks``."""
        icc = self.icc
        if self.code_points is not None and icc is None:
            try:
                icc = profiles.from_cicp(*self.code_points, channels)
            except ValueError as error:
                remarks.append(f"{error}; the samples are taken for sRGB")
        elif icc is None and self.colour not in (None, _SRGB, _GREY, _SYCC):
            raise ImageError(f"JPEG 2000 colour space {self.colour} is not supported; convert the image to sRGB")
        exif = next((self.uuids[kind] for kind in EXIF_BOXES if self.uuids.get(kind)), None)
        resolution = Resolution.checked(*self.resolution) if self.resolution else None
        if self.has_xml:
            remarks.append("an XML box is left out")
        if _GEO_BOX in self.uuids:
            remarks.append("the georeference (GeoJP2) is left out")
        return Metadata(
            icc or None,
            exif.removeprefix(b"Exif\0\0") if exif else None,
            self.uuids.get(XMP_BOX) or None,
            iptc_of(self.uuids.get(IPTC_BOX)),
            resolution,
        )


@dataclass(frozen=True)
class _Channel:
    """Samples of one channel and their bits."""

    samples: np.ndarray
    bits: int


def read_jpeg2000(stream: BinaryIO, size: int, max_pixels: int) -> Image:
    """Read a JP2 file or a codestream: gray, RGB or YCC, with or without opacity, up to 16 bits.

    A file of codec lifting is decoded with its learned synthesis, as `wavelic.decode` does.

    Raises:
        ImageError: the file is too large, or its samples are of a kind that is not supported.
        FormatError: it is damaged, or not admitted by `wavelic.jpeg2000`.
        ModelError: it is of codec lifting, and the weights it names are not installed.
    """
    stream.seek(0)
    data = stream.read()
    limits = replace(DEFAULT_LIMITS, max_pixels=min(max_pixels, DEFAULT_LIMITS.max_pixels))
    boxes = read_boxes(data) if is_jp2(data) else Boxes(codestream=data)
    if not boxes.codestream:
        raise ImageError("the JP2 file has no codestream; it is cut short, get it again")
    main = parse_main_header(boxes.codestream, limits)
    check_size(main.width, main.height, max_pixels)
    if LIFTING_BOX in boxes.uuids:
        image: Image = import_module("wavelic").open(data).decode()  # the codec is a room above this one
        return image
    _check_components(main)
    decoded = decode_codestream(boxes.codestream, limits=limits)
    planes = [
        _Channel(_at_full_size(plane, main, index), bits)
        for index, (plane, bits) in enumerate(zip(decoded.planes, decoded.bits, strict=True))
    ]
    remarks: list[str] = []
    planes = _through_palette(planes, boxes)
    channels, premultiplied = _in_order(planes, boxes, remarks)
    bits = max(channel.bits for channel in channels)
    scaled = [scale_to_full(channel.samples, channel.bits) for channel in channels]
    if bits > 8:
        scaled = [s if s.dtype == np.uint16 else s.astype(np.uint16) * np.uint16(257) for s in scaled]
    if bits not in (1, 8, 16):
        remarks.append(f"samples of {bits} bits are scaled to {8 if bits < 8 else 16} bits")
    pixels = np.stack(scaled, axis=2)
    if boxes.colour == _SYCC and pixels.shape[2] >= 3:
        pixels = _from_ycc(pixels)
    if premultiplied:
        raise ImageError("premultiplied opacity in JPEG 2000 is not supported; convert the image to PNG")
    return Image(pixels, boxes.metadata(pixels.shape[2], remarks), tuple(remarks))


def read_boxes(data: bytes) -> Boxes:
    """Return what the boxes of a JP2 file, or of its beginning, say.

    Raises:
        FormatError: they are no boxes.
    """
    boxes = Boxes()
    for box in list_boxes(data):
        payload = data[box.start : box.stop]
        if box.kind == b"jp2h":
            _read_header(data, box, boxes)
        elif box.kind == b"uuid":
            boxes.uuids.setdefault(payload[:16], payload[16:])
        elif box.kind == b"jp2c" and not boxes.codestream:
            boxes.codestream = payload
        elif box.kind == b"xml ":
            boxes.has_xml = True
    return boxes


def _read_header(data: bytes, header: Box, boxes: Boxes) -> None:
    for box in list_boxes(data, start=header.start, stop=header.stop):
        payload = data[box.start : box.stop]
        if box.kind == b"colr" and len(payload) >= 3:
            if payload[0] == 1 and boxes.colour is None and len(payload) >= 7:
                boxes.colour = int.from_bytes(payload[3:7], "big")
            elif payload[0] in (2, 3) and boxes.icc is None:
                boxes.icc = payload[3:]
            elif payload[0] == 5 and len(payload) >= 10:
                primaries, transfer, _, flags = struct.unpack_from(">HHHB", payload, 3)
                boxes.code_points = primaries, transfer, bool(flags & 0x80)
        elif box.kind == b"pclr":
            boxes.palette = payload
        elif box.kind == b"cmap":
            boxes.mapping = payload
        elif box.kind == b"cdef":
            boxes.channels = payload
        elif box.kind == b"res ":
            boxes.resolution = stated_resolution(data, box, DEFAULT_LIMITS)


def _check_components(main: MainHeader) -> None:
    """Raise ImageError for components that are not supported."""
    if any(component.signed for component in main.components):
        raise ImageError("signed samples in JPEG 2000 are not supported; convert the image to unsigned")
    if max(component.bits for component in main.components) > _MOST_BITS:
        raise ImageError(f"JPEG 2000 of more than {_MOST_BITS} bits is not supported; convert the image to 16 bits")
    first = main.components[0]
    if (first.dx, first.dy) != (1, 1):
        raise ImageError("JPEG 2000 whose first component is subsampled is not supported; convert the image")


def _at_full_size(plane: np.ndarray, main: MainHeader, index: int) -> np.ndarray:
    """A component with the samples of the image: subsampled ones are repeated."""
    component, grid = main.components[index], main.grid
    if (component.dx, component.dy) == (1, 1):
        return plane
    rows = np.maximum(np.arange(grid.y0, grid.y1) // component.dy - ceil_div(grid.y0, component.dy), 0)
    columns = np.maximum(np.arange(grid.x0, grid.x1) // component.dx - ceil_div(grid.x0, component.dx), 0)
    return plane[np.ix_(np.minimum(rows, plane.shape[0] - 1), np.minimum(columns, plane.shape[1] - 1))]


def _through_palette(planes: list[_Channel], boxes: Boxes) -> list[_Channel]:
    """The channels that a palette (pclr) and its mapping (cmap) make of the components."""
    if boxes.palette is None:
        return planes
    damaged = "the palette of the JP2 file is damaged; get it again"
    table, mapping = boxes.palette, boxes.mapping or b""
    if len(table) < 3 or not mapping or len(mapping) % 4:
        raise ImageError(damaged)
    entries, columns = struct.unpack_from(">HB", table)
    depths = [(depth & 0x7F) + 1 for depth in table[3 : 3 + columns]]
    sizes = [(depth + 7) // 8 for depth in depths]
    if not entries or not depths or max(depths) > _MOST_BITS or len(table) != 3 + columns + entries * sum(sizes):
        raise ImageError(damaged)
    rows = np.frombuffer(table, np.uint8, offset=3 + columns).reshape(entries, -1)
    values, at = [], 0
    for size in sizes:
        values.append(rows[:, at].astype(np.int32) if size == 1 else rows[:, at : at + 2].astype(np.int32) @ (256, 1))
        at += size
    channels = []
    for component, kind, column in struct.iter_unpack(">HBB", mapping):
        if component >= len(planes) or kind > 1 or (kind == 1 and column >= columns):
            raise ImageError(damaged)
        plane = planes[component]
        if kind == 0:
            channels.append(plane)
        else:
            inside = np.minimum(plane.samples, entries - 1)
            channels.append(_Channel(values[column][inside], depths[column]))
    return channels


def _in_order(planes: list[_Channel], boxes: Boxes, remarks: list[str]) -> tuple[list[_Channel], bool]:
    """Colours in their order, then opacity; and whether the colours are multiplied with it."""
    count = len(planes)
    colours: dict[int, int] = {}
    opacity: int | None = None
    premultiplied = False
    if boxes.channels is not None:
        if len(boxes.channels) < 2 or (len(boxes.channels) - 2) % 6:
            raise ImageError("the channel definition box of the JP2 file is damaged; get it again")
        for index, kind, association in struct.iter_unpack(">HHH", boxes.channels[2:]):
            if index >= count:
                raise ImageError(f"the JP2 file defines channel {index} of {count}; it is damaged, get it again")
            if kind == _COLOUR and association not in (0, 65535):
                colours[association] = index
            elif kind in (_OPACITY, _PREMULTIPLIED) and association == 0 and opacity is None:
                opacity, premultiplied = index, kind == _PREMULTIPLIED
    else:
        stated = 1 if boxes.colour == _GREY else 3 if boxes.colour in (_SRGB, _SYCC) else 1 if count < 3 else 3
        colours = {number + 1: number for number in range(min(stated, count))}
        if count == stated + 1:
            opacity = stated
            remarks.append("the last channel has no stated meaning and is taken for alpha")
    order = [colours[number] for number in sorted(colours)]
    used = [*order, *([] if opacity is None else [opacity])]
    if sorted(colours) not in ([1], [1, 2, 3]) or len(set(used)) != count:
        raise ImageError(
            f"{count} channels that are not gray or RGB with or without opacity are not supported; convert"
        )
    return [planes[index] for index in used], premultiplied


def _from_ycc(pixels: np.ndarray) -> np.ndarray:
    """YCC (BT.601, full range) as RGB; a fourth channel stays."""
    full = int(np.iinfo(pixels.dtype).max)
    result = np.array(pixels)
    for start in range(0, len(pixels), 256):
        part = pixels[start : start + 256].astype(np.float64)
        y, cb, cr = part[..., 0], part[..., 1] - (full + 1) / 2, part[..., 2] - (full + 1) / 2
        colours = (y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb)
        for index, plane in enumerate(colours):
            result[start : start + 256, :, index] = np.clip(np.round(plane), 0, full)
    return result
