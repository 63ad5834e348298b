"""Bytes of a tile to its symbols; what they are coded with is said by the caller.  Loads no torch.

The bytes are described in `wavelic.weconvene.tiles`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wavelic.container import crc32c
from wavelic.entropy import RangeDecoder, TableSet
from wavelic.errors import ChecksumError, FormatError
from wavelic.weconvene.layout import COLOURS, FIRST_COARSE
from wavelic.weconvene.offsets import LARGEST, TABLE, from_differences, moved
from wavelic.weconvene.units import MAX_VALUE, SCALES

CHECKSUM = 4
#: Bytes of the checksum of the coarse levels.
COARSE_CHECKSUM = 2
#: Bytes before the stream: tables of the lowest band, how many slices are coded, checksum of the coarse levels.
HEAD = COLOURS + 1 + COARSE_CHECKSUM
#: Added to a tile's first byte if it is sparse.
SPARSE = 64


@dataclass(frozen=True)
class Decoded:
    """A tile, int32: ``low`` (3, h, w) in steps, ``details`` (9, h_d, w_d) in 1/16 step.

    Attributes:
        low: the lowest band.
        details: of level ``first`` and the coarser ones, in this order.
        first: finest level that was decoded; 1: all.
    """

    low: NDArray[np.int32]
    details: tuple[NDArray[np.int32], ...]
    first: int = 1

    def checksum(self, first: int = 1) -> int:
        """CRC-32C over the lowest band and the details from level ``first`` on."""
        crc = crc32c(np.ascontiguousarray(self.low, "<i4").tobytes())
        for detail in self.details[first - self.first :]:
            crc = crc32c(np.ascontiguousarray(detail, "<i4").tobytes(), crc)
        return crc

    def coarse_checksum(self) -> int:
        """The lower half of the CRC-32C over what is coarser than the levels that the networks correct."""
        return self.checksum(FIRST_COARSE) % (1 << 8 * COARSE_CHECKSUM)


class TileReader:
    """Reads a tile's symbols in coding order.

    Args:
        tables: of the weights.
        data: the DATA chunk.
        size: rows and columns of the lowest band.
        levels: wavelet levels.
        per_level: slices of a level.

    Attributes:
        low: the lowest band in steps, int32 (3, h, w).
        count: slices that are coded; coefficients of the others are zero.
        offsets: scale offset of each slice, int32 (levels * per_level,).

    Raises:
        FormatError: the bytes cannot be such a chunk.
    """

    def __init__(self, tables: TableSet, data: bytes, size: tuple[int, int], levels: int, per_level: int) -> None:
        first = [data[0] % SPARSE, *data[1:COLOURS]] if data else []
        most = levels * per_level
        if len(data) < HEAD + CHECKSUM or data[0] >= 2 * SPARSE or max(first) >= SCALES or data[COLOURS] > most:
            raise FormatError(f"a tile of {len(data)} bytes starts with {data[:HEAD].hex()}; the file is damaged")
        self.count = data[COLOURS]
        self._coarse_checksum = int.from_bytes(data[HEAD - COARSE_CHECKSUM : HEAD], "big")
        self._tables, self._sparse = tables, data[0] >= SPARSE
        self._checksum = int.from_bytes(data[-CHECKSUM:], "big")
        self._decoder = RangeDecoder(data[HEAD:-CHECKSUM])
        residuals = [self._decoder.decode(np.full(size, table, np.int32), tables) for table in first]
        self.low = low_from_residuals(np.stack(residuals))
        if max(int(self.low.max()), -int(self.low.min())) > MAX_VALUE:
            raise FormatError(
                f"the lowest band has values from {self.low.min()} to {self.low.max()}; the file is damaged"
            )
        differences = np.zeros(most, np.int32)
        differences[: self.count] = self._decoder.decode(np.full(self.count, TABLE, np.int32), tables)
        offsets = from_differences(differences, per_level)
        if np.abs(offsets.astype(np.int64)).max() > LARGEST:
            raise FormatError(
                f"scale offsets from {offsets.min()} to {offsets.max()}; expected up to {LARGEST}: the file is damaged"
            )
        self.offsets = offsets

    def residuals(self, number: int, table: NDArray[np.uint8]) -> NDArray[np.int32]:
        """Residuals of a slice in steps, with the shape of ``table``.

        Args:
            number: of the slice, from the first of the coarsest level on; below `count`.
            table: which table the context model names for each, 0..63.
        """
        rows = moved(table, int(self.offsets[number]))
        if not self._sparse:
            return self._limited(self._decoder.decode(rows, self._tables))
        places = np.flatnonzero(table)
        residuals = np.zeros(table.shape, np.int32)
        residuals.reshape(-1)[places] = self._limited(self._decoder.decode(rows.reshape(-1)[places], self._tables))
        return residuals

    def check(self, decoded: Decoded) -> None:
        """Raise ChecksumError unless these coefficients are those that were coded, as far as that can be told."""
        if decoded.coarse_checksum() != self._coarse_checksum or (
            decoded.first == 1 and decoded.checksum() != self._checksum
        ):
            raise ChecksumError(
                "the decoded coefficients do not match their checksum; the file is damaged, get it again"
            )

    @staticmethod
    def _limited(residuals: NDArray[np.int32]) -> NDArray[np.int32]:
        return np.clip(residuals, -MAX_VALUE, MAX_VALUE, out=residuals)


def low_residuals(low: NDArray[np.int32]) -> NDArray[np.int32]:
    """Differences coded of the lowest band (3, h, w): to the left neighbour, in the first column to the upper one."""
    residual = low.copy()
    residual[:, :, 1:] -= low[:, :, :-1]
    residual[:, 1:, 0] -= low[:, :-1, 0]
    return residual


def low_from_residuals(residual: NDArray[np.int32]) -> NDArray[np.int32]:
    """Inverse of `low_residuals`; int32 wraps, as there."""
    low = residual.copy()
    low[:, :, 0] = np.cumsum(residual[:, :, 0], axis=1, dtype=np.int32)
    return np.cumsum(low, axis=2, dtype=np.int32)
