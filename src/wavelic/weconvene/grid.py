"""The transform without gradients: analysis and synthesis of `network.Transform` in few passes over memory.

All bands of the finest levels lie on one grid with the channels last, (N, h, w, C), as the products of f and g want
them.  Every step works in place where it can, so a window needs memory for two grids and the feature maps of a block.
Results are those of `Transform.analysis_grid` and `Transform.synthesis_grid`, to the bit.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from wavelic.weconvene.layout import BANDS, COLOURS, GRID, GRID_LEVELS
from wavelic.weconvene.network import GridNet, Transform
from wavelic.weconvene.subbands import compose, decompose, to_colours, to_rgb
from wavelic.weconvene.units import CENTRE


def analysis(transform: Transform, rgb: Tensor, log2_step: Tensor, levels: int = GRID_LEVELS) -> Tensor:
    """Transform samples to coefficients that are to be rounded.

    Args:
        transform: with f in float32 or bfloat16.
        rgb: samples 0..255, (N, 3, H, W), sides multiples of 2^levels; overwritten.
        log2_step: log2 of the quantiser step in grey levels, (N,).
        levels: 1..GRID_LEVELS; with fewer than GRID_LEVELS there are no corrections.

    Returns:
        The grid in steps, (N, h, w, C), details multiplied by the scales of their bands.
    """
    low, details = decompose(to_colours(rgb.sub_(127.5)), levels)
    grid = join(low, details).div_(_by_image(torch.exp2(log2_step)))
    if levels == GRID_LEVELS:
        _correct(transform.f, grid, log2_step)
    return grid.mul_(grid_scales(transform, log2_step, levels))


def synthesis(transform: Transform, grid: Tensor, log2_step: Tensor, reduce: int = 0) -> Tensor:
    """Transform coefficients to samples.

    Args:
        transform: with g in float32 or bfloat16.
        grid: as `analysis` returns it; overwritten.
        log2_step: as there.
        reduce: how often the sides are to be halved, below the levels of the grid.

    Returns:
        Samples (N, 3, H / 2^reduce, W / 2^reduce), not clipped.
    """
    levels = _levels(grid)
    grid.div_(grid_scales(transform, log2_step, levels))
    if levels == GRID_LEVELS:
        _correct(transform.g, grid, log2_step)
    low, details = split(grid.mul_(_by_image(torch.exp2(log2_step - reduce))))  # a level doubles what is even
    return to_rgb(compose(low, details[reduce:])).add_(127.5)


def grid_scales(transform: Transform, log2_step: Tensor, levels: int) -> Tensor:
    """`Transform.band_scales` of every channel of a grid: (N, 1, 1, C), 1 for the low band."""
    scales = transform.band_scales(log2_step)[:levels]
    by_level = (s.flatten(1).repeat_interleave(1 << (2 * n), 1) for n, s in enumerate(reversed(scales)))
    ones = torch.ones(len(log2_step), COLOURS, device=log2_step.device)
    return torch.cat((ones, *by_level), 1)[:, None, None]


def join(low: Tensor, details: Sequence[Tensor]) -> Tensor:
    """Bands on a grid of their own.

    Args:
        low: (N, 3, h, w).
        details: of every level, the finest first, (N, 9, h_d, w_d).

    Returns:
        (N, h, w, C) float32, channels as of `subbands.to_grid`.
    """
    batch, _, height, width = low.shape
    grid = torch.empty(batch, height, width, COLOURS << (2 * len(details)), device=low.device)
    grid[..., :COLOURS] = low.movedim(1, -1)
    for distance, detail in enumerate(reversed(details)):
        _channels(grid, distance).copy_(_by_cells(detail, distance))
    return grid


def scatter(grid: Tensor, low: Tensor, details: Sequence[Tensor]) -> None:
    """Write the bands of a grid (N, h, w, C) into ``low`` and ``details``, as of `join`."""
    low.copy_(grid[..., :COLOURS].movedim(-1, 1))
    for distance, detail in enumerate(reversed(details)):
        _by_cells(detail, distance).copy_(_channels(grid, distance))


def split(grid: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Inverse of `join`: the low band and the details, the finest first."""
    batch, height, width, _ = grid.shape
    levels = _levels(grid)
    low = grid.new_empty(batch, COLOURS, height, width)
    details = [grid.new_empty(batch, BANDS, height << d, width << d) for d in reversed(range(levels))]
    scatter(grid, low, details)
    return low, details


def _levels(grid: Tensor) -> int:
    return (grid.shape[-1] // COLOURS).bit_length() // 2


def _channels(grid: Tensor, distance: int) -> Tensor:
    """Channels of the level ``distance`` above the coarsest: (N, h, w, 9, rows, columns) of every cell."""
    first, side = COLOURS << (2 * distance), 1 << distance
    return grid[..., first : 4 * first].unflatten(-1, (BANDS, side, side))


def _by_cells(detail: Tensor, distance: int) -> Tensor:
    """Details (N, 9, h * side, w * side) as `_channels` has them."""
    side = 1 << distance
    return detail.unflatten(3, (-1, side)).unflatten(2, (-1, side)).permute(0, 2, 4, 1, 3, 5)


def _by_image(values: Tensor) -> Tensor:
    return values[:, None, None, None]


def _correct(net: GridNet, grid: Tensor, log2_step: Tensor) -> None:
    """Add f or g of a grid (N, h, w, 192) in steps to it, see `GridNet.forward`."""
    octave = _by_image(log2_step - CENTRE)
    seen = torch.empty((*grid.shape[:-1], GRID + 1), dtype=net.enter.weight.dtype, device=grid.device)
    seen[..., GRID:] = octave
    compressed = grid.square().add_(1).sqrt_().add_(grid.abs()).log_()  # asinh, but vectorised
    seen[..., :GRID] = compressed.copysign_(grid)
    del compressed
    change = net.run(seen.permute(0, 3, 1, 2)).permute(0, 2, 3, 1).float()
    grid.add_(change.mul_(torch.exp2(net.gain[0] + net.gain[1] * octave)))
