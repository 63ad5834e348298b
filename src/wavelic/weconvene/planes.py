"""Pixels to subbands and back for the `weconvene` codec, in overlapping windows: bounded memory and no seams.

The networks and the two finest wavelet levels run window by window; neighbouring windows overlap by what they can see.
The coarser levels, a sixteenth of the picture, are transformed in one piece.  So a result does not depend on the
windows, apart from the rounding of floats, and a window of the picture is synthesised from the coefficients around it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wavelic.codec.opened import Progress, Region
from wavelic.container import TileGrid
from wavelic.rect import Rect
from wavelic.weconvene.context_integer import STEP_UNIT, VALUE
from wavelic.weconvene.network import SmallPlan
from wavelic.weconvene.subbands import (
    BANDS,
    COLOURS,
    LEVELS,
    MULTIPLE,
    PACKED,
    Subbands,
    compose,
    decompose,
    from_grid,
    pack,
    to_colours,
    to_grid,
    to_rgb,
    unpack,
)
from wavelic.weconvene.tiles import Decoded
from wavelic.weconvene.weights import DeployedSmall

CELL = 1 << Subbands.FINE  # pixels a side of a cell of the networks' grid
#: Pixels a side of a window's inner part, a multiple of 16.
WINDOW = 1536
_REACH_97 = 5  # samples a 9/7 filter reaches to either side, at most
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Planes:
    """Coefficients of a picture in steps, float32: ``low`` (3, h, w), ``details`` (9, h_d, w_d), level 1 first."""

    low: Tensor
    details: tuple[Tensor, ...]

    @staticmethod
    def empty(height: int, width: int) -> Planes:
        """Zeros for a picture of that size."""
        rows, columns = padded(height), padded(width)
        details = (torch.zeros(BANDS, rows >> d, columns >> d) for d in range(1, LEVELS + 1))
        return Planes(torch.zeros(COLOURS, rows >> LEVELS, columns >> LEVELS), tuple(details))

    def cut(self, box: Box) -> tuple[Tensor, list[Tensor]]:
        """The coefficients of a tile (left, top, right, bottom), multiples of 128."""
        return _cut(self.low, box, LEVELS), [_cut(d, box, number) for number, d in enumerate(self.details, 1)]

    @torch.inference_mode()
    def paste(self, box: Box, values: Decoded) -> None:
        """Fill in a decoded tile."""
        _cut(self.low, box, LEVELS).copy_(torch.from_numpy(values.low))
        for number, (plane, part) in enumerate(zip(self.details, values.details, strict=True), 1):
            _cut(plane, box, number).copy_(torch.from_numpy(part)).div_(VALUE)


def padded(side: int) -> int:
    """A side extended to whole cells of the coarsest level."""
    return -(-side // MULTIPLE) * MULTIPLE


def margin(plan: SmallPlan, blocks: int) -> int:
    """Pixels a window of the networks and the two finest levels must be larger on each side, a multiple of 16."""
    cells = blocks << (plan.levels + 1)  # a layer: a 3x3 convolution, and one on samples of 2^levels cells
    unit = CELL << max(plan.levels, 2)
    return -(-(cells * CELL + _REACH_97 * (CELL - 1)) // unit) * unit


def window_count(region: Region) -> int:
    """Windows that a region (left, top, width, height) is worked on in."""
    left, top, right, bottom = _aligned(region)
    return -(-(right - left) // WINDOW) * -(-(bottom - top) // WINDOW)


def window_tiles(grid: TileGrid, region: Region, plan: SmallPlan) -> tuple[int, ...]:
    """The tiles whose coefficients a region (left, top, width, height) depends on."""
    reach = margin(plan, plan.synthesis_blocks) + _REACH_97 * ((1 << LEVELS) - 1)
    return grid.meeting(Rect(*region).grown(reach, (grid.width, grid.height)))


@torch.inference_mode()
def analyse(model: DeployedSmall, pixels: NDArray[Any], step: int, progress: Progress | None = None) -> Planes:
    """Coefficients to be rounded of colour samples (H, W, 1 or 3), uint8 or uint16; gray is three equal channels."""
    height, width = (padded(side) for side in pixels.shape[:2])
    log2_step = _log2_step(model, step)
    factor = float(torch.exp2(-log2_step))
    low = torch.empty(COLOURS, height // CELL, width // CELL)
    fine, coarse = torch.empty(BANDS, height // 2, width // 2), torch.empty(BANDS, height // 4, width // 4)
    windows = list(
        _windows((0, 0, width, height), (width, height), margin(model.network.plan, model.network.plan.analysis_blocks))
    )
    scales = model.network.band_scales(log2_step)
    for done, (inner, outer) in enumerate(windows, 1):
        x = _samples(pixels, outer).to(model.device) - 127.5
        grid = to_grid(to_colours(x)) * factor
        grid = (grid + model.network.f(grid, log2_step))[0]
        inside = _inside(inner, outer)
        part, second, first = _cut(grid, inside, 2).split((COLOURS, BANDS, PACKED))
        _cut(low, inner, 2).copy_(part)
        _cut(coarse, inner, 2).copy_(second * scales[1][0])
        _cut(fine, inner, 1).copy_(unpack(first[None])[0] * scales[0][0])
        if progress:
            progress(done, len(windows))
    lowest, deeper = decompose(low[None], LEVELS - Subbands.FINE)
    rest = (d[0] * s[0].cpu() for d, s in zip(deeper, scales[2:], strict=True))
    return Planes(lowest[0], (fine, coarse, *rest))


@torch.inference_mode()
def synthesise(
    model: DeployedSmall,
    planes: Planes,
    step: int,
    region: Region,
    channels: int,
    dtype: np.dtype[Any],
    progress: Progress | None = None,
) -> NDArray[Any]:
    """Samples (height, width, channels) of a region (left, top, width, height) of the picture."""
    log2_step = _log2_step(model, step)
    factor = float(torch.exp2(log2_step))
    scales = [s[0].cpu() for s in model.network.band_scales(log2_step)]
    deeper = [(d / s)[None] for d, s in zip(planes.details[2:], scales[2:], strict=True)]
    low = compose(planes.low[None], deeper)[0]
    left, top, width, height = region
    size = (low.shape[2] * CELL, low.shape[1] * CELL)
    pixels = np.empty((height, width, channels), dtype)
    windows = list(_windows(_aligned(region), size, margin(model.network.plan, model.network.plan.synthesis_blocks)))
    for done, (inner, outer) in enumerate(windows, 1):
        first, second = _cut(planes.details[0], outer, 1) / scales[0], _cut(planes.details[1], outer, 2) / scales[1]
        grid = torch.cat((_cut(low, outer, 2), second, pack(first[None])[0]))[None].to(model.device)
        x = to_rgb(from_grid((grid + model.network.g(grid, log2_step)) * factor)) + 127.5
        x0, y0 = max(inner[0], left), max(inner[1], top)
        x1, y1 = min(inner[2], left + width), min(inner[3], top + height)
        part = x[0, :, y0 - outer[1] : y1 - outer[1], x0 - outer[0] : x1 - outer[0]]
        pixels[y0 - top : y1 - top, x0 - left : x1 - left] = denormalised(part, channels, dtype)
        if progress:
            progress(done, len(windows))
    return pixels


def _log2_step(model: DeployedSmall, step: int) -> Tensor:
    return torch.full((1,), step / STEP_UNIT, device=model.device)


def _aligned(region: Region) -> Box:
    """The region as a box of whole cells of every transform that runs in windows."""
    left, top, width, height = region
    return left // 16 * 16, top // 16 * 16, -(-(left + width) // 16) * 16, -(-(top + height) // 16) * 16


def _windows(area: Box, size: tuple[int, int], margin: int) -> Iterator[tuple[Box, Box]]:
    """(inner, outer) boxes: inner ones partition ``area``; outer ones have the margin inside (width, height)."""
    left, top, right, bottom = area
    for y in range(top, bottom, WINDOW):
        for x in range(left, right, WINDOW):
            inner = x, y, min(x + WINDOW, right), min(y + WINDOW, bottom)
            outer = (
                max(inner[0] - margin, 0),
                max(inner[1] - margin, 0),
                min(inner[2] + margin, size[0]),
                min(inner[3] + margin, size[1]),
            )
            yield inner, outer


def _cut(plane: Tensor, box: Box, level: int) -> Tensor:
    left, top, right, bottom = (side >> level for side in box)
    return plane[..., top:bottom, left:right]


def _inside(inner: Box, outer: Box) -> Box:
    return inner[0] - outer[0], inner[1] - outer[1], inner[2] - outer[0], inner[3] - outer[1]


def _samples(pixels: NDArray[Any], box: Box) -> Tensor:
    """(1, 3, h, w) samples 0..255 of a box that may reach beyond the picture on the right and below."""
    left, top, right, bottom = box
    part = pixels[min(top, pixels.shape[0] - 1) : bottom, min(left, pixels.shape[1] - 1) : right]
    extension = ((0, bottom - top - part.shape[0]), (0, right - left - part.shape[1]), (0, 0))
    unit = np.float32(255 / np.iinfo(pixels.dtype).max)
    x = np.pad(part.astype(np.float32) * unit, extension, "edge")
    return torch.from_numpy(x).permute(2, 0, 1)[None].expand(1, 3, bottom - top, right - left)


def denormalised(x: Tensor, channels: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """(3, h, w) samples 0..255 -> (h, w, channels) rounded to nearest and clipped; gray is the mean of the three."""
    if channels == 1:
        x = x.mean(0, keepdim=True)
    full = np.iinfo(dtype).max
    samples = x.permute(1, 2, 0).double() * (full / 255)
    return samples.round_().clamp_(0, full).cpu().numpy().astype(dtype)
