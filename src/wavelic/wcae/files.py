"""The `wcae` codec: an image to a `.wlic` file and back, with weights of the families ``wcae`` and ``nowcae``.

Each trained model has its own rate; in between, and a little beyond, a gain scales the latent before rounding.  A
position on that scale is called a `RatePoint`; the family's ladder maps quality 0..100 to rate points.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from wavelic.codec.opened import Progress
from wavelic.codec.weights import card_by_id
from wavelic.codec.wlic_parts import SampleType, alpha_plane, coded_alpha, picture, sample_type, write_file
from wavelic.container import DATA, LCRC, Chunk, CodecId, Container, Header, PaddingRule, crc32c
from wavelic.errors import ChecksumError, FormatError
from wavelic.images import Image
from wavelic.rect import Rect
from wavelic.wcae.latent import SideInformation, Symbols, decode_latent, encode_latent
from wavelic.wcae.schedule import GAIN_UNIT
from wavelic.wcae.weights import Model, load_model
from wavelic.wcae.windows import analyze, denormalize, latent_size, synthesize


def latent_checksum(symbols: Symbols) -> int:
    """CRC-32C of the symbols as little-endian int32 in C order: what an ``lcrc`` chunk holds."""
    return crc32c(np.ascontiguousarray(symbols, "<i4").tobytes())


@dataclass
class Encoding:
    """An image analysed by one model, to be quantised and coded at as many gains as a search needs.

    Attributes:
        image: what is coded.
        model: with which weights.
        replicate: extend the edges by their last sample; as published they are padded with zeros.
        side: where the probabilities come from.
        strip: leave out ICC, Exif and XMP.
    """

    image: Image
    model: Model
    replicate: bool = True
    side: SideInformation = SideInformation.WEIGHTS
    strip: bool = False
    progress: Progress | None = None

    @cached_property
    def latent(self) -> NDArray[np.float32]:
        """(C, h, w), minus the code's mean."""
        latent = analyze(self.model.network, self.image.colour(), self.replicate, self.progress)
        latent -= self.model.mean[:, None, None]
        return latent

    @cached_property
    def alpha(self) -> bytes | None:
        """Payload of the alpha chunk; None without alpha."""
        return coded_alpha(self.image)

    def symbols(self, gain: int) -> Symbols:
        """The latent quantised with steps of 2^(-gain/64)."""
        limit = 2.0**30
        return np.rint(np.clip(self.latent * np.float32(2.0 ** (gain / GAIN_UNIT)), -limit, limit)).astype(np.int32)

    def file(self, gain: int, quality: int) -> bytes:
        """The whole file; ``quality`` (0..10000, hundredths) is only recorded."""
        image, model, symbols = self.image, self.model, self.symbols(gain)
        header = Header(
            codec=CodecId.WCAE,
            channels=image.channels,
            width=image.width,
            height=image.height,
            model=model.card.file_id,
            bit_depth=image.bit_depth,
            padding=PaddingRule.REPLICATE if self.replicate else PaddingRule.ZERO,
            quality=quality,
            gain=gain,
        )
        data = encode_latent(symbols, gain, model.schedule, model.tables, self.side)
        chunks = [Chunk(DATA, data), Chunk(LCRC, latent_checksum(symbols).to_bytes(4, "big"))]
        return write_file(header, chunks, image, self.alpha, self.strip)

    def reconstruction(self, gain: int) -> NDArray[np.uint8] | NDArray[np.uint16]:
        """The colour samples a decoder will show."""
        return _colour(self.symbols(gain), gain, self.model, self.image.colour().shape, self.image.pixels.dtype, None)


def _colour(
    symbols: Symbols,
    gain: int,
    model: Model,
    shape: tuple[int, ...],
    dtype: SampleType,
    progress: Progress | None,
    origin: tuple[int, int] = (0, 0),
) -> NDArray[np.uint8] | NDArray[np.uint16]:
    latent = symbols.astype(np.float32) * np.float32(2.0 ** (-gain / GAIN_UNIT)) + model.mean[:, None, None]
    height, width, channels = shape
    return synthesize(model.network, latent, (height, width, channels), dtype, progress, origin)


def decode_symbols_of(container: Container, model: Model) -> Symbols:
    """The latent's symbols (C, h, w), compared with the file's checksum.

    Raises:
        FormatError, ChecksumError: the payload is damaged or was not decoded exactly.
    """
    header = container.header
    if header.tile_width:
        raise FormatError("the file has tiles, which codec wcae does not use; it was not written by wavelic")
    size = latent_size(model.network, header.height, header.width)
    symbols = decode_latent(container.tiles[0], size, header.gain, model.schedule, model.tables)
    stated = container.find(LCRC)
    if stated is not None and latent_checksum(symbols) != int.from_bytes(stated, "big"):
        raise ChecksumError("the decoded latent does not match its checksum; the file is damaged, get it again")
    return symbols


def decode(container: Container, area: Rect, device: str = "cpu", progress: Progress | None = None) -> Image:
    """Decode a part of a file.

    Args:
        container: the whole file.
        area: the part, inside the image.
        device: torch device of the network.
        progress: called with windows of the synthesis.

    Raises:
        FormatError, ChecksumError, LimitError: the file is damaged or hostile.
        ModelError: its weights are not installed.
    """
    header = container.header
    model = load_model(card_by_id(header.model), device)
    symbols = decode_symbols_of(container, model)
    alpha = alpha_plane(container)
    shape = (area.height, area.width, header.channels - header.has_alpha)
    colour = _colour(symbols, header.gain, model, shape, sample_type(header), progress, (area.y, area.x))
    return picture(container, colour, alpha, area)


@torch.inference_mode()
def decode_colors(
    containers: Sequence[Container], device: str, lock: AbstractContextManager[object]
) -> list[NDArray[Any]]:
    """Decode the colours of pictures of one size and model, of at most one window, in one run of the network.

    Args:
        containers: the files.
        device: torch device of the network.
        lock: held while symbols are read.

    Raises:
        FormatError, ChecksumError, ModelError: as in `decode`.
    """
    model = load_model(card_by_id(containers[0].header.model), device)
    with lock:
        symbols = np.stack([decode_symbols_of(container, model) for container in containers])
    gains = np.array([2.0 ** (-container.header.gain / GAIN_UNIT) for container in containers], np.float32)
    latents = symbols.astype(np.float32) * gains[:, None, None, None] + model.mean[:, None, None]
    y = torch.from_numpy(latents).to(next(model.network.parameters()).device)
    pictures = model.network.synthesis(y.contiguous(memory_format=torch.channels_last))
    headers = [container.header for container in containers]
    return [
        denormalize(picture[None, :, : h.height, : h.width], h.channels - h.has_alpha, sample_type(h))
        for picture, h in zip(pictures, headers, strict=True)
    ]


def verify(container: Container) -> None:
    """Decode the latent against its checksum, and alpha.

    Args:
        container: the whole file.

    Raises:
        FormatError, ChecksumError, LimitError, ModelError: as in `decode`.
    """
    alpha_plane(container)
    decode_symbols_of(container, load_model(card_by_id(container.header.model)))
