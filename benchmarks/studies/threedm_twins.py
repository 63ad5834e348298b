"""Twins of `3dm` as codecs that `wavelic eval` measures: networks for studies, which no program encodes with.

    WAVELIC_WEIGHTS=results/threedm/weights wavelic eval benchmarks/studies/threedm_twins.py:PLAIN --images KODAK \
        --dataset kodak --json results/codecs/kodak/3dm-plain.json --qualities 0,20,40,60,80,100

The weights of a twin are those that `wavelic export` made of its run, in a folder that WAVELIC_WEIGHTS names.  Files
are made by the very functions of the codec `3dm` and name their weights, so that `wavelic decode` reads them wherever
these are found.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

import wavelic
from wavelic.codec.weights import Card, family
from wavelic.images import from_array
from wavelic.threedm.files import Encoding, rate_of_quality
from wavelic.threedm.weights import load_model


class Twin:
    """A codec of one architecture of `wavelic.threedm.config.CODED`, with the weights of its own name.

    Args:
        architecture: its name.
        label: for plots and tables.

    Attributes:
        name: the architecture, also the name of the results.
        label: see there.
    """

    def __init__(self, architecture: str, label: str) -> None:
        self.name = architecture
        self.label = label

    @property
    def card(self) -> Card:
        """Its weights.

        Raises:
            ModelError: they are in no folder of WAVELIC_WEIGHTS.
        """
        return family(self.name)[-1]

    @property
    def description(self) -> str:
        """Version and weights, for results files; loads the weights, so that no image's time includes it."""
        load_model(self.card)
        return f"wavelic {wavelic.__version__}, codec 3dm, architecture {self.name}, weights {self.card.hash[:12]}"

    def encode(self, pixels: NDArray[np.uint8], quality: float) -> bytes:
        """Return the file of a picture, (height, width, 3), at a quality 0..100."""
        return Encoding(from_array(pixels), load_model(self.card), strip=True).file(rate_of_quality(quality))

    def decode(self, data: bytes) -> NDArray[Any]:
        """Return the pixels of such a file."""
        return wavelic.decode(data)


PLAIN = Twin("3dm-plain", "3DM-WeConvene, plain twin")
