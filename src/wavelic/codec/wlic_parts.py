"""What is the same in every `.wlic` file, whatever codes its colours: sample type, alpha, metadata."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from wavelic.codec.opened import Pixels
from wavelic.container import (
    ALPH,
    Chunk,
    ColourEncoding,
    Container,
    Header,
    PaddingRule,
    TileGrid,
    metadata_block,
    with_metadata,
    write_container,
)
from wavelic.errors import FormatError
from wavelic.images import Image, Metadata, decode_alpha, encode_alpha

SampleType = np.dtype[np.uint8] | np.dtype[np.uint16]


def tiled_header(image: Image, codec: int, model: bytes, tile: tuple[int, int], quality: float, gain: int) -> Header:
    """The header of a codec that codes the samples as they are, in tiles without overlap.

    Args:
        image: what is coded.
        codec: a `CodecId`.
        model: identifier of the weights.
        tile: (width, height) of the tiles; a picture that is no larger has one, of its own size.
        quality: 0..100, for people.
        gain: the codec's own setting of the rate.
    """
    tiled = image.width > tile[0] or image.height > tile[1]
    return Header(
        codec=codec,
        channels=image.channels,
        width=image.width,
        height=image.height,
        model=model,
        bit_depth=image.bit_depth,
        padding=PaddingRule.REPLICATE,
        tile_width=tile[0] if tiled else 0,
        tile_height=tile[1] if tiled else 0,
        quality=round(100 * quality),
        gain=gain,
    )


def write_file(header: Header, payload: Iterable[Chunk], image: Image, alpha: bytes | None, strip: bool) -> bytes:
    """The file of ``image``: the codec's chunks, then alpha as `coded_alpha` gives it, metadata unless ``strip``."""
    chunks = [*payload] if alpha is None else [*payload, Chunk(ALPH, alpha)]
    container = Container(header, tuple(chunks))
    if not strip:
        container = with_metadata(container, **image.metadata.blocks())
    return write_container(container)


def coded_alpha(image: Image) -> bytes | None:
    """The payload of the alpha chunk, or None without alpha."""
    plane = image.alpha()
    return None if plane is None else encode_alpha(plane, image.bit_depth)


def sample_type(header: Header) -> SampleType:
    """uint8, or uint16 for every depth beyond 8 bits."""
    return np.dtype(np.uint8) if header.bit_depth == 8 else np.dtype(np.uint16)


def alpha_plane(container: Container) -> Pixels | None:
    """Alpha (H, W), or None without alpha.  Call it before the costly synthesis, as it may be damaged.

    Raises FormatError or LimitError for a damaged chunk.
    """
    header = container.header
    if not header.has_alpha:
        return None
    return decode_alpha(container.find(ALPH) or b"", header.width, header.height, header.bit_depth)


def picture(container: Container, colour: Pixels, alpha: Pixels | None, area: tuple[int, int, int, int]) -> Image:
    """The decoded image: ``colour`` (h, w, C) of ``area`` (left, top, width, height), that part of alpha, metadata."""
    left, top, width, height = area
    samples: NDArray[np.uint8] | NDArray[np.uint16] = colour
    if alpha is not None:
        samples = np.concatenate([colour, alpha[top : top + height, left : left + width, None]], axis=2)
    metadata = Metadata.from_blocks(lambda name: metadata_block(container, name))
    return Image(np.ascontiguousarray(samples), metadata)


def check_tiled_header(header: Header, unit: int, largest: int) -> None:
    """Check what codecs write that code the samples as they are, in tiles without overlap.

    Args:
        header: of the file.
        unit: sides of tiles are multiples of this, in pixels.
        largest: the largest side of a tile, in pixels.

    Raises:
        FormatError: the header is not one that such a codec writes.
    """
    if header.colour != ColourEncoding.NATIVE or header.padding != PaddingRule.REPLICATE:
        raise FormatError(
            f"colour encoding {header.colour}, padding {header.padding}; expected {ColourEncoding.NATIVE.value},"
            f" {PaddingRule.REPLICATE.value}: the file was not written by wavelic"
        )
    grid = TileGrid.of(header)
    if header.tile_overlap or header.tile_width % unit or header.tile_height % unit:
        raise FormatError(
            f"tiles of {header.tile_width} x {header.tile_height}, overlap {header.tile_overlap}; expected multiples of"
            f" {unit} without overlap: the file was not written by wavelic"
        )
    if max(grid.tile_width, grid.tile_height) > largest:
        raise FormatError(
            f"tiles of {grid.tile_width} x {grid.tile_height}; expected sides up to {largest}:"
            " the file was not written by wavelic"
        )
