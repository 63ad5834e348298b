"""The pseudo-image of a lifting file, with what a network estimates of the coefficients its quantisers left open.

The codestream of such a file is ordinary JPEG 2000 of the pseudo-image, so `wavelic.enhance.reading` corrects it as it
does any other; the learned synthesis is then of better coefficients.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from wavelic.enhance.reading import Reader
from wavelic.lifting.jp2.stored_image import StoredImage
from wavelic.lifting.transform.windows import Axes
from wavelic.rect import Rect

if TYPE_CHECKING:
    from wavelic.enhance.network import Network


@dataclass(frozen=True)
class EnhancedImage(StoredImage):
    """A pseudo-image whose samples are floats: corrected, neither rounded nor clipped.

    Attributes:
        reader: of the codestream.
    """

    reader: Reader | None = None

    @classmethod
    def of(cls, stored: StoredImage, network: Network) -> EnhancedImage:
        """Prepare a pseudo-image.

        Args:
            stored: the pseudo-image, or as much of it as will be read.
            network: trained on pseudo-images of the transform that synthesises.

        Raises:
            UnsupportedError: it cannot be enhanced.
            FormatError: it is damaged.
        """
        given: dict[str, Any] = {field.name: getattr(stored, field.name) for field in fields(StoredImage)}
        reader = Reader(
            stored.codestream,
            stored.header,
            network,
            stored.layers,
            threads=stored.threads,
            limits=stored.limits,
        )
        return cls(**given, reader=reader)

    @property
    def has_extra_bits(self) -> bool:
        """True: every size of it is the low band of the next finer one, up to the rounding of floats."""
        return True

    def with_extra_bits(self) -> EnhancedImage:
        """Return the same image, whose samples have all bits they can have."""
        return self

    def planes(self, window: Axes, reduce: int) -> list[Tensor]:
        """Decode a window; see `StoredImage.planes`.  The planes are float32."""
        assert self.reader is not None
        rows, columns = window
        result = torch.empty(self.components, rows.size, columns.size)
        for part in self.reader.windows(Rect(columns.start, rows.start, columns.size, rows.size)):
            down = slice(part.y - rows.start, part.bottom - rows.start)
            across = slice(part.x - columns.start, part.right - columns.start)
            result[:, down, across] = self.reader.read(reduce, part)
        return list(result)
