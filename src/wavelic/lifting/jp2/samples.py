"""Pixels of an image, components of a transform, and codes of a pseudo-image: colour and range."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wavelic.codec.jp2_box import WavelicBox
from wavelic.threads import map_on_threads

_STRIP_SAMPLES = 1 << 16  # of strips that stay in the cache

# Rows: Y, Cb, Cr of R, G, B.  ICT (T.800 annex G.3) goes with 9/7, the linear part of RCT (G.2) with 5/3.
_ICT = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
_RCT = ((0.25, 0.5, 0.25), (0.0, -1.0, 1.0), (1.0, -1.0, 0.0))


def to_components(pixels: NDArray[np.unsignedinteger], base: str = "9/7") -> Tensor:
    """Turn pixels into the components of an analysis.

    Args:
        pixels: (H, W, 1) or (H, W, 3), uint8 or uint16.
        base: base wavelet, which decides the colour transform.

    Returns:
        float32 (1, 1 or 3, H, W); RGB becomes luma in [-0.5, 0.5] and chroma around 0.
    """
    peak = np.iinfo(pixels.dtype).max
    x = torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1).unsqueeze(0) / peak - 0.5
    return colour(x, base, inverse=False)


def to_pixels(components: Tensor, depth: int, base: str = "9/7") -> NDArray[np.unsignedinteger]:
    """Undo `to_components`, rounded and clipped.

    Args:
        components: (1, C, H, W).
        depth: bits per sample of the pixels, 8 or 16.
        base: base wavelet, which decides the colour transform.

    Returns:
        (H, W, C), uint8 or uint16.
    """
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
    """Apply the colour transform to three components (N, 3, H, W); return one component as it is.

    Args:
        x: in the range of `to_components`, which is that of RGB around 0.
        base: base wavelet, which decides the colour transform.
        inverse: from luma and chroma to RGB.
    """
    if x.shape[1] == 1:
        return x
    matrix = _matrix(x.shape[1], base, inverse=inverse).to(x.device, x.dtype)
    return torch.einsum("oc,bchw->bohw", matrix, x)


def from_codes(planes: Sequence[Tensor] | Tensor, box: WavelicBox) -> Tensor:
    """Turn codes into components.

    Args:
        planes: one of every component, (h, w).
        box: how codes map to numbers.

    Returns:
        (1, C, h, w), in the range of `to_components`.
    """
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


def scaled_to_pixels(planes: Sequence[Tensor], box: WavelicBox, pixels: NDArray[np.unsignedinteger]) -> None:
    """Scale codes to samples, which is all there is to do without learned steps.

    Args:
        planes: codes (h, w) of every component.
        box: how they map to numbers.
        pixels: (h, w, components), written.
    """
    peak = (1 << box.depth) - 1
    factor = peak / box.scale

    def strip(rows: slice) -> None:
        for index, plane in enumerate(planes):
            x = plane[rows] * factor - box.offset * factor
            pixels[rows, :, index] = x.round_().clamp_(0, peak).numpy()

    _in_strips(planes[0], strip)


def _in_strips(plane: Tensor, task: Callable[[slice], None]) -> None:
    """Call ``task`` for slices of rows that stay in the cache, beside each other where there are threads."""
    rows = max(1, _STRIP_SAMPLES // max(1, plane.shape[1]))
    map_on_threads(lambda first: task(slice(first, first + rows)), range(0, plane.shape[0], rows), plane.numel())
