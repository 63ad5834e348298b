"""wavelic's codecs as the evaluation sees a codec: pixels and a quality to file bytes, file bytes to pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from wavelic import __version__
from wavelic.api.files import LADDERS, Options, check_codec, check_device, decode_image, encode_image
from wavelic.codec.target import Target
from wavelic.codec.weights import family
from wavelic.images import from_array
from wavelic.lifting.encode import product_transform
from wavelic.wcae.weights import load_deployed
from wavelic.weconvene.weights import load_model

LABELS = {
    "weconvene": "weconvene",
    "wcae": "WCAE",
    "wcae-64": "WCAE-64",
    "nowcae": "NoWCAE",
    "lifting": "Learned lifting",
}


@dataclass(frozen=True)
class OwnCodec:
    """An `evaluation.runner.EvaluatedCodec`; the description names the weights, so other weights are other work."""

    name: str
    label: str
    description: str
    encode: Callable[[np.ndarray, float], bytes]
    decode: Callable[[bytes], np.ndarray]
    parameter: str = "quality"


def own_codec(codec: str, published: bool = False, device: str = "cpu") -> OwnCodec:
    """The codec called ``codec`` with the weights installed, which are loaded.

    Raises:
        UsageError: unknown codec or device.
        ModelError: no weights of that family.
    """
    options = Options(strip=True, published=published, device=check_device(device))
    way = "entropy coding and padding as published" if published else "tables in the weights"
    if check_codec(codec) in LADDERS:
        cards = family(codec)
        hashes = " ".join(card.hash[:12] for card in cards)
        for card in cards:  # so that no image's time includes loading
            load_deployed(card, device)
    elif codec == "weconvene":
        cards = family(codec)[-1:]
        way, hashes = "integer-exact context networks", cards[0].hash[:12]
        load_model(cards[0], device)
    else:
        way, hashes = "JPEG 2000 block coding, layers", product_transform(device)[1].hex()
    return OwnCodec(
        name=f"{codec}-published" if published else codec,
        label=LABELS.get(codec, codec) + (", published coding" if published else ""),
        description=f"wavelic {__version__}, codec {codec}, {way}, device {device}; weights {hashes}",
        encode=lambda pixels, quality: (
            encode_image(from_array(pixels), codec, Target("quality", quality), options).data
        ),
        decode=lambda data: decode_image(data, device=device).pixels,
    )
