"""Several files that are alike through the networks of their codec together.

What is coded is decoded file by file, with probabilities that are integers and do not depend on the company; the
synthesis is floats, and may round otherwise than for one image alone.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from contextlib import AbstractContextManager
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from wavelic.api.wlic_file import WlicFile
from wavelic.codec.opened import OpenedFile, Pixels
from wavelic.codec.weights import card_by_id
from wavelic.codec.wlic_parts import alpha_plane, sample_type
from wavelic.container import CodecId, Container, TileGrid
from wavelic.lifting.jp2.box import NO_MODEL
from wavelic.lifting.jp2.file import Jp2File
from wavelic.lifting.jp2.synthesis import likeness, read_alike
from wavelic.wcae.files import decode_symbols_of
from wavelic.wcae.schedule import GAIN_UNIT
from wavelic.wcae.weights import load_deployed
from wavelic.wcae.windows import denormalise
from wavelic.weconvene.context_integer import STEP_UNIT
from wavelic.weconvene.files import check_header, low_size, padded_box
from wavelic.weconvene.planes import Planes, denormalised
from wavelic.weconvene.subbands import Subbands
from wavelic.weconvene.tiles import decode_tiles
from wavelic.weconvene.weights import load_small

_LIFTING_PIXELS, _WLIC_PIXELS = 1 << 20, 1 << 19


def group_likeness(file: OpenedFile) -> Hashable | None:
    """Equal for files that `decode_group` can decode together; None for a file that gains nothing from company."""
    if isinstance(file, Jp2File):
        return likeness(file) if file.box.model != NO_MODEL else None
    if isinstance(file, WlicFile):
        header = file.header
        return header.codec, header.model, header.width, header.height, header.tile_width, header.tile_height
    return None


def group_pixels(file: OpenedFile) -> int:
    """How many pixels one call of the networks is best given: more leave the caches, or only take memory."""
    return _LIFTING_PIXELS if isinstance(file, Jp2File) else _WLIC_PIXELS


def decode_group(files: Sequence[OpenedFile], device: str, turn: AbstractContextManager[object]) -> list[Pixels]:
    """Samples (H, W, C) of files of one `group_likeness`.  Raises as `OpenedFile.read`, if any of them is damaged.

    turn: held while symbols are read.
    """
    first = files[0]
    if len(files) == 1:
        return [first.read(device=device)]
    if isinstance(first, Jp2File):
        return _lifting(cast("Sequence[Jp2File]", files), device)
    assert isinstance(first, WlicFile)
    first.card()  # that it fits the codec
    containers = [file.container for file in cast("Sequence[WlicFile]", files)]
    alphas = [alpha_plane(container) for container in containers]  # before the synthesis: cheap, may be damaged
    decode = _weconvene if first.header.codec == CodecId.WECONVENE else _wcae
    colours = decode(containers, device, turn)
    return [_with_alpha(pixels, alpha) for pixels, alpha in zip(colours, alphas, strict=True)]


def _lifting(files: Sequence[Jp2File], device: str) -> list[Pixels]:
    transform = files[0].transform(device)
    assert transform is not None  # as `group_likeness` says
    return read_alike(files, transform, torch.get_num_threads())


def _with_alpha(colour: NDArray[Any], alpha: NDArray[Any] | None) -> Pixels:
    return colour if alpha is None else np.concatenate([colour, alpha[..., None]], 2)


@torch.inference_mode()
def _wcae(containers: Sequence[Container], device: str, turn: AbstractContextManager[object]) -> list[NDArray[Any]]:
    """Colour samples of pictures of at most one window."""
    model = load_deployed(card_by_id(containers[0].header.model), device)
    with turn:
        symbols = np.stack([decode_symbols_of(container, model) for container in containers])
    gains = np.array([2.0 ** (-container.header.gain / GAIN_UNIT) for container in containers], np.float32)
    latents = symbols.astype(np.float32) * gains[:, None, None, None] + model.mean[:, None, None]
    y = torch.from_numpy(latents).to(next(model.network.parameters()).device)
    pictures = model.network.synthesis(y.contiguous(memory_format=torch.channels_last))
    return [
        denormalise(picture[None, :, : header.height, : header.width], colours, sample_type(header))
        for picture, header, colours in _with_headers(pictures, containers)
    ]


@torch.inference_mode()
def _weconvene(
    containers: Sequence[Container], device: str, turn: AbstractContextManager[object]
) -> list[NDArray[Any]]:
    """Colour samples of pictures of at most one window, all their coefficients at once."""
    for container in containers:
        check_header(container.header)
    first = containers[0].header
    model = load_small(card_by_id(first.model), device)
    steps = [container.header.gain for container in containers]
    grid = TileGrid.of(first)
    planes = [Planes.empty(first.height, first.width) for _ in containers]
    payloads = [container.tiles for container in containers]
    for index in range(grid.count):
        box = padded_box(grid, index)
        decoded = decode_tiles(model, [tiles[index] for tiles in payloads], low_size(box), steps, turn)
        for target, values in zip(planes, decoded, strict=True):
            target.paste(box, values)
    details = (torch.stack(level).to(model.device) for level in zip(*(p.details for p in planes), strict=True))
    subbands = Subbands(torch.stack([p.low for p in planes]).to(model.device), tuple(details))
    log2_steps = torch.tensor(steps, device=model.device) / STEP_UNIT
    pictures = model.network.synthesis(subbands, log2_steps)
    return [
        denormalised(picture[:, : header.height, : header.width], colours, sample_type(header))
        for picture, header, colours in _with_headers(pictures, containers)
    ]


def _with_headers(pictures: torch.Tensor, containers: Sequence[Container]) -> list[tuple[torch.Tensor, Any, int]]:
    """Every picture, its header and the number of its colour channels."""
    headers = [container.header for container in containers]
    return [(p, h, h.channels - h.has_alpha) for p, h in zip(pictures, headers, strict=True)]
