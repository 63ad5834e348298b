"""Bits of packet headers, and the tag trees coded in them (T.800 B.10.1 and B.10.2)."""

from __future__ import annotations

_MOST = 1 << 10  # a tag-tree value above says that the data are damaged


class BitReader:
    """Bits of a packet header, the highest of each byte first; after a byte 0xFF the next one has seven."""

    def __init__(self, data: bytes, position: int) -> None:
        self._data, self._next = data, position
        self._byte, self._left = 0, 0

    def bit(self) -> int:
        """Read one bit.  Raises IndexError beyond the end of the data."""
        if not self._left:
            self._left = 7 if self._byte == 0xFF else 8
            self._byte = self._data[self._next]
            self._next += 1
        self._left -= 1
        return self._byte >> self._left & 1

    def bits(self, count: int) -> int:
        """Read a number of ``count`` bits."""
        value = 0
        for _ in range(count):
            value = value << 1 | self.bit()
        return value

    def end(self) -> int:
        """Return where the bytes after the header begin: a byte 0xFF at its end is followed by one more."""
        return self._next + (self._byte == 0xFF)


class TagTree:
    """Decoder of a tag tree: numbers of a grid, coded as differences to the minimum of each 2 x 2 of them."""

    def __init__(self, rows: int, columns: int) -> None:
        #: For every leaf its nodes from the root down.
        self._paths: list[list[int]] = [[] for _ in range(rows * columns)]
        sizes = [(rows, columns)]
        while sizes[-1] != (1, 1):
            sizes.append((-(-sizes[-1][0] // 2), -(-sizes[-1][1] // 2)))
        first = 0
        for level in reversed(range(len(sizes))):
            for leaf, path in enumerate(self._paths):
                row, column = divmod(leaf, columns)
                path.append(first + (row >> level) * sizes[level][1] + (column >> level))
            first += sizes[level][0] * sizes[level][1]
        self._low = [0] * first
        self._known = [False] * first

    def reaches(self, reader: BitReader, leaf: int, threshold: int) -> bool:
        """Read as much as tells whether the number of a leaf is below ``threshold``."""
        low = 0
        known = False
        for node in self._paths[leaf]:
            low = max(low, self._low[node])
            known = self._known[node]
            while low < threshold and not known:
                if reader.bit():
                    known = True
                else:
                    low += 1
            self._low[node], self._known[node] = low, known
        return known and low < threshold

    def value(self, reader: BitReader, leaf: int) -> int:
        """Read the number of a leaf.

        Raises:
            ValueError: it is none that a codestream can have.
        """
        threshold = 1
        while not self.reaches(reader, leaf, threshold):
            threshold += 1
            if threshold > _MOST:
                raise ValueError("a tag tree has no end")
        return self._low[self._paths[leaf][-1]]
