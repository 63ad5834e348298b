"""wavelic's codecs as the evaluation sees a codec: pixels and a quality to file bytes, file bytes to pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from wavelic import __version__
from wavelic.api.files import decode_image, encode_image
from wavelic.codec.options import Options, check_device
from wavelic.codec.registry import check_options, get_codec
from wavelic.codec.target import Target
from wavelic.images import from_array


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
    """Return the codec called ``codec`` with the weights installed, which are loaded.

    Args:
        codec: a name of `wavelic.codec.registry.names`.
        published: entropy-code and pad as the WCAE paper does.
        device: torch device of the networks.

    Raises:
        UsageError: unknown codec or device, or it has no published coding.
        ModelError: the weights are not installed.
    """
    options, own = Options(strip=True, published=published, device=check_device(device)), get_codec(codec)
    check_options(own, options)
    own.load(device)  # so that no image's time includes it
    way = "entropy coding and padding as published" if published else own.summary
    hashes = " ".join(card.hash[:12] for card in own.weights()) or "none"
    return OwnCodec(
        name=f"{codec}-published" if published else codec,
        label=own.label + (", published coding" if published else ""),
        description=f"wavelic {__version__}, codec {codec}, {way}, device {device}; weights {hashes}",
        encode=lambda pixels, quality: (
            encode_image(from_array(pixels), codec, Target("quality", quality), options).data
        ),
        decode=lambda data: decode_image(data, device=device).pixels,
    )
