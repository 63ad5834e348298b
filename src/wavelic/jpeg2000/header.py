"""What the headers of a JPEG 2000 codestream consist of (ITU-T T.800 annex A): markers, and the parsed main header."""

from __future__ import annotations

import struct
from dataclasses import dataclass

SOC, SIZ, COD, COC, QCD, QCC, RGN = 0xFF4F, 0xFF51, 0xFF52, 0xFF53, 0xFF5C, 0xFF5D, 0xFF5E
CAP, TLM, PLM, PLT, CPF, CRG, COM = 0xFF50, 0xFF55, 0xFF57, 0xFF58, 0xFF59, 0xFF63, 0xFF64
POC, PPM, PPT, SOT, SOD, EOC = 0xFF5F, 0xFF60, 0xFF61, 0xFF90, 0xFF93, 0xFFD9

#: First bytes of every codestream.
CODESTREAM_START = struct.pack(">HH", SOC, SIZ)
#: Marker segments that decide what the samples are; all others may be dropped without changing the picture.
ESSENTIAL = (SIZ, CAP, COD, COC, QCD, QCC, RGN, POC)
#: Those that a tile may have of its own.
OF_TILES = (COD, COC, QCD, QCC, RGN, POC)
#: Flag of `CodingStyle.mode`.
HIGH_THROUGHPUT = 0x40
USES_SOP, USES_EPH = 2, 4
PROGRESSIONS = ("LRCP", "RLCP", "RPCL", "PCRL", "CPRL")
CUT_SHORT = "the file is cut short or damaged; fetch it again"
DAMAGED = "the file is damaged; fetch it again"


@dataclass(frozen=True)
class Component:
    """One component as SIZ declares it: bits per sample 1..31, signedness, distance of samples on the canvas."""

    bits: int
    signed: bool
    dx: int
    dy: int


@dataclass(frozen=True)
class CodingStyle:
    """How one component is coded.

    levels: wavelet levels.  code_block: (width, height).  precincts: (width, height) for every resolution, the coarsest
    first, in samples of that resolution.  reversible: 5/3 integer transform, else 9/7.  mode: the flags of the block
    coder (T.800 table A.19), with 0x40 for HTJ2K.
    """

    levels: int
    code_block: tuple[int, int]
    precincts: tuple[tuple[int, int], ...]
    reversible: bool
    mode: int = 0


@dataclass(frozen=True)
class Segment:
    """A marker segment: the bytes from its marker at ``start`` to ``stop``."""

    marker: int
    start: int
    stop: int


@dataclass(frozen=True)
class Grid:
    """The image area x0 <= x < x1, y0 <= y < y1 on the canvas, and the tile grid over it, in the order of SIZ."""

    x1: int
    y1: int
    x0: int
    y0: int
    tile_width: int
    tile_height: int
    tile_x0: int
    tile_y0: int

    @property
    def tiles(self) -> int:
        """How many tiles the image area touches."""
        across = ceil_div(self.x1 - self.tile_x0, self.tile_width)
        return across * ceil_div(self.y1 - self.tile_y0, self.tile_height)


@dataclass(frozen=True)
class MainHeader:
    """Everything the main header says that decoding depends on.

    grid: image area and tiles.  styles: one per component.  colour_transform: ICT or RCT on the first three components.
    segments: the marker segments in file order.  end: where the first tile-part begins.  markers: SOP (2) and EPH (4)
    around packet headers, as COD has them.
    """

    grid: Grid
    components: tuple[Component, ...]
    progression: str
    layers: int
    colour_transform: bool
    styles: tuple[CodingStyle, ...]
    segments: tuple[Segment, ...]
    end: int
    markers: int = 0

    @property
    def width(self) -> int:
        """Width of the image area on the canvas; that of a component without subsampling."""
        return self.grid.x1 - self.grid.x0

    @property
    def height(self) -> int:
        """Height of the image area on the canvas."""
        return self.grid.y1 - self.grid.y0

    @property
    def high_throughput(self) -> bool:
        """Whether a component is coded with the block coder of Part 15 (HTJ2K)."""
        return any(style.mode & HIGH_THROUGHPUT for style in self.styles)

    @property
    def reorders(self) -> bool:
        """Whether the progression changes on the way (POC), or packet headers lie apart from their packets (PPM)."""
        return any(segment.marker in (POC, PPM) for segment in self.segments)

    @property
    def levels(self) -> int:
        """Wavelet levels all components have: how often a decode can be halved."""
        return min(style.levels for style in self.styles)


def ceil_div(amount: int, divisor: int) -> int:
    """ceil(amount / divisor) of whole numbers."""
    return -(-amount // divisor)
