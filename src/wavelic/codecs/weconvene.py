"""The `weconvene` codec: an image to a `.wlic` file and back, at any rate with one set of weights.

The transform runs over the whole picture in windows that overlap by what the networks can see, so there are no seams at
any size.  Its coefficients are cut into tiles, which are entropy-coded on their own: a window of the picture needs the
tiles that its coefficients lie in, and memory for coding is bounded by the tile.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from wavelic.codecs.opened import Progress, Region, reduced_region
from wavelic.codecs.subband_planes import Planes, analyse, synthesise, window_tiles
from wavelic.codecs.subband_tiles import RATE_WEIGHT, decode_tile, encode_tile
from wavelic.container import (
    ALPH,
    DATA,
    EXIF,
    ICCP,
    XMPP,
    Chunk,
    CodecId,
    Container,
    Header,
    PaddingRule,
    TileGrid,
    with_metadata,
    write_container,
)
from wavelic.errors import FormatError
from wavelic.images import Image, Metadata, decode_alpha, encode_alpha
from wavelic.models.small_deployed import DeployedSmall, load_small
from wavelic.models.subband_context import HIGHEST_STEP, LOWEST_STEP
from wavelic.models.subband_integer import STEP_UNIT, step_code
from wavelic.models.subbands import MULTIPLE
from wavelic.models.weights import card_by_id

#: Sides of a tile in pixels; larger pictures have several.
TILE = 1024
#: Steps a file may have, in 1/32 octave of a grey level: what the networks were trained for.
FINEST, COARSEST = step_code(LOWEST_STEP), step_code(HIGHEST_STEP)


def step_of_quality(quality: float) -> int:
    """Quality 0..100 -> step in 1/32 octave; linear, 100 the finest."""
    return round(COARSEST + (FINEST - COARSEST) * quality / 100)


def quality_of_step(step: int) -> float:
    """Inverse of `step_of_quality`."""
    return 100 * (COARSEST - step) / (COARSEST - FINEST)


@dataclass
class SmallEncoding:
    """An image and a model, to be coded at as many steps as a search needs.

    Attributes:
        image: what is coded.
        model: with which weights.
        strip: leave out ICC, Exif and XMP.
        tile: side of the tiles in pixels, a multiple of 128.
        rate_weight: see `encode_tile`.
        progress: called with windows and tiles done, and in all.
    """

    image: Image
    model: DeployedSmall
    strip: bool = False
    tile: int = TILE
    rate_weight: float = RATE_WEIGHT
    progress: Progress | None = None
    _made: dict[int, tuple[bytes, Planes]] = field(default_factory=dict)

    @cached_property
    def grid(self) -> TileGrid:
        header = self._header(FINEST)
        return TileGrid.of(header)

    def file(self, step: int) -> bytes:
        """The whole file at ``step``."""
        return self._make(step)[0]

    def reconstruction(self, step: int) -> NDArray[np.uint8] | NDArray[np.uint16]:
        """The colour samples a decoder will show, up to the rounding of floats."""
        colour = self.image.colour()
        height, width, channels = colour.shape
        planes = self._make(step)[1]
        region = (0, 0, width, height)
        return synthesise(self.model, planes, step, region, channels, colour.dtype)

    def _make(self, step: int) -> tuple[bytes, Planes]:
        if step not in self._made:
            self._made.clear()
            self._made[step] = self._code(step)
        return self._made[step]

    def _code(self, step: int) -> tuple[bytes, Planes]:
        colour = self.image.colour()
        planes = analyse(self.model, colour, step, self.progress)
        decoded = Planes.empty(*colour.shape[:2])
        chunks = []
        for index in range(self.grid.count):
            box = padded_box(self.grid, index)
            low, details = planes.cut(box)
            data, values = encode_tile(self.model, low, details, step, self.rate_weight)
            decoded.paste(box, values)
            chunks.append(Chunk(DATA, data))
            if self.progress:
                self.progress(index + 1, self.grid.count)
        alpha = self.image.alpha()
        if alpha is not None:
            chunks.append(Chunk(ALPH, encode_alpha(alpha, self.image.bit_depth)))
        container = Container(self._header(step), tuple(chunks))
        if not self.strip:
            metadata = self.image.metadata
            container = with_metadata(container, icc=metadata.icc, exif=metadata.exif, xmp=metadata.xmp)
        return write_container(container), decoded

    def _header(self, step: int) -> Header:
        image = self.image
        tiled = max(image.width, image.height) > self.tile
        return Header(
            codec=CodecId.WECONVENE,
            channels=image.channels,
            width=image.width,
            height=image.height,
            model=self.model.card.file_id,
            bit_depth=image.bit_depth,
            padding=PaddingRule.REPLICATE,
            tile_width=self.tile if tiled else 0,
            tile_height=self.tile if tiled else 0,
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
    if header.tile_overlap or header.tile_width % MULTIPLE or header.tile_height % MULTIPLE:
        raise FormatError(
            f"tiles of {header.tile_width} x {header.tile_height}, overlap {header.tile_overlap}; expected multiples of"
            f" {MULTIPLE} without overlap: the file was not written by wavelic"
        )


def decode_planes(
    container: Container, model: DeployedSmall, tiles: tuple[int, ...], progress: Progress | None = None
) -> Planes:
    """The coefficients of some tiles; those of the others are zero.

    Raises:
        FormatError, ChecksumError: a payload is damaged or was not decoded exactly.
    """
    header = container.header
    check_header(header)
    grid = TileGrid.of(header)
    planes = Planes.empty(header.height, header.width)
    for done, index in enumerate(tiles):
        box = padded_box(grid, index)
        size = ((box[3] - box[1]) >> 6, (box[2] - box[0]) >> 6)
        planes.paste(box, decode_tile(model, container.tiles[index], size, header.gain))
        if progress:
            progress(done + 1, len(tiles))
    return planes


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
    dtype: np.dtype[np.uint8] | np.dtype[np.uint16]
    dtype = np.dtype(np.uint8) if header.bit_depth == 8 else np.dtype(np.uint16)
    alpha = None
    if header.has_alpha:  # before the synthesis: cheap, and it may be damaged
        alpha = decode_alpha(container.find(ALPH) or b"", header.width, header.height, header.bit_depth)
    planes = decode_planes(container, model, window_tiles(TileGrid.of(header), area, model.network.plan), progress)
    colours = header.channels - header.has_alpha
    pixels = synthesise(model, planes, header.gain, area, colours, dtype, progress)
    if alpha is not None:
        left, top, width, height = area
        pixels = np.concatenate([pixels, alpha[top : top + height, left : left + width, None]], axis=2)
    metadata = Metadata(container.find(ICCP), container.find(EXIF), container.find(XMPP))
    return Image(np.ascontiguousarray(pixels), metadata)


def verify(container: Container) -> None:
    """Decode every tile against its checksum.  Raises FormatError, ChecksumError or ModelError."""
    header = container.header
    check_header(header)
    if header.has_alpha:
        decode_alpha(container.find(ALPH) or b"", header.width, header.height, header.bit_depth)
    model = load_small(card_by_id(header.model))
    grid = TileGrid.of(header)
    for index in range(grid.count):
        box = padded_box(grid, index)
        size = ((box[3] - box[1]) >> 6, (box[2] - box[0]) >> 6)
        with torch.inference_mode():
            decode_tile(model, container.tiles[index], size, header.gain)


__all__ = ["STEP_UNIT", "SmallEncoding", "decode", "quality_of_step", "step_of_quality", "verify"]
