"""The `weconvene` codec: an image to a `.wlic` file and back, at any rate with one set of weights.

The transform runs over the whole picture in windows that overlap by what the networks can see, so there are no seams at
any size.  Its coefficients are cut into tiles, which are entropy-coded on their own: a window of the picture needs the
tiles that its coefficients lie in, and memory for coding is bounded by the tile.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from wavelic.codec.opened import Progress, Region, reduced_region
from wavelic.codec.weights import card_by_id
from wavelic.codec.wlic_parts import alpha_plane, coded_alpha, picture, sample_type, write_file
from wavelic.container import (
    DATA,
    Chunk,
    CodecId,
    ColourEncoding,
    Container,
    Header,
    PaddingRule,
    TileGrid,
)
from wavelic.errors import FormatError, UsageError
from wavelic.images import Image
from wavelic.weconvene.context import HIGHEST_STEP, LOWEST_STEP
from wavelic.weconvene.context_integer import STEP_UNIT, step_code
from wavelic.weconvene.planes import Planes, analyse, padded, synthesise, window_count, window_tiles
from wavelic.weconvene.subbands import LEVELS, MULTIPLE
from wavelic.weconvene.tiles import RATE_WEIGHT, decode_tile, encode_tile
from wavelic.weconvene.weights import DeployedSmall, load_small

#: Sides of a tile in pixels, larger pictures have several: at steps finer than FINE_STEP, and at others.  The networks
#: were trained on crops of 256; what they know of coarse levels carries over to larger tiles less well than to small
#: ones, while contexts end at borders.  On validation images these two cost least (docs/weconvene.md).
FINE_TILE, COARSE_TILE, FINE_STEP = 256, 512, 180
#: The side with access "windows", so that a window needs fewer bytes.
WINDOWS_TILE = 256
#: Largest side of a tile that a file may have: what bounds a decoder's memory.
MAX_TILE = 2048
#: Steps a file may have, in 1/32 octave of a grey level: what the networks were trained for.
FINEST, COARSEST = step_code(LOWEST_STEP), step_code(HIGHEST_STEP)


def step_of_quality(quality: float) -> int:
    """Quality 0..100 -> step in 1/32 octave; linear, 100 the finest."""
    return round(COARSEST + (FINEST - COARSEST) * quality / 100)


def quality_of_step(step: int) -> float:
    """Inverse of `step_of_quality`."""
    return 100 * (COARSEST - step) / (COARSEST - FINEST)


def tile_of_step(step: int) -> int:
    """Side of the tiles that costs the fewest bytes at a step in 1/32 octave."""
    return FINE_TILE if step < FINE_STEP else COARSE_TILE


@dataclass
class Stages:
    """One count for stages that each count their own parts.

    Attributes:
        progress: what is told of it all, if anything.
        total: parts of all stages.
    """

    progress: Progress | None
    total: int
    _before: int = 0

    def stage(self, parts: int) -> Progress:
        """The progress of the next stage, of ``parts``."""
        before = self._before
        self._before += parts

        def report(done: int, _: int) -> None:
            if self.progress:
                self.progress(before + done, self.total)

        return report


@dataclass
class SmallEncoding:
    """An image and a model, to be coded at as many steps as a search needs.

    Attributes:
        image: what is coded.
        model: with which weights.
        strip: leave out ICC, Exif and XMP.
        tile: side of the tiles in pixels, a multiple of 128 up to MAX_TILE; None: `tile_of_step`.
        rate_weight: see `encode_tile`.
        progress: called with windows and tiles done, and in all, for each step that is tried.

    Raises:
        UsageError: another size of tiles.
    """

    image: Image
    model: DeployedSmall
    strip: bool = False
    tile: int | None = None
    rate_weight: float = RATE_WEIGHT
    progress: Progress | None = None
    _files: dict[int, bytes] = field(default_factory=dict)
    _coded: tuple[int, Planes] | None = None

    def __post_init__(self) -> None:
        if self.tile is not None and (self.tile % MULTIPLE or not 0 < self.tile <= MAX_TILE):
            raise UsageError(f"tiles of {self.tile} pixels; expected a multiple of {MULTIPLE} up to {MAX_TILE}")

    def file(self, step: int) -> bytes:
        """The whole file at ``step``, 1/32 octave of a grey level."""
        if step not in self._files:
            self._code(step)
        return self._files[step]

    def reconstruction(self, step: int) -> NDArray[np.uint8] | NDArray[np.uint16]:
        """The colour samples a decoder will show, up to the rounding of floats."""
        if self._coded is None or self._coded[0] != step:
            self._code(step)
        assert self._coded is not None
        colour = self.image.colour()
        height, width, channels = colour.shape
        return synthesise(self.model, self._coded[1], step, (0, 0, width, height), channels, colour.dtype)

    def _code(self, step: int) -> None:
        self._coded = None  # before there are other coefficients
        colour, grid = self.image.colour(), TileGrid.of(self._header(step))
        windows = window_count((0, 0, padded(colour.shape[1]), padded(colour.shape[0])))
        report = Stages(self.progress, windows + grid.count)
        planes = analyse(self.model, colour, step, report.stage(windows))
        tiles = report.stage(grid.count)
        chunks = []
        for index in range(grid.count):
            box = padded_box(grid, index)
            low, details = planes.cut(box)
            data, values = encode_tile(self.model, low, details, step, self.rate_weight)
            planes.paste(box, values)  # in place of what was coded
            chunks.append(Chunk(DATA, data))
            tiles(index + 1, grid.count)
        data = write_file(self._header(step), chunks, self.image, coded_alpha(self.image), self.strip)
        self._files[step], self._coded = data, (step, planes)

    def _header(self, step: int) -> Header:
        image, tile = self.image, self.tile or tile_of_step(step)
        tiled = max(image.width, image.height) > tile
        return Header(
            codec=CodecId.WECONVENE,
            channels=image.channels,
            width=image.width,
            height=image.height,
            model=self.model.card.file_id,
            bit_depth=image.bit_depth,
            padding=PaddingRule.REPLICATE,
            tile_width=tile if tiled else 0,
            tile_height=tile if tiled else 0,
            quality=round(100 * quality_of_step(step)),
            gain=step,
        )


def padded_box(grid: TileGrid, index: int) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) of what a tile codes: its core, at the image's edges up to a multiple of 128."""
    left, top, right, bottom = grid.core(index)
    return left, top, left + -(-(right - left) // MULTIPLE) * MULTIPLE, top + -(-(bottom - top) // MULTIPLE) * MULTIPLE


def check_header(header: Header) -> None:
    """Raise FormatError unless the header is one this codec writes."""
    if not FINEST <= header.gain <= COARSEST:
        raise FormatError(f"the file's step is {header.gain}, expected {FINEST}..{COARSEST}; the file is damaged")
    if header.colour != ColourEncoding.NATIVE or header.padding != PaddingRule.REPLICATE:
        raise FormatError(
            f"colour encoding {header.colour}, padding {header.padding}; expected {ColourEncoding.NATIVE.value},"
            f" {PaddingRule.REPLICATE.value}: the file was not written by wavelic"
        )
    grid = TileGrid.of(header)
    if header.tile_overlap or header.tile_width % MULTIPLE or header.tile_height % MULTIPLE:
        raise FormatError(
            f"tiles of {header.tile_width} x {header.tile_height}, overlap {header.tile_overlap}; expected multiples of"
            f" {MULTIPLE} without overlap: the file was not written by wavelic"
        )
    if max(grid.tile_width, grid.tile_height) > MAX_TILE:
        raise FormatError(
            f"tiles of {grid.tile_width} x {grid.tile_height}; expected sides up to {MAX_TILE}:"
            " the file was not written by wavelic"
        )


def decode_planes(
    container: Container, model: DeployedSmall, tiles: tuple[int, ...], progress: Progress | None = None
) -> tuple[Planes, tuple[int, int]]:
    """The coefficients of the smallest box around some tiles, and its (left, top) in pixels.

    Raises:
        FormatError, ChecksumError: a payload is damaged or was not decoded exactly.
    """
    header = container.header
    grid = TileGrid.of(header)
    boxes = [padded_box(grid, index) for index in tiles]
    left, top = min(box[0] for box in boxes), min(box[1] for box in boxes)
    planes = Planes.empty(max(box[3] for box in boxes) - top, max(box[2] for box in boxes) - left)
    payloads = container.tiles
    for done, (index, box) in enumerate(zip(tiles, boxes, strict=True), 1):
        values = decode_tile(model, payloads[index], low_size(box), header.gain)
        planes.paste((box[0] - left, box[1] - top, box[2] - left, box[3] - top), values)
        if progress:
            progress(done, len(tiles))
    return planes, (left, top)


def low_size(box: tuple[int, int, int, int]) -> tuple[int, int]:
    """Rows and columns of the lowest band of a tile."""
    return (box[3] - box[1]) >> LEVELS, (box[2] - box[0]) >> LEVELS


def decode(
    container: Container, device: str = "cpu", progress: Progress | None = None, region: Region | None = None
) -> Image:
    """The image in a `weconvene` file, or a region of it, from the tiles it needs.

    Raises:
        FormatError, ChecksumError, LimitError: the file is damaged or hostile.
        ModelError: its weights are not installed.
        UsageError: the region is not inside the image.
    """
    header = container.header
    check_header(header)
    area = reduced_region(region, (header.width, header.height), 0)
    model = load_small(card_by_id(header.model), device)
    alpha = alpha_plane(container)
    left, top, width, height = area
    tiles = window_tiles(TileGrid.of(header), area, model.network.plan)
    report = Stages(progress, len(tiles) + window_count(area))
    planes, corner = decode_planes(container, model, tiles, report.stage(len(tiles)))
    colours = header.channels - header.has_alpha
    inner = (left - corner[0], top - corner[1], width, height)
    dtype = sample_type(header)
    colour = synthesise(model, planes, header.gain, inner, colours, dtype, report.stage(window_count(area)))
    return picture(container, colour, alpha, area)


def verify(container: Container) -> None:
    """Decode every tile against its checksum.  Raises FormatError, ChecksumError or ModelError."""
    header = container.header
    check_header(header)
    alpha_plane(container)
    model = load_small(card_by_id(header.model))
    grid = TileGrid.of(header)
    for index, payload in enumerate(container.tiles):
        decode_tile(model, payload, low_size(padded_box(grid, index)), header.gain)


__all__ = ["STEP_UNIT", "SmallEncoding", "decode", "quality_of_step", "step_of_quality", "verify"]
