"""The `3dm` codec: an image to a `.wlic` file and back, at any rate with one set of weights.

The transforms run over the whole picture in windows (`wavelic.threedm.planes`).  The coefficients are cut into tiles,
which are entropy-coded on their own: a window of the picture needs the tiles that its coefficients lie in, and memory
for coding is bounded by the tile.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wavelic.codec.opened import Progress
from wavelic.codec.progress import Stages
from wavelic.codec.tile_groups import code_groups, groups_of
from wavelic.codec.weights import card_by_id
from wavelic.codec.wlic_parts import (
    alpha_plane,
    check_tiled_header,
    coded_alpha,
    picture,
    sample_type,
    tiled_header,
    write_file,
)
from wavelic.container import DATA, Chunk, CodecId, Container, Header, TileGrid
from wavelic.errors import FormatError, UsageError
from wavelic.images import Image
from wavelic.rect import Rect
from wavelic.threedm.entropy import RATES, VALUE
from wavelic.threedm.planes import (
    CELL,
    analyse,
    analysis_windows,
    cells,
    padded,
    padded_size,
    synthesis_windows,
    synthesise,
    window_tiles,
)
from wavelic.threedm.strips import Strips
from wavelic.threedm.tiles import GROUP_PIXELS, Decoded, decode_tiles, encode_tiles
from wavelic.threedm.transform import STRIDE
from wavelic.threedm.weights import Model, load_model

#: Sides of a tile in pixels; larger pictures have several.
TILE = 512
#: The side with access "windows", so that a window needs fewer bytes.
WINDOW_TILE = 256
#: Largest side of a tile that a file may have: what bounds a decoder's memory.
MAX_TILE = 2048


def rate_of_quality(quality: float) -> int:
    """Quality 0..100 -> rate in 1/32 octave of lambda; linear.

    Examples:
        >>> rate_of_quality(0), rate_of_quality(50), rate_of_quality(100)
        (-96, 0, 96)
    """
    return round(RATES * (quality / 50 - 1))


def quality_of_rate(rate: int) -> float:
    """Inverse of `rate_of_quality`."""
    return 50 * (rate / RATES + 1)


@dataclass
class Encoding:
    """An image and a model, to be coded at as many rates as a search needs.

    Attributes:
        image: what is coded.
        model: with which weights.
        strip: leave out ICC, Exif and XMP.
        tile: side of the tiles in pixels, a multiple of 64 up to MAX_TILE.
        progress: called with windows and tiles done, and in all, for each rate that is tried.

    Raises:
        UsageError: another size of tiles.
    """

    image: Image
    model: Model
    strip: bool = False
    tile: int = TILE
    progress: Progress | None = None
    _files: dict[int, bytes] = field(default_factory=dict)
    _coded: tuple[int, Tensor] | None = None

    def __post_init__(self) -> None:
        if self.tile % STRIDE or not 0 < self.tile <= MAX_TILE:
            raise UsageError(f"tiles of {self.tile} pixels; expected a multiple of {STRIDE} up to {MAX_TILE}")

    def file(self, rate: int) -> bytes:
        """Return the whole file at ``rate``, in 1/32 octave of lambda."""
        if rate not in self._files:
            self._code(rate)
        return self._files[rate]

    def reconstruction(self, rate: int) -> NDArray[np.uint8] | NDArray[np.uint16]:
        """Return the colour samples a decoder will show, up to the rounding of floats."""
        if self._coded is None or self._coded[0] != rate:
            self._code(rate)
        assert self._coded is not None
        colour, strips = self.image.colour(), self.strips
        area, channels = Rect(0, 0, strips.width, strips.height), colour.shape[2]
        size, seen = padded_size(*strips.size), strips.seen(area)
        plane = synthesise(self.model, self._coded[1], (0, 0), size, rate, seen, channels, colour.dtype)
        return strips.unfold(plane, area)

    @property
    def strips(self) -> Strips:
        """Where the picture lies in the plane that is coded."""
        return Strips.of(self.image.width, self.image.height, STRIDE)

    def _code(self, rate: int) -> None:
        self._coded = None  # before there are other coefficients
        header = self._header(rate)
        grid = grid_of(header)
        windows = len(analysis_windows(padded_size(grid.width, grid.height), self.model.config))
        stages = Stages(self.progress, windows + grid.count)
        plane = analyse(self.model, self.strips.fold(self.image.colour()), rate, stages.stage(windows))
        chunks: dict[int, Chunk] = {}
        boxes = {index: padded_box(grid, index) for index in range(grid.count)}

        def code(group: Sequence[int]) -> None:
            places = [cells(boxes[index]).slices() for index in group]
            coded = encode_tiles(self.model, [plane[:, *place] for place in places], rate)
            for index, place, (data, tile) in zip(group, places, coded, strict=True):
                _paste(plane[:, *place], tile)  # in place of what was coded
                chunks[index] = Chunk(DATA, data)

        code_groups(groups_of(boxes, GROUP_PIXELS), code, grid.width * grid.height, stages.stage(grid.count))
        payload = [chunks[index] for index in range(grid.count)]
        data = write_file(header, payload, self.image, coded_alpha(self.image), self.strip)
        self._files[rate], self._coded = data, (rate, plane)

    def _header(self, rate: int) -> Header:
        strips = self.strips
        tile = (strips.width, strips.height) if strips.folded else (self.tile, self.tile)
        model = self.model.card.file_id
        return tiled_header(self.image, CodecId.THREEDM, model, tile, quality_of_rate(rate), rate)


def grid_of(header: Header) -> TileGrid:
    """Return the tiles of the plane that a file codes: of the picture, or one of all its strips if it is thin."""
    strips = Strips.of(header.width, header.height, STRIDE)
    return TileGrid(*strips.size, *strips.size, 0) if strips.folded else TileGrid.of(header)


def padded_box(grid: TileGrid, index: int) -> Rect:
    """Return what a tile codes: its core, at the image's edges extended to whole cells of z."""
    tile = grid.tile(index)
    return Rect(tile.x, tile.y, padded(tile.width), padded(tile.height))


def check_header(header: Header) -> None:
    """Raise FormatError unless the header is one this codec writes."""
    if not -RATES <= header.gain <= RATES:
        raise FormatError(f"the file's rate is {header.gain}, expected {-RATES}..{RATES}; the file is damaged")
    folded = Strips.of(header.width, header.height, STRIDE).folded
    check_tiled_header(header, STRIDE, max(header.width, header.height) if folded else MAX_TILE)
    if folded and header.tile_width | header.tile_height:
        raise FormatError(
            f"tiles of {header.tile_width} x {header.tile_height} in a picture of {header.width} x {header.height};"
            " expected one tile: the file was not written by wavelic"
        )


def decode_plane(
    container: Container, model: Model, tiles: tuple[int, ...], progress: Progress | None = None
) -> tuple[Tensor, tuple[int, int]]:
    """Decode the coefficients of the smallest box around some tiles.

    Args:
        container: the file; these tiles are there.
        model: its weights.
        tiles: which tiles.
        progress: called with tiles done, and in all.

    Returns:
        Coefficients in steps, (4 * latent, h, w), and the (left, top) of the box in pixels.

    Raises:
        FormatError, ChecksumError: a payload is damaged or was not decoded exactly.
    """
    header = container.header
    grid = grid_of(header)
    boxes = {index: padded_box(grid, index) for index in tiles}
    around = Rect.around(boxes.values())
    plane = torch.zeros(4 * model.config.latent, around.height // CELL, around.width // CELL)
    payloads, lock = container.tiles, threading.Lock()

    def code(group: Sequence[int]) -> None:
        size = cells(boxes[group[0]])
        rates = [header.gain] * len(group)
        decoded = decode_tiles(model, [payloads[i] for i in group], (size.height, size.width), rates, lock)
        for index, tile in zip(group, decoded, strict=True):
            _paste(plane[:, *cells(boxes[index].moved(-around.x, -around.y)).slices()], tile)

    code_groups(groups_of(boxes, GROUP_PIXELS), code, grid.width * grid.height, progress)
    return plane, (around.x, around.y)


def decode(container: Container, area: Rect, device: str = "cpu", progress: Progress | None = None) -> Image:
    """Decode a part of a `3dm` file, from the tiles it needs.

    Args:
        container: the file.
        area: which samples, inside the image.
        device: torch device of the networks.
        progress: called with tiles and windows done, and in all.

    Returns:
        The image, with its metadata.

    Raises:
        FormatError, ChecksumError, LimitError: the file is damaged or hostile.
        ModelError: its weights are not installed.
    """
    header = container.header
    check_header(header)
    model = load_model(card_by_id(header.model), device)
    alpha = alpha_plane(container)
    strips = Strips.of(header.width, header.height, STRIDE)
    seen, size = strips.seen(area), padded_size(*strips.size)
    tiles = window_tiles(grid_of(header), seen, model.config)
    windows = len(synthesis_windows(seen, size, model.config))
    stages = Stages(progress, len(tiles) + windows)
    plane, corner = decode_plane(container, model, tiles, stages.stage(len(tiles)))
    colours, dtype = header.channels - header.has_alpha, sample_type(header)
    colour = synthesise(model, plane, corner, size, header.gain, seen, colours, dtype, stages.stage(windows))
    return picture(container, strips.unfold(colour, area), alpha, area)


def verify(container: Container) -> None:
    """Decode every tile against its checksum.

    Raises:
        FormatError, ChecksumError, LimitError: the file is damaged.
        ModelError: its weights are not installed.
    """
    header = container.header
    check_header(header)
    alpha_plane(container)
    decode_plane(container, load_model(card_by_id(header.model)), tuple(range(grid_of(header).count)))


def _paste(place: Tensor, tile: Decoded) -> None:
    with torch.inference_mode(place.is_inference()):
        place.copy_(torch.from_numpy(tile.coefficients)).div_(VALUE)
