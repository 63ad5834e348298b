"""The `lifting` codec: an image to a JP2 file with quality layers, at a quality, a rate, a PSNR or a size.

The image is analysed once.  The stock coder then cuts its embedded bit planes at the rates of the layers; a search
only repeats that.  A quality q means 2^(0.07 q - 4) bits per pixel for the colour samples, 1/16 at 0, 0.71 at 50, 8 at
100; opacity and metadata come on top.  A rate or a size is that of the whole file.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch

from wavelic.codec.options import Encoded, Options, check_device, psnr
from wavelic.codec.target import Found, Target
from wavelic.errors import UsageError
from wavelic.images import Image, Metadata, encode_alpha, upright
from wavelic.jpeg2000 import EncodeOptions
from wavelic.jpeg2000.arrangement import WHOLE, WINDOWED, Arrangement
from wavelic.lifting.cards import PRODUCT, lifting_cards, lifting_id
from wavelic.lifting.coarse import coarse_note, thin_coarse
from wavelic.lifting.jp2.box import NO_MODEL
from wavelic.lifting.jp2.file import CarrierFile, open_carrier, trim_carrier
from wavelic.lifting.jp2.large import read_large
from wavelic.lifting.jp2.large_encode import IN_WINDOWS, analysis_steps, pseudo_image_in_windows
from wavelic.lifting.jp2.pixels import PLAIN_TRANSFORMS
from wavelic.lifting.jp2.pseudo_image import PseudoImage, pseudo_image, to_components
from wavelic.lifting.transform.transform import LiftingTransform, build_lifting
from wavelic.lifting.weights import load_lifting_card

LEVELS = 5
_LOWEST, _OCTAVES = -4.0, 7.0  # log2 bits per pixel of quality 0, and from there to quality 100
_LAYER_BYTES = 1500  # the smallest layer that is worth the headers of its packets
_TRIES = 6
_CLOSE = 0.01  # how near to a size is near enough
_HEADERS = 280  # bytes of boxes and main header, about
_CODING_SHARE = 3.0  # about how many times as long as the analysis the stock coder takes
_PSNR_BPP = tuple(2.0 ** (k / 2) for k in range(-9, 8))  # layers of the file a PSNR is first looked for in


def quality_to_bpp(quality: float) -> float:
    """Bits per pixel for a quality 0..100."""
    return float(2.0 ** (_LOWEST + _OCTAVES * quality / 100))


def bpp_to_quality(bpp: float) -> float:
    """Inverse of `quality_to_bpp`, clipped to 0..100."""
    return min(max(100 * (math.log2(bpp) - _LOWEST) / _OCTAVES, 0.0), 100.0)


def product_transform(device: str = "cpu") -> tuple[LiftingTransform, bytes, str]:
    """What the codec encodes with: transform, model id, name.  The plain 9/7 wavelet if no weights are installed."""
    for card in lifting_cards():
        if card.name == PRODUCT:
            return load_lifting_card(card, device), lifting_id(card), card.name
    return build_lifting(PLAIN_TRANSFORMS["9/7"]), NO_MODEL, "none"


def encode_lifting(image: Image, target: Target, options: Options) -> Encoded:
    """Compress ``image`` to a JP2 file.

    Raises UsageError for layers or a device that cannot be, or if ``options.published`` is asked for.
    """
    if options.published:
        raise UsageError("published given for codec lifting; it is a mode of wcae and nowcae")
    check_device(options.device)
    image = upright(image)  # other viewers of JP2 files do not read Exif
    transform, model, name = product_transform(options.device)
    encoding = Encoding(image, transform, model, options)
    pixels = image.width * image.height
    if target.kind == "quality":
        data = encoding.file(encoding.layer_bytes(quality_to_bpp(target.value) * pixels / 8))
        return Encoded(data, name, target.value, _note(data, options))
    if target.kind == "psnr":
        data, reached = encoding.at_psnr(target.value)
    elif target.kind == "size":
        data = encoding.at_bytes(target.value, exceed=False)
        reached = float(len(data))
    else:
        data = encoding.at_bytes(target.value * pixels / 8, exceed=True)
        reached = len(data) * 8 / pixels
    quality = bpp_to_quality(max(1, len(data) - encoding.beside) * 8 / pixels)
    return Encoded(data, name, round(quality, 2), _note(data, options, Found(0, reached, 0).note(target)))


def _note(data: bytes, options: Options, target: str = "") -> str:
    """How well a target was met, and with access "random" what a small picture takes."""
    return "; ".join(filter(None, (target, coarse_note(data) if options.access == "random" else "")))


@dataclass
class Encoding:
    """An image analysed by one transform, to be coded at as many rates as a search needs.

    model: the id of the transform's weights.  options: `strip`, `layers` and `access` count here.
    """

    image: Image
    transform: LiftingTransform
    model: bytes
    options: Options
    _seconds: float = 0.0  # that the analysis took

    @cached_property
    def pseudo(self) -> PseudoImage:
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
        plane = self.image.alpha()
        return None if plane is None else encode_alpha(plane, self.image.bit_depth)

    @cached_property
    def metadata(self) -> Metadata:
        return Metadata() if self.options.strip else self.image.metadata

    @property
    def arrangement(self) -> Arrangement:
        """Of the packets, by ``options.access``."""
        return WHOLE if self.options.access == "whole" else WINDOWED

    @property
    def beside(self) -> int:
        """Bytes of the file that are not coefficients: boxes, opacity, metadata, and about those of the main header."""
        parts = (self.alpha or b"", *self.metadata.blocks().values())
        return _HEADERS + sum(map(len, parts))

    def file(self, layer_bytes: Sequence[int], *, thin: bool = True) -> bytes:
        """The whole file, with layers of these codestream sizes; fewer where they coincide.

        thin: leave out of coarse resolutions what access "random" leaves out.
        """
        codestream = self._codestream(sorted({max(1, size) for size in layer_bytes}))
        if self.options.access == "random" and thin:
            overhead = len(self._boxed(codestream)) - len(codestream)
            codestream = thin_coarse(codestream, LEVELS, overhead)
        return self._boxed(codestream)

    def _boxed(self, codestream: bytes) -> bytes:
        return self.pseudo.boxed(codestream, model=self.model, alpha=self.alpha, metadata=self.metadata)

    def _codestream(self, sizes: Sequence[int]) -> bytes:
        arranged = self.arrangement
        how = EncodeOptions(
            layer_bytes=sizes,
            precincts=arranged.precincts,
            progression=arranged.progression,
            threads=torch.get_num_threads(),
        )
        pseudo, started = self.pseudo, time.monotonic()

        def tick() -> None:  # the stock coder does not say how far it is; the analysis shows how fast the machine is
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

    def at_bytes(self, wanted: float, *, exceed: bool) -> bytes:
        """A file of ``wanted`` bytes or up to 1 % off; without ``exceed`` not larger, unless there is none."""
        budget = max(1.0, wanted - self.beside)
        tried = list[bytes]()
        below = above = (0.0, 0)  # budget and size of the nearest file on either side
        for _ in range(_TRIES):
            tried.append(self.file(self.layer_bytes(budget)))
            size = len(tried[-1])
            if -_CLOSE * wanted <= size - wanted <= _CLOSE * wanted * exceed or budget <= 1:
                break
            if size == below[1] and budget > 1.1 * below[0]:
                break  # all there is
            below, above = (below, (budget, size)) if size > wanted else ((budget, size), above)
            step = wanted * (1 - _CLOSE / 2) - size
            if below[1] and above[1]:  # the stock coder's steps are uneven: stay between
                step *= (above[0] - below[0]) / (above[1] - below[1])
            budget = max(1.0, budget + step)
        allowed = tried if exceed else [data for data in tried if len(data) <= wanted] or [min(tried, key=len)]
        return min(allowed, key=lambda data: abs(len(data) - wanted))

    def at_psnr(self, wanted: float) -> tuple[bytes, float]:
        """The file whose colour samples decode nearest to ``wanted`` dB, and the dB it reaches.

        The layers of one file of high quality show between which rates it lies; interpolation does the rest.
        """
        pixels = self.image.width * self.image.height
        many = self.file([round(bpp * pixels / 8) for bpp in _PSNR_BPP], thin=False)
        file = open_carrier(many)
        sizes = [float(size or 1) for size in file.layer_bytes]
        seen: dict[int, float] = {}

        def value(layer: int) -> float:
            if layer not in seen:
                seen[layer] = self._measure(file, layer + 1)
            return seen[layer]

        low, high = 0, len(sizes) - 1
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if value(middle) < wanted else (low, middle)
        points = sorted({(math.log(sizes[k]), value(k)) for k in {low, high}})
        best: tuple[float, bytes, float] | None = None
        for _ in range(_TRIES):
            data = self.at_bytes(math.exp(_interpolated(points, wanted)), exceed=True)
            reached = self._measure(open_carrier(data))
            if best is None or abs(reached - wanted) < best[0]:
                best = abs(reached - wanted), data, reached
            if best[0] <= 0.05 or any(abs(math.log(len(data)) - x) < 1e-4 for x, _ in points):
                break
            points = sorted([*points, (math.log(len(data)), reached)], key=lambda point: abs(point[1] - wanted))[:2]
            points.sort()
        layer = min(seen, key=lambda k: abs(seen[k] - wanted))
        assert best is not None
        if self.options.access != "random" and abs(seen[layer] - wanted) < best[0]:  # `many` is not thinned
            return trim_carrier(many, max_layers=layer + 1), seen[layer]
        return best[1], best[2]

    def _measure(self, file: CarrierFile, layers: int | None = None) -> float:
        """dB of the colour samples that the file's first layers decode to."""
        colours = self.image.colour()
        pixels = read_large(file, self.transform, 0, layers, None, torch.get_num_threads())
        return psnr(colours, pixels[..., : colours.shape[2]])

    def layer_bytes(self, top: float) -> list[int]:
        """Sizes of the layers of a codestream of ``top`` bytes, by ``options.layers``."""
        asked = self.options.layers
        if isinstance(asked, tuple):
            return [*(size for bpp in asked if (size := self._bytes(bpp)) < top), round(top)]
        arranged = self.arrangement
        return arranged.layer_bytes(top, asked or arranged.layers(top, _LAYER_BYTES))

    def _bytes(self, bpp: float) -> int:
        return round(bpp * self.image.width * self.image.height / 8)


def _interpolated(points: list[tuple[float, float]], wanted: float) -> float:
    """Where the line through the first and last point (x, y) reaches ``wanted``, at most a little outside them."""
    (x0, y0), (x1, y1) = points[0], points[-1]
    if y1 <= y0 or not math.isfinite(y1):
        return x0
    return min(max(x0 + (wanted - y0) * (x1 - x0) / (y1 - y0), x0 - 1.0), x1 + 1.0)
