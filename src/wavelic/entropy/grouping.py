"""Order of a block's symbols in the stream: table after table, the symbols of a table in C order.

A block is sorted in parts that stay in a core's second-level cache.  The stream does not show the parts: the runs of
one table follow each other, part after part, and so are in C order.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

PART = 1 << 16  # symbols sorted at a time, which takes 16 bytes for each
# With more tables the runs of a part are so short that calling the coder for each of them costs more than the cache.
MANY_TABLES = 256
_GLANCE = 64  # symbols looked at first to see whether a part needs no sorting

Integers = npt.NDArray[np.integer]
Places = npt.NDArray[np.intp]


class Grouping:
    """Runs of equal tables in one block.

    A "grouped" array holds one value per symbol: part after part, and a part in the order of its tables.

    Args:
        index: table number of each symbol of the block, unsigned with 8 or 16 bits, one-dimensional, at least one.
        tables: number of tables.
        values: an array to group at once while each part's order is in the cache; see `gather`.

    Examples:
        >>> grouping, grouped = Grouping.gather(np.array([7, 8, 9]), np.array([1, 0, 1], dtype=np.uint8), tables=2)
        >>> grouped, list(grouping.runs()), grouping.spread(np.array([10, 20]))
        (array([8, 7, 9]), [(0, 0, 1), (1, 1, 3)], array([10, 20, 20]))
    """

    def __init__(self, index: Integers, tables: int, values: npt.NDArray[Any] | None = None) -> None:
        # With values: each part is gathered while its order is in the cache, and then its order is forgotten.
        self.grouped = None if values is None else np.empty_like(values)
        self._orders: list[tuple[slice, Places | None]] = []
        begins = [
            self._sort(slice(begin, end), index[begin:end], tables, values) for begin, end in _parts(index, tables)
        ]
        starts = np.concatenate([*begins, [len(index)]])
        lengths = np.diff(starts)
        runs = np.flatnonzero(lengths)
        # of the runs that are not empty, as they lie in a grouped array
        self._tables, self._begins, self._lengths = runs % tables, starts[runs], lengths[runs]

    @classmethod
    def gather(cls, values: npt.NDArray[Any], index: Integers, tables: int) -> tuple[Grouping, npt.NDArray[Any]]:
        """Group an encoder's symbols.

        Args:
            values: the symbols.
            index: table number of each symbol.
            tables: number of tables.

        Returns:
            The grouping, which cannot `scatter`, and the grouped ``values``.
        """
        grouping = cls(index, tables, values)
        assert grouping.grouped is not None
        return grouping, grouping.grouped

    def _sort(self, part: slice, index: Integers, tables: int, values: npt.NDArray[Any] | None) -> Places:
        """First position of each table in the grouped array."""
        order = None if _rises(index) else index.argsort(kind="stable")  # a radix sort for one- and two-byte numbers
        if values is None or self.grouped is None:
            self._orders.append((part, order))
        elif order is None:
            self.grouped[part] = values[part]
        else:
            # The copy reads the values in order; taking them from memory in leaps is twice as slow.
            # All of order is in range: "wrap" only spares numpy the proof.
            values[part].copy().take(order, mode="wrap", out=self.grouped[part])
        return index.searchsorted(np.arange(tables, dtype=index.dtype), sorter=order) + part.start

    def runs(self) -> Iterator[tuple[int, int, int]]:
        """Runs of a grouped array, in the order of the stream.

        Returns:
            An iterator over (table, begin, end).
        """
        order = self._tables.argsort(kind="stable")
        begins, ends = self._begins[order], (self._begins + self._lengths)[order]
        return zip(self._tables[order].tolist(), begins.tolist(), ends.tolist(), strict=True)

    def scatter(self, grouped: npt.NDArray[Any], values: npt.NDArray[Any]) -> None:
        """Put grouped values back into the order of the block.

        Args:
            grouped: one value per symbol, grouped.
            values: the block, written.
        """
        for part, order in self._orders:
            values[part][slice(None) if order is None else order] = grouped[part]

    def positions(self, places: Places) -> Places:
        """Positions in the block of elements of a grouped array.

        Args:
            places: indices into a grouped array.

        Returns:
            For each the index to which `scatter` moves it.
        """
        positions = places.copy()
        for part, order in self._orders:
            inside = (places >= part.start) & (places < part.stop)
            if order is not None and inside.any():
                positions[inside] = order[places[inside] - part.start] + part.start
        return positions

    def spread(self, per_table: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Repeat a table's value for each of its symbols.

        Args:
            per_table: one value per table.

        Returns:
            A grouped array.
        """
        return np.repeat(per_table[self._tables], self._lengths)

    def at_or_above(self, grouped: npt.NDArray[Any], limits: npt.NDArray[Any]) -> tuple[Places, Places]:
        """Find the values that are not below their table's limit.

        Args:
            grouped: one value per symbol, grouped.
            limits: one limit per table.

        Returns:
            Their indices in ``grouped`` and their tables, in the order of the stream.
        """
        highest = np.maximum.reduceat(grouped, self._begins)
        runs = np.flatnonzero(highest >= limits[self._tables])
        runs = runs[self._tables[runs].argsort(kind="stable")]
        found = [np.empty(0, np.intp)]
        for table, begin, length in zip(self._tables[runs], self._begins[runs], self._lengths[runs], strict=True):
            found.append(np.flatnonzero(grouped[begin : begin + length] >= limits[table]) + begin)
        return np.concatenate(found), np.repeat(self._tables[runs], [len(places) for places in found[1:]])


def _parts(index: Integers, tables: int) -> list[tuple[int, int]]:
    """Bounds (begin, end) of the parts of a block."""
    if tables > MANY_TABLES or len(index) <= PART or _rises(index):
        return [(0, len(index))]
    return list(pairwise([*range(0, len(index), PART), len(index)]))


def _rises(index: Integers) -> bool:
    """Whether the tables are in order already; most often the first few show that they are not."""
    return all(bool((some[1:] >= some[:-1]).all()) for some in (index[:_GLANCE], index))
