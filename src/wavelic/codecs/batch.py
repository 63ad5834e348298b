"""Decoding many small `wcae` images of one size together.

Two things make it faster than one by one: the network runs on several images at once, so that what a call costs
whatever its size is paid once, and a second thread decodes the symbols of the next images meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from wavelic.codecs.around import alpha_plane, sample_type
from wavelic.codecs.latents import Symbols
from wavelic.codecs.opened import Pixels
from wavelic.codecs.options import check_device
from wavelic.codecs.wcae import decode_symbols_of
from wavelic.codecs.windows import WINDOW, denormalise
from wavelic.container import DEFAULT_LIMITS, CodecId, Container, Limits, read_container
from wavelic.entropy.schedule import GAIN_UNIT
from wavelic.errors import UsageError
from wavelic.models.deployed import Deployed, load_deployed
from wavelic.models.weights import card_by_id

_GROUP_PIXELS = 1 << 19  # in one call of the network: beyond, memory grows and speed does not
_LARGEST = WINDOW * WINDOW


def decode_batch(files: Sequence[bytes], *, limits: Limits = DEFAULT_LIMITS, device: str = "cpu") -> Pixels:
    """Decode `.wlic` files of codec wcae of one size: (N, H, W, C), uint8 or uint16.

    The files may be of different quality and name different weights.  Samples are those of `wavelic.decode` up to the
    rounding of the network, which differs between one image and several: 1 of 255 at most.  ``limits`` bound each file
    and the result.

    Raises UsageError if there is no file, or they differ in size, channels or depth, or are larger than 1024 x 1024;
    else as `wavelic.decode`.
    """
    check_device(device)
    containers = [read_container(data, limits) for data in files]
    _check_alike(containers)
    first = containers[0].header
    shape = (len(files), first.height, first.width, first.channels)
    result = np.empty(shape, sample_type(first))
    groups = list(_groups(containers))
    with ThreadPoolExecutor(1, "wavelic-symbols") as reader:
        pending = reader.submit(_symbols, containers, groups[0], device)
        for number, group in enumerate(groups):
            model, symbols = pending.result()
            if number + 1 < len(groups):
                pending = reader.submit(_symbols, containers, groups[number + 1], device)
            _synthesise(containers, group, model, symbols, result)
    return result


def _check_alike(containers: Sequence[Container]) -> None:
    if not containers:
        raise UsageError("no files given; a batch is at least one")
    kinds = {(c.header.width, c.header.height, c.header.channels, c.header.bit_depth) for c in containers}
    if len(kinds) > 1:
        raise UsageError(f"images of {len(kinds)} kinds, {sorted(kinds)[:3]}; give one size, channel count and depth")
    width, height, _, _ = next(iter(kinds))
    if width * height > _LARGEST or any(c.header.codec != CodecId.WCAE for c in containers):
        raise UsageError(f"images of {width} x {height}, expected wcae and at most 1024 x 1024; decode one by one")


def _groups(containers: Sequence[Container]) -> Iterator[list[int]]:
    """Indices of files that go through the network together: the same weights, a bounded number of pixels."""
    header = containers[0].header
    most = max(1, _GROUP_PIXELS // (header.width * header.height))
    by_model: dict[bytes, list[int]] = {}
    for index, container in enumerate(containers):
        by_model.setdefault(bytes(container.header.model), []).append(index)
    for indices in by_model.values():
        for start in range(0, len(indices), most):
            yield indices[start : start + most]


def _symbols(containers: Sequence[Container], group: list[int], device: str) -> tuple[Deployed, list[Symbols]]:
    model = load_deployed(card_by_id(containers[group[0]].header.model), device)
    return model, [decode_symbols_of(containers[index], model) for index in group]


@torch.inference_mode()
def _synthesise(
    containers: Sequence[Container], group: list[int], model: Deployed, symbols: list[Symbols], result: NDArray[Any]
) -> None:
    """Fill the images of ``group`` in ``result``."""
    gains = np.array([2.0 ** (-containers[index].header.gain / GAIN_UNIT) for index in group], np.float32)
    latents = np.stack(symbols).astype(np.float32) * gains[:, None, None, None] + model.mean[:, None, None]
    device = next(model.network.parameters()).device
    y = torch.from_numpy(latents).to(device).contiguous(memory_format=torch.channels_last)
    x = model.network.synthesis(y)
    for place, index in enumerate(group):
        header = containers[index].header
        colours = header.channels - header.has_alpha
        inner = x[place : place + 1, :, : header.height, : header.width]
        result[index, :, :, :colours] = denormalise(inner, colours, result.dtype)
        alpha = alpha_plane(containers[index])
        if alpha is not None:
            result[index, :, :, -1] = alpha
