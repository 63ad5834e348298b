"""The codec `lifting`: learned lifting steps on the 9/7 wavelet in ordinary JP2 files.  Loads no torch."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import ClassVar, cast

from wavelic.codec.architecture import Architecture, Trainer
from wavelic.codec.base import Codec
from wavelic.codec.jp2_box import NO_MODEL
from wavelic.codec.opened import OpenedFile, Pixels
from wavelic.codec.options import Encoded, Options
from wavelic.codec.target import Target
from wavelic.codec.weights import Card
from wavelic.container import Limits
from wavelic.enhance.catalogue import FAMILY as ENHANCE_FAMILY
from wavelic.enhance.catalogue import enhancement_weights
from wavelic.enhance.config import CONFIGS
from wavelic.images import Image
from wavelic.jpeg2000 import DEFAULT_LIMITS as JPEG2000_LIMITS
from wavelic.jpeg2000 import Limits as Jpeg2000Limits
from wavelic.jpeg2000 import is_jpeg2000
from wavelic.lifting.cards import ENHANCE
from wavelic.lifting.jp2.file import Jp2File
from wavelic.lifting.jp2.opening import open_jp2, trim_jp2
from wavelic.remote import Source

#: How a transform of any lifting structure is trained.
TRAINER = Trainer(
    "wavelic.lifting.training.stage:LiftingStage",
    "wavelic.lifting.training.task:LiftingTask",
    "wavelic.lifting.training.export:export_stages",
)
ENHANCE_TRAINER = Trainer(
    "wavelic.lifting.training.enhance_stage:LiftingEnhanceStage",
    "wavelic.lifting.training.enhance_task:LiftingEnhanceTask",
    "wavelic.lifting.training.enhance_task:export_stages",
)
#: What other software shows less than wavelic, in dB of RGB, in the mean of the Kodak pictures at 1 bit per pixel
#: (`results/lifting/kodak-rgb-lifting.json`, which the tests compare).
STOCK_LOSS = 7.0
_NETWORKS = {
    "LeGall-5/3": (0, "the fixed 5/3 wavelet"),
    "CDF-9/7": (0, "the fixed 9/7 wavelet"),
    "Hybrid(9/7)-U16": (28_566, "9/7 with learned steps, unified operator of width 16"),
}


class LiftingCodec(Codec):
    """JPEG 2000 files that any JPEG 2000 software opens, and that wavelic decodes better."""

    name = "lifting"
    label = "Learned lifting"
    summary = "learned lifting steps on the 9/7 wavelet, JPEG 2000 block coding, layers; .jp2 files"
    extension = ".jp2"
    options = frozenset({"layers", "access", "learned", "enhance"})
    batch_pixels: ClassVar[int] = 1 << 20

    def encode(self, image: Image, target: Target, options: Options) -> Encoded:
        from wavelic.lifting.encode import encode_lifting

        return encode_lifting(image, target, options)

    def caution(self, options: Options) -> str:
        if options.learned == "none":
            return ""
        return (
            f"other JPEG 2000 software shows such a file some {STOCK_LOSS:g} dB worse than wavelic does, at 1 bit per"
            " pixel; what --codec jp2 --enhance writes looks alike everywhere"
        )

    def recognizes(self, start: bytes) -> bool:
        return is_jpeg2000(start)

    def open(self, data: bytes, limits: Limits, *, allow_partial: bool = False) -> OpenedFile:
        return open_jp2(data, _jpeg2000_limits(limits), allow_partial=allow_partial)

    def open_source(self, source: Source, limits: Limits, *, allow_partial: bool = False) -> OpenedFile:
        return open_jp2(source, _jpeg2000_limits(limits), allow_partial=allow_partial)

    def batch_key(self, file: OpenedFile) -> Hashable | None:
        from wavelic.lifting.jp2.synthesis import likeness

        opened = cast("Jp2File", file)
        return likeness(opened) if opened.box.model != NO_MODEL and not opened.enhances else None

    def decode_batch(
        self, files: Sequence[OpenedFile], device: str, lock: AbstractContextManager[object]
    ) -> list[Pixels]:
        opened = cast("Sequence[Jp2File]", files)
        transform = opened[0].transform(device)
        if len(files) == 1 or transform is None:
            return super().decode_batch(files, device, lock)
        import torch

        from wavelic.lifting.jp2.synthesis import read_alike

        return cast("list[Pixels]", read_alike(opened, transform, torch.get_num_threads()))

    def trim(self, data: bytes, max_layers: int | None, bpp: float | None, limits: Limits) -> bytes:
        return trim_jp2(data, max_layers=max_layers, bpp=bpp, limits=_jpeg2000_limits(limits))

    def architectures(self) -> Sequence[Architecture]:
        make = "wavelic.lifting.structures:build_lifting"
        transforms = [
            Architecture(name, "lifting", parameters, summary, make, TRAINER if parameters else None)
            for name, (parameters, summary) in _NETWORKS.items()
        ]
        enhance = Architecture(
            ENHANCE,
            ENHANCE_FAMILY,
            CONFIGS[ENHANCE].parameters,
            "corrections of learned lifting's coefficients, level by level",
            "wavelic.enhance.network:build",
            ENHANCE_TRAINER,
        )
        return [*transforms, enhance]

    def weights(self) -> Sequence[Card]:
        from wavelic.lifting.cards import LUMA, PRODUCT, lifting_cards

        shipped = [card for card in lifting_cards() if card.name in (PRODUCT, LUMA)]
        return [*shipped, *(card for card in enhancement_weights() if card.name == ENHANCE)]

    def load(self, device: str) -> None:
        from wavelic.lifting.encode import product_transform

        product_transform(device)


def _jpeg2000_limits(limits: Limits) -> Jpeg2000Limits:
    """Return the same bounds for the other format; those it has alone keep their defaults."""
    return replace(
        JPEG2000_LIMITS,
        max_pixels=limits.max_pixels,
        max_side=limits.max_side,
        max_metadata_bytes=limits.max_metadata_bytes,
        max_memory_bytes=limits.max_memory_bytes,
    )


LIFTING = LiftingCodec()
