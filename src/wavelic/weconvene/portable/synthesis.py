"""The synthesis by NumPy: x = W^-1 (y + step * g(y / step)), see `wavelic.weconvene.network` and `subbands`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wavelic.weconvene.layout import BANDS, COLOURS, GRID, GRID_LEVELS, first_level
from wavelic.weconvene.portable.rows import Rows
from wavelic.weconvene.units import CENTRE, STEP_UNIT

Arrays = Mapping[str, NDArray[Any]]
Floats = NDArray[np.float32]

#: Lifting steps of 9/7 in analysis order, and K (ITU-T T.800, table F.4).
_LIFTING = (-1.586134342059924, -0.052980118572961, 0.882911075530934, 0.443506852043971)
_K = 1.230174104914001
#: Of every LeakyReLU.
_SLOPE = np.float32(0.01)
#: Positions that go through a block's layers together.
_POSITIONS = 1024


class Synthesis:
    """The synthesis of some weights.

    Args:
        arrays: of the weights, under "transform.".
        blocks: wide blocks of g.

    Raises:
        KeyError: an array is missing.
    """

    def __init__(self, arrays: Arrays, blocks: int) -> None:
        self._band_steps = arrays["transform.band_steps"].astype(np.float32)
        self._gain = arrays["transform.g.gain"].astype(np.float32)
        self._enter, self._leave = _Product(arrays, "transform.g.enter"), _Product(arrays, "transform.g.leave")
        self._blocks = [_WideBlock(arrays, f"transform.g.blocks.{number}") for number in range(blocks)]

    def __call__(self, low: Floats, details: Sequence[Floats], step: int, rows: Rows, reduce: int = 0) -> Floats:
        """Coefficients in steps -> samples.

        Args:
            low: (3, h, w).
            details: (9, h_d, w_d) of level ``first_level(reduce)`` and the coarser ones; overwritten.
            step: quantiser step in 1/32 octave of a grey level.
            rows: what works on all rows of a map.
            reduce: how often the sides are halved, see `wavelic.weconvene.planes.synthesise`.

        Returns:
            (3, H, W), 0..255, not clipped.
        """
        octave = np.float32(step / STEP_UNIT - CENTRE)
        exponents = (self._band_steps[0] + self._band_steps[1] * octave).reshape(-1, BANDS)
        first = first_level(reduce)
        levels = dict(enumerate(details, first))
        for level, detail in levels.items():
            detail *= np.exp2(exponents[level - 1])[:, None, None]
        deepest = first - 1 + len(details)
        finest = min(deepest, GRID_LEVELS)
        for level in range(deepest, max(finest, reduce), -1):
            low = merged(low, levels[level])
        if finest == GRID_LEVELS > reduce:
            for level in range(1, first):  # what was not decoded
                levels[level] = np.zeros((BANDS, *(side << (finest - level) for side in low.shape[1:])), np.float32)
            low, corrected = self._corrected(low, [levels[n] for n in range(1, finest + 1)], octave, rows)
            levels = dict(enumerate(corrected, 1))
        size = np.float32(2.0 ** (step / STEP_UNIT - reduce))  # a level doubles what is even
        low = low * size
        for level in range(finest, reduce, -1):
            levels[level] *= size
            low = merged(low, levels[level])
        to_rgb = np.array(_colour_rows(), np.float32).T
        return (to_rgb @ low.reshape(COLOURS, -1)).reshape(low.shape) + np.float32(127.5)

    def _corrected(
        self, low: Floats, details: Sequence[Floats], octave: np.float32, rows: Rows
    ) -> tuple[Floats, list[Floats]]:
        """The low band and the three finest levels with what g adds to them."""
        grid = _joined(low, details)
        height, width, _ = grid.shape
        x = np.empty((height, width, self._enter.width), np.float32)

        def enter(some: slice) -> None:
            seen = np.empty((len(grid[some]), width, GRID + 1), np.float32)
            np.arcsinh(grid[some], out=seen[..., :GRID])
            seen[..., GRID] = octave
            x[some] = self._enter(seen.reshape(-1, GRID + 1)).reshape(x[some].shape)

        def leave(some: slice) -> None:
            change = self._leave(x[some].reshape(-1, x.shape[-1]))
            change *= np.exp2(self._gain[0] + self._gain[1] * octave)
            grid[some] += change.reshape(grid[some].shape)

        rows(enter, height, _together(width))
        for block in self._blocks:
            block(x, rows)
        rows(leave, height, _together(width))
        return _split(grid)


class _Product:
    """A 1x1 convolution of (positions, channels)."""

    def __init__(self, arrays: Arrays, name: str) -> None:
        self._matrix = np.ascontiguousarray(arrays[f"{name}.weight"][:, :, 0, 0].T, np.float32)
        self._bias = arrays[f"{name}.bias"].astype(np.float32)
        self.width = len(self._bias)

    def __call__(self, x: Floats) -> Floats:
        result: Floats = x @ self._matrix
        result += self._bias
        return result


class _WideBlock:
    """Two residual steps: 1x1, 3x3 depthwise, 1x1; and 1x1 to twice the width and back."""

    def __init__(self, arrays: Arrays, name: str) -> None:
        self._enter, self._leave = _Product(arrays, f"{name}.enter"), _Product(arrays, f"{name}.leave")
        self._widen, self._narrow = _Product(arrays, f"{name}.widen"), _Product(arrays, f"{name}.narrow")
        self._taps = np.ascontiguousarray(arrays[f"{name}.depthwise.weight"][:, 0].transpose(1, 2, 0), np.float32)
        self._bias = arrays[f"{name}.depthwise.bias"].astype(np.float32)

    def __call__(self, x: Floats, rows: Rows) -> None:
        """Replace ``x`` (h, w, C) by the result."""
        height, width, channels = x.shape
        bordered = np.zeros((height + 2, width + 2, channels), np.float32)
        inner = bordered[1:-1, 1:-1]

        def first(some: slice) -> None:
            inner[some] = _leaky(self._enter(x[some].reshape(-1, channels))).reshape(inner[some].shape)

        def second(some: slice) -> None:
            y = np.empty(x[some].shape, np.float32)
            y[...] = self._bias
            product = np.empty_like(y)
            for row in range(3):
                for column in range(3):
                    there = bordered[some.start + row : some.stop + row, column : column + width]
                    y += np.multiply(there, self._taps[row, column], out=product)
            part = x[some].reshape(-1, channels)
            part += self._leave(y.reshape(-1, channels))
            part += self._narrow(_leaky(self._widen(part)))

        rows(first, height, _together(width))
        rows(second, height, _together(width))


def _together(width: int) -> int:
    """Rows that go through the layers together."""
    return max(1, _POSITIONS // width)


def _leaky(x: Floats) -> Floats:
    return np.maximum(x, x * _SLOPE, out=x)


def merged(low: Floats, detail: Floats) -> Floats:
    """One level of 9/7 undone: (3, h, w) and (9, h, w), bands LH, HL, HH of three colours -> (3, 2 h, 2 w)."""
    lh, hl, hh = detail.reshape(3, COLOURS, *detail.shape[1:])
    gain = np.float32(_K * _K / 2)  # low bands carry K / sqrt 2 in each direction, high bands its inverse
    columns = _along_rows(low * gain, lh), _along_rows(hl, hh * (1 / gain))
    even, odd = _lifted(*columns, -1)
    return np.stack((even, odd), -1).reshape(*even.shape[:2], -1)


def _along_rows(low: Floats, high: Floats) -> Floats:
    even, odd = _lifted(low, high, -2)
    return np.stack((even, odd), 2).reshape(even.shape[0], -1, even.shape[2])


def _lifted(even: Floats, odd: Floats, axis: int) -> tuple[Floats, Floats]:
    """The lifting steps undone in place; beyond the borders samples are mirrored."""
    last, first = [slice(None)] * 3, [slice(None)] * 3
    last[axis], first[axis] = slice(-1, None), slice(0, 1)
    head, tail = list(first), list(last)
    head[axis], tail[axis] = slice(None, -1), slice(1, None)
    for number, weight in reversed(list(enumerate(_LIFTING))):
        factor = np.float32(weight)
        if number % 2 == 0:  # an odd sample lies between two even ones; after the last even one is its mirror image
            odd[tuple(head)] -= factor * (even[tuple(head)] + even[tuple(tail)])
            odd[tuple(last)] -= 2 * factor * even[tuple(last)]
        else:
            even[tuple(tail)] -= factor * (odd[tuple(head)] + odd[tuple(tail)])
            even[tuple(first)] -= 2 * factor * odd[tuple(first)]
    return even, odd


def _joined(low: Floats, details: Sequence[Floats]) -> Floats:
    """All bands on the grid of the coarsest, (h, w, 192), as `wavelic.weconvene.grid.join`."""
    height, width = low.shape[1:]
    grid = np.empty((height, width, GRID), np.float32)
    grid[..., :COLOURS] = low.transpose(1, 2, 0)
    for distance, detail in enumerate(reversed(details)):
        cells, channels = _cells(detail, distance), _channels(grid, distance)
        channels[...] = cells
    return grid


def _split(grid: Floats) -> tuple[Floats, list[Floats]]:
    """Inverse of `_joined`."""
    height, width, _ = grid.shape
    details = []
    for distance in range(GRID_LEVELS):
        detail = np.empty((BANDS, height << distance, width << distance), np.float32)
        _cells(detail, distance)[...] = _channels(grid, distance)
        details.append(detail)
    return np.ascontiguousarray(grid[..., :COLOURS].transpose(2, 0, 1)), details[::-1]


def _channels(grid: Floats, distance: int) -> Floats:
    """Channels of the level ``distance`` above the coarsest: (h, w, 9, rows, columns) of every cell."""
    first, side = COLOURS << (2 * distance), 1 << distance
    return grid[..., first : 4 * first].reshape(*grid.shape[:2], BANDS, side, side)


def _cells(detail: Floats, distance: int) -> Floats:
    """Details (9, h * side, w * side) as `_channels` has them."""
    side = 1 << distance
    _, height, width = detail.shape
    return detail.reshape(BANDS, height // side, side, width // side, side).transpose(1, 3, 0, 2, 4)


def _colour_rows() -> tuple[tuple[float, ...], ...]:
    """Y, U, V of R, G, B, orthonormal."""
    a, b, c = 1 / math.sqrt(3), 1 / math.sqrt(2), 1 / math.sqrt(6)
    return (a, a, a), (b, 0.0, -b), (c, -2 * c, c)
