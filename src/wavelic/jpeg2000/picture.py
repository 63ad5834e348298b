"""Pictures of JPEG 2000 files without learned steps: windows of any resolution and layer, as 8 or 16 bits.

libopenjp2 gives components; this module makes the channels of them: samples of subsampled components are repeated,
palettes are looked up, YCbCr becomes RGB, every channel is scaled to the full range.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wavelic.jpeg2000.channels import Channel, Channels, Space
from wavelic.jpeg2000.decode import decode_codestream
from wavelic.jpeg2000.header import MainHeader, ceil_div
from wavelic.jpeg2000.limits import DEFAULT_LIMITS, Limits
from wavelic.rect import Rect

Pixels = NDArray[np.uint8] | NDArray[np.uint16]
Plane = NDArray[np.int32]

#: Pixels up to which a region is decoded in one piece, and the sides of the windows beyond.
_ONE_PIECE, _WINDOW = 1 << 24, 4096
_STRIP = 256  # rows that are worked on at once
#: Luma weights of red and blue.
_LUMA = {Space.BT601_FULL: (0.299, 0.114), Space.BT601_VIDEO: (0.299, 0.114), Space.BT709_VIDEO: (0.2126, 0.0722)}


@dataclass(frozen=True)
class Stored:
    """A codestream that can be decoded, and how much of it is.

    Attributes:
        codestream: all of it, or one that decodes alike for what is asked.
        header: its main header.
        reduce: how often both sides are halved.
        layers: quality layers that are used; None for all.
        threads: that libopenjp2 may use.
        limits: for its decodes.
    """

    codestream: bytes
    header: MainHeader
    reduce: int = 0
    layers: int | None = None
    threads: int = 1
    limits: Limits = DEFAULT_LIMITS

    def planes(self, window: Rect, components: Sequence[int]) -> list[Plane]:
        """Decode components of a window, all of them with the samples of the image.

        Args:
            window: in samples of the reduced image.
            components: which.

        Returns:
            Planes (height, width), as they are stored.
        """
        full = self.footprint(window)
        decoded = decode_codestream(
            self.codestream,
            reduce=self.reduce,
            max_layers=self.layers,
            area=None if full == Rect(0, 0, self.header.width, self.header.height) else full,
            threads=self.threads,
            limits=self.limits,
            header=self.header,
        )
        return [self._at_full_size(decoded.planes[index], index, window, full) for index in components]

    def footprint(self, window: Rect) -> Rect:
        """The pixels of the full image that have the samples of a window of the reduced one.

        Of a subsampled component a sample is kept by the pixel it lies on, which may be left of the window.
        """
        grid, step = self.header.grid, 1 << self.reduce
        apart_x = math.lcm(*(component.dx for component in self.header.components)) * step
        apart_y = math.lcm(*(component.dy for component in self.header.components)) * step
        left, top = grid.x0 + window.x * step, grid.y0 + window.y * step
        right, bottom = grid.x0 + (window.right - 1) * step + 1, grid.y0 + (window.bottom - 1) * step + 1
        if apart_x > step or apart_y > step:
            left, top = max(grid.x0, left // apart_x * apart_x), max(grid.y0, top // apart_y * apart_y)
            right, bottom = ceil_div(right, apart_x) * apart_x, ceil_div(bottom, apart_y) * apart_y
        right, bottom = ceil_div(right, step) * step, ceil_div(bottom, step) * step
        area = Rect.between(left, top, min(right, grid.x1), min(bottom, grid.y1))
        return area.moved(-grid.x0, -grid.y0)

    def _at_full_size(self, plane: Plane, index: int, window: Rect, full: Rect) -> Plane:
        component, grid, step = self.header.components[index], self.header.grid, 1 << self.reduce
        if (component.dx, component.dy) == (1, 1) and plane.shape == (window.height, window.width):
            return plane
        rows = _nearest(grid.y0, window.y, window.height, component.dy, step, full.y, plane.shape[0])
        columns = _nearest(grid.x0, window.x, window.width, component.dx, step, full.x, plane.shape[1])
        return plane[np.ix_(rows, columns)]


def _nearest(origin: int, first: int, count: int, distance: int, step: int, start: int, size: int) -> NDArray[np.intp]:
    """For ``count`` samples of the image from ``first`` on, the index of a component's sample at or before each.

    Args:
        origin: of the image on the canvas.
        first: in samples of the reduced image.
        count: of samples.
        distance: of the component's samples.
        step: of the reduced image's.
        start: of the decoded area, in pixels from the image's origin.
        size: of the component in that area.
    """
    absolute = ceil_div(origin, step) + first + np.arange(count)
    index = absolute // distance - ceil_div(origin + start, distance * step)
    return np.clip(index, 0, size - 1)


def read_picture(
    stored: Stored, channels: Channels, area: Rect, done: Callable[[int, int], None] | None = None
) -> Pixels:
    """Decode a part of the picture.

    Args:
        stored: the codestream.
        channels: how its components become a picture.
        area: in samples of the reduced image.
        done: called as ``done(windows, of_windows)``.

    Returns:
        (height, width, channels), uint8 or uint16 over the full range.

    Raises:
        FormatError: the codestream is damaged.
        LimitError: the decode would need too much memory.
    """
    pixels = np.empty((area.height, area.width, len(channels.channels)), np.uint8 if channels.depth == 8 else np.uint16)
    side = max(area.width, area.height) if area.area <= _ONE_PIECE else _WINDOW
    windows = [(x, y) for y in range(0, area.height, side) for x in range(0, area.width, side)]
    for number, (x, y) in enumerate(windows, 1):
        window = Rect(area.x + x, area.y + y, min(side, area.width - x), min(side, area.height - y))
        planes = stored.planes(window, [channel.component for channel in channels.channels])
        target = pixels[y : y + window.height, x : x + window.width]
        for start in range(0, window.height, _STRIP):
            rows = slice(start, start + _STRIP)
            _fill(target[rows], [plane[rows] for plane in planes], channels)
        if done:
            done(number, len(windows))
    return pixels


def read_stored(stored: Stored, area: Rect) -> NDArray[np.integer]:
    """Decode the components of a part of the image as they are stored: not scaled, no palette, no change of colours.

    Args:
        stored: the codestream.
        area: in samples of the reduced image.

    Returns:
        (height, width, components) of the smallest integer type that holds all of them: int8 to int32 if one is
        signed, else uint8 to uint32.
    """
    components = stored.header.components
    signed = any(component.signed for component in components)
    bits = max(component.bits + (signed and not component.signed) for component in components)
    size = 8 if bits <= 8 else 16 if bits <= 16 else 32
    planes = stored.planes(area, range(len(components)))
    return np.stack(planes, axis=2).astype(f"{'' if signed else 'u'}int{size}")


def _fill(pixels: Pixels, planes: Sequence[Plane], channels: Channels) -> None:
    """Make the pixels of some rows."""
    colours = len(planes) - channels.opacity
    if channels.space in _LUMA:
        _from_ycc(pixels, planes, channels)
    else:
        for index in range(colours):
            samples = _scaled(planes[index], channels.channels[index], channels.depth)
            pixels[..., index] = np.invert(samples) if channels.space is Space.INVERTED else samples
    if channels.opacity:
        pixels[..., -1] = _scaled(planes[-1], channels.channels[-1], channels.depth)
    if channels.premultiplied:
        _divide(pixels)


def _values(plane: Plane, channel: Channel) -> Plane:
    """The samples of a channel, from 0 on."""
    if channel.table is not None:
        return channel.table[np.clip(plane, 0, len(channel.table) - 1)]
    return plane + (1 << channel.bits - 1) if channel.signed else plane


def _scaled(plane: Plane, channel: Channel, depth: int) -> Pixels:
    """The samples of a channel over the full range of 8 or 16 bits, rounded; no two of up to 16 bits become one."""
    values, peak, full = _values(plane, channel), (1 << channel.bits) - 1, (1 << depth) - 1
    if channel.bits == depth:
        return values.astype(f"uint{depth}")
    if channel.bits <= 16:
        table = (np.arange(peak + 1, dtype=np.uint64) * (2 * full) + peak) // (2 * peak)
        return table.astype(f"uint{depth}")[np.clip(values, 0, peak)]
    return np.rint(values.astype(np.float64) * (full / peak)).astype(f"uint{depth}")


def _from_ycc(pixels: Pixels, planes: Sequence[Plane], channels: Channels) -> None:
    """Red, green and blue of luma and chroma (ITU-R BT.601, BT.709; T.801 annex M.11.7.3.1)."""
    full = (1 << channels.depth) - 1
    parts = []
    for index in range(3):
        channel = channels.channels[index]
        peak, middle = (1 << channel.bits) - 1, (1 << channel.bits - 1) if index else 0
        parts.append((_values(planes[index], channel) - float(middle)) / peak)
    y, cb, cr = parts
    if channels.space is not Space.BT601_FULL:
        y, cb, cr = (y * 255 - 16) / 219, cb * (255 / 224), cr * (255 / 224)
    red, blue = _LUMA[channels.space]
    r, b = y + (2 - 2 * red) * cr, y + (2 - 2 * blue) * cb
    for index, plane in enumerate((r, (y - red * r - blue * b) / (1 - red - blue), b)):
        pixels[..., index] = np.clip(np.rint(plane * full), 0, full)


def _divide(pixels: Pixels) -> None:
    """Divide the colours by the opacity."""
    full = int(np.iinfo(pixels.dtype).max)
    opacity = pixels[..., -1:].astype(np.float64)
    colours = np.where(opacity > 0, pixels[..., :-1].astype(np.float64) * full / np.maximum(opacity, 1), 0)
    pixels[..., :-1] = np.minimum(np.rint(colours), full)
