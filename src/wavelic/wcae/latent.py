"""DATA chunks of the `wcae` codec: a quantised latent as bytes.

First byte: how the symbols are modelled.  0: slices, contexts and tables of the weights (`entropy.schedule`).
1: as published: one histogram of the whole code, sent in the stream together with its minimum.
Both encode and decode follow the same `SliceSchedule`, or the same histogram.
"""

from __future__ import annotations

import struct
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from wavelic.entropy import RangeDecoder, RangeEncoder, TableSet, decode_symbols, encode_symbols
from wavelic.errors import FormatError, UsageError
from wavelic.wcae.schedule import MAX_GAIN, SliceSchedule

Symbols = NDArray[np.int32]


class SideInformation(IntEnum):
    """Where the probabilities come from."""

    WEIGHTS = 0
    PUBLISHED = 1


def encode_latent(
    symbols: Symbols, gain: int, schedule: SliceSchedule, tables: TableSet, side: SideInformation
) -> bytes:
    """Bytes of int32 symbols (C, h, w) quantised with ``gain``; an exact function of integers.

    Raises:
        UsageError: the published histogram cannot span the symbols (more than 65,535 values).
    """
    if side == SideInformation.PUBLISHED:
        return bytes([side]) + _encode_published(symbols)
    encoder = RangeEncoder()
    for number, channels in enumerate(schedule):
        encoder.encode(symbols[channels], schedule.table_indices(number, symbols, gain), tables)
    return bytes([side]) + encoder.finish()


def decode_latent(
    payload: bytes, size: tuple[int, int], gain: int, schedule: SliceSchedule, tables: TableSet
) -> Symbols:
    """The symbols (C, h, w) that `encode_latent` was given.

    Raises:
        FormatError: the payload cannot be what an encoder wrote.
    """
    if not payload or payload[0] not in list(SideInformation):
        raise FormatError("the coded latent starts with an unknown model byte; the file is damaged or newer")
    if abs(gain) > MAX_GAIN:
        raise FormatError(f"the file's gain is {gain}, expected {-MAX_GAIN}..{MAX_GAIN}; the file is damaged")
    if payload[0] == SideInformation.PUBLISHED:
        return _decode_published(payload[1:], (schedule.channels, *size))
    symbols = np.zeros((schedule.channels, *size), np.int32)
    decoder = RangeDecoder(payload[1:])
    for number, channels in enumerate(schedule):
        symbols[channels] = decoder.decode(schedule.table_indices(number, symbols, gain), tables)
    return symbols


_PUBLISHED = struct.Struct("<iH")  # minimum, number of values
_COUNT = np.dtype("<u2")  # relative frequency of each value, 1/65535 of the commonest


def _encode_published(symbols: Symbols) -> bytes:
    lowest, highest = int(symbols.min()), int(symbols.max())
    if highest - lowest >= 1 << 14:
        raise UsageError(f"symbols from {lowest} to {highest} are too far apart for a histogram; use a lower gain")
    counts = np.bincount(symbols.ravel() - lowest)
    scaled = -(-counts * 65535 // counts.max())
    tables = TableSet.from_frequencies([scaled], [lowest])
    stream = encode_symbols(symbols, np.zeros(symbols.shape, np.uint8), tables)
    return _PUBLISHED.pack(lowest, len(counts)) + scaled.astype(_COUNT).tobytes() + stream


def _decode_published(payload: bytes, shape: tuple[int, ...]) -> Symbols:
    if len(payload) < _PUBLISHED.size:
        raise FormatError("the coded latent ends before its histogram; get the file again")
    lowest, values = _PUBLISHED.unpack_from(payload)
    stream = _PUBLISHED.size + values * _COUNT.itemsize
    if len(payload) < stream or not 0 < values <= 1 << 14:
        raise FormatError("the coded latent ends within its histogram; get the file again")
    try:
        tables = TableSet.from_frequencies([np.frombuffer(payload, _COUNT, values, _PUBLISHED.size)], [lowest])
    except UsageError as error:
        raise FormatError(f"the code's histogram is impossible ({error})") from error
    return decode_symbols(payload[stream:], np.zeros(shape, np.uint8), tables)
