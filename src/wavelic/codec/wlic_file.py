"""An opened `.wlic` file, and which codec it is of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from wavelic.codec.architectures import architectures
from wavelic.codec.opened import Layer, Progress, Region, level_dimensions
from wavelic.codec.options import check_device
from wavelic.codec.registry import all_codecs, get_codec, known
from wavelic.codec.request import Request
from wavelic.codec.slicing import ArrayFace
from wavelic.codec.weights import NO_WEIGHTS, Card, card_by_id
from wavelic.codec.wlic_syntax import WlicSyntax
from wavelic.container import ChunkInfo, Container, Header, PaddingRule, describe_chunks, metadata_block
from wavelic.errors import FormatError, ModelError, UnsupportedError
from wavelic.images import Image, Metadata


@dataclass(frozen=True)
class WlicFile(ArrayFace):
    """An opened `.wlic` file (`opened.OpenedFile`): checked, not yet decoded.  One layer.

    Attributes:
        container: header and chunks.
        size: bytes of the file.
    """

    container: Container
    size: int

    @property
    def header(self) -> Header:
        """The file's header."""
        return self.container.header

    @cached_property
    def _codec(self) -> WlicSyntax:
        return codec_of(self.header)

    @property
    def codec(self) -> str:
        return self._codec.name

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.header.height, self.header.width, self.header.channels

    @property
    def bit_depth(self) -> int:
        return self.header.bit_depth

    @property
    def levels(self) -> int:
        return self._codec.levels(self.header)

    @property
    def level_dimensions(self) -> tuple[tuple[int, int], ...]:
        return level_dimensions(self.header.width, self.header.height, self.levels)

    @property
    def layer_count(self) -> int:
        return 1

    @property
    def layers(self) -> tuple[Layer, ...]:
        return (Layer(self.size, self.size * 8 / (self.header.width * self.header.height)),)

    @property
    def complete(self) -> bool:
        return True

    @property
    def metadata(self) -> Metadata:
        return Metadata.from_blocks(lambda name: metadata_block(self._beside(), name))

    def _beside(self) -> Container:
        """Container with the chunks that are not coded image; the others may be there or not."""
        return self.container

    @property
    def info(self) -> dict[str, Any]:
        return wlic_info(self.container, self.size)

    def decode(
        self,
        reduce: int = 0,
        layers: int | None = None,
        region: Region | None = None,
        device: str = "cpu",
        progress: Progress | None = None,
    ) -> Image:
        request = Request.of(self, reduce, layers, region)
        self.card()  # before torch is loaded
        check_device(device)
        return self._codec.decode(self.fetched(request), request, device, progress)

    def fetched(self, request: Request) -> Container:
        """Return the container with the payloads that a request needs."""
        return self.container

    def verify(self) -> None:
        self.card()  # before torch is loaded
        self._codec.verify(self.container)

    def card(self) -> Card | None:
        """Return the weights the file names; None if it names none.

        Raises:
            ModelError: they are not installed.
            FormatError: they are not of the file's codec.
        """
        if self.header.model == NO_WEIGHTS:
            return None
        card = card_by_id(self.header.model)
        if any(entry.name == card.architecture for entry in self._codec.architectures()):
            return card  # the usual case; no other codec needs to be loaded
        known = architectures().get(card.architecture)  # one that is not known is for the codec to refuse
        if known is not None and not any(known in codec.architectures() for codec in _sharing(self.header)):
            raise FormatError(
                f"the file says codec {self.codec} and names weights of {card.family}; the file is damaged"
            )
        return card


def codec_of(header: Header) -> WlicSyntax:
    """Return the codec that wrote a file: of those that share its ``codec_id``, the one whose weights it names.

    Raises:
        UnsupportedError: there is none in this installation.
    """
    try:
        family = card_by_id(header.model).family
    except ModelError:
        family = ""
    if known(family):  # the usual case; no other codec needs to be loaded
        codec = get_codec(family)
        if isinstance(codec, WlicSyntax) and codec.codec_id == header.codec:
            return codec
    sharing = _sharing(header)
    if not sharing:
        raise UnsupportedError(
            f"the file is of codec number {header.codec}, which is not installed; upgrade wavelic, or install the"
            " package that brings it"
        )
    return sharing[0]


def _sharing(header: Header) -> list[WlicSyntax]:
    return [codec for codec in all_codecs() if isinstance(codec, WlicSyntax) and codec.codec_id == header.codec]


def wlic_info(container: Container, size: int, chunks: Sequence[ChunkInfo] | None = None) -> dict[str, Any]:
    """Return the dictionary behind `wavelic info`.

    Args:
        container: the file, its header at least.
        size: bytes of the file.
        chunks: those of the file, where the container has not all of them.

    Raises:
        FormatError: the file's codec is not installed.
    """
    header = container.header
    chunks = chunks or describe_chunks(container)
    try:
        model = "none" if header.model == NO_WEIGHTS else card_by_id(header.model).name
    except ModelError:
        model = "not installed"
    codec = codec_of(header)
    info = {
        "format": f"wlic {header.version_major}.{header.version_minor}",
        "codec": codec.name,
        "model": model,
        "model_hash": header.model.hex(),
        "width": header.width,
        "height": header.height,
        "channels": header.channels,
        "bit_depth": header.bit_depth,
        "levels": (levels := codec.levels(header)),
        "level_dimensions": level_dimensions(header.width, header.height, levels),
        "padding": PaddingRule(header.padding).name.lower(),
        "quality": header.quality / 100,
        "gain": header.gain,
        "bytes": size,
        "bpp": round(size * 8 / (header.width * header.height), 5),
        "header_bytes": header.header_bytes,
        "chunks": [{"kind": c.kind, "bytes": c.size, "meaning": c.meaning} for c in chunks],
    }
    if header.bit_depth == 16:
        info["precision"] = "16-bit source coded lossily: colour at the network's precision, alpha exactly"
    return info
