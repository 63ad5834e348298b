"""Where a picture lies in the plane that `3dm` codes: as it is, or in strips if it is thin.

The plane is extended to multiples of 64, so a picture of one row would be coded as 64.  A longer picture with a side of
up to 32 pixels is cut along the other side into strips, which lie beside each other in the plane; that costs about what
its pixels cost.  Such a picture is one tile, and a window of it is cut out of the whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wavelic.container import Header, TileGrid
from wavelic.threedm.transform import STRIDE


@dataclass(frozen=True)
class Layout:
    """How a picture and the plane belong together.

    Attributes:
        width: of the picture, in pixels.
        height: of the picture.
        strips: as many fill a cell of 64 pixels across; 1: the picture is the plane.
        grid: tiles of the plane.

    Examples:
        >>> row = Layout.of_size(1000, 20)
        >>> row.strips, row.grid.width, row.grid.height
        (3, 334, 60)
        >>> row.fold(np.zeros((20, 1000, 3))).shape
        (60, 334, 3)
    """

    width: int
    height: int
    strips: int
    grid: TileGrid

    @staticmethod
    def of(header: Header) -> Layout:
        """Return the layout of a file."""
        layout = Layout.of_size(header.width, header.height)
        return layout if layout.folded else Layout(header.width, header.height, 1, TileGrid.of(header))

    @staticmethod
    def of_size(width: int, height: int) -> Layout:
        """Return the layout of a picture in one tile."""
        across, along = min(width, height), max(width, height)
        strips = min(STRIDE // across, -(-along // STRIDE)) if across < STRIDE else 1
        length = -(-along // strips)
        size = (length, across * strips) if width >= height else (across * strips, length)
        return Layout(width, height, strips, TileGrid(*size, *size, 0))

    @property
    def folded(self) -> bool:
        """Whether the picture lies in strips."""
        return self.strips > 1

    def fold(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Put the samples of a picture, (height, width, C), where they lie in the plane.

        The last strip is filled with the picture's last row or column.
        """
        if not self.folded:
            return pixels
        axis = int(self.width >= self.height)
        missing = (self.grid.width if axis else self.grid.height) * self.strips - pixels.shape[axis]
        extension = [(0, missing) if dimension == axis else (0, 0) for dimension in range(3)]
        return np.concatenate(np.split(np.pad(pixels, extension, "edge"), self.strips, axis), 1 - axis)

    def unfold(self, plane: NDArray[Any]) -> NDArray[Any]:
        """Inverse of `fold`: the samples of the picture, from those of the plane."""
        if not self.folded:
            return plane
        axis = int(self.width >= self.height)
        pixels = np.concatenate(np.split(plane, self.strips, 1 - axis), axis)
        return np.ascontiguousarray(pixels[: self.height, : self.width])
