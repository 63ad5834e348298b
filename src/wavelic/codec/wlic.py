"""Codecs of `.wlic` files: what is the same for all of them."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from contextlib import AbstractContextManager
from typing import cast

import numpy as np

from wavelic.codec.opened import OpenedFile, Pixels
from wavelic.codec.wlic_file import WlicFile
from wavelic.codec.wlic_parts import alpha_plane
from wavelic.codec.wlic_remote import open_ranged_wlic
from wavelic.codec.wlic_syntax import WlicSyntax
from wavelic.container import Limits, read_container
from wavelic.remote import Source


class WlicCodec(WlicSyntax):
    """A codec whose files are `.wlic` files: it codes the colours, this class does the rest."""

    def open(self, data: bytes, limits: Limits, *, allow_partial: bool = False) -> OpenedFile:
        return WlicFile(read_container(data, limits), len(data))

    def open_source(self, source: Source, limits: Limits, *, allow_partial: bool = False) -> OpenedFile:
        return open_ranged_wlic(source, limits)

    def batch_key(self, file: OpenedFile) -> Hashable | None:
        if not self.batches:
            return None
        header = cast("WlicFile", file).header
        return header.codec, header.model, header.width, header.height, header.tile_width, header.tile_height

    def decode_batch(
        self, files: Sequence[OpenedFile], device: str, lock: AbstractContextManager[object]
    ) -> list[Pixels]:
        if len(files) == 1 or not self.batches:
            return super().decode_batch(files, device, lock)
        opened = cast("Sequence[WlicFile]", files)
        opened[0].card()  # that it fits the codec
        alphas = [alpha_plane(file.container) for file in opened]  # before the synthesis: cheap, may be damaged
        colors = self.decode_colors([file.container for file in opened], device, lock)
        return [
            samples if alpha is None else np.concatenate([samples, alpha[..., None]], 2)
            for samples, alpha in zip(colors, alphas, strict=True)
        ]
