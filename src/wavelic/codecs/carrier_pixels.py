"""Decoding a carrier file: stock decode, forward wavelet, learned synthesis, colour."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wavelic.codecs.carrier_box import NO_MODEL, CarrierBox
from wavelic.codecs.opened import Region, reduced_region
from wavelic.errors import ModelError
from wavelic.jpeg2000 import decode_codestream
from wavelic.models.lifting import LiftingTransform, build_lifting
from wavelic.models.lifting_window import Axes, synthesize_window, window_axes
from wavelic.nn.lifting_grid import Axis
from wavelic.wavelets import dwt2

if TYPE_CHECKING:
    from wavelic.codecs.carrier_file import CarrierFile

PLAIN_TRANSFORMS = {"5/3": "LeGall-5/3", "9/7": "CDF-9/7"}
_BASE_REACH = 4  # half the longest filter, as `Level.reach`

# Rows: Y, Cb, Cr of R, G, B.  ICT (T.800 annex G.3) goes with 9/7, the linear part of RCT (G.2) with 5/3.
_ICT = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
_RCT = ((0.25, 0.5, 0.25), (0.0, -1.0, 1.0), (1.0, -1.0, 0.0))


def to_components(pixels: NDArray[np.unsignedinteger], base: str = "9/7") -> Tensor:
    """uint8 or uint16 pixels (H, W, 1) or (H, W, 3) -> float32 components (1, 1 or 3, H, W) for an analysis.

    RGB becomes luma in [-0.5, 0.5] and chroma around 0.
    """
    peak = np.iinfo(pixels.dtype).max
    x = torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1).unsqueeze(0) / peak - 0.5
    return colour(x, base, inverse=False)


def to_pixels(components: Tensor, depth: int, base: str = "9/7") -> NDArray[np.unsignedinteger]:
    """Inverse of `to_components`, rounded and clipped: (1, C, H, W) -> uint8 or uint16 (H, W, C)."""
    peak = (1 << depth) - 1
    x = (colour(components, base, inverse=True) + 0.5) * peak
    return x[0].permute(1, 2, 0).round().clamp(0, peak).numpy().astype(np.uint8 if depth == 8 else np.uint16)


def colour(x: Tensor, base: str, *, inverse: bool) -> Tensor:
    """The colour transform of three components, in the range of `to_components`; one component as it is."""
    if x.shape[1] == 1:
        return x
    matrix = torch.tensor(_RCT if base == "5/3" else _ICT, dtype=torch.float64)
    matrix = (torch.linalg.inv(matrix) if inverse else matrix).to(x.device, x.dtype)
    return torch.einsum("oc,bchw->bohw", matrix, x)


def read_pixels(
    file: CarrierFile,
    transform: LiftingTransform | None,
    reduce: int,
    max_layers: int,
    region: Region | None,
    threads: int,
) -> NDArray[np.unsignedinteger]:
    """What `CarrierFile.read` returns, without the opacity of the box; arguments checked, as there."""
    plain = transform is None
    transform = _matching(transform, file.box)
    width, height = file.level_dimensions[reduce]
    wanted = reduced_region(region, file.level_dimensions[0], reduce)
    levels = file.levels - reduce
    part: Axes = (Axis(0, height), Axis(0, width))
    if plain:  # forward and inverse wavelet would cancel
        part = Axis(wanted[1], wanted[3]), Axis(wanted[0], wanted[2])
    elif region is not None:
        part = pseudo_window(transform, (height, width), levels, wanted)
    with torch.inference_mode():
        codes = _codes(file, part, reduce, max_layers, threads)
        count = codes.shape[1] - (file.opacity is not None)
        x = colour((codes[:, :count] - file.box.offset) / file.box.scale - 0.5, file.box.base, inverse=False)
        left, top = wanted[0] - part[1].start, wanted[1] - part[0].start
        components = x
        if not plain:
            coefficients = dwt2(x, file.box.base, levels, "jpeg2000", start=(part[0].start, part[1].start))
            if region is None:
                components = transform.synthesis(coefficients)
            else:
                components = synthesize_window(transform, coefficients, (left, top, wanted[2], wanted[3]))
        pixels = to_pixels(components, file.box.depth, file.box.base)
        if file.opacity is None:
            return pixels
        plane = codes[:, count:, top : top + wanted[3], left : left + wanted[2]]
        return np.concatenate([pixels, to_pixels(plane / file.box.scale - 0.5, file.box.depth)], 2)


def _matching(transform: LiftingTransform | None, box: CarrierBox) -> LiftingTransform:
    if transform is None:
        if box.model != NO_MODEL:
            raise ModelError(f"the file needs model {box.model.hex()}; pass the transform with these weights")
        return build_lifting(PLAIN_TRANSFORMS[box.base])
    if transform.base != box.base:
        raise ModelError(f"the transform is based on {transform.base}, the file on {box.base}; pass the right one")
    return transform


def _codes(file: CarrierFile, part: Axes, reduce: int, max_layers: int, threads: int) -> Tensor:
    """Samples (1, components, h, w) of a window of the pseudo-image, by rows and columns at the reduced size."""
    (rows, columns), shrink = part, 2**reduce
    left, top = columns.start * shrink, rows.start * shrink
    right = min((columns.start + columns.size) * shrink, file.header.width)
    bottom = min((rows.start + rows.size) * shrink, file.header.height)
    area = left, top, right - left, bottom - top
    everything = area == (0, 0, file.header.width, file.header.height)
    decoded = decode_codestream(
        file.codestream,
        reduce=reduce,
        max_layers=max_layers,
        area=None if everything else area,
        threads=threads,
        limits=file.limits,
    )
    return torch.from_numpy(np.stack(decoded.planes)).float().unsqueeze(0)


def pseudo_window(transform: LiftingTransform, size: tuple[int, int], levels: int, region: Region) -> Axes:
    """Which rows and columns of the pseudo-image determine all coefficients a window's synthesis uses.

    size: (height, width) of the image the transform makes, ``levels`` its wavelet levels, region: (x, y, width, height)
    in it; all at the reduced resolution, if any.  From the coarsest level up: a level's bands are right where its
    signal is right for the reach of the base wavelet around them, and its signal is right where the bands above it are.
    """
    plan = window_axes(transform, size, levels, region)
    x, y, width, height = region
    needed: Axes = (Axis(y, height), Axis(x, width))
    for level in reversed(range(levels)):
        both = plan[level] if level == levels - 1 else tuple(map(_union, plan[level], map(_doubled, needed)))
        whole = (-(-size[0] // 2**level), -(-size[1] // 2**level))
        rows, columns = (_widened(axis, limit) for axis, limit in zip(both, whole, strict=True))
        needed = rows, columns
    return needed


def _doubled(axis: Axis) -> Axis:
    return Axis(2 * axis.start, 2 * axis.size)


def _union(a: Axis, b: Axis) -> Axis:
    first = min(a.start, b.start)
    return Axis(first, max(a.start + a.size, b.start + b.size) - first)


def _widened(axis: Axis, limit: int) -> Axis:
    first = max(0, axis.start - _BASE_REACH)
    return Axis(first, min(limit, axis.start + axis.size + _BASE_REACH) - first)
