"""`.wlic` files: encoding with a family's ladder of rates, and an opened file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from wavelic.codec.opened import Layer, Progress, Region, check_layers, check_reduce, reduced_region
from wavelic.codec.options import Encoded, Options, check_device, psnr
from wavelic.codec.slicing import ArrayFace
from wavelic.codec.target import Found, Target, search
from wavelic.codec.wlic_parts import alpha_plane
from wavelic.container import ChunkInfo, CodecId, Container, Header, PaddingRule, describe_chunks
from wavelic.errors import FormatError, ModelError
from wavelic.images import Image

if TYPE_CHECKING:
    from wavelic.codec.weights import Card


def encode_wlic(image: Image, family: str, target: Target, options: Options) -> Encoded:
    """Compress ``image`` with the weights of ``family``.  Raises ModelError if they are not installed."""
    from wavelic.wcae.ladder import RatePoint, load_ladder

    ladder = load_ladder(family)  # before torch is loaded
    from wavelic.wcae.files import Encoding
    from wavelic.wcae.latent import SideInformation
    from wavelic.wcae.weights import load_deployed

    check_device(options.device)
    side = SideInformation.PUBLISHED if options.published else SideInformation.WEIGHTS

    @cache
    def encoding(card: Card) -> Encoding:
        model = load_deployed(card, options.device)
        return Encoding(image, model, not options.published, side, options.strip, options.progress)

    @lru_cache(maxsize=4)
    def file(point: RatePoint) -> bytes:
        return encoding(point.card).file(point.gain, round(100 * point.quality))

    def measure(point: RatePoint) -> float:
        if target.kind == "psnr":
            return psnr(image.colour(), encoding(point.card).reconstruction(point.gain))
        size = len(file(point))
        return float(size) if target.kind == "size" else size * 8 / (image.width * image.height)

    if target.kind == "quality":
        point, note = ladder.at(target.value), ""
    else:
        points = ladder.points()
        found: Found = search(points, measure, target)
        point, note = points[found.index], found.note(target)
    return Encoded(file(point), point.card.name, round(point.quality, 2), note)


@dataclass(frozen=True)
class WlicFile(ArrayFace):
    """An opened `.wlic` file (`opened.OpenedFile`): checked, not yet decoded.  One resolution, one layer."""

    container: Container
    size: int

    @property
    def header(self) -> Header:
        return self.container.header

    @property
    def codec(self) -> str:
        return CodecId(self.header.codec).name.lower()

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.header.height, self.header.width, self.header.channels

    @property
    def bit_depth(self) -> int:
        return self.header.bit_depth

    @property
    def levels(self) -> int:
        return 0

    @property
    def level_dimensions(self) -> tuple[tuple[int, int], ...]:
        return ((self.header.width, self.header.height),)

    @property
    def layers(self) -> tuple[Layer, ...]:
        return (Layer(self.size, self.size * 8 / (self.header.width * self.header.height)),)

    @property
    def complete(self) -> bool:
        return True

    @property
    def info(self) -> dict[str, Any]:
        """What the file is: format, codec, model, geometry, rate and bytes per chunk."""
        return wlic_info(self.container, self.size)

    def decode(
        self,
        reduce: int = 0,
        layers: int | None = None,
        region: Region | None = None,
        device: str = "cpu",
        progress: Progress | None = None,
    ) -> Image:
        check_reduce(reduce, self.levels)
        check_layers(layers, 1)
        reduced_region(region, (self.header.width, self.header.height), 0)
        self.card()  # before torch is loaded
        check_device(device)
        if self.header.codec == CodecId.WECONVENE:
            from wavelic.weconvene import files as weconvene

            return weconvene.decode(self.fetched(region, device), device, progress, region)
        from wavelic.wcae import files as wcae

        return wcae.decode(self.fetched(region, device), device, progress, region)

    def fetched(self, region: Region | None, device: str) -> Container:
        """The container with the payloads that this region needs; arguments as checked by `decode`."""
        return self.container

    def verify(self) -> None:
        """Everything `decode` checks, without the synthesis: the coded latent against its checksum, and alpha."""
        header = self.header
        if header.codec == CodecId.WECONVENE:
            self.card()  # before torch is loaded
            from wavelic.weconvene import files as weconvene

            weconvene.verify(self.container)
            return
        alpha_plane(self.container)
        card = self.card()
        from wavelic.wcae.files import decode_symbols_of
        from wavelic.wcae.weights import load_deployed

        decode_symbols_of(self.container, load_deployed(card))

    def card(self) -> Card:
        """The weights the file names, its codec checked too."""
        from wavelic.codec.weights import card_by_id

        card = card_by_id(self.header.model)
        if (card.family == "weconvene") != (self.header.codec == CodecId.WECONVENE):
            name = CodecId(self.header.codec).name.lower()
            raise FormatError(f"the file says codec {name} and names weights of {card.family}; the file is damaged")
        return card


def wlic_info(container: Container, size: int, chunks: Sequence[ChunkInfo] | None = None) -> dict[str, Any]:
    """The dictionary behind `wavelic info`.  ``chunks``: those of the file, where the container has not all of them."""
    from wavelic.codec.weights import card_by_id

    header = container.header
    chunks = chunks or describe_chunks(container)
    try:
        model = card_by_id(header.model).name
    except ModelError:
        model = "not installed"
    info = {
        "format": f"wlic {header.version_major}.{header.version_minor}",
        "codec": CodecId(header.codec).name.lower(),
        "model": model,
        "model_hash": header.model.hex(),
        "width": header.width,
        "height": header.height,
        "channels": header.channels,
        "bit_depth": header.bit_depth,
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
