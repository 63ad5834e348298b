"""Encoding with a family of weights that has a ladder of rates: which weights and which gain meet a target."""

from __future__ import annotations

from functools import cache, lru_cache

from wavelic.codec.options import Encoded, Options, psnr
from wavelic.codec.target import Target, search
from wavelic.codec.weights import Card
from wavelic.images import Image
from wavelic.wcae.files import Encoding
from wavelic.wcae.ladder import Ladder, RatePoint
from wavelic.wcae.latent import SideInformation
from wavelic.wcae.weights import load_model


def encode(image: Image, ladder: Ladder, target: Target, options: Options) -> Encoded:
    """Compress an image; it is analysed once by each of the weights that a search tries.

    Args:
        image: what to code.
        ladder: of the family of weights to code it with.
        target: what to meet.
        options: as in `wavelic.codec.base.Codec.encode`.

    Raises:
        ModelError: the weights are not installed.
    """
    side = SideInformation.PUBLISHED if options.published else SideInformation.WEIGHTS

    @cache
    def encoding(card: Card) -> Encoding:
        model = load_model(card, options.device)
        return Encoding(image, model, not options.published, side, options.strip, options.progress)

    @lru_cache(maxsize=4)
    def file(point: RatePoint) -> bytes:
        return encoding(point.card).file(point.gain, round(100 * point.quality))

    if target.kind == "quality":
        point, note = ladder.at(target.value), ""
    else:
        points = ladder.points()

        def measure(position: int) -> float:
            point = points[position]
            if target.kind == "psnr":
                return psnr(image.colour(), encoding(point.card).reconstruction(point.gain))
            size = len(file(point))
            return float(size) if target.kind == "size" else size * 8 / (image.width * image.height)

        found = search(measure, 0, len(points) - 1, target)
        point, note = points[found.position], found.note(target)
    return Encoded(file(point), point.card.name, round(point.quality, 2), note)
