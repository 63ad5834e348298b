"""The `weconvene` codec: an image to a `.wlic` file and back, at any rate with one set of weights.

The transform runs over the whole picture in windows that overlap by what the networks can see, so there are no seams at
any size.  Its coefficients are cut into tiles, which are entropy-coded on their own: a window of the picture needs the
tiles that its coefficients lie in, and memory for coding is bounded by the tile.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from wavelic.codec.opened import Progress, Region, reduced_region
from wavelic.codec.options import Tune
from wavelic.codec.progress import Stages
from wavelic.codec.tile_groups import code_groups, groups_of
from wavelic.codec.weights import card_by_id
from wavelic.codec.wlic_parts import (
    alpha_plane,
    coded_alpha,
    picture,
    sample_type,
    tiled_header,
    write_file,
)
from wavelic.container import DATA, Chunk, CodecId, Container, Header, TileGrid
from wavelic.errors import UsageError
from wavelic.images import Image
from wavelic.memory import give_back
from wavelic.rect import Rect
from wavelic.weconvene.layout import (
    MAX_TILE,
    MULTIPLE,
    check_header,
    first_level,
    levels_of,
    low_size,
    padded,
    padded_tile,
)
from wavelic.weconvene.planes import Planes, analyse, reduced_plane, synthesise, window_count, window_tiles
from wavelic.weconvene.rdoq import RDOQ_LAMBDA
from wavelic.weconvene.refine import Search, block_count, refine
from wavelic.weconvene.tiles import GROUP_PIXELS, decode_tiles, encode_tiles
from wavelic.weconvene.units import COARSEST, FINEST
from wavelic.weconvene.weights import Model, load_model

#: Side of a tile in pixels; larger pictures have several.  Contexts end at a tile's borders: larger tiles are smaller
#: files (`results/weconvene/tiles.json`), up to what memory allows.
TILE = 1024
#: The side with access "windows", so that a window needs fewer bytes.
WINDOW_TILE = 256
#: Pixels of a picture from which free memory is returned between stages.
LARGE = 1 << 22


def step_of_quality(quality: float) -> int:
    """Quality 0..100 -> step in 1/32 octave; linear, 100 the finest."""
    return round(COARSEST + (FINEST - COARSEST) * quality / 100)


def quality_of_step(step: int) -> float:
    """Inverse of `step_of_quality`."""
    return 100 * (COARSEST - step) / (COARSEST - FINEST)


def tile_size(side: int, width: int, height: int) -> tuple[int, int]:
    """(width, height) of the tiles of a picture: ``side``, or longer and of about the same area where it is thin."""
    levels = levels_of(width, height)

    def beside(other: int) -> int:
        if other >= side:
            return side
        return min(MAX_TILE, max(side, side * side // padded(other, levels) // MULTIPLE * MULTIPLE))

    return beside(height), beside(width)


@dataclass
class Encoding:
    """An image and a model, to be coded at as many steps as a search needs.

    Attributes:
        image: what is coded.
        model: with which weights.
        strip: leave out ICC, Exif and XMP.
        tile: side of the tiles in pixels, a multiple of 128 up to MAX_TILE; None: TILE.
        rdoq_lambda: see `encode_tiles`.
        iterations: of the search for cheaper coefficients (`wavelic.weconvene.refine`); 0: none.
        tune: what the search is for.
        progress: called with windows and tiles done, and in all, for each step that is tried.

    Raises:
        UsageError: another size of tiles.
    """

    image: Image
    model: Model
    strip: bool = False
    tile: int | None = None
    rdoq_lambda: float = RDOQ_LAMBDA
    iterations: int = 0
    tune: Tune = "psnr"
    progress: Progress | None = None
    _files: dict[int, bytes] = field(default_factory=dict, init=False)
    _coded: tuple[int, Planes] | None = field(default=None, init=False)

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
        return synthesise(self.model, self._coded[1], step, Rect(0, 0, width, height), channels, colour.dtype)

    def _code(self, step: int) -> None:
        self._coded = None  # before there are other coefficients
        colour, grid = self.image.colour(), TileGrid.of(self._header(step))
        levels = levels_of(grid.width, grid.height)
        windows = window_count(Rect(0, 0, padded(grid.width, levels), padded(grid.height, levels)))
        boxes = [padded_tile(grid, index) for index in range(grid.count)]
        searched = block_count(boxes) * self.iterations
        report = Stages(self.progress, windows + searched + grid.count)
        planes = analyse(self.model, colour, step, report.stage(windows))
        if self.iterations:
            search = Search(self.iterations, self.rdoq_lambda, tune=self.tune)
            refine(self.model, planes, colour, step, boxes, search, report.stage(searched))
        _give_back(grid)
        chunks: dict[int, Chunk] = {}

        def code(group: Sequence[int]) -> None:
            lows, details = zip(*(planes.cut(boxes[index]) for index in group), strict=True)
            coded = encode_tiles(self.model, lows, details, step, self.rdoq_lambda)
            for index, (data, values) in zip(group, coded, strict=True):
                planes.paste(boxes[index], values)  # in place of what was coded
                chunks[index] = Chunk(DATA, data)

        groups = groups_of(dict(enumerate(boxes)), GROUP_PIXELS)
        code_groups(groups, code, grid.width * grid.height, report.stage(grid.count))
        payload = [chunks[index] for index in range(grid.count)]
        data = write_file(self._header(step), payload, self.image, coded_alpha(self.image), self.strip)
        self._files[step], self._coded = data, (step, planes)

    def _header(self, step: int) -> Header:
        model, tile = self.model.card.file_id, tile_size(self.tile or TILE, self.image.width, self.image.height)
        return tiled_header(self.image, CodecId.WECONVENE, model, tile, quality_of_step(step), step)


def decode_planes(
    container: Container, model: Model, tiles: tuple[int, ...], progress: Progress | None = None, first: int = 1
) -> tuple[Planes, tuple[int, int]]:
    """The coefficients of the smallest rectangle around some tiles, and its first column and row in pixels.

    Args:
        container: the file; of its tiles, these are there.
        model: its weights.
        tiles: by number in the grid.
        progress: called with tiles done, and in all.
        first: the finest level that is wanted.

    Raises:
        FormatError, ChecksumError: a payload is damaged or was not decoded exactly.
    """
    header = container.header
    grid = TileGrid.of(header)
    boxes = {index: padded_tile(grid, index) for index in tiles}
    around = Rect.around(boxes.values())
    levels = levels_of(header.width, header.height)
    planes = Planes.empty(around.height, around.width, levels, first)
    payloads, lock = container.tiles, threading.Lock()

    def code(group: Sequence[int]) -> None:
        size = low_size(boxes[group[0]], levels)
        decoded = decode_tiles(model, [payloads[index] for index in group], size, levels, [header.gain], lock, first)
        for index, values in zip(group, decoded, strict=True):
            planes.paste(boxes[index].moved(-around.x, -around.y), values)

    code_groups(groups_of(boxes, GROUP_PIXELS), code, header.width * header.height, progress)
    return planes, (around.x, around.y)


def _give_back(grid: TileGrid) -> None:
    """Return what one stage of a large picture used before the next one asks for other sizes."""
    if grid.width * grid.height > LARGE:
        give_back()


def decode(
    container: Container,
    device: str = "cpu",
    progress: Progress | None = None,
    region: Region | None = None,
    reduce: int = 0,
) -> Image:
    """The image in a `weconvene` file, or a region of it, from the tiles it needs, perhaps with fewer pixels.

    Args:
        container: the file; of its tiles, those that `window_tiles` names are there.
        device: torch device of the networks.
        progress: called with tiles and windows done, and in all.
        region: in pixels of the whole image.
        reduce: how often its sides are halved, rounding up: 0..levels; see `synthesise`.

    Raises:
        FormatError, ChecksumError, LimitError: the file is damaged or hostile.
        ModelError: its weights are not installed.
        UsageError: the region is not inside the image.
    """
    header = container.header
    check_header(header)
    area = reduced_region(region, (header.width, header.height), reduce)
    model = load_model(card_by_id(header.model), device)
    alpha = alpha_plane(container)
    tiles = window_tiles(TileGrid.of(header), area, model.transform.config, reduce)
    windows = window_count(area, reduce)
    report = Stages(progress, len(tiles) + windows)
    planes, corner = decode_planes(container, model, tiles, report.stage(len(tiles)), first_level(reduce))
    _give_back(TileGrid.of(header))
    colours = header.channels - header.has_alpha
    inner = area.moved(-(corner[0] >> reduce), -(corner[1] >> reduce))
    dtype = sample_type(header)
    colour = synthesise(model, planes, header.gain, inner, colours, dtype, report.stage(windows), reduce)
    return picture(container, colour, None if alpha is None else reduced_plane(alpha, reduce), area)


def verify(container: Container) -> None:
    """Decode every tile against its checksum.  Raises FormatError, ChecksumError or ModelError."""
    header = container.header
    check_header(header)
    alpha_plane(container)
    model = load_model(card_by_id(header.model))
    grid = TileGrid.of(header)
    decode_planes(container, model, tuple(range(grid.count)))
