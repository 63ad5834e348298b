"""Several small `weconvene` files decoded together: their tiles and pictures go through the networks at once."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from numpy.typing import NDArray

from wavelic.codec.weights import card_by_id
from wavelic.codec.wlic_parts import sample_type
from wavelic.container import Container, TileGrid
from wavelic.weconvene.layout import check_header, levels_of, low_size, padded, padded_tile
from wavelic.weconvene.planes import Planes, denormalised, synthesise_together
from wavelic.weconvene.tiles import decode_tiles
from wavelic.weconvene.weights import load_model


@torch.inference_mode()
def decode_together(
    containers: Sequence[Container], device: str, lock: AbstractContextManager[object] | None = None
) -> list[NDArray[Any]]:
    """Colour samples (H, W, C) of pictures of one size and model, each of at most one window, with steps of their own.

    Args:
        containers: the files.
        device: torch device of the networks.
        lock: held while symbols are read, see `decode_tiles`.

    Raises:
        FormatError, ChecksumError: one of them is damaged.
        ModelError: the weights are not installed.
    """
    for container in containers:
        check_header(container.header)
    first = containers[0].header
    model = load_model(card_by_id(first.model), device)
    steps = [container.header.gain for container in containers]
    grid, levels = TileGrid.of(first), levels_of(first.width, first.height)
    planes = [Planes.empty(padded(first.height, levels), padded(first.width, levels), levels) for _ in containers]
    payloads = [container.tiles for container in containers]
    for index in range(grid.count):
        tile = padded_tile(grid, index)
        parts = [payload[index] for payload in payloads]
        decoded = decode_tiles(model, parts, low_size(tile, levels), levels, steps, lock)
        for target, values in zip(planes, decoded, strict=True):
            target.paste(tile, values)
    pictures = synthesise_together(model, planes, steps)
    headers = [container.header for container in containers]
    return [
        denormalised(picture[:, : h.height, : h.width], h.channels - h.has_alpha, sample_type(h))
        for picture, h in zip(pictures, headers, strict=True)
    ]
