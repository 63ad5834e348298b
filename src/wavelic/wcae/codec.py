"""The codecs `wcae`, `wcae-64` and `nowcae`: one bitstream, three families of weights.  Loads no torch."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from wavelic.codec.architecture import Architecture, Trainer
from wavelic.codec.opened import Progress
from wavelic.codec.options import Encoded, Options
from wavelic.codec.request import Request
from wavelic.codec.target import Target
from wavelic.codec.weights import Card, card_by_id, family
from wavelic.codec.wlic import WlicCodec
from wavelic.container import CodecId, Container
from wavelic.images import Image
from wavelic.wcae.ladder import load_ladder

_TRAINER = Trainer(
    "wavelic.wcae.stage:WcaeStage", "wavelic.wcae.training:WcaeTask", "wavelic.wcae.export:export_stages"
)


@dataclass(frozen=True)
class WcaeCodec(WlicCodec):
    """One family of weights, called as its architecture and as the codec.

    Attributes:
        name, label: as in `Codec`.
        parameters: of the network.
        summary: of codec and network.
    """

    name: str
    label: str
    parameters: int
    summary: str

    codec_id = CodecId.WCAE
    options = frozenset({"published"})
    batches = True

    def encode(self, image: Image, target: Target, options: Options) -> Encoded:
        ladder = load_ladder(self.name)  # before torch is loaded
        from wavelic.wcae.encode import encode

        return encode(image, ladder, target, options)

    def decode(self, container: Container, request: Request, device: str, progress: Progress | None) -> Image:
        card_by_id(container.header.model)  # before torch is loaded
        from wavelic.wcae.files import decode

        return decode(container, request.area, device, progress)

    def decode_colors(
        self, containers: Sequence[Container], device: str, lock: AbstractContextManager[object]
    ) -> list[NDArray[Any]]:
        from wavelic.wcae.files import decode_colors

        return decode_colors(containers, device, lock)

    def verify(self, container: Container) -> None:
        from wavelic.wcae.files import verify

        verify(container)

    def architectures(self) -> Sequence[Architecture]:
        make = "wavelic.wcae.network:build_autoencoder"
        return (Architecture(self.name, "wcae", self.parameters, self.summary, make, _TRAINER),)

    def weights(self) -> Sequence[Card]:
        return family(self.name)

    def load(self, device: str) -> None:
        from wavelic.wcae.weights import load_model

        for card in self.weights():
            load_model(card, device)


WCAE = WcaeCodec("wcae", "WCAE", 256_606, "three branches on a 3-scale Haar decomposition, 96 latents at 1/32")
WCAE_64 = WcaeCodec("wcae-64", "WCAE-64", 278_174, "wcae with 64 latents at the coarsest scale (figure 4c)")
NOWCAE = WcaeCodec("nowcae", "NoWCAE", 83_939, "the finest branch of wcae on RGB, no wavelet, 32 latents at 1/16")
#: The codecs of this room: the same bitstream with different weights.
FAMILIES = (WCAE, WCAE_64, NOWCAE)
