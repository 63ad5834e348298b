"""Named architectures: what can be built, with or without shipped weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from wavelic.errors import ModelError

if TYPE_CHECKING:
    from wavelic.models.wcae import WaveletAutoencoder


@dataclass(frozen=True)
class Architecture:
    """A network by name.

    Attributes:
        name: as used in recipes, weight cards and on the command line.
        codec: the codec whose files its latents fill.
        parameters: trainable parameters, as published where published; the tests count them.
        summary: one line.
        make: builds it with its usual random weights.
    """

    name: str
    codec: str
    parameters: int
    summary: str
    make: Callable[[], WaveletAutoencoder]


def _wcae() -> WaveletAutoencoder:
    from wavelic.models.wcae import wcae

    return wcae()


def _wcae_64() -> WaveletAutoencoder:
    from wavelic.models.wcae import wcae_64

    return wcae_64()


def _nowcae() -> WaveletAutoencoder:
    from wavelic.models.wcae import nowcae

    return nowcae()


_ALL = (
    Architecture("wcae", "wcae", 256_606, "three branches on a 3-scale Haar decomposition, 96 latents at 1/32", _wcae),
    Architecture("wcae-64", "wcae", 278_174, "wcae with 64 latents at the coarsest scale (figure 4c)", _wcae_64),
    Architecture("nowcae", "wcae", 83_939, "the finest branch of wcae on RGB, no wavelet, 32 latents at 1/16", _nowcae),
)
ARCHITECTURES: Mapping[str, Architecture] = MappingProxyType({entry.name: entry for entry in _ALL})


def architecture(name: str) -> Architecture:
    """The entry called ``name``.  Raises ModelError, listing the names, if there is none."""
    if name not in ARCHITECTURES:
        raise ModelError(f"no architecture {name!r}; choose one of {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[name]


def build(name: str) -> WaveletAutoencoder:
    """The network called ``name`` with random weights.  Raises ModelError for an unknown name."""
    return architecture(name).make()
