"""Pictures of JPEG 2000 files, decoded with the network: `wavelic.jpeg2000.picture` with other samples of the colours.

A file that has what cannot be enhanced is decoded as it is, and told why: `Enhanced.of` raises UnsupportedError.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from wavelic.enhance.reading import Reader
from wavelic.enhance.suitable import check_picture
from wavelic.jpeg2000.channels import Channels
from wavelic.jpeg2000.picture import Plane, Stored
from wavelic.rect import Rect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wavelic.enhance.network import Network


@dataclass(frozen=True)
class Enhanced(Stored):
    """A codestream whose colours are decoded with the network.

    Attributes:
        reader: of the codestream.
    """

    reader: Reader | None = None

    @classmethod
    def of(cls, stored: Stored, channels: Channels, network: Network) -> Enhanced:
        """Prepare a codestream.

        Args:
            stored: the codestream, or as much of it as will be read.
            channels: how its components become a picture.
            network: trained.

        Raises:
            UnsupportedError: it cannot be enhanced.
            FormatError: it is damaged.
        """
        given: dict[str, Any] = {field.name: getattr(stored, field.name) for field in fields(Stored)}
        header = stored.header
        reader = Reader(
            stored.codestream,
            header,
            network,
            stored.layers or header.layers,
            threads=stored.threads,
            limits=stored.limits,
            colours=check_picture(channels),
        )
        return cls(**given, reader=reader)

    def planes(self, window: Rect, components: Sequence[int]) -> list[Plane]:
        """Decode components of a window, as `Stored.planes`; the colours rounded to their declared bits."""
        assert self.reader is not None
        planes = [np.empty((window.height, window.width), np.int32) for _ in components]
        peaks = [(1 << self.header.components[index].bits) - 1 for index in components]
        for part in self.reader.windows(window):
            samples = self.reader.read(self.reduce, part)
            rows = slice(part.y - window.y, part.bottom - window.y)
            columns = slice(part.x - window.x, part.right - window.x)
            for plane, index, peak in zip(planes, components, peaks, strict=True):
                plane[rows, columns] = samples[index].round().clamp_(0, peak).to(torch.int32).numpy()
        return planes
