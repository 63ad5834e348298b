"""Pixels to subbands and back for the `weconvene` codec, in overlapping windows: bounded memory and no seams.

The networks and the finest wavelet levels run window by window, on all threads; neighbouring windows overlap by what
the networks see.  The coarser levels, a sixty-fourth of the picture, are transformed in one piece.  So a result does
not depend on the windows, apart from the rounding of floats, and a window of the picture is synthesised from the
coefficients around it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wavelic.codec.opened import Progress
from wavelic.codec.windows import Window, longer_where_thin
from wavelic.codec.windows import window_count as count_windows
from wavelic.codec.windows import windows as cut_into_windows
from wavelic.container import TileGrid
from wavelic.rect import Rect
from wavelic.threads import map_on_threads
from wavelic.wavelets import dwt2
from wavelic.weconvene import grid as grids
from wavelic.weconvene.config import Config
from wavelic.weconvene.layout import BANDS, COLOURS, GRID_LEVELS, levels_of, padded
from wavelic.weconvene.network import Transform
from wavelic.weconvene.subbands import WAVELET, compose, decompose, to_rgb
from wavelic.weconvene.tile_reader import Decoded
from wavelic.weconvene.units import STEP_UNIT, VALUE
from wavelic.weconvene.weights import Model

#: Sides of windows are multiples of this: whole cells of every transform that runs in windows.
ALIGNMENT = 32
#: Pixels a side of a window's inner part, a multiple of ALIGNMENT; thin pictures have longer ones.
WINDOW = 1024
_RADIUS_97 = 5  # samples a 9/7 filter reaches to either side, at most


@dataclass(frozen=True)
class Planes:
    """Coefficients of a picture in steps, float32: ``low`` (3, h, w), ``details`` (9, h_d, w_d).

    Attributes:
        low: the lowest band.
        details: of level ``first`` and the coarser ones, in this order.
        first: finest level that is there; 1: all.
    """

    low: Tensor
    details: tuple[Tensor, ...]
    first: int = 1

    @staticmethod
    def empty(height: int, width: int, levels: int, first: int = 1) -> Planes:
        """Zeros for sides that are multiples of `multiple_of` the levels."""
        details = (torch.zeros(BANDS, height >> d, width >> d) for d in range(first, levels + 1))
        return Planes(torch.zeros(COLOURS, height >> levels, width >> levels), tuple(details), first)

    @property
    def levels(self) -> int:
        """Wavelet levels."""
        return self.first - 1 + len(self.details)

    def cut(self, tile: Rect) -> tuple[Tensor, list[Tensor]]:
        """The coefficients of a tile, whose borders are multiples of `multiple_of` the levels."""
        return _cut(self.low, tile, self.levels), [
            _cut(d, tile, number) for number, d in enumerate(self.details, self.first)
        ]

    def seen(self, part: Rect, level: int) -> Tensor:
        """The details of a level in a part of the picture; zeros of a level that is not there."""
        if level < self.first:
            area = part.reduced(level)
            return self.low.new_zeros(BANDS, area.height, area.width)
        return _cut(self.details[level - self.first], part, level)

    @torch.inference_mode()
    def paste(self, tile: Rect, values: Decoded) -> None:
        """Fill in a decoded tile."""
        _cut(self.low, tile, self.levels).copy_(torch.from_numpy(values.low))
        for number, (plane, part) in enumerate(zip(self.details, values.details, strict=True), self.first):
            torch.mul(torch.from_numpy(part), 1 / VALUE, out=_cut(plane, tile, number))


def margin(config: Config, radius: int, levels: int) -> int:
    """Pixels that a window must be larger on each side, for a net's receptive radius in cells and for the wavelets."""
    if levels < GRID_LEVELS:
        return ALIGNMENT
    cell = 1 << GRID_LEVELS
    unit = cell if config.layer == "wide" else ALIGNMENT  # the other layers have wavelets of their own
    return -(-(radius * cell + _RADIUS_97 * (cell - 1)) // unit) * unit


def window_count(region: Rect, reduce: int = 0) -> int:
    """Windows that a region, in samples of the reduced picture, is worked on in."""
    if reduce >= GRID_LEVELS:
        return 1
    area = _aligned(_enlarged(region, reduce))
    return count_windows(area, longer_where_thin(area, WINDOW, ALIGNMENT))


def window_tiles(grid: TileGrid, region: Rect, config: Config, reduce: int = 0) -> tuple[int, ...]:
    """The tiles whose coefficients a region, in samples of the reduced picture, depends on."""
    levels = levels_of(grid.width, grid.height)
    around = _RADIUS_97 * ((1 << levels) - 1)
    if reduce < GRID_LEVELS:
        around += margin(config, config.synthesis_radius, levels)
    size = (grid.width, grid.height)
    return grid.meeting(_enlarged(region, reduce).clipped(Rect(0, 0, *size)).grown(around, size))


@torch.inference_mode()
def analyse(model: Model, pixels: NDArray[Any], step: int, progress: Progress | None = None) -> Planes:
    """Coefficients to be rounded of colour samples (H, W, 1 or 3), uint8 or uint16; gray is three equal channels."""
    levels = levels_of(pixels.shape[1], pixels.shape[0])
    height, width = (padded(side, levels) for side in pixels.shape[:2])
    log2_step = _log2_step(model, step)
    transform = model.fast
    finest = min(levels, GRID_LEVELS)
    low = torch.empty(COLOURS, height >> finest, width >> finest)
    details = [torch.empty(BANDS, height >> d, width >> d) for d in range(1, finest + 1)]
    around = margin(transform.config, transform.config.analysis_radius, levels)
    windows = _windows(Rect(0, 0, width, height), (width, height), around)

    def work(number: int) -> None:
        inner, outer = windows[number]
        grid = grids.analysis(transform, samples(pixels, outer).to(model.device), log2_step, finest).cpu()
        rows, columns = windows[number].inside.reduced(finest).slices()
        parts = [_cut(d, inner, level)[None] for level, d in enumerate(details, 1)]
        grids.scatter(grid[:, rows, columns], _cut(low, inner, finest)[None], parts)

    _on_threads(work, len(windows), width * height, progress)
    lowest, deeper = decompose(low[None], levels - finest) if levels > finest else (low[None], [])
    scales = transform.band_scales(log2_step)[finest:]
    rest = (d[0].mul_(s[0].cpu()) for d, s in zip(deeper, scales, strict=False))
    return Planes(lowest[0], (*details, *rest))


@torch.inference_mode()
def synthesise(
    model: Model,
    planes: Planes,
    step: int,
    region: Rect,
    channels: int,
    dtype: np.dtype[Any],
    progress: Progress | None = None,
    reduce: int = 0,
) -> NDArray[Any]:
    """Synthesise a region of the picture or of a reduced one.

    A picture halved ``reduce`` times is the low band of that level, over its gain at a frequency of zero.  Up to
    GRID_LEVELS - 1 it has the corrections that g gives where the details of all finer levels are zero; from GRID_LEVELS
    on it has none, and no network runs.

    Args:
        model: the weights.
        planes: coefficients, from the finest level that is wanted on.
        step: quantiser step in 1/32 octave of a grey level.
        region: in samples of the reduced picture.
        channels: 1 or 3.
        dtype: uint8 or uint16.
        progress: called with windows done, and in all.
        reduce: 0..levels.

    Returns:
        Samples (height, width, channels).
    """
    log2_step = _log2_step(model, step)
    transform, levels = model.fast, planes.levels
    finest = min(levels, GRID_LEVELS)
    low = _low_of(transform, [planes], log2_step, max(finest, reduce))[0]
    if reduce >= finest:
        part = _cut(low, region, 0)[None].to(model.device)
        if progress:
            progress(count := window_count(region, reduce), count)
        return denormalised((to_rgb(part * torch.exp2(log2_step - reduce)) + 127.5)[0], channels, dtype)
    size = (low.shape[2] << finest, low.shape[1] << finest)
    pixels = np.empty((region.height, region.width, channels), dtype)
    around = margin(transform.config, transform.config.synthesis_radius, levels)
    windows = _windows(_enlarged(region, reduce), size, around)

    def work(number: int) -> None:
        inner, outer = windows[number]
        parts = [planes.seen(outer, level)[None] for level in range(1, finest + 1)]
        grid = grids.join(_cut(low, outer, finest)[None], parts).to(model.device)
        x = grids.synthesis(transform, grid, log2_step, reduce)
        wanted, shown = inner.reduced(reduce).clipped(region), outer.reduced(reduce)
        rows, columns = wanted.moved(-shown.x, -shown.y).slices()
        part = denormalised(x[0, :, rows, columns], channels, dtype)
        pixels[wanted.moved(-region.x, -region.y).slices()] = part

    _on_threads(work, len(windows), region.area << (2 * reduce), progress)
    return pixels


@torch.inference_mode()
def synthesise_together(model: Model, planes: Sequence[Planes], steps: Sequence[int]) -> Tensor:
    """Samples (N, 3, H, W) of pictures of one size, not clipped, each with a step of its own; in one window."""
    log2_step = torch.tensor(steps, dtype=torch.float32, device=model.device) / STEP_UNIT
    finest = min(planes[0].levels, GRID_LEVELS)
    low = _low_of(model.fast, planes, log2_step, finest)
    details = [torch.stack([p.details[level] for p in planes]) for level in range(finest)]
    return grids.synthesis(model.fast, grids.join(low, details).to(model.device), log2_step)


def _low_of(transform: Transform, planes: Sequence[Planes], log2_step: Tensor, level: int) -> Tensor:
    """The low band (N, 3, h, w) of a level from GRID_LEVELS on, from the coarser levels of pictures of one size."""
    low = torch.stack([p.low for p in planes])
    scales = transform.band_scales(log2_step)[level : planes[0].levels]
    deeper = [torch.stack([p.details[level + n + 1 - p.first] for p in planes]) / s.cpu() for n, s in enumerate(scales)]
    return compose(low, deeper) if deeper else low


def _on_threads(work: Any, count: int, elements: int, progress: Progress | None) -> None:
    done = [0]

    def counted(number: int) -> None:
        work(number)
        done[0] += 1
        if progress:
            progress(done[0], count)

    map_on_threads(counted, range(count), elements, networks=True)


def _log2_step(model: Model, step: int) -> Tensor:
    return torch.full((1,), step / STEP_UNIT, device=model.device)


def _aligned(region: Rect) -> Rect:
    """The region extended to whole cells of every transform that runs in windows."""
    unit = ALIGNMENT
    right, bottom = -(-region.right // unit) * unit, -(-region.bottom // unit) * unit
    return Rect.between(region.x // unit * unit, region.y // unit * unit, right, bottom)


def _enlarged(region: Rect, reduce: int) -> Rect:
    """The part of the picture that a region of a reduced one is of."""
    return Rect(region.x << reduce, region.y << reduce, region.width << reduce, region.height << reduce)


def _windows(region: Rect, size: tuple[int, int], margin: int) -> list[Window]:
    """Windows of a region of a picture of ``size``, aligned."""
    area = _aligned(region)
    return list(
        cut_into_windows(area.clipped(Rect(0, 0, *size)), size, longer_where_thin(area, WINDOW, ALIGNMENT), margin)
    )


def _cut(plane: Tensor, part: Rect, level: int) -> Tensor:
    rows, columns = part.reduced(level).slices()
    return plane[..., rows, columns]


def samples(pixels: NDArray[Any], area: Rect) -> Tensor:
    """(1, 3, h, w) samples 0..255 of an area that may reach beyond the picture on the right and below."""
    part = pixels[min(area.y, pixels.shape[0] - 1) : area.bottom, min(area.x, pixels.shape[1] - 1) : area.right]
    extension = ((0, area.height - part.shape[0]), (0, area.width - part.shape[1]), (0, 0))
    if any(after for _, after in extension):
        part = np.pad(part, extension, "edge")
    x = np.empty((3, *part.shape[:2]), np.float32)
    x[:] = part.transpose(2, 0, 1)
    if pixels.dtype != np.uint8:
        x *= np.float32(255 / np.iinfo(pixels.dtype).max)
    return torch.from_numpy(x)[None]


@torch.inference_mode()
def reduced_plane(plane: NDArray[Any], reduce: int) -> NDArray[Any]:
    """Halve the sides of samples (H, W), uint8 or uint16, as `synthesise` does those of colours: low bands of 9/7."""
    if not reduce:
        return plane
    unit, limit = 1 << reduce, np.iinfo(plane.dtype).max
    extended = np.pad(plane.astype(np.float32), [(0, -side % unit) for side in plane.shape], "edge")
    low = dwt2(torch.from_numpy(extended)[None, None], WAVELET, reduce).low[0, 0].numpy() / unit
    return np.rint(low).clip(0, limit).astype(plane.dtype)


def denormalised(x: Tensor, channels: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """(3, h, w) samples 0..255 -> (h, w, channels) rounded to nearest and clipped; gray is the mean of the three."""
    if channels == 1:
        x = x.mean(0, keepdim=True)
    full = np.iinfo(dtype).max
    samples = (x if full == 255 else x.double() * (full / 255)).round().clamp_(0, full).permute(1, 2, 0)
    if full == 255:
        return torch.empty(samples.shape, dtype=torch.uint8, device=x.device).copy_(samples).cpu().numpy()
    return samples.contiguous().cpu().numpy().astype(dtype)
