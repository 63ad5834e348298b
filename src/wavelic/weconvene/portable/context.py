"""The context model in integers, by NumPy: what `wavelic.weconvene.context` computes, number by number.

All sums of products are below 2^23, so products of float32 matrices are exact in any order of additions
(`wavelic.nn.exact`).  Within a slice everything but one 3x3 convolution of its features works on single positions:
rows of a map go through all layers of a slice while they are in the processor's cache.

Maps are uint8 (h, w, channels).  Those that a 3x3 convolution reads have a border of zeros, (h + 2, w + 2, channels).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wavelic.errors import UsageError
from wavelic.weconvene.layout import BANDS, COLOURS, LEVELS, PACKED, Slice, coding_order
from wavelic.weconvene.portable.rows import Rows
from wavelic.weconvene.units import (
    CENTRE,
    FEATURE,
    FINEST,
    HEAD_SCALE,
    LOG2_LOWEST,
    MAX_MEAN,
    PER_OCTAVE,
    SCALE_UNIT,
    SCALES,
    STEP_UNIT,
    VALUE,
    magnitude_features,
)

Arrays = Mapping[str, NDArray[Any]]
Floats = NDArray[np.float32]
Map = NDArray[np.uint8]
#: (level, slice, mean in 1/16 step, table) of a slice -> its coefficients in 1/16 step, all (channels, h, w).
Reader = Callable[[int, int, NDArray[np.int32], Map], NDArray[np.int32]]

#: Largest activation.
_LIMIT = 255
#: Sums of products that float32 holds exactly, and half of them for a residual.
_SUM_BOUND = 1 << 23
#: Positions that go through the layers together.
_POSITIONS = 2048


class Layer:
    """A convolution: clamp(round_half_to_even((W * x + b) / 2^m + residual), 0, 255).

    Args:
        arrays: ``weight`` int8 (out, in, k, k), ``bias`` int32 and ``shift`` int8 (out,), under ``name``.
        name: of the layer.

    Attributes:
        width: channels of its results.

    Raises:
        UsageError: sums could be inexact.
    """

    def __init__(self, arrays: Arrays, name: str) -> None:
        weight, bias, shift = (arrays[f"{name}.{part}"] for part in ("weight", "bias", "shift"))
        sums = _LIMIT * np.abs(weight.astype(np.int64)).sum((1, 2, 3)) + np.abs(bias.astype(np.int64))
        if int(sums.max()) >= _SUM_BOUND:
            raise UsageError(f"sums of {name} reach {int(sums.max())}; expected less than {_SUM_BOUND}")
        scale = np.exp2(-shift.astype(np.float32))  # a power of two: products and sums stay exact
        self._matrix = weight.transpose(2, 3, 1, 0).reshape(-1, len(weight)).astype(np.float32) * scale
        self._bias = bias.astype(np.float32) * scale
        self.width = len(weight)

    def unrounded(self, x: Floats) -> Floats:
        """(positions, inputs) -> (positions, out), exact."""
        result: Floats = x @ self._matrix
        result += self._bias
        return result

    def __call__(self, x: Floats, residual: Floats | None = None) -> Floats:
        """(positions, inputs) -> (positions, out), whole numbers 0..255."""
        result = self.unrounded(x)
        if residual is not None:
            result += residual
        return _activated(result)


class LevelLayers:
    """The layers of one level, see `wavelic.weconvene.context.LevelContext`."""

    def __init__(self, arrays: Arrays, name: str, slices: int) -> None:
        def layer(part: str) -> Layer:
            return Layer(arrays, f"{name}.{part}")

        def layers(part: str) -> list[Layer]:
            return [layer(f"{part}.{index}") for index in range(slices)]

        self.from_parent, self.from_state = layer("from_parent"), layer("from_state")
        self.trunk, self.trunk_out = layer("trunk"), layer("trunk_out")
        self.from_slice, self.mix, self.mix_out = layers("from_slice"), layers("mix"), layers("mix_out")
        self.before_head, self.heads = layers("before_head"), layers("heads")


class Context:
    """The context model.

    Args:
        arrays: of the weights, under "entropy.".
        slices: of a level in coding order.

    Raises:
        UsageError: sums could be inexact.
        KeyError: an array is missing.
    """

    def __init__(self, arrays: Arrays, slices: tuple[Slice, ...]) -> None:
        self.slices = slices
        self._base = arrays["entropy.base"].astype(np.int64)
        self._levels = [LevelLayers(arrays, f"entropy.levels.{number}", len(slices)) for number in range(3)]
        self._from_low = Layer(arrays, "entropy.from_low")
        self._features = np.array(magnitude_features(_LIMIT), np.uint8)

    def decode(
        self, low: NDArray[np.int32], step: int, levels: int, read: Reader, count: int, rows: Rows, first: int = 1
    ) -> list[NDArray[np.int32]]:
        """Walk over levels and slices in coding order, as `wavelic.weconvene.context.code_levels`.

        Args:
            low: the lowest band in steps, (3, h, w).
            step: quantiser step in 1/32 octave of a grey level.
            levels: wavelet levels, 1..LEVELS.
            read: called for every slice in coding order that is coded.
            count: slices that are coded; coefficients of the others are zero.
            rows: what works on all rows of a map.
            first: the finest level that is wanted.

        Returns:
            Coefficients of levels ``first``.. ``levels`` in 1/16 step, (9, h_d, w_d) each.
        """
        parent = np.zeros((BANDS, low.shape[1] // 2, low.shape[2] // 2), np.int32)
        state: Map | None = None
        results: list[NDArray[np.int32]] = []
        for number in range(levels, first - 1, -1):
            coded = min(count, len(self.slices))
            count -= coded
            if not coded:
                doublings = levels - number
                results.append(np.zeros((BANDS, low.shape[1] << doublings, low.shape[2] << doublings), np.int32))
                continue
            net = self._levels[min(number, 3) - 1]
            state = _begun(net, self._parent_features(parent, step), state, rows)
            if number == LEVELS:
                _add(self._from_low, self._seen(_differences_of_low(low)), state, rows)
            parts: list[NDArray[np.int32]] = []
            starts = self._starts(number, step)
            for index in range(coded):
                before = self._seen(parts[-1]) if parts else None
                mean, table = _slice(net, index, state, before, starts[index], rows)
                parts.append(read(number, index, mean, table))
            if count and number > first:
                _add(net.from_slice[-1], self._seen(parts[-1]), state, rows)
            for part in self.slices[coded:]:
                parts.append(np.zeros((len(part.channels), *parts[0].shape[1:]), np.int32))
            parent = _unpacked(parts, self.slices)
            results.append(parent)
        return results[::-1]

    def _starts(self, level: int, step: int) -> list[Floats]:
        """What is added to the numbers of tables of each slice's channels at a step, with the half that rounds them."""
        octaves = self._base[level - 1] - (step - CENTRE * STEP_UNIT) * (SCALE_UNIT // STEP_UNIT)
        octaves -= round(LOG2_LOWEST * SCALE_UNIT)
        start = octaves.astype(np.float32) * np.float32(PER_OCTAVE / SCALE_UNIT) + np.float32(0.5)
        order, counts = coding_order(self.slices)
        assert len(order) == PACKED
        return np.split(start[list(order)], np.cumsum(counts)[:-1])

    def _seen(self, values: NDArray[np.int32], more: int = 0) -> Map:
        """Features of coefficients (C, h, w) in a map with a border: of positive ones, then of negative ones."""
        count, height, width = values.shape
        magnitude = self._features[np.minimum(np.abs(values), len(self._features) - 1)]
        result = np.zeros((height + 2, width + 2, 2 * count + more), np.uint8)
        inner = result[1:-1, 1:-1]
        inner[..., :count] = np.where(values > 0, magnitude, 0).transpose(1, 2, 0)
        inner[..., count : 2 * count] = np.where(values < 0, magnitude, 0).transpose(1, 2, 0)
        return result

    def _parent_features(self, values: NDArray[np.int32], step: int) -> Map:
        """The same of the parent level's bands, and the step above the finest in 1/32 octave."""
        result = self._seen(values, 1)
        result[1:-1, 1:-1, -1] = (step - FINEST) * FEATURE // STEP_UNIT
        return result


def _begun(net: LevelLayers, parent: Map, state: Map | None, rows: Rows) -> Map:
    """The state before the first slice; ``parent`` has a border, ``state`` is of the parent level, half as large."""
    height, width = parent.shape[0] - 2, parent.shape[1] - 2
    new = np.zeros((height + 2, width + 2, net.from_parent.width), np.uint8)
    inner, begun = new[1:-1, 1:-1], np.empty((height, width, net.from_parent.width), np.uint8)

    def first(some: slice) -> None:
        result = net.from_parent(_patches(parent, some))
        if state is not None:  # each of its positions belongs to four of this level's
            coarse = net.from_state.unrounded(_floats(state[some.start // 2 : some.stop // 2]))
            cells = result.reshape(-1, 2, width // 2, 2, net.from_parent.width)
            cells += coarse.reshape(len(cells), 1, width // 2, 1, -1)
            _activated(result)
        _store(inner[some], result)

    def second(some: slice) -> None:
        _store(begun[some], net.trunk_out(net.trunk(_patches(new, some)), _floats(inner[some])))

    rows(first, height, _together(width))
    rows(second, height, _together(width))
    return begun


def _add(layer: Layer, seen: Map, state: Map, rows: Rows) -> None:
    """Bring the state up to what is seen, a map with a border, by a 3x3 convolution."""

    def work(some: slice) -> None:
        _store(state[some], layer(_patches(seen, some), _floats(state[some])))

    rows(work, len(state), _together(state.shape[1]))


def _slice(
    net: LevelLayers, index: int, state: Map, before: Map | None, start: Floats, rows: Rows
) -> tuple[NDArray[np.int32], Map]:
    """Means in 1/16 step and tables (channels, h, w) of a slice; the state is brought up to it."""
    mean = np.empty((len(start), *state.shape[:2]), np.int32)
    table = np.empty(mean.shape, np.uint8)

    def work(some: slice) -> None:
        x = _floats(state[some])
        if before is not None:
            x = net.from_slice[index - 1](_patches(before, some), x)
        x = net.mix_out[index](net.mix[index](x), x)
        _store(state[some], x)
        scales, means = np.split(net.heads[index].unrounded(net.before_head[index](x)), 2, 1)
        scales = np.rint(np.clip(scales * np.float32(HEAD_SCALE * SCALE_UNIT), -64 * SCALE_UNIT, 64 * SCALE_UNIT))
        tables = np.floor(scales * np.float32(PER_OCTAVE / SCALE_UNIT) + start).clip(0, SCALES - 1)
        means = np.rint(np.clip(means, -MAX_MEAN, MAX_MEAN) * np.float32(VALUE))
        mean[:, some] = means.T.reshape(len(start), -1, state.shape[1])
        table[:, some] = tables.T.reshape(len(start), -1, state.shape[1])

    rows(work, len(state), _together(state.shape[1]))
    return mean, table


def _activated(x: Floats) -> Floats:
    """Round to nearest even and limit to what 8 bits hold, in place."""
    np.rint(x, out=x)
    return np.clip(x, 0, _LIMIT, out=x)


def _together(width: int) -> int:
    """Rows that go through the layers together, an even number."""
    return max(2, _POSITIONS // width // 2 * 2)


def _floats(rows: Map) -> Floats:
    """(rows, w, C) -> (rows * w, C)."""
    return rows.reshape(-1, rows.shape[-1]).astype(np.float32)


def _store(rows: Map, values: Floats) -> None:
    """Inverse of `_floats`."""
    rows[...] = values.reshape(rows.shape)


def _patches(bordered: Map, rows: slice) -> Floats:
    """3x3 neighbourhoods of the positions of some rows: (positions, 9 C)."""
    height, width, channels = rows.stop - rows.start, bordered.shape[1] - 2, bordered.shape[2]
    patches = np.empty((height, width, 3, 3, channels), np.float32)
    for row in range(3):
        for column in range(3):
            first = rows.start + row
            patches[:, :, row, column] = bordered[first : first + height, column : column + width]
    return patches.reshape(height * width, -1)


def _differences_of_low(low: NDArray[np.int32]) -> NDArray[np.int32]:
    """Samples of the lowest band (3, h, w) minus the mean of their neighbours, in 1/16 step, packed: (12, h/2, w/2)."""
    around = np.pad(low, ((0, 0), (1, 1), (1, 1)), "edge")
    four = 4 * low - around[:, :-2, 1:-1] - around[:, 2:, 1:-1] - around[:, 1:-1, :-2] - around[:, 1:-1, 2:]
    _, height, width = low.shape
    cells = (four * (VALUE // 4)).reshape(COLOURS, height // 2, 2, width // 2, 2)
    return cells.transpose(0, 2, 4, 1, 3).reshape(4 * COLOURS, height // 2, width // 2)


def _unpacked(parts: list[NDArray[np.int32]], slices: tuple[Slice, ...]) -> NDArray[np.int32]:
    """Coefficients (channels, h, w) of every slice -> bands (9, 2 h, 2 w)."""
    height, width = parts[0].shape[1:]
    packed = np.empty((PACKED, height, width), np.int32)
    for part, values in zip(slices, parts, strict=True):
        packed[list(part.channels)] = values
    cells = packed.reshape(BANDS, 2, 2, height, width)
    return cells.transpose(0, 3, 1, 4, 2).reshape(BANDS, 2 * height, 2 * width)
