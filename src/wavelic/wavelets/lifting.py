"""Lifting level along one axis: analysis, synthesis and their adjoints, all differentiable.

A lifting step is a list of slice pairs ``target[a:b] += weight * source[c:d]``.  Then

* the inverse of the step is the same list with the weight negated,
* the adjoint of the step is the same list with source and target exchanged,

so the analysis A, the synthesis S = A^-1 and the two adjoints A^T, S^T are one loop, run in the order of the table:

=========  ==========================  ===========================
           steps                       gains of the two halves
=========  ==========================  ===========================
A          first to last               g, before the steps
S^T        first to last, exchanged,   1/g, before the steps
           weight negated
S          last to first, negated      1/g, after the steps
A^T        last to first, exchanged    g, after the steps
=========  ==========================  ===========================

A and S^T split one array in two (`_Split`); S and A^T merge two into one (`_Merge`).  The backward pass of each is one
of the others, so the transforms are differentiable any number of times and save no tensor for the backward pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from wavelic.wavelets.schemes import Normalization, Scheme, Step


def analyze(x: Tensor, scheme: Scheme, normalization: Normalization, axis: int, start: int) -> tuple[Tensor, Tensor]:
    """Split ``x`` into a low and a high band along one axis.

    Args:
        x: floating tensor of any shape.
        scheme: the wavelet's lifting steps and gains.
        normalization: scale of the bands, see `schemes`.
        axis: negative index of the axis.
        start: absolute coordinate of the first sample along ``axis``.

    Returns:
        (low, high), with sizes as in `geometry.split_size`.
    """
    return _Split.apply(x, scheme, normalization, axis, start, False)


def synthesize(
    low: Tensor, high: Tensor, scheme: Scheme, normalization: Normalization, axis: int, start: int
) -> Tensor:
    """Merge a low and a high band; the inverse of `analyze`.

    Args:
        low: low band.
        high: high band.
        scheme: the wavelet's lifting steps and gains.
        normalization: scale of the bands, see `schemes`.
        axis: negative index of the axis.
        start: absolute coordinate of the first sample along ``axis``.

    Returns:
        The signal.
    """
    return _Merge.apply(low, high, scheme, normalization, axis, start, False)


def analyze_adjoint(
    low: Tensor, high: Tensor, scheme: Scheme, normalization: Normalization, axis: int, start: int
) -> Tensor:
    """Apply A^T: carry a gradient with respect to (low, high) back to the input of `analyze`.

    Args:
        low: gradient with respect to the low band.
        high: gradient with respect to the high band.
        scheme: the wavelet's lifting steps and gains.
        normalization: scale of the bands, see `schemes`.
        axis: negative index of the axis.
        start: absolute coordinate of the first sample along ``axis``.

    Returns:
        The gradient with respect to the signal.
    """
    return _Merge.apply(low, high, scheme, normalization, axis, start, True)


def synthesize_adjoint(
    x: Tensor, scheme: Scheme, normalization: Normalization, axis: int, start: int
) -> tuple[Tensor, Tensor]:
    """Apply S^T: carry a gradient with respect to the output of `synthesize` back to (low, high).

    Args:
        x: gradient with respect to the signal.
        scheme: the wavelet's lifting steps and gains.
        normalization: scale of the bands, see `schemes`.
        axis: negative index of the axis.
        start: absolute coordinate of the first sample along ``axis``.

    Returns:
        The gradients with respect to (low, high).
    """
    return _Split.apply(x, scheme, normalization, axis, start, True)


def axis_gains(scheme: Scheme, normalization: Normalization, size: int, start: int) -> tuple[float, float]:
    """Gains of the two halves along an axis.

    A single sample passes unchanged if it is a low sample; a high one is doubled in JPEG 2000 (T.800 F.3.6).

    Args:
        scheme: the wavelet.
        normalization: scale of the bands, see `schemes`.
        size: number of samples along the axis.
        start: absolute coordinate of the first sample.

    Returns:
        Factors (low, high).
    """
    if size == 1:
        return 1.0, 2.0 if normalization == "jpeg2000" else 1.0
    return scheme.gains(normalization)


def neighbour_slices(
    step: Step, targets: int, sources: int, target_first: bool, begin: int, end: int
) -> Iterator[tuple[float, int, int, int]]:
    """Slice pairs of one lifting step, for a range of target samples.

    Args:
        step: the lifting step.
        targets: size of the half that changes.
        sources: size of the other half, at least 1.
        target_first: whether the signal begins with a target sample, so that target i lies between sources i - 1 and i;
            otherwise it lies between i and i + 1.
        begin: first target sample to compute.
        end: end of the target samples to compute.

    Yields:
        (weight, first target, end of the targets, first source).
    """
    left = -1 if target_first else 0
    for weight, shift in ((step.left, left), (step.right, left + 1)):
        first, last = max(begin, -shift), min(end, sources - shift)
        if weight != 0.0 and first < last:
            yield weight, first, last, first + shift
    if not step.mirror:
        return
    if target_first and begin == 0 < end and step.left != 0.0:
        yield step.left, 0, 1, 0
    if end == targets > begin and targets + left >= sources and step.right != 0.0:
        yield step.right, targets - 1, targets, targets - 1 + left


def lift(
    low: Tensor, high: Tensor, steps: tuple[Step, ...], axis: int, start: int, *, inverse: bool, swap: bool
) -> None:
    """Apply lifting steps to the two halves in place.

    The order is last to first if exactly one of ``inverse`` and ``swap`` holds (see the table above).

    Args:
        low: samples at even coordinates.
        high: samples at odd coordinates.
        steps: the steps in analysis order.
        axis: negative index of the axis.
        start: absolute coordinate of the first sample along ``axis``.
        inverse: negate the weights.
        swap: exchange source and target.
    """
    low_count, high_count = low.shape[axis], high.shape[axis]
    if low_count == 0 or high_count == 0:
        return
    sign = -1.0 if inverse else 1.0
    for step in reversed(steps) if inverse != swap else steps:
        target, source = (low, high) if step.target == "low" else (high, low)
        target_first = (step.target == "low") == (start % 2 == 0)
        targets, sources = target.shape[axis], source.shape[axis]
        for weight, first, last, begin in neighbour_slices(step, targets, sources, target_first, 0, targets):
            a = target.narrow(axis, first, last - first)
            b = source.narrow(axis, begin, last - first)
            if swap:
                a, b = b, a
            a.add_(b, alpha=sign * weight)


def even_odd(x: Tensor, axis: int, start: int) -> tuple[Tensor, Tensor]:
    """Views of the samples of ``x`` at even and at odd coordinates.

    Args:
        x: tensor of any shape.
        axis: negative index of the axis.
        start: absolute coordinate of the first sample along ``axis``.

    Returns:
        (even, odd).
    """
    first = [slice(None)] * x.dim()
    second = list(first)
    first[axis], second[axis] = slice(0, None, 2), slice(1, None, 2)
    halves = x[tuple(first)], x[tuple(second)]
    return halves if start % 2 == 0 else (halves[1], halves[0])


class _Split(torch.autograd.Function):
    """A, or S^T where ``adjoint``."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, scheme: Scheme, normalization: Normalization, axis: int, start: int, adjoint: bool
    ) -> tuple[Tensor, Tensor]:
        ctx.arguments = (scheme, normalization, axis, start, not adjoint)
        low_gain, high_gain = axis_gains(scheme, normalization, x.shape[axis], start)
        if adjoint:
            low_gain, high_gain = 1.0 / low_gain, 1.0 / high_gain
        even, odd = even_odd(x, axis, start)
        low, high = even * low_gain, odd * high_gain
        lift(low, high, scheme.scaled_steps(normalization), axis, start, inverse=adjoint, swap=adjoint)
        return low, high

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return (_Merge.apply(*gradients, *ctx.arguments), None, None, None, None, None)


class _Merge(torch.autograd.Function):
    """S, or A^T where ``adjoint``."""

    @staticmethod
    def forward(
        ctx: Any,
        low: Tensor,
        high: Tensor,
        scheme: Scheme,
        normalization: Normalization,
        axis: int,
        start: int,
        adjoint: bool,
    ) -> Tensor:
        ctx.arguments = (scheme, normalization, axis, start, not adjoint)
        size = low.shape[axis] + high.shape[axis]
        low_gain, high_gain = axis_gains(scheme, normalization, size, start)
        if not adjoint:
            low_gain, high_gain = 1.0 / low_gain, 1.0 / high_gain
        low, high = low.clone(), high.clone()
        lift(low, high, scheme.scaled_steps(normalization), axis, start, inverse=not adjoint, swap=adjoint)
        shape = list(low.shape)
        shape[axis] = size
        x = low.new_empty(shape)
        even, odd = even_odd(x, axis, start)
        torch.mul(low, low_gain, out=even)
        torch.mul(high, high_gain, out=odd)
        return x

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        low, high = _Split.apply(gradients[0], *ctx.arguments)
        return (low, high, None, None, None, None, None)
