"""What a decode will cost, from the main header alone: memory, code-blocks and precincts."""

from __future__ import annotations

from wavelic.jpeg2000.header import MainHeader, ceil_div
from wavelic.jpeg2000.limits import BYTES_PER_CODE_BLOCK, BYTES_PER_SAMPLE


def decoding_memory(header: MainHeader, reduce: int = 0, area: tuple[int, int, int, int] | None = None) -> int:
    """Estimate the bytes libopenjp2 needs, beyond the codestream, for a decode.

    Args:
        header: main header of the codestream.
        reduce: how many of the finest resolutions are left out.
        area: (x, y, width, height) that is decoded; None: all.
    """
    width, height = (header.width, header.height) if area is None else area[2:]
    samples = sum(
        (ceil_div(ceil_div(width, c.dx), 2**reduce) + 1) * (ceil_div(ceil_div(height, c.dy), 2**reduce) + 1)
        for c in header.components
    )
    return samples * BYTES_PER_SAMPLE + count_code_blocks(header) * BYTES_PER_CODE_BLOCK


def count_code_blocks(header: MainHeader) -> int:
    """Code-blocks plus precincts of the image; a precinct smaller than a code-block splits it.

    An upper bound, which is what limits are compared with: every tile counts as a whole one, and where tiles or the
    image do not begin at the origin a sample and a block are added for what their alignment may cost.
    """
    total = 0
    grid = header.grid
    extra = int(grid.tiles > 1 or grid.x0 > 0 or grid.y0 > 0)
    tile_width = min(grid.tile_width, grid.x1 - grid.tile_x0)
    tile_height = min(grid.tile_height, grid.y1 - grid.tile_y0)
    for component, style in zip(header.components, header.styles, strict=True):
        for resolution, (precinct_width, precinct_height) in enumerate(style.precincts):
            shrink = 2 ** (style.levels - resolution)
            width = ceil_div(ceil_div(tile_width, component.dx), shrink) + extra
            height = ceil_div(ceil_div(tile_height, component.dy), shrink) + extra
            block_width = min(style.code_block[0], max(1, precinct_width // (2 if resolution else 1)))
            block_height = min(style.code_block[1], max(1, precinct_height // (2 if resolution else 1)))
            halves = 2 if resolution else 1  # above the coarsest: three bands of half the sides
            blocks_across = ceil_div(width, halves * block_width) + extra
            blocks = blocks_across * (ceil_div(height, halves * block_height) + extra)
            precincts = (ceil_div(width, precinct_width) + extra) * (ceil_div(height, precinct_height) + extra)
            total += blocks * (3 if resolution else 1) + precincts
    return total * grid.tiles
