"""Pixels, components and codes of a pseudo-image: colour, range, and the stock decode of a window."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wavelic.errors import ModelError
from wavelic.jpeg2000 import decode_codestream
from wavelic.lifting.jp2.box import NO_MODEL, CarrierBox
from wavelic.lifting.transform.transform import LiftingTransform, build_lifting
from wavelic.lifting.transform.windows import Axes
from wavelic.threads import map_on_threads

if TYPE_CHECKING:
    from wavelic.lifting.jp2.file import CarrierFile

PLAIN_TRANSFORMS = {"5/3": "LeGall-5/3", "9/7": "CDF-9/7"}
_STRIP_SAMPLES = 1 << 16  # of strips that stay in the cache

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
    _, count, height, width = components.shape
    matrix = _matrix(count, base, inverse=True) * peak
    pixels = np.empty((height, width, count), np.uint8 if depth == 8 else np.uint16)
    weights = matrix.tolist()

    def strip(rows: slice) -> None:
        planes = [plane[rows] for plane in components[0]]
        for index, row in enumerate(weights):
            pixels[rows, :, index] = _weighted(planes, row, 0.5 * peak).round_().clamp_(0, peak).numpy()

    _in_strips(components[0, 0], strip)
    return pixels


def colour(x: Tensor, base: str, *, inverse: bool) -> Tensor:
    """The colour transform of three components, in the range of `to_components`; one component as it is."""
    if x.shape[1] == 1:
        return x
    matrix = _matrix(x.shape[1], base, inverse=inverse).to(x.device, x.dtype)
    return torch.einsum("oc,bchw->bohw", matrix, x)


def from_codes(planes: Sequence[Tensor] | Tensor, box: CarrierBox) -> Tensor:
    """Planes (h, w) of codes as components (1, C, h, w), in the range of `to_components`."""
    matrix = _matrix(len(planes), box.base, inverse=False)
    result = torch.empty((1, len(planes), *planes[0].shape))
    zero = -0.5 - box.offset / box.scale

    def strip(rows: slice) -> None:
        codes = [plane[rows].float() for plane in planes]
        for component, weights in zip(result[0], matrix, strict=True):
            constant = zero * float(weights.sum())
            _weighted(codes, (weights / box.scale).tolist(), constant, component[rows])

    _in_strips(planes[0], strip)
    return result


def _matrix(count: int, base: str, *, inverse: bool) -> Tensor:
    """The colour transform of ``count`` components, or its inverse, in float64; rows are what comes out."""
    if count == 1:
        return torch.ones((1, 1), dtype=torch.float64)
    matrix = torch.tensor(_RCT if base == "5/3" else _ICT, dtype=torch.float64)
    return torch.linalg.inv(matrix) if inverse else matrix


def _weighted(planes: Sequence[Tensor], weights: Sequence[float], constant: float, out: Tensor | None = None) -> Tensor:
    """Weighted sum of planes and a constant."""
    out = torch.empty_like(planes[0]) if out is None else out
    torch.mul(planes[0], weights[0], out=out).add_(constant)
    for plane, weight in zip(planes[1:], weights[1:], strict=True):
        out.add_(plane, alpha=weight)
    return out


def luma_of(planes: Sequence[Tensor], box: CarrierBox) -> Tensor:
    """First component (h, w) of the colour transform, in the range of `to_components`, of planes of codes."""
    weights = (1.0,) if len(planes) == 1 else (_RCT if box.base == "5/3" else _ICT)[0]
    luma = torch.empty(planes[0].shape)

    def strip(rows: slice) -> None:
        part = luma[rows].fill_(-0.5 - box.offset / box.scale)
        for plane, weight in zip(planes, weights, strict=True):
            part.add_(plane[rows], alpha=weight / box.scale)

    _in_strips(luma, strip)
    return luma


def mapped(planes: Sequence[Tensor], box: CarrierBox, change: Tensor | None = None) -> NDArray[np.unsignedinteger]:
    """Codes (h, w) of the components as samples (h, w, components), uint8 or uint16.

    change: what the synthesis adds to the luma, in the range of `to_components`.  Luma is the sum of the components
    with weights that add up to one, and chroma is differences, so the same change of all components is that of luma.
    """
    peak = (1 << box.depth) - 1
    pixels = np.empty((*planes[0].shape, len(planes)), np.uint8 if box.depth == 8 else np.uint16)
    factor = peak / box.scale

    def strip(rows: slice) -> None:
        for index, plane in enumerate(planes):
            x = plane[rows] * factor - box.offset * factor
            if change is not None:
                x.add_(change[rows], alpha=peak)
            pixels[rows, :, index] = x.round_().clamp_(0, peak).numpy()

    _in_strips(planes[0], strip)
    return pixels


def _in_strips(plane: Tensor, task: Callable[[slice], None]) -> None:
    """Call ``task`` for slices of rows that stay in the cache, beside each other where there are threads."""
    rows = max(1, _STRIP_SAMPLES // max(1, plane.shape[1]))
    map_on_threads(lambda first: task(slice(first, first + rows)), range(0, plane.shape[0], rows), plane.numel())


def matching(transform: LiftingTransform | None, box: CarrierBox) -> LiftingTransform:
    """The transform, or the plain one for None; ModelError if it does not fit what the box says."""
    if transform is None:
        if box.model != NO_MODEL:
            raise ModelError(f"the file needs model {box.model.hex()}; pass the transform with these weights")
        return build_lifting(PLAIN_TRANSFORMS[box.base])
    if transform.base != box.base:
        raise ModelError(f"the transform is based on {transform.base}, the file on {box.base}; pass the right one")
    return transform


def decoded_codes(file: CarrierFile, part: Axes, reduce: int, max_layers: int | None, threads: int) -> list[Tensor]:
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
