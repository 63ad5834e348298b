"""The coded representation of `weconvene`: wavelet subbands of a colour image, cut into slices from low to high.

A three-dimensional wavelet transform (3DM-WeConvene, section III-B, applied to the picture itself): an orthonormal
two-level Haar-like transform along the colour axis, Y = (R + G + B) / sqrt 3 being the lowest band, and LEVELS levels
of 9/7 in the plane.  A level d = 1 (finest) .. LEVELS has nine bands, channel ``orientation * 3 + colour`` with the
orientations LH, HL, HH and the colours Y, U, V.

Its coefficients are coded in passes over a 2x2 lattice, luma before chroma, so that a coefficient is coded after
neighbours of its own band on several sides.  Moving the lattice into channels ("packing") makes every pass a few
channels of one tensor at half the resolution: packed channel ``band * 4 + row phase * 2 + column phase``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from wavelic.nn.constants import constant
from wavelic.wavelets import Bands2d, Coefficients2d, dwt2, idwt2
from wavelic.weconvene.layout import BANDS, COLOURS, GRID_LEVELS, LEVELS, Slice

WAVELET = "9/7"
# Rows: Y, U, V of R, G, B.  Haar of (R, B), then a Haar step with weights sqrt 2 : 1 between their sum and G.
_A, _B, _C = 1 / math.sqrt(3), 1 / math.sqrt(2), 1 / math.sqrt(6)
COLOUR = ((_A, _A, _A), (_B, 0.0, -_B), (_C, -2 * _C, _C))


@dataclass(frozen=True)
class Subbands:
    """Coefficients of images: ``low`` (N, 3, h, w) and the details of level 1 (finest) first, (N, 9, h_d, w_d) each."""

    low: Tensor
    details: tuple[Tensor, ...]


def to_colours(rgb: Tensor) -> Tensor:
    """(N, 3, H, W) RGB -> (N, 3, H, W) Y, U, V, orthonormal."""
    return torch.einsum("ij,njhw->nihw", constant(COLOUR, rgb), rgb)


def to_rgb(colours: Tensor) -> Tensor:
    """Inverse of `to_colours`."""
    return torch.einsum("ij,nihw->njhw", constant(COLOUR, colours), colours)


def decompose(x: Tensor, levels: int) -> tuple[Tensor, list[Tensor]]:
    """``levels`` of 9/7 of (N, 3, H, W): the low band and the details, finest first, (N, 9, h, w) each."""
    coefficients = dwt2(x, WAVELET, levels)
    return coefficients.low, [torch.cat((b.lh, b.hl, b.hh), 1) for b in coefficients.levels]


def compose(low: Tensor, details: list[Tensor] | tuple[Tensor, ...]) -> Tensor:
    """Inverse of `decompose` for sides that are multiples of 2^levels."""
    bands = tuple(Bands2d(*d.split(COLOURS, 1)) for d in details)
    size = (low.shape[2] << len(bands), low.shape[3] << len(bands))
    return idwt2(Coefficients2d(low, bands, size, WAVELET, "orthonormal"))


def pack(details: Tensor) -> Tensor:
    """(N, 9, h, w) -> (N, 36, h / 2, w / 2)."""
    return pixel_unshuffle(details, 2)


def unpack(packed: Tensor) -> Tensor:
    """Inverse of `pack`."""
    return pixel_shuffle(packed, 2)


def pack_slice(details: Tensor, part: Slice) -> Tensor:
    """The coefficients of one slice (N, channels, h / 2, w / 2) of details (N, 9, h, w)."""
    batch, _, height, width = details.shape
    height, width = height // 2, width // 2
    lattice = details.reshape(batch, 3, COLOURS, height, 2, width, 2)
    colours = slice(part.colours[0], part.colours[-1] + 1)
    phases = [lattice[:, :, colours, :, phase // 2, :, phase % 2] for phase in part.phases]
    return torch.stack(phases, 3).view(batch, len(part.channels), height, width)


def unpack_slices(parts: Sequence[Tensor], slices: Sequence[Slice]) -> Tensor:
    """Coefficients (N, channels of a slice, h, w) of every slice -> details (N, 9, 2 h, 2 w), without gradients."""
    batch, _, height, width = parts[0].shape
    details = parts[0].new_empty(batch, BANDS, 2 * height, 2 * width)
    lattice = details.view(batch, 3, COLOURS, height, 2, width, 2)
    for part, values in zip(slices, parts, strict=True):
        colours = slice(part.colours[0], part.colours[-1] + 1)
        by_phase = values.view(batch, 3, len(part.colours), len(part.phases), height, width)
        for number, phase in enumerate(part.phases):
            lattice[:, :, colours, :, phase // 2, :, phase % 2] = by_phase[:, :, :, number]
    return details


def to_grid(x: Tensor, levels: int = GRID_LEVELS) -> Tensor:
    """``levels`` of 9/7 of (N, 3, H, W), all bands packed to the size of the coarsest: (N, 3 * 4^levels, h, w).

    Channels: 3 of the low band, 9 of the coarsest level, 36 of the next, 144 of the one after.
    """
    low, details = decompose(x, levels)
    packed = [pixel_unshuffle(d, 1 << distance) if distance else d for distance, d in enumerate(reversed(details))]
    return torch.cat((low, *packed), 1)


def from_grid(grid: Tensor, levels: int = GRID_LEVELS) -> Tensor:
    """Inverse of `to_grid`."""
    low, details = _unpacked(grid, levels)
    return compose(low, details)


def split_grid(grid: Tensor, levels: int = LEVELS) -> Subbands:
    """A grid as of `to_grid` -> all subbands of ``levels``: its low band is transformed further."""
    packed = min(levels, GRID_LEVELS)
    low, details = _unpacked(grid, packed)
    lowest, coarser = decompose(low, levels - packed) if levels > packed else (low, [])
    return Subbands(lowest, (*details, *coarser))


def join_grid(subbands: Subbands) -> Tensor:
    """Inverse of `split_grid`."""
    fine, coarser = subbands.details[:GRID_LEVELS], subbands.details[GRID_LEVELS:]
    low = compose(subbands.low, coarser) if coarser else subbands.low
    packed = [pixel_unshuffle(d, 1 << distance) if distance else d for distance, d in enumerate(reversed(fine))]
    return torch.cat((low, *packed), 1)


def _unpacked(grid: Tensor, levels: int) -> tuple[Tensor, list[Tensor]]:
    """The low band of a grid and its details, finest first."""
    low, *packed = grid.split((COLOURS, *(BANDS << (2 * distance) for distance in range(levels))), 1)
    details = [pixel_shuffle(d, 1 << distance) if distance else d for distance, d in enumerate(packed)]
    return low, details[::-1]
