"""The `lifting` codec: an image to a JP2 file with quality layers, at a quality, a rate, a PSNR or a size.

The image is analysed once.  libopenjp2 then cuts its embedded bit planes at the rates of the layers; a search
(`wavelic.codec.rate_search`) only repeats that.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch

from wavelic.codec.jp2_box import NO_MODEL
from wavelic.codec.options import Encoded, Learned, Options, check_device, psnr
from wavelic.codec.rate_search import Writer, write_at
from wavelic.codec.target import Target
from wavelic.images import Image, Metadata, encode_alpha, upright
from wavelic.jpeg2000 import EncodeOptions
from wavelic.jpeg2000.arrangement import WHOLE, WINDOWED, Arrangement
from wavelic.lifting.cards import LUMA, PRODUCT, find_lifting, lifting_cards, lifting_id
from wavelic.lifting.jp2 import synthesis
from wavelic.lifting.jp2.analysis import IN_WINDOWS, analysis_steps, pseudo_image_in_windows
from wavelic.lifting.jp2.opening import open_jp2
from wavelic.lifting.jp2.pseudo_image import PseudoImage, pseudo_image
from wavelic.lifting.jp2.samples import to_components
from wavelic.lifting.names import PLAIN_STRUCTURES
from wavelic.lifting.structures import build_lifting
from wavelic.lifting.transform.transform import LiftingTransform
from wavelic.lifting.weights import load_lifting_card

LEVELS = 5
_HEADERS = 280  # bytes of boxes and main header, about
_CODING_SHARE = 3.0  # about how many times as long as the analysis libopenjp2 takes
_MOST_BITS = 32  # per colour sample, more than which no codestream has


def product_transform(device: str = "cpu", learned: Learned = "all") -> tuple[LiftingTransform, bytes, str]:
    """Find what the codec encodes with: the plain 9/7 wavelet if no weights are installed.

    Args:
        device: torch device to run on.
        learned: which components have learned steps.

    Returns:
        Transform, model id, and name.

    Raises:
        ModelError: there are weights for "all" alone.
    """
    installed = {card.name: card for card in lifting_cards()}
    if PRODUCT in installed and learned != "none":
        card = installed[PRODUCT] if learned == "all" else find_lifting(LUMA)
        return load_lifting_card(card, device), lifting_id(card), card.name
    return build_lifting(PLAIN_STRUCTURES["9/7"]), NO_MODEL, "none"


def encode_lifting(image: Image, target: Target, options: Options) -> Encoded:
    """Compress an image to a JP2 file.

    Args:
        image: to compress.
        target: what the file is to meet.
        options: how.

    Raises:
        UsageError: there cannot be such layers or such a device.
    """
    check_device(options.device)
    image = upright(image)  # other viewers of JP2 files do not read Exif
    transform, model, name = product_transform(options.device, options.learned)
    encoding = Encoding(image, transform, model, options)
    most = image.colour().size * _MOST_BITS / 8
    writer = Writer(image.width * image.height, encoding.beside, most, encoding.at_budget, encoding.psnr, "lifting")
    data, quality, note = write_at(target, writer)
    return Encoded(data, name, quality, note)


@dataclass
class Encoding:
    """An image analysed by one transform, to be coded at as many rates as a search needs.

    Attributes:
        image: to compress.
        transform: of the analysis.
        model: id of the transform's weights.
        options: `strip`, `layers`, `access`, `enhance` and `progress` count here.
    """

    image: Image
    transform: LiftingTransform
    model: bytes
    options: Options
    _seconds: float = 0.0  # that the analysis took

    @cached_property
    def pseudo(self) -> PseudoImage:
        """The image's pseudo-image."""
        started = time.monotonic()
        try:
            return self._pseudo()
        finally:
            self._seconds = time.monotonic() - started

    def _pseudo(self) -> PseudoImage:
        if self.image.width * self.image.height > IN_WINDOWS:
            steps = iter(range(1, self._steps + 1))
            return pseudo_image_in_windows(self.image, self.transform, LEVELS, lambda: self._report(next(steps)))
        device = next(self.transform.parameters(), torch.empty(0)).device
        with torch.inference_mode():
            x = to_components(self.image.colour(), self.transform.base).to(device)
            return pseudo_image(self.transform.analysis(x, LEVELS).map(torch.Tensor.cpu), self.image.bit_depth)

    @cached_property
    def alpha(self) -> bytes | None:
        """Payload of the opacity box; None without opacity."""
        plane = self.image.alpha()
        return None if plane is None else encode_alpha(plane, self.image.bit_depth)

    @cached_property
    def metadata(self) -> Metadata:
        """Metadata of the file."""
        return Metadata() if self.options.strip else self.image.metadata

    @property
    def arrangement(self) -> Arrangement:
        """Arrangement of the packets, by ``options.access``."""
        return WHOLE if self.options.access == "whole" else WINDOWED

    @property
    def beside(self) -> int:
        """Bytes of the file that are not coefficients: boxes, opacity, metadata, and about those of the main header."""
        parts = (self.alpha or b"", *self.metadata.blocks().values())
        return _HEADERS + sum(map(len, parts))

    def file(self, layer_bytes: Sequence[int]) -> bytes:
        """Write the whole file.

        Args:
            layer_bytes: bytes of the codestream up to and including each layer; layers that coincide become one.
        """
        codestream = self._codestream(sorted({max(1, size) for size in layer_bytes}))
        return self.pseudo.boxed(
            codestream, model=self.model, alpha=self.alpha, metadata=self.metadata, enhance=self.options.enhance
        )

    def _codestream(self, sizes: Sequence[int]) -> bytes:
        arranged = self.arrangement
        how = EncodeOptions(
            layer_bytes=sizes,
            precincts=arranged.precincts,
            progression=arranged.progression,
            threads=torch.get_num_threads(),
        )
        pseudo, started = self.pseudo, time.monotonic()

        def tick() -> None:  # libopenjp2 does not say how far it is; the analysis shows how fast the machine is
            share = (time.monotonic() - started) / max(1e-3, _CODING_SHARE * self._seconds)
            self._report(self._steps * (1 + _CODING_SHARE * min(share, 0.99)))

        codestream = pseudo.codestream(how, tick)
        self._report(self._steps * (1 + _CODING_SHARE))
        return codestream

    @property
    def _steps(self) -> int:
        """Windows of the analysis."""
        return analysis_steps((self.image.height, self.image.width), LEVELS)

    def _report(self, done: float) -> None:
        if self.options.progress:
            self.options.progress(int(done), int(self._steps * (1 + _CODING_SHARE)))

    def at_budget(self, budget: float) -> bytes:
        """Write the file whose codestream has at most so many bytes."""
        return self.file(self.layer_bytes(budget))

    def psnr(self, data: bytes) -> float:
        """Measure the PSNR in dB of the colour samples that a file decodes to."""
        colours, file = self.image.colour(), open_jp2(data)
        pixels = synthesis.read(file, self.transform, file.request(), threads=torch.get_num_threads())
        return psnr(colours, pixels[..., : colours.shape[2]])

    def layer_bytes(self, top: float) -> list[int]:
        """Choose the sizes of layers, by ``options.layers``.

        Args:
            top: bytes of the codestream.
        """
        asked = self.options.layers
        if isinstance(asked, tuple):
            return [*(size for bpp in asked if (size := self._bytes(bpp)) < top), round(top)]
        arranged = self.arrangement
        return arranged.layer_bytes(top, asked or arranged.layers(top))

    def _bytes(self, bpp: float) -> int:
        return round(bpp * self.image.width * self.image.height / 8)
