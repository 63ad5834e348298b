"""Which coefficients a picture has and in which order they are coded: levels, slices, tiles.  Loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from wavelic.codec.wlic_parts import check_tiled_header
from wavelic.container import Header, TileGrid
from wavelic.errors import FormatError
from wavelic.rect import Rect
from wavelic.weconvene.config import Config
from wavelic.weconvene.units import COARSEST, FINEST

LEVELS = 6
COLOURS = 3
BANDS = 3 * COLOURS
PACKED = 4 * BANDS
#: Levels that the transform networks work on, all at the size of the coarsest of them, and the channels of that grid.
GRID_LEVELS = 3
GRID = COLOURS << (2 * GRID_LEVELS)
#: Finest of the levels that no network corrects.
FIRST_COARSE = GRID_LEVELS + 1
#: Sides are extended to multiples of this, so that every level has whole 2x2 cells.
MULTIPLE = 1 << (LEVELS + 1)
#: Largest side of a tile that a file may have: what bounds a decoder's memory.
MAX_TILE = 2048


@dataclass(frozen=True)
class Slice:
    """Packed channels of a level that are coded at once; those of the slices before them are known.

    Attributes:
        colours: neighbouring colours, of all three orientations.
        phases: of the 2x2 lattice, row phase * 2 + column phase.
    """

    colours: tuple[int, ...]
    phases: tuple[int, ...]

    @cached_property
    def channels(self) -> tuple[int, ...]:
        """Packed channels, of the 36 of a level: by orientation, then colour, then phase."""
        return tuple(
            (orientation * COLOURS + colour) * 4 + phase
            for orientation in range(3)
            for colour in self.colours
            for phase in self.phases
        )


#: The passes of a level in coding order: the lowest colour band first.
SLICES = (
    Slice((0,), (0,)),
    Slice((0,), (3,)),
    Slice((0,), (1, 2)),
    Slice((1, 2), (0, 3)),
    Slice((1, 2), (1, 2)),
)
#: The same lattice without an order of colours: the twin with an entropy model in two dimensions.
SLICES_2D = tuple(Slice((0, 1, 2), phases) for phases in ((0,), (3,), (1, 2)))


def slices_of(config: Config) -> tuple[Slice, ...]:
    """The slices of a level for a configuration."""
    return SLICES if config.ordered_colours else SLICES_2D


def coding_order(slices: tuple[Slice, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """All packed channels of a level in coding order, and how many each slice has."""
    return tuple(channel for part in slices for channel in part.channels), tuple(len(p.channels) for p in slices)


def levels_of(width: int, height: int) -> int:
    """Wavelet levels of a picture: LEVELS, or fewer so that a thin picture is not extended to many times its size.

    Examples:
        >>> levels_of(768, 512), levels_of(100, 5000), levels_of(1, 65535)
        (6, 5, 1)
    """
    return min(LEVELS, max(1, min(width, height).bit_length() - 2))


def multiple_of(levels: int) -> int:
    """Sides are extended to multiples of this, so that every level has whole 2x2 cells."""
    return 2 << levels


def padded(side: int, levels: int) -> int:
    """A side extended to whole cells of the coarsest level."""
    unit = multiple_of(levels)
    return -(-side // unit) * unit


def padded_tile(grid: TileGrid, index: int) -> Rect:
    """What a tile codes: its core, at the image's edges up to whole cells."""
    tile, levels = grid.tile(index), levels_of(grid.width, grid.height)
    return Rect(tile.x, tile.y, padded(tile.width, levels), padded(tile.height, levels))


def first_level(reduce: int) -> int:
    """Finest level to decode for a picture halved ``reduce`` times: what has a checksum of its own is never cut."""
    return min(reduce + 1, FIRST_COARSE)


def low_size(tile: Rect, levels: int) -> tuple[int, int]:
    """Rows and columns of the lowest band of a tile."""
    return tile.height >> levels, tile.width >> levels


def check_header(header: Header) -> None:
    """Raise FormatError unless the header is one this codec writes."""
    if not FINEST <= header.gain <= COARSEST:
        raise FormatError(f"the file's step is {header.gain}, expected {FINEST}..{COARSEST}; the file is damaged")
    check_tiled_header(header, multiple_of(levels_of(header.width, header.height)), MAX_TILE)
