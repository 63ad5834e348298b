"""What packet headers are made of: bits, tag trees, and numbers of coding passes (T.800 B.10)."""

from __future__ import annotations

_BYPASS, _TERMINATE_ALL = 1, 4  # code-block styles that split the bytes of a code-block into segments
_FIRST_BYPASS = 10  # passes of the first segment with _BYPASS (T.800 table D.9)
_MANY = 1 << 30
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


def read_passes(reader: BitReader) -> int:
    """Read a number of coding passes (T.800 table B.4)."""
    if not reader.bit():
        return 1
    if not reader.bit():
        return 2
    number = reader.bits(2)
    if number < 3:
        return 3 + number
    number = reader.bits(5)
    if number < 31:
        return 6 + number
    return 37 + reader.bits(7)


def segment_passes(done: int, mode: int) -> int:
    """Count the passes of the codeword segment that begins after ``done`` passes (T.800 D.6, table D.9).

    Args:
        done: passes before it.
        mode: of the block coder.

    Examples:
        >>> [segment_passes(done, 1) for done in (0, 10, 12, 13, 15)]  # selective bypass
        [10, 2, 1, 2, 1]
    """
    if mode & _TERMINATE_ALL:
        return 1
    if mode & _BYPASS:
        if done < _FIRST_BYPASS:
            return _FIRST_BYPASS - done
        return 1 if (done - _FIRST_BYPASS) % 3 == 2 else 2
    return _MANY
