"""What the packet headers tell of every coefficient: the width of the interval it lies in.

A code-block that was decoded down to bit-plane p leaves each coefficient in an interval of step * 2^p, twice that
around zero.  Of a code-block that no packet has anything of, the headers tell nothing; an encoder left it out since it
was worth less than what it kept.  It is taken to be as exact, relative to how much an error of it shows, as the nearest
code-block over it at a coarser level; in a lossless file that is: exactly zero.  Where not even the lowest band has a
code-block, as the chroma of a gray picture, nothing is taken to be open.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from wavelic.jpeg2000 import MainHeader
from wavelic.jpeg2000.code_blocks import BandBlocks, Blocks
from wavelic.jpeg2000.quantisers import Quantiser
from wavelic.wavelets import idwt1
from wavelic.wavelets.coefficients import Coefficients1d

Floats = NDArray[np.float32]
Indices = NDArray[np.int64]

_EXACT_LEVEL = 8


@cache
def norms(wavelet: str, level: int) -> tuple[float, float]:
    """L2 norms of the synthesis functions of a level, low and high band, in one dimension.

    Args:
        wavelet: "9/7" or "5/3".
        level: 1 for the finest.
    """
    if level > _EXACT_LEVEL:  # the functions have their limit's shape, and double their length with every level
        low, high = norms(wavelet, _EXACT_LEVEL)
        factor = 2 ** ((level - _EXACT_LEVEL) / 2)
        return low * factor, high * factor
    size = 64
    found = []
    for band in range(2):
        bands = torch.zeros(2, size, dtype=torch.float64)
        bands[band, size // 2] = 1.0
        signal = bands[0]
        for number in range(level):
            details = bands[1] if number == 0 else torch.zeros_like(signal)
            signal = idwt1(Coefficients1d(signal, (details,), 2 * len(signal), -1, wavelet, "jpeg2000"))
        found.append(float(signal.square().sum().sqrt()))
    return found[0], found[1]


def band_norms(wavelet: str, level: int) -> tuple[float, float, float, float]:
    """L2 norms of the synthesis functions of a level's bands: LL, HL, LH, HH."""
    low, high = norms(wavelet, level)
    return low * low, low * high, low * high, high * high


@dataclass(frozen=True)
class Known:
    """Knowledge of the three detail bands of one component, HL, LH, HH; float32 (3, rows, columns).

    Attributes:
        log_step: log2 of the interval's width, in sample values.
        there: 1 where a packet has something of the code-block, else 0.
        partial: how much of the next bit-plane is decoded: 0, 1/3 or 2/3.
        exact: 1 where nothing is left out (reversible, all planes) or nothing is known at all, else 0.
    """

    log_step: Floats
    there: Floats
    partial: Floats
    exact: Floats


class TileKnowledge:
    """Knowledge of all coefficients of one tile, one entry for each code-block."""

    def __init__(
        self,
        header: MainHeader,
        quantisers: tuple[tuple[Quantiser, ...], ...],
        blocks: Blocks,
        component: int = 0,
    ) -> None:
        """Read out of the headers.

        Args:
            header: main header of the codestream.
            quantisers: of every component.
            blocks: of the tile.
            component: one of the colours, which are alike.
        """
        self._quantisers, self._blocks = quantisers, blocks
        style = header.styles[component]
        self.wavelet = "5/3" if style.reversible else "9/7"
        self.levels, self.bits = style.levels, header.components[component].bits
        self._tables: dict[tuple[int, int, int], Floats] = {}

    def known(self, component: int, level: int, rows: Indices, columns: Indices) -> Known:
        """Look up what is known of the details of a component at one level.

        Args:
            component: its number.
            level: 1 for the finest.
            rows: coordinates in the bands of that level.
            columns: likewise.
        """
        found = np.empty((4, 3, len(rows), len(columns)), np.float32)
        for orientation in range(1, 4):
            blocks = self._band(component, level, orientation)
            table = self._table(component, level, orientation)
            found[:, orientation - 1] = _lookup(blocks, table, rows, columns)
        return Known(found[0], found[1], found[2], found[3])

    def _band(self, component: int, level: int, orientation: int) -> BandBlocks:
        return self._blocks[component, self._number(level, orientation)]

    def _number(self, level: int, orientation: int) -> int:
        return 3 * (self.levels - level) + orientation if orientation else 0

    def _table(self, component: int, level: int, orientation: int) -> Floats:
        """The fields of `Known` for the code-blocks of one band, (4, rows, columns)."""
        key = component, level, orientation
        if key in self._tables:
            return self._tables[key]
        blocks = self._band(component, level, orientation)
        quantiser = self._quantisers[component][self._number(level, orientation)]
        passes = blocks.passes.astype(np.int32)
        there = passes > 0
        plane = _plane(blocks, quantiser)
        log_norm = np.float32(np.log2(band_norms(self.wavelet, level)[orientation]))
        log_step = (plane + np.log2(quantiser.step)).astype(np.float32)
        exact = (plane == 0) & (self.wavelet == "5/3")
        if not there.all():
            guess, guess_exact = self._coarser(component, level, orientation)
            most = np.float32(np.log2(quantiser.step) + quantiser.planes - 1) + log_norm
            exact = np.where(there, exact, np.isnan(guess) | (guess_exact > 0))
            guess = np.where(np.isnan(guess), most, guess)
            log_step = np.where(there, log_step, guess - log_norm)
        partial = np.where(there, (passes + 2) % 3 / 3, 0)
        self._tables[key] = np.stack([log_step, there, partial, exact]).astype(np.float32)
        return self._tables[key]

    def _coarser(self, component: int, level: int, orientation: int) -> tuple[Floats, Floats]:
        """For the code-blocks of a band, what is known of the nearest code-block over each.

        Returns:
            log2 of width times norm, NaN where there is none; and whether nothing is left out of it.
        """
        blocks = self._band(component, level, orientation)
        top, left = blocks.origin
        rows = (np.arange(blocks.passes.shape[0]) + top) << blocks.shift[1]
        columns = (np.arange(blocks.passes.shape[1]) + left) << blocks.shift[0]
        result = np.full(blocks.passes.shape, np.nan, np.float32)
        exact = np.zeros(blocks.passes.shape, np.float32)
        for above in range(level + 1, self.levels + 2):
            kind = orientation if above <= self.levels else 0
            above = min(above, self.levels)
            if kind:
                rows, columns = rows >> 1, columns >> 1
            band = self._band(component, above, kind)
            quantiser = self._quantisers[component][self._number(above, kind)]
            plane = _plane(band, quantiser)
            value = plane + np.log2(quantiser.step * band_norms(self.wavelet, above)[kind])
            tables = np.stack([np.where(band.passes > 0, value, np.nan), (plane == 0) & (self.wavelet == "5/3")])
            here, here_exact = _lookup(band, tables.astype(np.float32), rows, columns)
            exact = np.where(np.isnan(result), here_exact, exact)
            result = np.where(np.isnan(result), here, result)
            if not np.isnan(result).any():
                break
        return result, exact


def _plane(blocks: BandBlocks, quantiser: Quantiser) -> NDArray[np.int32]:
    """The lowest bit-plane of every code-block that is decoded in full."""
    full = (blocks.passes.astype(np.int32) + 2) // 3
    return np.maximum(quantiser.planes - blocks.zero_planes - full, 0)


def _lookup(blocks: BandBlocks, table: Floats, rows: Indices, columns: Indices) -> Floats:
    """Entries of tables (n, rows, columns of code-blocks) at coordinates of the band, the nearest beyond its ends."""
    if not table.size:
        return np.zeros((len(table), len(rows), len(columns)), np.float32)
    top, left = blocks.origin
    down = np.minimum(np.maximum((rows >> blocks.shift[1]) - top, 0), table.shape[1] - 1)
    across = np.minimum(np.maximum((columns >> blocks.shift[0]) - left, 0), table.shape[2] - 1)
    return table[:, down[:, None], across]
