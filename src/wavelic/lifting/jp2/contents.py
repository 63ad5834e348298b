"""What is in an opened JPEG 2000 file: opacity, weights, and as much of the codestream as a request needs.

Loads no torch until weights are asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wavelic.codec.jp2_box import ALPHA_ID, NO_MODEL, find_payload
from wavelic.codec.opened import Pixels, Progress
from wavelic.codec.options import check_device
from wavelic.codec.request import Request
from wavelic.codec.weights import Card
from wavelic.enhance.catalogue import enhancement_margin
from wavelic.images import decode_alpha
from wavelic.jpeg2000.binding import default_threads
from wavelic.jpeg2000.picture import Stored, read_picture
from wavelic.lifting.cards import find_lifting
from wavelic.lifting.jp2.codestream import Margins
from wavelic.lifting.jp2.description import Jp2Description

if TYPE_CHECKING:
    from wavelic.lifting.jp2.stored_image import StoredImage
    from wavelic.lifting.transform.transform import LiftingTransform

#: Samples more than the synthesis sees, because the pseudo-image is rounded and may be clipped.
_ROUNDING_MARGIN = 4


@dataclass(frozen=True)
class Jp2Contents(Jp2Description):
    """The half of `wavelic.lifting.jp2.file.Jp2File` that decoders take what they need from."""

    @property
    def enhances(self) -> bool:
        """Whether pictures are decoded with a network, as far as the file allows it."""
        return self.box.enhance if self.enhance is None else self.enhance

    def read_plain(self, request: Request, progress: Progress | None = None, threads: int | None = None) -> Pixels:
        """Decode samples without learned steps; loads no torch.

        Args:
            request: from `request`.
            progress: called as ``progress(done, total)`` with windows.
            threads: that libopenjp2 may use; None: as many as torch has, or the machine.

        Raises:
            FormatError: the file is damaged.
            LimitError: the decode would need too much memory.
            SourceError: its bytes cannot be had.
        """
        assert self.picture is not None
        return read_picture(self.stored(request, threads), self.picture, request.area, progress)

    def stored(self, request: Request, threads: int | None) -> Stored:
        """Get the codestream of a plain picture, or as much of it as a request needs.

        Args:
            request: from `request`.
            threads: that libopenjp2 may use; None: as many as torch has, or the machine.

        Raises:
            SourceError: its bytes cannot be had.
        """
        limits = self.codestream.limits
        whole = Stored(b"", self.header, request.reduce)
        needed = replace(request, region=whole.footprint(request.area))
        data, header = self.codestream.load(needed, self.margins(None))
        return Stored(data, header, request.reduce, request.layers, threads or default_threads(), limits)

    def alpha(self) -> NDArray[np.unsignedinteger] | None:
        """Decode the plane (height, width) of the opacity box; None if there is none.

        Raises:
            FormatError: the box is damaged.
        """
        if self.box.alpha is None:
            return None
        payload = find_payload(self.jp2.uuids, ALPHA_ID) or b""
        limit = self.codestream.limits.max_pixels
        return decode_alpha(payload, self.header.width, self.header.height, self.box.depth, limit)

    def card(self) -> Card:
        """Find the weights the file names.

        Raises:
            ModelError: they are not installed.
        """
        return find_lifting(self.box.model)

    def transform(self, device: str = "cpu") -> LiftingTransform | None:
        """Load the trained transform the file names; None if it names none.

        Args:
            device: torch device to run on.

        Raises:
            ModelError: it is not installed.
            UsageError: the device cannot be used.
        """
        if self.box.model == NO_MODEL:
            return None
        card = self.card()  # before torch is loaded
        check_device(device)
        from wavelic.lifting.weights import load_lifting_card

        return load_lifting_card(card, device)

    def load(self, transform: LiftingTransform | None, request: Request, threads: int) -> StoredImage:
        """Get the pseudo-image, or as much of it as a request needs.

        Args:
            transform: of the synthesis; None for the base wavelet alone.
            request: from `request`.
            threads: that libopenjp2 may use.

        Raises:
            SourceError: its bytes cannot be had.
        """
        from wavelic.lifting.jp2.stored_image import StoredImage

        data, header = self.codestream.load(request, self.margins(transform))
        return StoredImage(data, header, self.box, request.layers, threads, self.codestream.limits)

    def margins(self, transform: LiftingTransform | None) -> Margins:
        """Samples that each level of the synthesis or the network sees; None: as many as the codestream's own wavelet.

        The same for all components, even if some have fewer learned steps: a decoder mixes them and clips the result,
        which without chroma could change luma.
        """
        network = enhancement_margin() if self.enhances else 0
        if transform is None:
            return (network,) * self.header.levels if network else None
        count, numbers = len(self.header.components), range(1, self.levels + 1)
        return tuple(transform.receptive_radius(number, count) + _ROUNDING_MARGIN + network for number in numbers)
