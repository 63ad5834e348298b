"""Lifting level of a plane along both axes, blocked for the cache.

The arithmetic is that of `lifting`, axis after axis; only the order differs.  A wavelet transform is bound by memory
traffic, so the plane is walked through once, in strips of rows that stay in the cache.  For each strip

1. the four phases of the 2x2 grid are gathered into the four bands and multiplied by their gains on the way,
2. the horizontal steps run inside the strip (rows do not depend on each other),
3. the vertical steps run as far down as the rows seen so far allow: step k stays one row behind step k - 1.  These rows
   were touched a moment ago, so they are still in the cache.

The synthesis is the mirror image: copy a strip of the bands, vertical steps as far as possible, horizontal steps for
the rows that are complete, scatter with gains.  No padded copy of the image is ever made.

Large planes, and parts of planes where they do not divide evenly among the threads (see `parts`), run concurrently on
threads in which torch does not split operations (see `wavelic.threads`).  No sum depends on strips, parts or threads,
so the results do not either, to the bit.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from wavelic.threads import map_on_threads, thread_count
from wavelic.wavelets.geometry import BandSizes2d, level_sizes2d
from wavelic.wavelets.lifting import (
    analyze_adjoint,
    axis_gains,
    even_odd,
    lift,
    neighbour_slices,
    synthesize_adjoint,
)
from wavelic.wavelets.memory import empty_plane, is_channels_last
from wavelic.wavelets.parts import Part, share
from wavelic.wavelets.quad import analyze_quad, suits, synthesize_quad
from wavelic.wavelets.schemes import Normalization, Scheme, Step

Bands = tuple[Tensor, Tensor, Tensor, Tensor]

# Elements of one band in a strip, 4 MiB for the four bands in float32: small enough for the outer cache, large enough
# for the calls to cost little beside the work.
STRIP_ELEMENTS = 1 << 18


def analyze2d(x: Tensor, scheme: Scheme, normalization: Normalization, start: tuple[int, int]) -> Bands:
    """Compute one level of a 2-D transform; differentiable.

    Args:
        x: floating tensor (..., H, W).
        scheme: the wavelet's lifting steps and gains.
        normalization: scale of the bands, see `schemes`.
        start: absolute (row, column) of the first sample.

    Returns:
        The bands (low, lh, hl, hh), with the shapes of `geometry.level_sizes2d`.
    """
    return _Analysis2d.apply(x, scheme, normalization, start)


def synthesize2d(bands: Bands, scheme: Scheme, normalization: Normalization, start: tuple[int, int]) -> Tensor:
    """Invert `analyze2d`; differentiable.

    Args:
        bands: (low, lh, hl, hh).
        scheme: the wavelet's lifting steps and gains.
        normalization: scale of the bands, see `schemes`.
        start: absolute (row, column) of the first sample.

    Returns:
        The plane, (..., H, W).
    """
    return _Synthesis2d.apply(*bands, scheme, normalization, start)


def _gains2d(
    scheme: Scheme, normalization: Normalization, size: tuple[int, int], start: tuple[int, int]
) -> list[float]:
    """Gains of low, lh, hl, hh."""
    low_rows, high_rows = axis_gains(scheme, normalization, size[0], start[0])
    low_columns, high_columns = axis_gains(scheme, normalization, size[1], start[1])
    return [low_rows * low_columns, high_rows * low_columns, low_rows * high_columns, high_rows * high_columns]


def _phases(x: Tensor, start: tuple[int, int]) -> Bands:
    """Views of the samples of ``x`` that become low, lh, hl, hh."""
    even_rows, odd_rows = even_odd(x, -2, start[0])
    low, hl = even_odd(even_rows, -1, start[1])
    lh, hh = even_odd(odd_rows, -1, start[1])
    return low, lh, hl, hh


def _strips(band: Tensor, band_rows: int) -> Iterator[tuple[int, int]]:
    """Row ranges of the bands that keep a strip of ``band`` within STRIP_ELEMENTS; a single strip on other devices."""
    rows = max(1, band_rows)
    if band.device.type == "cpu":
        rows = max(2, STRIP_ELEMENTS * band.shape[-2] // max(1, band.numel()))
    for begin in range(0, band_rows, rows):
        yield begin, min(begin + rows, band_rows)


def _for_parts(task: Callable[..., None], margin: int, x: Tensor, bands: Bands) -> None:
    """Call ``task(part, x, bands)`` for parts of ``x`` (..., H, W) and its bands, cut to the part's planes.

    All tensors have one leading shape and memory format.
    """
    rows = max(bands[0].shape[-2], bands[1].shape[-2])
    if x.device.type != "cpu":
        return task(Part(slice(None), 0, rows, 0, rows, True), x, bands)
    tensors: tuple[Tensor, ...] = (x, *bands)
    if x.dim() == 2:
        tensors = tuple(tensor.unsqueeze(0) for tensor in tensors)
    elif not is_channels_last(x):
        tensors = tuple(tensor.flatten(0, -3) for tensor in tensors)
    planes = tensors[0].shape[0]
    group = max(1, STRIP_ELEMENTS * planes // max(1, x.numel()))
    parts = share(planes, rows, group, thread_count(x.numel()), margin)

    def run_part(number: int) -> None:
        part = parts[number]
        plane, *own = (tensor[part.planes] for tensor in tensors)
        task(part, plane, own)

    return map_on_threads(run_part, range(len(parts)), x.numel())


class _VerticalSteps:
    """Vertical lifting steps of the two column halves, run as far as the rows that are ready allow.

    Args:
        pairs: (low in rows, high in rows) tensors, changed in place.
        steps: the steps in analysis order.
        start: absolute row of the first sample.
        inverse: run the inverse steps.
    """

    def __init__(
        self, pairs: tuple[tuple[Tensor, Tensor], ...], steps: tuple[Step, ...], start: int, *, inverse: bool
    ) -> None:
        self.pairs = pairs
        self.low_first = start % 2 == 0
        self.sign = -1.0 if inverse else 1.0
        self.steps = steps[::-1] if inverse else steps
        self.sizes = {"low": pairs[0][0].shape[-2], "high": pairs[0][1].shape[-2]}
        self.done = [0] * len(self.steps)

    def advance(self, low_ready: int, high_ready: int) -> tuple[int, int]:
        """Run the steps as far as rows [0, ready) of the two halves allow.

        A row is finished when it is through its own steps and no step of a later row reads it any more.

        Args:
            low_ready: rows of the low half in place.
            high_ready: rows of the high half in place.

        Returns:
            Number of finished rows of the (low, high) half.
        """
        ready = {"low": low_ready, "high": high_ready}
        if self.sizes["low"] == 0 or self.sizes["high"] == 0:
            return low_ready, high_ready
        for index, step in enumerate(self.steps):
            target, source = ("low", "high") if step.target == "low" else ("high", "low")
            target_first = (target == "low") == self.low_first
            limit = ready[target]
            if ready[source] < self.sizes[source]:
                limit = min(limit, ready[source] - (0 if target_first else 1))
            limit = max(limit, self.done[index])
            self._run(step, target_first, self.done[index], limit)
            self.done[index] = ready[target] = limit
        for index, step in enumerate(self.steps):
            target, source = ("low", "high") if step.target == "low" else ("high", "low")
            if self.done[index] < self.sizes[target]:
                first_read = self.done[index] - (1 if (target == "low") == self.low_first else 0)
                ready[source] = max(0, min(ready[source], first_read))
        return ready["low"], ready["high"]

    def _run(self, step: Step, target_first: bool, begin: int, end: int) -> None:
        targets, sources = self.sizes["low"], self.sizes["high"]
        if step.target == "high":
            targets, sources = sources, targets
        for weight, first, last, source_first in neighbour_slices(step, targets, sources, target_first, begin, end):
            for low, high in self.pairs:
                target, source = (low, high) if step.target == "low" else (high, low)
                count = last - first
                target.narrow(-2, first, count).add_(source.narrow(-2, source_first, count), alpha=self.sign * weight)


def _analysis(x: Tensor, scheme: Scheme, normalization: Normalization, start: tuple[int, int]) -> Bands:
    if not (x.is_contiguous() or is_channels_last(x)):
        x = x.contiguous()
    size = (x.shape[-2], x.shape[-1])
    gains = _gains2d(scheme, normalization, size, start)
    steps = scheme.scaled_steps(normalization)
    if thread_count(x.numel()) == 1 and suits(x, start):
        return analyze_quad(x, steps, gains)
    bands = _empty_bands(x, level_sizes2d(size, 1, start)[0])

    def run(part: Part, x: Tensor, bands: Bands) -> None:
        phases = _phases(x[..., 2 * part.first : 2 * part.last, :], start)
        # A part must not write into its neighbours, so it works on bands of its own.
        work = bands if part.whole else tuple(_working(_rows(band, part.first, part.last)) for band in bands)
        low, lh, hl, hh = work
        vertical = _VerticalSteps(((low, lh), (hl, hh)), steps, start[0], inverse=False)
        written = [part.begin - part.first] * 2
        for begin, end in _strips(low, max(low.shape[-2], lh.shape[-2])):
            for phase, band, gain in zip(phases, work, gains, strict=True):
                torch.mul(_rows(phase, begin, end), gain, out=_rows(band, begin, end))
            for left, right in ((low, hl), (lh, hh)):
                lift(_rows(left, begin, end), _rows(right, begin, end), steps, -1, start[1], inverse=False, swap=False)
            finished = vertical.advance(min(end, low.shape[-2]), min(end, lh.shape[-2]))
            if part.whole:
                continue
            for number, (band, own) in enumerate(zip(bands, work, strict=True)):
                first, last = written[number % 2], min(finished[number % 2], part.end - part.first)
                if first < last:
                    _rows(band, part.first + first, part.first + last).copy_(_rows(own, first, last))
            written = [max(first, last) for first, last in zip(written, finished, strict=True)]

    _for_parts(run, len(steps), x, bands)
    return bands


def _synthesis(bands: Bands, scheme: Scheme, normalization: Normalization, start: tuple[int, int]) -> Tensor:
    size = (bands[0].shape[-2] + bands[1].shape[-2], bands[0].shape[-1] + bands[2].shape[-1])
    x = empty_plane(bands[0], size)
    gains = [1.0 / gain for gain in _gains2d(scheme, normalization, size, start)]
    steps = scheme.scaled_steps(normalization)
    if thread_count(x.numel()) == 1 and suits(x, start):
        synthesize_quad(bands, x, steps, gains)
        return x
    memory_format = torch.channels_last if is_channels_last(x) else torch.contiguous_format
    bands = tuple(band.contiguous(memory_format=memory_format) for band in bands)  # type: ignore[assignment]

    workspaces = threading.local()

    def run(part: Part, x: Tensor, bands: Bands) -> None:
        sources = tuple(_rows(band, part.first, part.last) for band in bands)
        # One set of working bands per thread, kept from plane to plane: fresh memory would cost as much as the steps.
        work = getattr(workspaces, "bands", None)
        if work is None or any(own.shape != source.shape for own, source in zip(work, sources, strict=True)):
            work = workspaces.bands = tuple(_working(source) for source in sources)
        low, lh, hl, hh = work
        phases = _phases(x[..., 2 * part.first : 2 * part.last, :], start)
        vertical = _VerticalSteps(((low, lh), (hl, hh)), steps, start[0], inverse=True)
        written = [part.begin - part.first] * 2
        for begin, end in _strips(low, max(low.shape[-2], lh.shape[-2])):
            for source, copy in zip(sources, work, strict=True):
                _rows(copy, begin, end).copy_(_rows(source, begin, end))
            finished = vertical.advance(min(end, low.shape[-2]), min(end, lh.shape[-2]))
            for parity, (left, right) in enumerate(((low, hl), (lh, hh))):
                first, last = written[parity], min(finished[parity], part.end - part.first)
                if first >= last:
                    continue
                left, right = _rows(left, first, last), _rows(right, first, last)
                lift(left, right, steps, -1, start[1], inverse=True, swap=False)
                # phases and gains are ordered low, lh, hl, hh: this parity's pair stands at parity and parity + 2
                torch.mul(left, gains[parity], out=_rows(phases[parity], first, last))
                torch.mul(right, gains[parity + 2], out=_rows(phases[parity + 2], first, last))
                written[parity] = last

    _for_parts(run, len(steps), x, bands)
    return x


def _working(like: Tensor) -> Tensor:
    return empty_plane(like, (like.shape[-2], like.shape[-1]))


def _rows(band: Tensor, begin: int, end: int) -> Tensor:
    """Rows [begin, end), as many of them as there are."""
    return band[..., begin:end, :]


def _empty_bands(like: Tensor, sizes: BandSizes2d) -> Bands:
    return (
        empty_plane(like, sizes.low),
        empty_plane(like, sizes.lh),
        empty_plane(like, sizes.hl),
        empty_plane(like, sizes.hh),
    )


class _Analysis2d(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, scheme: Scheme, normalization: Normalization, start: tuple[int, int]) -> Bands:
        ctx.arguments = (scheme, normalization, start)
        return _analysis(x, scheme, normalization, start)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        scheme, normalization, (row, column) = ctx.arguments
        low, lh, hl, hh = gradients
        even_rows = analyze_adjoint(low, hl, scheme, normalization, -1, column)
        odd_rows = analyze_adjoint(lh, hh, scheme, normalization, -1, column)
        return analyze_adjoint(even_rows, odd_rows, scheme, normalization, -2, row), None, None, None


class _Synthesis2d(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        low: Tensor,
        lh: Tensor,
        hl: Tensor,
        hh: Tensor,
        scheme: Scheme,
        normalization: Normalization,
        start: tuple[int, int],
    ) -> Tensor:
        ctx.arguments = (scheme, normalization, start)
        return _synthesis((low, lh, hl, hh), scheme, normalization, start)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        scheme, normalization, (row, column) = ctx.arguments
        even_rows, odd_rows = synthesize_adjoint(gradients[0], scheme, normalization, -2, row)
        low, hl = synthesize_adjoint(even_rows, scheme, normalization, -1, column)
        lh, hh = synthesize_adjoint(odd_rows, scheme, normalization, -1, column)
        return low, lh, hl, hh, None, None, None
