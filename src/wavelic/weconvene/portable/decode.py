"""A whole picture decoded by NumPy, and when that is worth while."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wavelic.codec.opened import Progress, level_dimensions
from wavelic.codec.progress import Stages
from wavelic.codec.weights import Card, Tensors, architecture_of, card_by_id, load_weights, misfit, tensors_under
from wavelic.codec.wlic_parts import alpha_plane, picture, sample_type
from wavelic.container import Container, Header, TileGrid
from wavelic.entropy import TableSet
from wavelic.errors import UsageError
from wavelic.images import Image
from wavelic.rect import Rect
from wavelic.weconvene.config import CONFIGS, Config
from wavelic.weconvene.layout import (
    BANDS,
    COLOURS,
    GRID_LEVELS,
    check_header,
    first_level,
    levels_of,
    low_size,
    padded,
    padded_tile,
    slices_of,
)
from wavelic.weconvene.portable.context import Context
from wavelic.weconvene.portable.rows import Rows, on_all_cores
from wavelic.weconvene.portable.synthesis import Synthesis
from wavelic.weconvene.tile_reader import Decoded, TileReader
from wavelic.weconvene.units import SCALES, VALUE

#: Pixels that a process decodes here before it loads torch, which decodes twice as fast.
PIXELS = 3 << 19
_decoded = [0]


@dataclass(frozen=True, eq=False)
class PortableModel:
    """Everything that decoding needs."""

    context: Context
    synthesis: Synthesis
    tables: TableSet


def suits(header: Header, reduce: int = 0) -> bool:
    """Whether a picture had better be decoded here than with torch: it is small, and torch is not loaded.

    Args:
        header: of the file.
        reduce: how often its sides are halved.
    """
    if "torch" in sys.modules or _decoded[0] + _work(header, reduce) > PIXELS or (reduce and header.has_alpha):
        return False
    card = card_by_id(header.model)
    return card.architecture in CONFIGS and CONFIGS[card.architecture].layer == "wide"


def _work(header: Header, reduce: int) -> int:
    """Pixels of a whole picture that take as long: with a reduced one the context model looks at coarse levels only."""
    pixels = padded(header.width, 1) * padded(header.height, 1)
    return pixels >> (2 * reduce if reduce >= GRID_LEVELS else min(reduce, 1))


def decode(container: Container, progress: Progress | None = None, reduce: int = 0) -> Image:
    """The image in a `weconvene` file.

    Args:
        container: header and all chunks.
        progress: called with tiles done, the synthesis counted as one, and how many there are.
        reduce: how often its sides are halved; 0 with alpha.

    Raises:
        FormatError, ChecksumError, LimitError: the file is damaged or hostile.
        ModelError: its weights are not installed.
    """
    header = container.header
    check_header(header)
    model = load_model(card_by_id(header.model))
    alpha = alpha_plane(container)
    colour = synthesised(container, model, progress, reduce)
    _decoded[0] += _work(header, reduce)
    return picture(container, colour, alpha, Rect(0, 0, header.width, header.height).reduced(reduce))


def decode_tile(
    model: PortableModel, data: bytes, size: tuple[int, int], levels: int, step: int, rows: Rows, first: int = 1
) -> Decoded:
    """The coefficients of a tile.

    Args:
        model: of the file's weights.
        data: the DATA chunk.
        size: rows and columns of the lowest band.
        levels: wavelet levels.
        step: quantiser step in 1/32 octave of a grey level.
        rows: what works on all rows of a map.
        first: the finest level that is wanted, at most FIRST_COARSE.

    Raises:
        FormatError: the bytes cannot be such a chunk.
        ChecksumError: the coefficients are not those that were coded.
    """
    per_level = len(model.context.slices)
    reader = TileReader(model.tables, data, size, levels, per_level)

    def read(number: int, index: int, mean: NDArray[np.int32], table: NDArray[np.uint8]) -> NDArray[np.int32]:
        return reader.residuals((levels - number) * per_level + index, table) * VALUE + mean

    details = model.context.decode(reader.low, step, levels, read, reader.count, rows, first)
    result = Decoded(reader.low, tuple(details), first)
    reader.check(result)
    return result


@lru_cache(maxsize=2)
def load_model(card: Card) -> PortableModel:
    """Load and verify the weights of ``card``, once.  Raises ModelError if they are damaged or do not fit."""
    arrays, config = load_weights(card), architecture_of(card, CONFIGS)
    try:
        return make_model(arrays, config)
    except (KeyError, ValueError, UsageError) as error:
        raise misfit(card, error) from error


def make_model(arrays: Tensors, config: Config) -> PortableModel:
    """Put the parts together.

    Args:
        arrays: of the weights.
        config: sizes of their networks.

    Raises:
        UsageError: sums could be inexact, or another number of tables.
        KeyError: an array is missing.
    """
    tables = TableSet.from_arrays(tensors_under(arrays, "tables."))
    if len(tables) != SCALES:
        raise UsageError(f"{len(tables)} tables, expected {SCALES}")
    return PortableModel(Context(arrays, slices_of(config)), Synthesis(arrays, config.synthesis_blocks), tables)


def synthesised(
    container: Container, model: PortableModel, progress: Progress | None = None, reduce: int = 0
) -> NDArray[Any]:
    """Colour samples (height, width, channels) of a file whose header is checked; `decode` says what is raised."""
    header = container.header
    levels, tiles = levels_of(header.width, header.height), TileGrid.of(header).count
    report = Stages(progress, tiles + 1)
    with on_all_cores() as rows:
        low, *details = _planes(container, model, levels, report.stage(tiles), rows, first_level(reduce))
        x = model.synthesis(low, details, header.gain, rows, reduce)
        width, height = level_dimensions(header.width, header.height, reduce)[reduce]
        x = x[:, :height, :width]
    report.stage(1)(1, 1)
    return _denormalised(x, header.channels - header.has_alpha, sample_type(header))


def _planes(
    container: Container, model: PortableModel, levels: int, progress: Progress, rows: Rows, first: int
) -> list[NDArray[np.float32]]:
    """The lowest band and the details of level ``first`` and the coarser ones, of all tiles, in steps."""
    header = container.header
    grid, payloads = TileGrid.of(header), container.tiles
    height, width = padded(header.height, levels), padded(header.width, levels)
    planes = [np.empty((COLOURS, height >> levels, width >> levels), np.float32)]
    planes += [np.empty((BANDS, height >> d, width >> d), np.float32) for d in range(first, levels + 1)]
    for index in range(grid.count):
        box = padded_tile(grid, index)
        tile = decode_tile(model, payloads[index], low_size(box, levels), levels, header.gain, rows, first)
        planes[0][:, *box.reduced(levels).slices()] = tile.low
        for plane, level, detail in zip(planes[1:], range(first, levels + 1), tile.details, strict=True):
            np.multiply(detail, np.float32(1 / VALUE), out=plane[:, *box.reduced(level).slices()])
        progress(index + 1, grid.count)
    return planes


def _denormalised(x: NDArray[np.float32], channels: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """(3, h, w) samples 0..255 -> (h, w, channels) rounded to nearest and clipped; gray is the mean of the three."""
    if channels == 1:
        x = x.mean(0, keepdims=True)
    full = np.iinfo(dtype).max
    scaled = x if full == 255 else x.astype(np.float64) * (full / 255)
    return np.ascontiguousarray(np.rint(scaled).clip(0, full).astype(dtype).transpose(1, 2, 0))
