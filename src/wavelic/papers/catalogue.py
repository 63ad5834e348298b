"""Named architectures: what can be built, with or without shipped weights.  Importing this loads no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from wavelic.errors import ModelError
from wavelic.lifting.structures import build_lifting
from wavelic.papers.lifting_zoo import LIFTING_ZOO

if TYPE_CHECKING:
    from torch import nn

    from wavelic.wcae.network import WaveletAutoencoder


@dataclass(frozen=True)
class Architecture:
    """A network by name.

    Attributes:
        name: as used in recipes, weight cards and on the command line.
        system: the published system it belongs to: "wcae", "lifting" or "weconvene".
        parameters: trainable parameters, as published where published; the tests count them.
        summary: one line.
        make: builds it with new weights.
    """

    name: str
    system: str
    parameters: int
    summary: str
    make: Callable[[], nn.Module]


def _autoencoder(name: str) -> WaveletAutoencoder:
    from wavelic.wcae import network as wcae

    return {"wcae": wcae.wcae, "wcae-64": wcae.wcae_64, "nowcae": wcae.nowcae}[name]()


def _lifting(name: str) -> nn.Module:
    return build_lifting(name)


def _weconvene(name: str) -> nn.Module:
    from wavelic.threedm.network import weconvene

    return weconvene(name)


def _small(name: str) -> nn.Module:
    from wavelic.weconvene.configs import SMALL_PLANS
    from wavelic.weconvene.network import WeConveneSmall

    return WeConveneSmall(SMALL_PLANS[name])


_AUTOENCODERS = {
    "wcae": (256_606, "three branches on a 3-scale Haar decomposition, 96 latents at 1/32"),
    "wcae-64": (278_174, "wcae with 64 latents at the coarsest scale (figure 4c)"),
    "nowcae": (83_939, "the finest branch of wcae on RGB, no wavelet, 32 latents at 1/16"),
}
_LIFTING = {
    "LeGall-5/3": (0, "the fixed 5/3 wavelet"),
    "CDF-9/7": (0, "the fixed 9/7 wavelet"),
    "Hybrid(9/7)-U16": (28_566, "9/7 with learned steps, unified operator of width 16"),
    **LIFTING_ZOO,
}
_WECONVENE = {
    "3dm-weconvene": (73_946_828, "3D multi-level wavelet convolutions, 3DWeChARM, two levels"),
    "3dm-weconvene-1level": (73_253_324, "one spatial level"),
    "3dm-weconvene-3x3": (82_892_492, "3x3 instead of 1x1 convolutions on the high bands"),
    "3dm-weconvene-weconv": (83_903_308, "2D wavelet convolutions"),
    "3dm-weconvene-wecharm": (97_190_668, "2D wavelet entropy model"),
    "3dm-weconvene-plain": (73_133_260, "the twin without wavelets: plain convolutions"),
    "weconvene": (107_147_148, "the 2D predecessor"),
}


_SMALL = {
    "weconvene-s": (1_147_228, "the product model: learned corrections of 9/7 subbands, 3-D subband contexts"),
    "weconvene-s-conv": (970_588, "its twin with plain convolutions in the corrections"),
    "weconvene-s-2d": (1_047_164, "its twin that codes luma and chroma together"),
    "weconvene-m": (5_029_692, "the same, larger: for training on a GPU"),
}


def _entries() -> dict[str, Architecture]:
    systems: tuple[tuple[str, dict[str, tuple[int, str]], Callable[[str], nn.Module]], ...] = (
        ("wcae", _AUTOENCODERS, _autoencoder),
        ("lifting", _LIFTING, _lifting),
        ("weconvene", _WECONVENE, _weconvene),
        ("weconvene", _SMALL, _small),
    )
    return {
        name: Architecture(name, system, parameters, summary, lambda make=make, name=name: make(name))  # type: ignore[misc]
        for system, table, make in systems
        for name, (parameters, summary) in table.items()
    }


ARCHITECTURES: Mapping[str, Architecture] = MappingProxyType(_entries())


def architecture(name: str) -> Architecture:
    """The entry called ``name``.  Raises ModelError, listing the names, if there is none."""
    if name not in ARCHITECTURES:
        raise ModelError(f"no architecture {name!r}; choose one of {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[name]


def build(name: str) -> nn.Module:
    """The network called ``name`` with new weights.  Raises ModelError for an unknown name."""
    return architecture(name).make()


def build_autoencoder(name: str) -> WaveletAutoencoder:
    """The network of the `wcae` system called ``name``.  Raises ModelError for any other name."""
    if architecture(name).system != "wcae":
        raise ModelError(f"{name} is not an autoencoder of the wcae system; choose one of {', '.join(_AUTOENCODERS)}")
    return _autoencoder(name)
