"""Range coder: integers in, bytes out, and back.

Symbols that share a table are coded together, because one call of the coder for a thousand symbols of one table is ten
times as fast as a call for each of a thousand tables.  The order of the symbols in the stream therefore is, for each
call of `encode`:

    blocks of BLOCK symbols in C order; in a block the tables in rising order; for a table its symbols in C order;
    after the last block all escaped symbols of the call, in the same order (see `escape`).

The decoder knows the table of every symbol, so it knows this order.  ``docs/entropy.md`` describes the bytes.
"""

from __future__ import annotations

import constriction
import numpy as np
import numpy.typing as npt

from wavelic.entropy.escape import decode_escapes, encode_escapes, escape_bits
from wavelic.entropy.grouping import Grouping
from wavelic.entropy.tables import TableSet
from wavelic.errors import FormatError, UsageError

# Symbols grouped at a time.  Part of the format.
BLOCK = 1 << 18

_WHOLE = 1 << 64

Integers = npt.NDArray[np.integer]
# Of each escaped symbol its table's number, and its value (encoder) or its place (decoder).
_Escapes = tuple[npt.NDArray[np.intp], npt.NDArray[np.int64]]


class RangeEncoder:
    """Encoder of any number of arrays, one after another, into one stream.

    Examples:
        >>> tables = TableSet.from_frequencies([[1, 6, 1], [9, 1]], offsets=[-1, 0])
        >>> encoder = RangeEncoder()
        >>> encoder.encode(np.array([0, 1, 0]), np.array([0, 0, 1]), tables)
        >>> encoder.encode(np.array([-2147483648]), np.array([1]), tables)
        >>> data = encoder.finish()
        >>> decoder = RangeDecoder(data)
        >>> decoder.decode(np.array([0, 0, 1]), tables), decoder.decode(np.array([1]), tables)
        (array([0, 1, 0], dtype=int32), array([-2147483648], dtype=int32))
    """

    def __init__(self) -> None:
        self._coder = constriction.stream.queue.RangeEncoder()

    def encode(self, symbols: npt.ArrayLike, table_index: npt.ArrayLike, tables: TableSet) -> None:
        """Append symbols to the stream.

        Args:
            symbols: integers within int32, of any shape.
            table_index: number of each symbol's table in ``tables``, of the same shape.
            tables: the frequency tables.

        Raises:
            UsageError: symbols that are not integers within int32, shapes that differ, or an index without a table.
        """
        values = _int32s(symbols)
        index = _table_numbers(table_index, tables)
        if values.shape != index.shape:
            raise UsageError(f"symbols have shape {values.shape}, table_index {index.shape}; give one table per symbol")
        values, index = values.ravel(), index.ravel()
        numbers, escaped = _joined(
            [
                self._encode_block(values[begin : begin + BLOCK], index[begin : begin + BLOCK], tables)
                for begin in range(0, len(values), BLOCK)
            ]
        )
        if escaped.size:
            encode_escapes(self._coder, escaped, *_ranges(numbers, tables))

    def _encode_block(self, values: npt.NDArray[np.int32], index: Integers, tables: TableSet) -> _Escapes:
        grouping, symbols = Grouping.gather(values, index, len(tables))
        entries = symbols.view(np.uint32)
        # modulo 2^32, so that just the symbols of a table come below their number
        entries -= grouping.spread(tables.modular_offsets)
        places, numbers = grouping.at_or_above(entries, tables.counts)
        escaped = (entries[places] + tables.modular_offsets[numbers]).view(np.int32)
        entries[places] = tables.counts[numbers]
        for table, begin, end in grouping.runs():
            self._coder.encode(symbols[begin:end], tables.model(table))
        return numbers, escaped.astype(np.int64)

    def finish(self) -> bytes:
        """End the stream.

        Returns:
            The stream, as short as it can be: empty for no symbols, and never ending in a zero byte.
        """
        words = self._coder.get_compressed()
        position, (lower, width) = self._coder.pos()
        if position == 0 and width == _WHOLE - 1:
            return b""
        point, size = _shortest_point(lower, width)
        # constriction ends with the word at lower + 2^32 - 1 and has carried into the words before if that is >= 2^64
        carry = (point >> 64) - ((lower + (1 << 32) - 1) >> 64)
        prefix = words[:position].astype(">u4").view(np.uint8)
        if carry:
            prefix = np.frombuffer(_add(prefix.tobytes(), carry), dtype=np.uint8)
        tail = np.frombuffer((point % _WHOLE).to_bytes(8, "big"), dtype=np.uint8)[:size]
        return np.concatenate((prefix, tail)).tobytes().rstrip(b"\0")


class RangeDecoder:
    """Decoder of a stream that `RangeEncoder` wrote: the same calls with the same table indices, in the same order.

    A damaged stream gives other symbols or FormatError, in the usual time and memory; detecting damage is the
    container's task.

    Args:
        data: the stream; bytes beyond its end read as zero.
    """

    def __init__(self, data: bytes) -> None:
        padded = bytes(data) + bytes(-len(data) % 4)
        self._coder = constriction.stream.queue.RangeDecoder(np.frombuffer(padded, dtype=">u4").astype(np.uint32))

    def decode(self, table_index: npt.ArrayLike, tables: TableSet) -> npt.NDArray[np.int32]:
        """Decode the next symbols.

        Args:
            table_index: number of each symbol's table in ``tables``, of any shape.
            tables: the frequency tables.

        Returns:
            The symbols, int32, in the shape of ``table_index``.

        Raises:
            FormatError: no encoder can have written the stream.
            UsageError: an index without a table.
        """
        index = _table_numbers(table_index, tables)
        symbols = np.empty(index.size, dtype=np.int32)
        flat = index.ravel()
        escapes = []
        try:
            for begin in range(0, len(flat), BLOCK):
                block = symbols[begin : begin + BLOCK]
                numbers, places = self._decode_block(block, flat[begin : begin + BLOCK], tables)
                escapes.append((numbers, places + begin))
            numbers, places = _joined(escapes)
            if places.size:
                symbols[places] = decode_escapes(self._coder, *_ranges(numbers, tables))
        except AssertionError:  # how constriction reports a point beyond the last symbol
            raise FormatError("the range-coded data is damaged; get a new copy of the file") from None
        return symbols.reshape(index.shape)

    def _decode_block(self, symbols: npt.NDArray[np.int32], index: Integers, tables: TableSet) -> _Escapes:
        """Fill ``symbols`` except for the escaped ones; return the tables and positions of those."""
        grouping = Grouping(index, len(tables))
        grouped = np.empty_like(symbols)
        for table, begin, end in grouping.runs():
            grouped[begin:end] = self._coder.decode(tables.model(table), end - begin)
        places, numbers = grouping.at_or_above(grouped, tables.counts)
        grouped += grouping.spread(tables.offsets)
        grouping.scatter(grouped, symbols)
        return numbers, grouping.positions(places)


def encode_symbols(symbols: npt.ArrayLike, table_index: npt.ArrayLike, tables: TableSet) -> bytes:
    """Code one array: one `RangeEncoder.encode`, then `finish`.

    Args:
        symbols: integers within int32, of any shape.
        table_index: number of each symbol's table in ``tables``, of the same shape.
        tables: the frequency tables.

    Returns:
        The stream.

    Raises:
        UsageError: symbols that are not integers within int32, shapes that differ, or an index without a table.
    """
    encoder = RangeEncoder()
    encoder.encode(symbols, table_index, tables)
    return encoder.finish()


def decode_symbols(data: bytes, table_index: npt.ArrayLike, tables: TableSet) -> npt.NDArray[np.int32]:
    """Decode one array; the inverse of `encode_symbols`.

    Args:
        data: the stream.
        table_index: number of each symbol's table in ``tables``, of any shape.
        tables: the frequency tables.

    Returns:
        The symbols, int32, in the shape of ``table_index``.

    Raises:
        FormatError: no encoder can have written the stream.
        UsageError: an index without a table.
    """
    return RangeDecoder(data).decode(table_index, tables)


def ideal_bits(symbols: npt.ArrayLike, table_index: npt.ArrayLike, tables: TableSet) -> float:
    """Code length of an ideal coder: the sum of -log2 of the tables' probabilities, escapes included.

    For reports and rate control.  This is the only float arithmetic here, and no part of coding.

    Args:
        symbols: integers within int32, of any shape.
        table_index: number of each symbol's table in ``tables``, of the same shape.
        tables: the frequency tables.

    Returns:
        The length in bits.

    Raises:
        UsageError: symbols that are not integers within int32, or shapes that differ.
    """
    values = _int32s(symbols)
    index = _table_numbers(table_index, tables)
    if values.shape != index.shape:
        raise UsageError(f"symbols have shape {values.shape}, table_index {index.shape}; give one table per symbol")
    symbols64, index = values.ravel().astype(np.int64), index.ravel()
    entries = symbols64 - tables.offsets[index]
    counts = tables.sizes[index] - 1
    outside = (entries < 0) | (entries >= counts)
    entries[outside] = counts[outside]
    frequencies = tables.frequencies[tables.starts[index] + entries]
    bits = float(values.size * tables.precision - np.log2(frequencies, dtype=np.float64).sum())
    if outside.any():
        first = tables.offsets[index[outside]].astype(np.int64)
        bits += float(escape_bits(symbols64[outside], first, first + counts[outside] - 1).sum())
    return bits


def _shortest_point(lower: int, width: int) -> tuple[int, int]:
    """Number in [lower, lower + width) with the fewest bytes before its trailing zeros, and how many these are.

    Numbers are 64-bit fractions of the coder's last word; the interval may reach beyond 2^64, into a carry.
    """
    for size in range(9):
        step = 1 << (64 - 8 * size)
        point = -(-lower // step) * step
        if point < lower + width:
            break
    return point, size


def _add(prefix: bytes, carry: int) -> bytes:
    return (int.from_bytes(prefix, "big") + carry).to_bytes(len(prefix), "big")


def _no_escapes() -> _Escapes:
    return np.empty(0, np.intp), np.empty(0, np.int64)


def _joined(escapes: list[_Escapes]) -> _Escapes:
    """Escapes of all blocks, of which there may be none."""
    tables, values = zip(_no_escapes(), *escapes, strict=True)
    return np.concatenate(tables), np.concatenate(values)


def _ranges(numbers: npt.NDArray[np.intp], tables: TableSet) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """First and last symbol of every escaped symbol's table."""
    first = tables.offsets[numbers].astype(np.int64)
    return first, first + tables.sizes[numbers] - 2


def _int32s(symbols: npt.ArrayLike) -> npt.NDArray[np.int32]:
    values = np.asarray(symbols)
    if values.dtype.kind not in "iu" and values.size:
        raise UsageError(f"symbols are {values.dtype}; round them and convert to int32 first")
    limits = np.iinfo(np.int32)
    if values.dtype != np.int32 and values.size and (values.min() < limits.min or values.max() > limits.max):
        raise UsageError(f"symbols from {values.min()} to {values.max()} do not fit int32; quantise more coarsely")
    return np.asarray(values, dtype=np.int32, order="C")


def _table_numbers(table_index: npt.ArrayLike, tables: TableSet) -> Integers:
    """``table_index`` in the smallest unsigned type, checked against the number of tables."""
    index = np.asarray(table_index)
    if index.dtype.kind not in "iu" and index.size:
        raise UsageError(f"table_index is {index.dtype}; give integers")
    if index.size and (index.min() < 0 or index.max() >= len(tables)):
        raise UsageError(f"table_index from {index.min()} to {index.max()}; expected 0 to {len(tables) - 1}")
    return np.asarray(index, dtype=np.uint8 if len(tables) <= 256 else np.uint16, order="C")
