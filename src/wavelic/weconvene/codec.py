"""The codec `weconvene`: one set of weights for all rates, integer-exact context networks.  Loads no torch."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from numpy.typing import NDArray

from wavelic.codec.architecture import Architecture, Trainer
from wavelic.codec.opened import Progress
from wavelic.codec.options import Encoded, Options
from wavelic.codec.request import Request
from wavelic.codec.target import Target
from wavelic.codec.weights import Card, card_by_id, cards, family
from wavelic.codec.wlic import WlicCodec
from wavelic.container import CodecId, Container, Header, TileGrid
from wavelic.images import Image
from wavelic.weconvene.config import FAMILIES

_TRAINER = Trainer(
    "wavelic.weconvene.stage:WeconveneStage",
    "wavelic.weconvene.training:WeconveneTask",
    "wavelic.weconvene.export:export_stages",
)
_NETWORKS = {
    "weconvene": (2_582_268, "the default: wide residual corrections of 9/7 subbands, contexts with carried state"),
    "weconvene-deep": (2_894_268, "the same with six blocks instead of four in the synthesis"),
    "weconvene-m": (10_211_484, "the same, larger: for training on a GPU"),
    "weconvene-wavelet": (3_448_764, "its twin with 3DM-WeConv layers in the corrections"),
    "weconvene-plain": (2_923_452, "that twin without its wavelet transforms"),
    "weconvene-2d": (2_327_548, "its twin that codes luma and chroma together"),
}


class WeconveneCodec(WlicCodec):
    """The default codec."""

    name = "weconvene"
    label = "weconvene"
    summary = "learned corrections of 9/7 subbands, integer-exact context networks, tiles"
    codec_id = CodecId.WECONVENE
    options = frozenset({"access", "effort", "tune"})
    batches = True

    def encode(self, image: Image, target: Target, options: Options) -> Encoded:
        self.weights()  # before torch is loaded
        from wavelic.weconvene.encode import encode_weconvene

        return encode_weconvene(image, target, options)

    def decode(self, container: Container, request: Request, device: str, progress: Progress | None) -> Image:
        card_by_id(container.header.model)  # before torch is loaded
        if device == "cpu" and request.whole:
            from wavelic.weconvene.portable import decode as portable

            if portable.suits(container.header, request.reduce):
                return portable.decode(container, progress, request.reduce)
        from wavelic.weconvene.files import decode

        return decode(container, device, progress, request.region, request.reduce)

    def levels(self, header: Header) -> int:
        from wavelic.weconvene.layout import levels_of

        return levels_of(header.width, header.height)

    def tiles_needed(self, header: Header, request: Request) -> tuple[int, ...]:
        from wavelic.weconvene.layout import check_header
        from wavelic.weconvene.planes import window_tiles
        from wavelic.weconvene.weights import config_of

        check_header(header)
        return window_tiles(TileGrid.of(header), request.area, config_of(card_by_id(header.model)), request.reduce)

    def decode_colors(
        self, containers: Sequence[Container], device: str, lock: AbstractContextManager[object]
    ) -> list[NDArray[Any]]:
        from wavelic.weconvene.batch import decode_together

        return decode_together(containers, device, lock)

    def verify(self, container: Container) -> None:
        from wavelic.weconvene.files import verify

        verify(container)

    def architectures(self) -> Sequence[Architecture]:
        make = "wavelic.weconvene.network:build"
        return [Architecture(name, "weconvene", *about, make, _TRAINER) for name, about in _NETWORKS.items()]

    def weights(self) -> Sequence[Card]:
        tuned = [card for card in cards() if card.family == FAMILIES["msssim"]]
        return (family(FAMILIES["psnr"])[-1], *tuned[-1:])

    def load(self, device: str) -> None:
        from wavelic.weconvene.weights import load_model

        for card in self.weights():
            load_model(card, device)


WECONVENE = WeconveneCodec()
