"""Wavelet levels one after another, window by window: what a large image needs beyond its coefficients stays small.

A level of any of the transforms here sees a few samples to every side (`Level.receptive_radius`), so a window with
that margin gives the samples of the whole level.  Only the levels of one image are chained: a learned level splits
the low band that the learned level before it made, and the base wavelet's inverse makes its picture the same way
back.  So every level is finished before the next begins, and margins never add up over the levels.

    image -> split, split, ... -> coefficients -> merge, merge, ... -> pseudo-image       (encoding: split is learned)
    pseudo-image -> split, split, ... -> coefficients -> merge, merge, ... -> image       (decoding: merge is learned)

Windows are cut where the geometry says, never by what memory there is.  With operators whose sums do not depend on
where a window begins the result is that of one piece, to the bit; with others up to the rounding of convolutions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from wavelic.memory import give_back
from wavelic.wavelets import Bands2d, Coefficients2d, level_sizes2d

Start = tuple[int, int]
#: ``source(rows, columns)`` gives samples (1, C, h, w) of a signal.
Source = Callable[[slice, slice], Tensor]
#: ``sink(top, left, samples)`` takes (1, C, h, w), every window once.
Sink = Callable[[int, int, Tensor], None]
#: One level of a signal (1, C, h, w) whose first sample is at an absolute (row, column); and its inverse.  Both are
#: told the number of the level, 1 for the first.
Split = Callable[[Tensor, Start, int], Coefficients2d]
Merge = Callable[[Coefficients2d, int], Tensor]
#: Called after every window.
Done = Callable[[], None]

#: Side of a window in samples of the signal that is split or merged; even.
WINDOW = 1024
#: Windows are visited in blocks of so many rows and columns of windows.
BLOCK = (2, 4)


@dataclass(frozen=True)
class Window:
    """Rows or columns first..stop - 1 of an axis, computed from low..high - 1; ``first`` and ``low`` are even."""

    first: int
    stop: int
    low: int
    high: int

    def inside(self) -> slice:
        """Locate the result in what is computed."""
        return slice(self.first - self.low, self.stop - self.low)

    def band(self, kind: int) -> slice:
        """Locate the result's low (0) or high (1) band in that of the whole axis."""
        return slice((self.first + 1 - kind) // 2, (self.stop + 1 - kind) // 2)

    def band_seen(self, kind: int) -> slice:
        """Locate the band that is computed from in that of the whole axis."""
        return slice((self.low + 1 - kind) // 2, (self.high + 1 - kind) // 2)

    def band_inside(self, kind: int) -> slice:
        """Locate `band` in `band_seen`."""
        band, seen = self.band(kind), self.band_seen(kind)
        return slice(band.start - seen.start, band.stop - seen.start)


def windows(size: int, margin: int) -> list[Window]:
    """Cut an axis of ``size`` samples that starts at 0 into windows with margins of at least ``margin`` samples."""
    margin += margin % 2
    return [
        Window(first, min(first + WINDOW, size), max(0, first - margin), min(first + WINDOW + margin, size))
        for first in range(0, size, WINDOW)
    ]


def count_windows(size: tuple[int, int], levels: int) -> int:
    """Count the windows of one way through the levels of an image of ``size`` (height, width)."""
    total = 0
    for _ in range(levels):
        total += -(-size[0] // WINDOW) * -(-size[1] // WINDOW)
        size = (-(-size[0] // 2), -(-size[1] // 2))
    return total


def split_levels(
    source: Source, channels: int, size: tuple[int, int], levels: int, split: Split, margin: int, done: Done
) -> tuple[Tensor, list[Bands2d]]:
    """Split a signal that starts at the origin into a low band and details.

    Args:
        source: of the signal.
        channels: of the signal.
        size: (height, width) of the signal.
        levels: how many.
        split: one level.
        margin: samples that it sees to either side.
        done: called after every window.

    Returns:
        Low band and details, the finest first, on the CPU: 4 bytes for every sample of the signal.
    """
    details = []
    low = torch.empty(0)
    for number, sizes in enumerate(level_sizes2d(size, levels), 1):
        low, lh, hl, hh = (torch.empty((1, channels, *shape)) for shape in (sizes.low, sizes.lh, sizes.hl, sizes.hh))
        for rows, columns in _grid(size, margin):
            seen = source(slice(rows.low, rows.high), slice(columns.low, columns.high))
            parts = split(seen, (rows.low, columns.low), number)
            bands = parts.levels[0]
            for whole, part, kinds in ((low, parts.low, (0, 0)), (lh, bands.lh, (1, 0)), (hl, bands.hl, (0, 1)),
                                       (hh, bands.hh, (1, 1))):  # fmt: skip
                there = rows.band_inside(kinds[0]), columns.band_inside(kinds[1])
                whole[..., rows.band(kinds[0]), columns.band(kinds[1])] = part[..., there[0], there[1]]
            done()
        details.append(Bands2d(lh, hl, hh))
        source, size = _reader(low), sizes.low
        give_back()
    return low, details


def merge_levels(
    low: Tensor,
    details: list[Bands2d],
    size: tuple[int, int],
    wavelet: str,
    merge: Merge,
    margin: int,
    sink: Sink,
    done: Done,
) -> None:
    """Undo `split_levels` with another transform.

    Args:
        low: low band.
        details: the finest first; emptied on the way, so that every level's memory is free as soon as it is done.
        size: (height, width) of the signal.
        wavelet: that the coefficients are said to be of.
        merge: one level.
        margin: samples that it sees to either side.
        sink: takes the signal, window by window.
        done: called after every window.
    """
    sizes = [size, *(level.low for level in level_sizes2d(size, len(details)))]
    while details:
        bands = details.pop()
        target = sizes[len(details)]
        signal = torch.empty((*low.shape[:2], *target)) if details else None
        put = _writer(signal) if signal is not None else sink
        for rows, columns in _grid(target, margin):
            parts = Coefficients2d(
                low[..., rows.band_seen(0), columns.band_seen(0)],
                (
                    Bands2d(
                        bands.lh[..., rows.band_seen(1), columns.band_seen(0)],
                        bands.hl[..., rows.band_seen(0), columns.band_seen(1)],
                        bands.hh[..., rows.band_seen(1), columns.band_seen(1)],
                    ),
                ),
                (rows.high - rows.low, columns.high - columns.low),
                wavelet,
                "jpeg2000",
                (rows.low, columns.low),
            )
            put(rows.first, columns.first, merge(parts, len(details) + 1)[..., rows.inside(), columns.inside()])
            done()
        if signal is not None:
            low = signal
        give_back()


def _grid(size: tuple[int, int], margin: int) -> Iterator[tuple[Window, Window]]:
    """All windows, block by block, so that a source that reads ahead can keep a block."""
    down, across = windows(size[0], margin), windows(size[1], margin)
    for top in range(0, len(down), BLOCK[0]):
        for left in range(0, len(across), BLOCK[1]):
            yield from product(down[top : top + BLOCK[0]], across[left : left + BLOCK[1]])


def block_size(margin: int) -> tuple[int, int]:
    """Return height and width of what the windows of a block see, at most."""
    margins = 2 * (margin + margin % 2)
    return BLOCK[0] * WINDOW + margins, BLOCK[1] * WINDOW + margins


def _reader(signal: Tensor) -> Source:
    return lambda rows, columns: signal[..., rows, columns]


def _writer(signal: Tensor) -> Sink:
    def put(top: int, left: int, samples: Tensor) -> None:
        signal[..., top : top + samples.shape[-2], left : left + samples.shape[-1]] = samples

    return put
