"""Tile grid: the rectangle of the image that each DATA chunk holds, and the tiles that a window needs."""

from __future__ import annotations

from dataclasses import dataclass

from wavelic.container.header import Header
from wavelic.errors import UsageError
from wavelic.rect import Rect


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

    def tile(self, index: int) -> Rect:
        """Pixels that only this tile is responsible for; these rectangles partition the image.

        Args:
            index: number of the tile.

        Returns:
            The rectangle.

        Raises:
            UsageError: there is no such tile.
        """
        if not 0 <= index < self.count:
            raise UsageError(f"tile {index}, expected 0..{self.count - 1}; choose a tile of the grid")
        row, column = divmod(index, self.columns)
        left, top = column * self.tile_width, row * self.tile_height
        right, bottom = left + self.tile_width, top + self.tile_height
        return Rect.between(left, top, min(right, self.width), min(bottom, self.height))

    def coded(self, index: int) -> Rect:
        """Return the pixels tile `index` codes: its own, and the overlap on every side inside the image."""
        return self.tile(index).grown(self.overlap, (self.width, self.height))

    def meeting(self, area: Rect) -> tuple[int, ...]:
        """List the tiles that share pixels with an area, in order.

        Raises:
            UsageError: the area is not inside the image.
        """
        if not area.is_inside((self.width, self.height)):
            raise UsageError(
                f"{area} is not inside the image of {self.width} x {self.height}; choose an area inside the image"
            )
        columns = range(area.x // self.tile_width, (area.right - 1) // self.tile_width + 1)
        rows = range(area.y // self.tile_height, (area.bottom - 1) // self.tile_height + 1)
        return tuple(row * self.columns + column for row in rows for column in columns)
