"""The codec `weconvene`: one set of weights for all rates, integer-exact context networks.  Loads no torch."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from numpy.typing import NDArray

from wavelic.codec.architectures import Architecture, Trainer
from wavelic.codec.opened import Progress
from wavelic.codec.options import Encoded, Options
from wavelic.codec.request import Request
from wavelic.codec.target import Target
from wavelic.codec.weights import Card, card_by_id, family
from wavelic.codec.wlic import WlicCodec
from wavelic.container import CodecId, Container, Header, TileGrid
from wavelic.images import Image

_TRAINER = Trainer(
    "wavelic.weconvene.stage:WeconveneStage",
    "wavelic.weconvene.training:WeconveneTask",
    "wavelic.weconvene.export:export_stages",
)
_NETWORKS = {
    "weconvene-s": (1_147_228, "the product model: learned corrections of 9/7 subbands, 3-D subband contexts"),
    "weconvene-s-conv": (970_588, "its twin with plain convolutions in the corrections"),
    "weconvene-s-2d": (1_047_164, "its twin that codes luma and chroma together"),
    "weconvene-m": (5_029_692, "the same, larger: for training on a GPU"),
}


class WeconveneCodec(WlicCodec):
    """The default codec."""

    name = "weconvene"
    label = "WeConvene-S"
    summary = "learned corrections of 9/7 subbands, integer-exact context networks, tiles"
    codec_id = CodecId.WECONVENE
    options = frozenset({"access"})
    batches = True

    def encode(self, image: Image, target: Target, options: Options) -> Encoded:
        self.weights()  # before torch is loaded
        from wavelic.weconvene.encode import encode_weconvene

        return encode_weconvene(image, target, options)

    def decode(self, container: Container, request: Request, device: str, progress: Progress | None) -> Image:
        from wavelic.weconvene.files import decode

        return decode(container, device, progress, request.area)

    def tiles_needed(self, header: Header, request: Request) -> tuple[int, ...]:
        from wavelic.weconvene.files import check_header
        from wavelic.weconvene.planes import window_tiles
        from wavelic.weconvene.weights import plan_of

        check_header(header)
        return window_tiles(TileGrid.of(header), request.area, plan_of(card_by_id(header.model)))

    def decode_colors(
        self, containers: Sequence[Container], device: str, lock: AbstractContextManager[object]
    ) -> list[NDArray[Any]]:
        from wavelic.weconvene.files import decode_colors

        return decode_colors(containers, device, lock)

    def verify(self, container: Container) -> None:
        from wavelic.weconvene.files import verify

        verify(container)

    def architectures(self) -> Sequence[Architecture]:
        make = "wavelic.weconvene.configs:build"
        return [Architecture(name, "weconvene", *about, make, _TRAINER) for name, about in _NETWORKS.items()]

    def weights(self) -> Sequence[Card]:
        return family("weconvene")[-1:]

    def load(self, device: str) -> None:
        from wavelic.weconvene.weights import load_small

        load_small(self.weights()[0], device)


WECONVENE = WeconveneCodec()
