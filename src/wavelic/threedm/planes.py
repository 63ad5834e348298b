"""Pixels to coefficients and back for the `3dm` codec, in overlapping windows: bounded memory and no seams.

g_a, g_s and the split run over the whole picture, window by window; neighbouring windows overlap by what the networks
see.  So a result does not depend on the windows, apart from the rounding of floats, and a window of the picture is
synthesised from the coefficients around it.  The picture is extended to multiples of 64 by its last row and column.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wavelic.codec.opened import Progress
from wavelic.codec.windows import windows
from wavelic.container import TileGrid
from wavelic.rect import Rect
from wavelic.threedm.config import Config
from wavelic.threedm.tiles import octaves
from wavelic.threedm.transform import STRIDE
from wavelic.threedm.weights import Model

#: Pixels of a cell of the coefficients' grid.
CELL = 16
#: Pixels a side of a window's inner part.
WINDOW = 1024


def padded(side: int) -> int:
    """Return a side extended to whole cells of z."""
    return -(-side // STRIDE) * STRIDE


def padded_size(width: int, height: int) -> tuple[int, int]:
    """Return (width, height) of an extended picture."""
    return padded(width), padded(height)


def cells(area: Rect) -> Rect:
    """Return the cells of an area in pixels, all sides multiples of CELL."""
    return Rect(*(side // CELL for side in area))


def synthesis_windows(area: Rect, size: tuple[int, int], config: Config) -> list[tuple[Rect, Rect]]:
    """Cut the cells that an area needs into windows: (inner, outer), in pixels, inside an extended picture."""
    return _windows(_aligned(area, config, size), size, config.synthesis_radius, config)


def analysis_windows(size: tuple[int, int], config: Config) -> list[tuple[Rect, Rect]]:
    """Cut an extended picture into windows, as `synthesis_windows` does."""
    return _windows(Rect(0, 0, *size), size, config.analysis_radius, config)


def window_tiles(grid: TileGrid, area: Rect, config: Config) -> tuple[int, ...]:
    """List the tiles whose coefficients an area depends on."""
    size = (grid.width, grid.height)
    seen = _aligned(area, config, padded_size(*size)).grown(_up(config.synthesis_radius, config), padded_size(*size))
    return grid.meeting(seen.clipped(Rect(0, 0, *size)))


@torch.inference_mode()
def analyse(model: Model, pixels: NDArray[Any], rate: int, progress: Progress | None = None) -> Tensor:
    """Compute the coefficients of a picture.

    Args:
        model: its transforms are used.
        pixels: colour samples (H, W, 1 or 3), uint8 or uint16; gray is three equal channels.
        rate: in 1/32 octave of lambda.
        progress: called with windows done, and in all.

    Returns:
        float32 (4 * latent, h, w) in steps, one cell for 16 x 16 pixels of the extended picture.
    """
    size = padded_size(pixels.shape[1], pixels.shape[0])
    plane = torch.empty(4 * model.config.latent, size[1] // CELL, size[0] // CELL)
    work = analysis_windows(size, model.config)
    for done, (inner, outer) in enumerate(work, 1):
        part = model.transform.coefficients(_samples(pixels, outer).to(model.device), _rate(model, rate))[0]
        inside = cells(inner.moved(-outer.x, -outer.y)).slices()
        plane[:, *cells(inner).slices()] = part[:, *inside].cpu()
        if progress:
            progress(done, len(work))
    return plane


@torch.inference_mode()
def synthesise(
    model: Model,
    plane: Tensor,
    origin: tuple[int, int],
    size: tuple[int, int],
    rate: int,
    area: Rect,
    channels: int,
    dtype: np.dtype[Any],
    progress: Progress | None = None,
) -> NDArray[Any]:
    """Compute samples of an area of the picture.

    Args:
        model: its transforms are used.
        plane: decoded coefficients in steps, (4 * latent, h, w), of a part of the extended picture.
        origin: (left, top) of that part, in pixels.
        size: (width, height) of the extended picture.
        rate: in 1/32 octave of lambda.
        area: which samples.
        channels: 1 or 3 of them.
        dtype: uint8 or uint16.
        progress: called with windows done, and in all.

    Returns:
        (area.height, area.width, channels).
    """
    pixels = np.empty((area.height, area.width, channels), dtype)
    work = synthesis_windows(area, size, model.config)
    for done, (inner, outer) in enumerate(work, 1):
        seen = plane[:, *cells(outer.moved(-origin[0], -origin[1])).slices()][None].to(model.device)
        x = model.transform.reconstruct(seen.contiguous(memory_format=torch.channels_last), _rate(model, rate))[0]
        part = inner.clipped(area)
        samples = x[:, *part.moved(-outer.x, -outer.y).slices()]
        pixels[part.moved(-area.x, -area.y).slices()] = denormalised(samples, channels, dtype)
        if progress:
            progress(done, len(work))
    return pixels


def denormalised(x: Tensor, channels: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Samples (3, h, w) in 0..1 as (h, w, channels), rounded to nearest and clipped; gray is the mean of the three."""
    if channels == 1:
        x = x.mean(0, keepdim=True)
    full = np.iinfo(dtype).max
    samples = x.double().mul(full).round().clamp_(0, full)
    return samples.permute(1, 2, 0).contiguous().cpu().numpy().astype(dtype)


def _windows(area: Rect, size: tuple[int, int], radius: int, config: Config) -> list[tuple[Rect, Rect]]:
    return [(window.inner, window.outer) for window in windows(area, size, WINDOW, _up(radius, config))]


def _aligned(area: Rect, config: Config, size: tuple[int, int]) -> Rect:
    """The area extended to whole cells of every transform, inside an extended picture."""
    unit = config.alignment
    left, top = area.x // unit * unit, area.y // unit * unit
    return Rect.between(left, top, min(_up(area.right, config), size[0]), min(_up(area.bottom, config), size[1]))


def _up(place: int, config: Config) -> int:
    return -(-place // config.alignment) * config.alignment


def _rate(model: Model, rate: int) -> Tensor:
    return torch.full((1,), octaves(rate), device=model.device)


def _samples(pixels: NDArray[Any], box: Rect) -> Tensor:
    """(1, 3, h, w) samples 0..1 of a box that may reach beyond the picture on the right and below."""
    part = pixels[min(box.y, pixels.shape[0] - 1) : box.bottom, min(box.x, pixels.shape[1] - 1) : box.right]
    extension = ((0, box.height - part.shape[0]), (0, box.width - part.shape[1]), (0, 0))
    x = np.pad(part.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max), extension, "edge")
    return torch.from_numpy(x).permute(2, 0, 1)[None].expand(1, 3, box.height, box.width)
