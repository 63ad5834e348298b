"""Sizes and choices of the 3DM-WeConvene networks, by name.  Importing this loads no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from wavelic.errors import ModelError, UsageError

if TYPE_CHECKING:
    from wavelic.threedm.plan import SlicePlan


@dataclass(frozen=True)
class Config:
    """Sizes and choices of a network; the defaults are the published 3DM-WeConvene.

    Attributes:
        width: channels of the transforms (N).
        latent: channels of y (M); the coefficients have four times as many.
        hyper: channels of z.
        attention: inner width of the attention modules of a slice.
        attention_blocks: residual blocks in the gate of such a module.
        attention_units: bottleneck units in its trunk, and as many in its gate.
        features: channels these modules give; 0: as many as published, see `plan.Slice`.
        hidden: hidden widths of the parameter nets of a slice.
        blocks: residual blocks in the groups of g_a and g_s at the finest, middle and coarsest resolution.
        hyper_blocks: residual blocks in the groups of h_a and h_s.
        group: what these groups are: "residual" blocks, or "swin" (`wavelic.threedm.swin`), for studies.
        first_stride: of the first layer of g_a; 2 instead of 1 moves every group of g_a to half the resolution, where
            those of g_s already are, and takes the stride from its last layer.
        levels, channel_levels, high_kernel, unused_parameters: of the `WaveletConv` layers.
        layer_wavelet: of these layers.
        split: of the latent into subbands, "3d", "2d", "polyphase" or "channels" (see `plan.SlicePlan`).
        latent_wavelet: of that split.
        low_parts: slices per spatial low band; "channels" has four times as many in all.
        high_parts: slices of the joint high bands ("2d" only).
        high_support: how many high slices a high slice sees at most ("3d" and "polyphase" only).
        exact: hyper-synthesis and slice nets in 8-bit integers, so that files decode on every machine; without, as
            published, in floats.
        gains: gain units: one set of weights serves a range of rates.
        shortcut: a linear 8 x 8 block transform beside g_a and g_s, which start as corrections of it.
    """

    width: int = 128
    latent: int = 320
    hyper: int = 192
    attention: int = 128
    attention_blocks: int = 2
    attention_units: int = 3
    features: int = 0
    hidden: tuple[int, int] = (224, 128)
    blocks: tuple[int, int, int] = (3, 3, 3)
    hyper_blocks: int = 3
    group: str = "residual"
    first_stride: int = 1
    levels: int = 2
    channel_levels: int = 1
    high_kernel: int = 1
    unused_parameters: bool = False
    layer_wavelet: str = "9/7"
    split: str = "3d"
    latent_wavelet: str = "9/7"
    low_parts: int = 2
    high_parts: int = 5
    high_support: int = 3
    exact: bool = False
    gains: bool = False
    shortcut: bool = False

    def __post_init__(self) -> None:
        if self.first_stride not in (1, 2):
            raise UsageError(f"first_stride {self.first_stride}; choose 1 or 2")
        if self.group not in ("residual", "swin"):
            raise UsageError(f"group {self.group!r}; choose residual or swin")

    def plan(self) -> SlicePlan:
        """Return the order of coding.

        Raises:
            UsageError: channels that cannot be cut as asked, or an unknown split.
        """
        from wavelic.threedm.plan import SPLITS, plan_2d, plan_3d, plan_channels

        if self.split not in SPLITS:
            raise UsageError(f"unknown split {self.split!r}; choose one of {', '.join(SPLITS)}")
        if self.split == "2d":
            parts = {"low_parts": self.low_parts, "high_parts": self.high_parts}
            return plan_2d(self.latent, self.latent_wavelet, features=self.features, **parts)
        if self.split == "channels":
            return plan_channels(self.latent, 4 * self.low_parts, self.features)
        return plan_3d(
            self.latent,
            self.latent_wavelet,
            low_parts=self.low_parts,
            high_support=self.high_support,
            split="polyphase" if self.split == "polyphase" else "3d",
            features=self.features,
        )

    @property
    def analysis_radius(self) -> int:
        """Receptive radius of g_a and the DWT behind it, in pixels: no coefficient depends on samples further away."""
        first, second, third = (self._block_radius * blocks for blocks in self.blocks)
        s = self.first_stride
        radius = 2 + s * first  # RBS and the group behind it
        radius += s + 2 * s * (self._layer_radius + second)
        radius += 2 * s + 4 * s * (self._layer_radius + third)
        radius += 8 + 8 * _REACH[self.latent_wavelet]
        return radius + (8 if self.shortcut else 0)

    @property
    def synthesis_radius(self) -> int:
        """Receptive radius of the inverse DWT and g_s, in pixels."""
        first, second, third = (self._block_radius * blocks for blocks in self.blocks)
        radius = 8 * (_REACH[self.latent_wavelet] + 1) + 8 * (2 + third)
        radius += 8 + 4 * (self._layer_radius + second)
        radius += 4 + 2 * (self._layer_radius + first) + 2
        return radius + (8 if self.shortcut else 0)

    @property
    def alignment(self) -> int:
        """Pixels that windows begin at multiples of: whole cells of every transform in g_a, g_s and the split."""
        finest = 2 * self.first_stride
        return max(16 if self.group == "residual" else 64, 2 * finest << self.levels)

    @property
    def _block_radius(self) -> int:
        """Radius of a block of a group, in cells of its map: two 3x3 kernels, or a window."""
        return 2 if self.group == "residual" else 8

    @property
    def _layer_radius(self) -> int:
        """Radius of the wavelet part of a layer, in cells of its map."""
        cells = (1 << self.levels) - 1
        return 2 * _REACH[self.layer_wavelet] * cells + (1 << self.levels)


#: Samples that the longer filter of a wavelet reaches to either side.
_REACH = {"haar": 1, "5/3": 2, "9/7": 4}

_PUBLISHED = Config()
_LAYER_2D: dict[str, Any] = {
    "levels": 1,
    "channel_levels": 0,
    "high_kernel": 3,
    "unused_parameters": True,
    "layer_wavelet": "haar",
}
_ENTROPY_2D: dict[str, Any] = {"split": "2d", "low_parts": 5}
_PLAIN: dict[str, Any] = {"levels": 0, "channel_levels": 0, "split": "polyphase"}

#: As the paper has them: entropy networks in floats, one set of weights for each lambda.
PUBLISHED: Mapping[str, Config] = MappingProxyType(
    {
        "3dm-weconvene": _PUBLISHED,
        "3dm-weconvene-1level": replace(_PUBLISHED, levels=1),
        "3dm-weconvene-3x3": replace(_PUBLISHED, high_kernel=3),
        "3dm-weconvene-weconv": replace(_PUBLISHED, **_LAYER_2D),
        "3dm-weconvene-wecharm": replace(_PUBLISHED, **_ENTROPY_2D),
        "3dm-weconvene-plain": replace(_PUBLISHED, **_PLAIN),
        "weconvene-2024": replace(_PUBLISHED, **_LAYER_2D, **_ENTROPY_2D, latent_wavelet="haar"),
    }
)

_SMALL = Config(
    width=40,
    latent=128,
    hyper=48,
    attention=32,
    attention_blocks=1,
    attention_units=1,
    features=48,
    hidden=(48, 48),
    blocks=(0, 1, 2),
    hyper_blocks=1,
    first_stride=2,
    layer_wavelet="haar",
    exact=True,
    gains=True,
    shortcut=True,
)
#: Networks of the codec `3dm`: integers before every symbol, gain units.
CODED: Mapping[str, Config] = MappingProxyType(
    {
        "3dm": _SMALL,
        "3dm-m": replace(
            _SMALL,
            width=96,
            latent=192,
            hyper=96,
            attention=64,
            features=128,
            hidden=(128, 96),
            blocks=(1, 2, 3),
            layer_wavelet="9/7",
        ),
        "3dm-l": replace(_PUBLISHED, exact=True, gains=True),
        "3dm-plain": replace(_SMALL, **_PLAIN),
        "3dm-2d": replace(_SMALL, split="2d", low_parts=4, high_parts=6),
    }
)
#: Every network of this room.
CONFIGS: Mapping[str, Config] = MappingProxyType({**CODED, **PUBLISHED})


def config_named(name: str) -> Config:
    """Return the configuration called ``name``.

    Raises:
        ModelError: there is none.
    """
    if name not in CONFIGS:
        raise ModelError(f"no architecture {name!r}; choose one of {', '.join(CONFIGS)}")
    return CONFIGS[name]
