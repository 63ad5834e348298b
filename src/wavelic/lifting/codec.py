"""The codec `lifting`: learned lifting steps on the 9/7 wavelet in ordinary JP2 files.  Loads no torch."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import ClassVar, cast

import numpy as np

from wavelic.codec.architectures import Architecture, Trainer
from wavelic.codec.base import Codec
from wavelic.codec.opened import OpenedFile, Pixels
from wavelic.codec.options import Encoded, Options
from wavelic.codec.target import Target
from wavelic.codec.weights import Card
from wavelic.container import Limits
from wavelic.images import Image
from wavelic.jpeg2000 import DEFAULT_LIMITS as JPEG2000_LIMITS
from wavelic.jpeg2000 import Limits as Jpeg2000Limits
from wavelic.lifting.file import LiftingFile, is_jpeg2000, open_jpeg2000, trim_file
from wavelic.lifting.jp2.box import NO_MODEL
from wavelic.remote import Source

_TRAINER = Trainer(
    "wavelic.lifting.training.stage:LiftingStage",
    "wavelic.lifting.training.task:LiftingTask",
    "wavelic.lifting.training.export:export_stages",
)
_NETWORKS = {
    "LeGall-5/3": (0, "the fixed 5/3 wavelet"),
    "CDF-9/7": (0, "the fixed 9/7 wavelet"),
    "PO-P-U": (68_868, "predict-update, proposal-opacity operators"),
    "iWave-P-U": (116_352, "predict-update, iWave operators"),
    "iWave++-P-U": (19_780, "predict-update, iWave++ operators"),
    "PO-U-P": (17_217, "update-predict, proposal-opacity operator"),
    "iWave-U-P": (29_088, "update-predict, iWave operator"),
    "PO-Hybrid(9/7)": (61_938, "9/7 with learned high-to-low and low-to-high steps"),
    "Hybrid(5/3)-5c": (35_610, "5/3 with learned steps, 5 channels"),
    "Hybrid(9/7)-5c": (35_610, "9/7 with learned steps, 5 channels"),
    "Hybrid(5/3)-9c": (61_938, "5/3 with learned steps, 9 channels"),
    "Hybrid(9/7)-9c": (61_938, "9/7 with learned steps, 9 channels"),
    "Hybrid(9/7)-9c-compact": (34_074, "9/7 with learned steps of compact support, 9 channels"),
    "Custom-4S-5c": (39_060, "four learned steps, separable, 5 channels"),
    "Custom-4MS-5c": (54_135, "four learned steps, mixed, 5 channels"),
    "Custom-5S-5c": (74_670, "five learned steps, 5 channels"),
    "Custom-4S-9c": (68_868, "four learned steps, separable, 9 channels"),
    "Custom-4MS-9c": (94_923, "four learned steps, mixed, 9 channels"),
    "Custom-5S-9c": (130_806, "five learned steps, 9 channels"),
    "Hybrid(9/7)-U16": (28_566, "9/7 with learned steps, unified operator of width 16"),
}


class LiftingCodec(Codec):
    """JPEG 2000 files that any JPEG 2000 software opens, and that wavelic decodes better."""

    name = "lifting"
    label = "Learned lifting"
    summary = "learned lifting steps on the 9/7 wavelet, JPEG 2000 block coding, layers; .jp2 files"
    extension = ".jp2"
    options = frozenset({"layers", "access"})
    batch_pixels: ClassVar[int] = 1 << 20

    def encode(self, image: Image, target: Target, options: Options) -> Encoded:
        from wavelic.lifting.encode import encode_lifting

        return encode_lifting(image, target, options)

    def recognizes(self, start: bytes) -> bool:
        return is_jpeg2000(start)

    def open(self, data: bytes, limits: Limits, *, allow_partial: bool = False) -> OpenedFile:
        return open_jpeg2000(data, _jpeg2000_limits(limits), allow_partial=allow_partial)

    def open_source(self, source: Source, limits: Limits, *, allow_partial: bool = False) -> OpenedFile:
        from wavelic.lifting.jp2.ranged import open_ranged

        return open_ranged(source, _jpeg2000_limits(limits), allow_partial=allow_partial)

    def batch_key(self, file: OpenedFile) -> Hashable | None:
        from wavelic.lifting.jp2.read import likeness

        carrier = cast("LiftingFile", file).carrier
        return likeness(carrier) if carrier.box.model != NO_MODEL else None

    def decode_batch(
        self, files: Sequence[OpenedFile], device: str, lock: AbstractContextManager[object]
    ) -> list[Pixels]:
        opened = cast("Sequence[LiftingFile]", files)
        transform = opened[0].transform(device)
        if len(files) == 1 or transform is None:
            return super().decode_batch(files, device, lock)
        import torch

        from wavelic.lifting.jp2.read import read_alike

        alphas = [file.carrier.alpha() for file in opened]
        colors = read_alike([file.carrier for file in opened], transform, torch.get_num_threads())
        return [
            cast("Pixels", samples if alpha is None else np.concatenate([samples, alpha[..., None]], 2))
            for samples, alpha in zip(colors, alphas, strict=True)
        ]

    def trim(self, data: bytes, max_layers: int | None, bpp: float | None, limits: Limits) -> bytes:
        return trim_file(data, max_layers=max_layers, bpp=bpp, limits=_jpeg2000_limits(limits))

    def architectures(self) -> Sequence[Architecture]:
        make = "wavelic.lifting.transform.transform:build_lifting"
        return [
            Architecture(name, "lifting", parameters, summary, make, _TRAINER if parameters else None)
            for name, (parameters, summary) in _NETWORKS.items()
        ]

    def weights(self) -> Sequence[Card]:
        from wavelic.lifting.cards import PRODUCT, lifting_cards

        return [card for card in lifting_cards() if card.name == PRODUCT]

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
