"""2-D wavelet transforms as plain tensor expressions, for compilers and exporters.

The transforms of `wavelic.wavelets` are written for speed in eager mode: they fill memory of their own in strips, on
several threads, behind autograd functions.  A graph can hold none of that.  Here the same lifting steps are slices,
sums and products, which ``torch.compile`` fuses into one kernel and ``torch.export`` writes down for any size.  Both
ways give the same numbers up to rounding; a layer asks `is_tracing` which of them to take.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from wavelic.wavelets import Bands2d
from wavelic.wavelets.schemes import Scheme, get_scheme


def is_tracing() -> bool:
    """Whether ``torch.compile``, ``torch.export`` or ``torch.jit.trace`` records the operations."""
    return torch.compiler.is_compiling() or torch.jit.is_tracing()


def every(x: Tensor, stride: int, size: tuple[int, int] | None = None) -> Tensor:
    """Copy every ``stride``-th sample in both directions, of the first ``size`` rows and columns.

    A slice would be a view, whose strides tie an exported graph to sizes that leave a remainder, or to those that
    leave none.

    Args:
        x: (..., H, W).
        stride: distance of the samples that are copied.
        size: None for all of them.
    """
    rows, columns = (torch.arange(0, side, stride, device=x.device) for side in size or x.shape[-2:])
    return x.index_select(-2, rows).index_select(-1, columns)


def extended(x: Tensor, multiple: int, zeros: bool = False) -> Tensor:
    """Extend both sides to multiples of a number, without a branch on the size, which would tie a graph to a remainder.

    Args:
        x: (..., H, W).
        multiple: what the sides of the result are multiples of.
        zeros: by zeros; else by repeating the last sample.
    """
    if multiple == 1:
        return x
    height, width = ((side + multiple - 1) // multiple * multiple for side in x.shape[-2:])
    if zeros:
        return every(pad(x, (0, multiple - 1, 0, multiple - 1)), 1, (height, width))
    rows = torch.arange(height, device=x.device).clamp_max(x.shape[-2] - 1)
    columns = torch.arange(width, device=x.device).clamp_max(x.shape[-1] - 1)
    return x.index_select(-2, rows).index_select(-1, columns)


def analyze(x: Tensor, wavelet: str) -> tuple[Tensor, Bands2d]:
    """Compute one level of the 2-D DWT of a plane with even sides, in orthonormal scaling.

    Args:
        x: float (..., H, W), H and W even.
        wavelet: "haar", "5/3" or "9/7".

    Returns:
        The low band and LH, HL, HH, all (..., H / 2, W / 2), as `wavelic.wavelets.dwt2` gives them up to rounding.

    Examples:
        >>> low, bands = analyze(torch.ones(1, 4, 6), "9/7")
        >>> low.shape, bool(bands.hh.abs().max() < 1e-6)
        (torch.Size([1, 2, 3]), True)
    """
    scheme = get_scheme(wavelet, "orthonormal")
    low_rows, high_rows = _split(x, scheme, -2)
    low, hl = _split(low_rows, scheme, -1)
    lh, hh = _split(high_rows, scheme, -1)
    return low, Bands2d(lh, hl, hh)


def synthesize(low: Tensor, bands: Bands2d, wavelet: str) -> Tensor:
    """Invert `analyze`.

    Args:
        low: float (..., h, w).
        bands: LH, HL and HH of the same shape.
        wavelet: "haar", "5/3" or "9/7".

    Returns:
        The plane, (..., 2 h, 2 w).
    """
    scheme = get_scheme(wavelet, "orthonormal")
    low_rows = _merge(low, bands.hl, scheme, -1)
    high_rows = _merge(bands.lh, bands.hh, scheme, -1)
    return _merge(low_rows, high_rows, scheme, -2)


def _split(x: Tensor, scheme: Scheme, axis: int) -> tuple[Tensor, Tensor]:
    low, high = (x[..., ::2], x[..., 1::2]) if axis == -1 else (x[..., ::2, :], x[..., 1::2, :])
    for step in scheme.steps:
        if step.target == "high":
            high = high + _neighbours(low, step.left, step.right, axis, before=False)
        else:
            low = low + _neighbours(high, step.left, step.right, axis, before=True)
    low_gain, high_gain = scheme.gains("orthonormal")
    return low * low_gain, high * high_gain


def _merge(low: Tensor, high: Tensor, scheme: Scheme, axis: int) -> Tensor:
    low_gain, high_gain = scheme.gains("orthonormal")
    low, high = low / low_gain, high / high_gain
    for step in reversed(scheme.steps):
        if step.target == "high":
            high = high - _neighbours(low, step.left, step.right, axis, before=False)
        else:
            low = low - _neighbours(high, step.left, step.right, axis, before=True)
    # with the pair behind its axis, flattening both puts even and odd samples in turn
    return torch.stack((low, high), axis).flatten(axis - 1, axis)


def _neighbours(source: Tensor, left: float, right: float, axis: int, before: bool) -> Tensor:
    """Weighted sum of both neighbours in the other half, mirrored at the borders.

    Args:
        source: the other half.
        left: weight of the neighbour at the lower coordinate.
        right: weight of the neighbour at the higher coordinate.
        axis: along which the halves lie.
        before: whether the source has the higher coordinate of each pair, so that the left neighbour is in the pair
            before; else the right neighbour is in the pair after.
    """
    same, moved = (right, left) if before else (left, right)
    if not moved:  # Haar, whose neighbours are in the same pair
        return same * source
    size = source.shape[axis]
    if before:
        other = torch.cat((source.narrow(axis, 0, 1), source.narrow(axis, 0, size - 1)), axis)
    else:
        other = torch.cat((source.narrow(axis, 1, size - 1), source.narrow(axis, size - 1, 1)), axis)
    return same * source + moved * other
