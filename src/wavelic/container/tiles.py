"""Tile grid: the rectangle of the image that each DATA chunk holds, and the tiles that a window needs."""

from __future__ import annotations

from dataclasses import dataclass

from wavelic.container.header import Header
from wavelic.errors import UsageError

Box = tuple[int, int, int, int]
"""(left, top, right, bottom) in pixels, right and bottom exclusive."""


@dataclass(frozen=True)
class TileGrid:
    """Tiles numbered row by row from the top left; the last column and row may be smaller."""

    width: int
    height: int
    tile_width: int
    tile_height: int
    overlap: int

    @staticmethod
    def of(header: Header) -> TileGrid:
        """Grid of a header: one tile of the size of the image where the header has no tiling.

        Args:
            header: the header.

        Returns:
            The grid.
        """
        tile_width = header.tile_width or header.width
        tile_height = header.tile_height or header.height
        return TileGrid(header.width, header.height, tile_width, tile_height, header.tile_overlap)

    @property
    def columns(self) -> int:
        """Tiles in a row."""
        return -(-self.width // self.tile_width)

    @property
    def rows(self) -> int:
        """Tiles in a column."""
        return -(-self.height // self.tile_height)

    @property
    def count(self) -> int:
        """All tiles."""
        return self.columns * self.rows

    def core(self, index: int) -> Box:
        """Pixels that only this tile is responsible for; the cores partition the image.

        Args:
            index: number of the tile.

        Returns:
            The rectangle.

        Raises:
            UsageError: there is no such tile.
        """
        return self._box(index, 0)

    def coded(self, index: int) -> Box:
        """Pixels that a tile codes: its core, extended by the overlap and cut at the image's edge.

        Args:
            index: number of the tile.

        Returns:
            The rectangle.

        Raises:
            UsageError: there is no such tile.
        """
        return self._box(index, self.overlap)

    def covering(self, window: Box) -> tuple[int, ...]:
        """Tiles whose cores meet a window.

        Args:
            window: the rectangle, inside the image.

        Returns:
            Numbers of the tiles, rising.

        Raises:
            UsageError: the window is empty or not inside the image.
        """
        left, top, right, bottom = window
        if not (0 <= left < right <= self.width and 0 <= top < bottom <= self.height):
            raise UsageError(
                f"window {window}, expected 0 <= left < right <= {self.width} and"
                f" 0 <= top < bottom <= {self.height}; choose a window inside the image"
            )
        columns = range(left // self.tile_width, (right - 1) // self.tile_width + 1)
        rows = range(top // self.tile_height, (bottom - 1) // self.tile_height + 1)
        return tuple(row * self.columns + column for row in rows for column in columns)

    def _box(self, index: int, margin: int) -> Box:
        if not 0 <= index < self.count:
            raise UsageError(f"tile {index}, expected 0..{self.count - 1}; choose a tile of the grid")
        row, column = divmod(index, self.columns)
        left, top = column * self.tile_width, row * self.tile_height
        right, bottom = left + self.tile_width + margin, top + self.tile_height + margin
        return max(left - margin, 0), max(top - margin, 0), min(right, self.width), min(bottom, self.height)
