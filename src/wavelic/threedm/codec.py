"""The codec `3dm`: 3DM-WeConvene with integers before every symbol, weights for all rates at once.  Loads no torch."""

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
from wavelic.codec.weights import Card, card_by_id, family
from wavelic.codec.wlic import WlicCodec
from wavelic.container import CodecId, Container, Header
from wavelic.images import Image
from wavelic.threedm.strips import Strips

TRAINER = Trainer(
    "wavelic.threedm.stage:ThreedmStage", "wavelic.threedm.training:ThreedmTask", "wavelic.threedm.export:export_stages"
)
_NETWORKS = {
    "3dm": (4_503_372, "3DM-WeConvene for one CPU core: integers before every symbol, gain units, all rates"),
    "3dm-m": (21_682_764, "the same, larger: for training on a GPU"),
    "3dm-l": (80_962_764, "the published sizes, with integers before every symbol and gain units"),
    "3dm-plain": (4_444_972, "the twin of 3dm without wavelets"),
    "3dm-2d": (5_670_732, "the twin of 3dm with the 2D wavelet entropy model"),
}


class ThreedmCodec(WlicCodec):
    """The codec after the published system."""

    name = "3dm"
    label = "3DM-WeConvene"
    summary = "3D multi-level wavelet convolutions and 3DWeChARM after the paper, integer-exact, gain units"
    codec_id = CodecId.THREEDM
    options = frozenset({"access"})
    batches = True

    def encode(self, image: Image, target: Target, options: Options) -> Encoded:
        self.weights()  # before torch is loaded
        from wavelic.threedm.encode import encode_threedm

        return encode_threedm(image, target, options)

    def decode(self, container: Container, request: Request, device: str, progress: Progress | None) -> Image:
        card_by_id(container.header.model)  # before torch is loaded
        from wavelic.threedm.files import decode

        return decode(container, request.area, device, progress)

    def tiles_needed(self, header: Header, request: Request) -> tuple[int, ...]:
        from wavelic.threedm.files import check_header, grid_of
        from wavelic.threedm.planes import window_tiles
        from wavelic.threedm.transform import STRIDE
        from wavelic.threedm.weights import config_of

        check_header(header)
        area = Strips.of(header.width, header.height, STRIDE).seen(request.area)
        return window_tiles(grid_of(header), area, config_of(card_by_id(header.model)))

    def decode_colors(
        self, containers: Sequence[Container], device: str, lock: AbstractContextManager[object]
    ) -> list[NDArray[Any]]:
        from wavelic.threedm.batch import decode_together

        return decode_together(containers, device, lock)

    def verify(self, container: Container) -> None:
        from wavelic.threedm.files import verify

        verify(container)

    def architectures(self) -> Sequence[Architecture]:
        make = "wavelic.threedm.network:network_named"
        return [Architecture(name, "3dm", *about, make, TRAINER) for name, about in _NETWORKS.items()]

    def weights(self) -> Sequence[Card]:
        return family("3dm")[-1:]

    def load(self, device: str) -> None:
        from wavelic.threedm.weights import load_model

        load_model(self.weights()[0], device)


THREEDM = ThreedmCodec()
