"""Code of symbols outside their table: Elias-gamma-like, inside the same range-coded stream.

An escaped symbol v of a table that covers [first, last] is written as its distance e >= 0 beyond the nearer end
(v = last + 1 + e or v = first - 1 - e).  With k = floor(log2(e + 1)), 0 <= k <= 32:

1. class k + 33 * (v < first), by a fixed table in which k has the probability 2^-(k+2) (at least 2^-16),
2. the k low bits of e + 1: bits 0..15 flat if k >= 1, then bits 16..31 flat if k > 16.

All classes of a run of escapes come first, then all low halves, then all high halves, so that each is one call.
"""

from __future__ import annotations

from typing import Any

import constriction
import numpy as np
import numpy.typing as npt

from wavelic.entropy.tables import exact_model
from wavelic.errors import FormatError

CLASSES_PER_SIDE = 33
CLASS_PRECISION = 16
_HALF = 16
_INT32_MIN, _INT32_MAX = -(1 << 31), (1 << 31) - 1

Int64s = npt.NDArray[np.int64]


def _class_frequencies() -> list[int]:
    side = [max(1, 1 << (14 - k)) if k <= 14 else 1 for k in range(CLASSES_PER_SIDE)]
    side[0] -= sum(side) - (1 << (CLASS_PRECISION - 1))
    return side * 2


CLASS_FREQUENCIES = np.array(_class_frequencies(), dtype=np.uint16)
_CLASS_MODEL = exact_model(CLASS_FREQUENCIES, CLASS_PRECISION)
_FLAT = constriction.stream.model.Uniform()


def encode_escapes(coder: Any, symbols: Int64s, first: Int64s, last: Int64s) -> None:
    """Write escaped symbols to a constriction encoder.

    Args:
        coder: constriction's range encoder.
        symbols: the symbols.
        first: first symbol of each symbol's table.
        last: last symbol of each symbol's table.
    """
    classes, bits, mantissas = _split(symbols, first, last)
    coder.encode(classes.astype(np.int32), _CLASS_MODEL)
    for shift, counts in _halves(bits):
        some = counts > 0
        if some.any():
            sizes = (1 << counts[some]).astype(np.int32)
            coder.encode((mantissas[some] >> shift & (sizes - 1)).astype(np.int32), _FLAT, sizes)


def decode_escapes(coder: Any, first: Int64s, last: Int64s) -> npt.NDArray[np.int32]:
    """Read escaped symbols; the inverse of `encode_escapes`.

    Args:
        coder: constriction's range decoder.
        first: first symbol of each symbol's table.
        last: last symbol of each symbol's table.

    Returns:
        The symbols, int32.

    Raises:
        FormatError: a symbol lies outside int32.
    """
    classes = coder.decode(_CLASS_MODEL, len(first)).astype(np.int64)
    below, bits = np.divmod(classes, CLASSES_PER_SIDE)
    magnitudes = np.left_shift(1, bits)
    for shift, counts in _halves(bits):
        some = counts > 0
        if some.any():
            sizes = (1 << counts[some]).astype(np.int32)
            magnitudes[some] |= coder.decode(_FLAT, sizes).astype(np.int64) << shift
    distances = magnitudes - 1
    symbols = np.where(below == 1, first - 1 - distances, last + 1 + distances)
    if symbols.size and (symbols.min() < _INT32_MIN or symbols.max() > _INT32_MAX):
        raise FormatError("an escaped symbol lies outside int32; the coded data is damaged")
    return symbols.astype(np.int32)


def escape_bits(symbols: Int64s, first: Int64s, last: Int64s) -> npt.NDArray[np.float64]:
    """Ideal code length of each escaped symbol in bits, without its escape entry.

    Args:
        symbols: the symbols.
        first: first symbol of each symbol's table.
        last: last symbol of each symbol's table.

    Returns:
        float64, one per symbol.
    """
    classes, bits, _ = _split(symbols, first, last)
    return CLASS_PRECISION - np.log2(CLASS_FREQUENCIES[classes]) + bits


def _split(symbols: Int64s, first: Int64s, last: Int64s) -> tuple[Int64s, Int64s, Int64s]:
    """Class, number of mantissa bits, e + 1."""
    below = symbols < first
    magnitudes = np.where(below, first - symbols, symbols - last)
    # frexp is exact here: magnitudes are at most 2^32, float64 holds integers up to 2^53
    bits = np.frexp(magnitudes.astype(np.float64))[1].astype(np.int64) - 1
    return bits + CLASSES_PER_SIDE * below, bits, magnitudes


def _halves(bits: Int64s) -> tuple[tuple[int, Int64s], tuple[int, Int64s]]:
    """(shift, number of bits of each symbol) for the low and for the high half of the mantissa."""
    return (0, np.minimum(bits, _HALF)), (_HALF, np.maximum(bits - _HALF, 0))
