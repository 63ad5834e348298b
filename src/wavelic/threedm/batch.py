"""Several small `3dm` files decoded together: their tiles and pictures go through the networks at once."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from numpy.typing import NDArray

from wavelic.codec.weights import card_by_id
from wavelic.codec.wlic_parts import sample_type
from wavelic.container import Container
from wavelic.rect import Rect
from wavelic.threedm.entropy import VALUE
from wavelic.threedm.files import check_header, grid_of, padded_box
from wavelic.threedm.planes import CELL, cells, denormalised, padded_size
from wavelic.threedm.strips import Strips
from wavelic.threedm.tiles import decode_tiles, octaves
from wavelic.threedm.transform import STRIDE
from wavelic.threedm.weights import load_model


@torch.inference_mode()
def decode_together(
    containers: Sequence[Container], device: str, lock: AbstractContextManager[object] | None = None
) -> list[NDArray[Any]]:
    """Decode pictures of one size and model, with rates of their own.

    Args:
        containers: the files.
        device: torch device of the networks.
        lock: held while symbols are read, see `decode_tiles`.

    Returns:
        Colour samples (H, W, C) of each.

    Raises:
        FormatError, ChecksumError: one of them is damaged.
        ModelError: the weights are not installed.
    """
    for container in containers:
        check_header(container.header)
    headers = [container.header for container in containers]
    first, rates = headers[0], [header.gain for header in headers]
    model = load_model(card_by_id(first.model), device)
    strips = Strips.of(first.width, first.height, STRIDE)
    grid, size, area = grid_of(first), padded_size(*strips.size), Rect(0, 0, first.width, first.height)
    planes = torch.empty(len(containers), 4 * model.config.latent, size[1] // CELL, size[0] // CELL)
    payloads = [container.tiles for container in containers]
    for index in range(grid.count):
        place = cells(padded_box(grid, index))
        parts = [tiles[index] for tiles in payloads]
        decoded = decode_tiles(model, parts, (place.height, place.width), rates, lock)
        for plane, tile in zip(planes, decoded, strict=True):
            plane[:, *place.slices()] = torch.from_numpy(tile.coefficients) / VALUE
    seen = planes.to(model.device).contiguous(memory_format=torch.channels_last)
    every = torch.tensor([octaves(rate) for rate in rates], device=model.device)
    pictures = model.transform.reconstruct(seen, every)
    return [
        strips.unfold(
            denormalised(samples[:, : grid.height, : grid.width], h.channels - h.has_alpha, sample_type(h)), area
        )
        for samples, h in zip(pictures, headers, strict=True)
    ]
