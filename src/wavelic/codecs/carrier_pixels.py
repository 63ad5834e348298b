"""Decoding a carrier file: stock decode, forward wavelet, learned synthesis, colour."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
from wavelic.models.lifting_structures import FixedLevel
from wavelic.models.lifting_window import Axes, synthesize_window, window_axes
from wavelic.nn.lifting_grid import Axis
from wavelic.wavelets import dwt2

if TYPE_CHECKING:
    from wavelic.codecs.carrier_file import CarrierFile

PLAIN_TRANSFORMS = {"5/3": "LeGall-5/3", "9/7": "CDF-9/7"}
_STRIP_SAMPLES = 1 << 16
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
    plain = isinstance(transform.level, FixedLevel)
    part: Axes = (Axis(wanted[1], wanted[3]), Axis(wanted[0], wanted[2]))
    if not plain:
        whole = region is None
        part = _all(width, height) if whole else pseudo_window(transform, (height, width), levels, wanted)
    inside = wanted[0] - part[1].start, wanted[1] - part[0].start, wanted[2], wanted[3]
    with torch.inference_mode():
        planes = _codes(file, part, reduce, max_layers, threads)
        colours = planes[: len(planes) - (file.opacity is not None)]
        if plain:
            pixels = _mapped(colours, file.box)
        elif transform.luma_only or len(colours) == 1:
            luma = _luma(colours, file.box)
            synthesized = _synthesis(transform, luma, part, levels, inside)
            pixels = _mapped(_cut(colours, inside), file.box, synthesized[0, 0] - _cut([luma], inside)[0])
        else:
            codes = torch.stack(colours).float().unsqueeze(0)
            x = colour((codes - file.box.offset) / file.box.scale - 0.5, file.box.base, inverse=False)
            pixels = to_pixels(_synthesis(transform, x, part, levels, inside), file.box.depth, file.box.base)
        if file.opacity is None:
            return pixels
        return np.concatenate([pixels, _mapped(_cut(planes[-1:], inside), file.box)], 2)


def _all(width: int, height: int) -> Axes:
    return Axis(0, height), Axis(0, width)


def _cut(planes: Sequence[Tensor], region: Region) -> list[Tensor]:
    x, y, width, height = region
    return [plane[y : y + height, x : x + width] for plane in planes]


def _synthesis(transform: LiftingTransform, x: Tensor, part: Axes, levels: int, inside: Region) -> Tensor:
    """The learned synthesis of components (1, C, h, w), or (h, w) of one, for the region ``inside`` them."""
    x = x if x.dim() == 4 else x[None, None]
    device = next(transform.parameters()).device
    start = part[0].start, part[1].start
    coefficients = dwt2(x.to(device), transform.base, levels, "jpeg2000", start=start)
    if inside[2:] == (x.shape[3], x.shape[2]):
        return transform.synthesis(coefficients).cpu()
    return synthesize_window(transform, coefficients, inside).cpu()


def _luma(planes: Sequence[Tensor], box: CarrierBox) -> Tensor:
    """First component (h, w) of the colour transform, in the range of `to_components`, of planes of codes."""
    weights = (1.0,) if len(planes) == 1 else (_RCT if box.base == "5/3" else _ICT)[0]
    luma = torch.empty(planes[0].shape)
    for rows in _strips(luma):
        strip = luma[rows].fill_(-0.5 - box.offset / box.scale)
        for plane, weight in zip(planes, weights, strict=True):
            strip.add_(plane[rows], alpha=weight / box.scale)
    return luma


def _mapped(planes: Sequence[Tensor], box: CarrierBox, change: Tensor | None = None) -> NDArray[np.unsignedinteger]:
    """Codes (h, w) of the components as samples (h, w, components), uint8 or uint16.

    change: what the synthesis adds to the luma, in the range of `to_components`.  Luma is the sum of the components
    with weights that add up to one, and chroma is differences, so the same change of all components is that of luma.
    """
    peak = (1 << box.depth) - 1
    pixels = np.empty((*planes[0].shape, len(planes)), np.uint8 if box.depth == 8 else np.uint16)
    factor = peak / box.scale
    for rows in _strips(planes[0]):
        for index, plane in enumerate(planes):
            x = plane[rows] * factor - box.offset * factor
            if change is not None:
                x.add_(change[rows], alpha=peak)
            pixels[rows, :, index] = x.round_().clamp_(0, peak).numpy()
    return pixels


def _strips(plane: Tensor) -> Iterator[slice]:
    """Slices of rows that stay in the cache."""
    rows = max(1, _STRIP_SAMPLES // max(1, plane.shape[1]))
    for first in range(0, plane.shape[0], rows):
        yield slice(first, first + rows)


def _matching(transform: LiftingTransform | None, box: CarrierBox) -> LiftingTransform:
    if transform is None:
        if box.model != NO_MODEL:
            raise ModelError(f"the file needs model {box.model.hex()}; pass the transform with these weights")
        return build_lifting(PLAIN_TRANSFORMS[box.base])
    if transform.base != box.base:
        raise ModelError(f"the transform is based on {transform.base}, the file on {box.base}; pass the right one")
    return transform


def _codes(file: CarrierFile, part: Axes, reduce: int, max_layers: int, threads: int) -> list[Tensor]:
    """Samples (h, w) of every component of a window of the pseudo-image, by rows and columns at the reduced size."""
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
    return [torch.from_numpy(plane) for plane in decoded.planes]


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
