"""Upper bounds of what a reader spends on one file.

Every limit is compared with numbers taken from the file before anything of that size is allocated and before any
weights are loaded.  The defaults admit a 16384 x 16384 image; a server may want far less.
"""

from __future__ import annotations

from dataclasses import dataclass

from wavelic.container.header import Header
from wavelic.container.tiles import TileGrid
from wavelic.errors import LimitError

#: Planning figures for a learned synthesis, rounded up from peak memory measured on a 25-megapixel image: symbols and
#: float coefficients for each pixel of the image, activations for each pixel of the window being synthesised.
LATENT_BYTES_PER_PIXEL = 16
WORKING_BYTES_PER_PIXEL = 256
WINDOW_PIXELS = 2**21


@dataclass(frozen=True)
class Limits:
    """Upper bounds, all inclusive.

    Attributes:
        max_pixels: width x height.
        max_side: the longer side, in pixels.
        max_tiles: tiles of the grid.
        max_ancillary_chunks: chunks besides TIDX, DATA and WEND.
        max_chunk_bytes: payload of one chunk.
        max_metadata_bytes: payloads of all ancillary chunks together.
        max_memory_bytes: `memory_estimate` of the header.
    """

    max_pixels: int = 2**28
    max_side: int = 65535
    max_tiles: int = 2**16
    max_ancillary_chunks: int = 64
    max_chunk_bytes: int = 2**30
    max_metadata_bytes: int = 2**26
    max_memory_bytes: int = 2**34


DEFAULT_LIMITS = Limits()


def memory_estimate(header: Header) -> int:
    """Bytes a decoder of `header` needs: samples and coefficients of the image, and the activations of one window."""
    pixels = header.width * header.height
    grid = TileGrid.of(header)
    tile_width = min(header.width, grid.tile_width + 2 * grid.overlap)
    tile_height = min(header.height, grid.tile_height + 2 * grid.overlap)
    window = min(tile_width * tile_height, WINDOW_PIXELS)
    output = pixels * header.channels * (header.bit_depth // 8)
    return output + pixels * LATENT_BYTES_PER_PIXEL + window * WORKING_BYTES_PER_PIXEL


def check_limits(header: Header, limits: Limits) -> None:
    """Compare a header with the limits.

    Args:
        header: the header.
        limits: the bounds.

    Raises:
        LimitError: decoding the image would exceed a limit, which the message names.
    """
    admit("max_side", "the longer side", max(header.width, header.height), limits)
    admit("max_pixels", "the number of pixels", header.width * header.height, limits)
    admit("max_tiles", "the number of tiles", TileGrid.of(header).count, limits)
    admit("max_memory_bytes", "the estimated decoder memory", memory_estimate(header), limits)


def admit(limit: str, what: str, amount: int, limits: Limits) -> None:
    """Compare one number with its limit.

    Args:
        limit: name of a field of `Limits`.
        what: the number in words, for the message.
        amount: the number.
        limits: the bounds.

    Raises:
        LimitError: ``amount`` is above the limit.
    """
    allowed: int = getattr(limits, limit)
    if amount > allowed:
        raise LimitError(
            f"{what} is {amount}, above the limit {limit}={allowed}; raise that limit only if you trust the file"
        )
