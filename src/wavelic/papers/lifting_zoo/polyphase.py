"""Lifting along one axis: even and odd samples, and an operator that predicts one from the other."""

from __future__ import annotations

from torch import Tensor

from wavelic.lifting.transform.grid import Axis
from wavelic.lifting.transform.operators import Kinds, Operator, apply


def apply_to_band(
    operator: Operator, source: Tensor, source_kinds: Kinds, target_kinds: Kinds, axes: tuple[Axis, Axis]
) -> Tensor | float:
    """What a one-input, one-output operator adds to the band of ``target_kinds``; 0 if either band is empty."""
    for kinds in (source_kinds, target_kinds):
        if any(axis.is_empty(kind) for axis, kind in zip(axes, kinds, strict=True)):
            return 0.0
    rows, columns = (axis.span(kind) for axis, kind in zip(axes, target_kinds, strict=True))
    return apply(operator, [(source, source_kinds)], axes, rows, columns)


def split(x: Tensor, dim: int, start: int) -> tuple[Tensor, Tensor]:
    """Views of the samples at even and at odd coordinates along ``dim`` (-2 rows, -1 columns)."""
    even, odd = slice(start % 2, None, 2), slice(1 - start % 2, None, 2)
    if dim == -1:
        return x[..., even], x[..., odd]
    return x[..., even, :], x[..., odd, :]


def merge(even: Tensor, odd: Tensor, dim: int, start: int) -> Tensor:
    """Inverse of `split`."""
    shape = list(even.shape)
    shape[dim] += odd.shape[dim]
    x = even.new_empty(shape)
    split(x, dim, start)[0].copy_(even)
    split(x, dim, start)[1].copy_(odd)  # a view taken before the first copy would not know of its gradient
    return x
