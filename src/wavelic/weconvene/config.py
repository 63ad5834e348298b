"""Sizes of the networks of `weconvene` and families of its weights, by name.  Loads no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType


@dataclass(frozen=True)
class Config:
    """Sizes of one network.

    Attributes:
        analysis, synthesis: feature maps of the transform networks f and g.
        analysis_blocks, synthesis_blocks: their blocks.
        layer: kind of these blocks: "wide" (1x1 and depthwise 3x3 convolutions), "wavelet" (3DM-WeConv layers) or
            "plain" (the same layers without their wavelet transforms).
        contexts: feature maps of the context model at level 1, at level 2, and at levels 3 and beyond.
        ordered_colours: luma is coded before chroma, an order along the third axis of the transform; without, the
            slices are those of a two-dimensional entropy model.
    """

    analysis: int = 128
    synthesis: int = 160
    analysis_blocks: int = 4
    synthesis_blocks: int = 4
    layer: str = "wide"
    contexts: tuple[int, int, int] = (96, 128, 128)
    ordered_colours: bool = True

    @property
    def synthesis_radius(self) -> int:
        """Receptive radius of g in cells of its grid."""
        return self.synthesis_blocks * BLOCK_RADIUS[self.layer]

    @property
    def analysis_radius(self) -> int:
        """Receptive radius of f in cells of its grid."""
        return self.analysis_blocks * BLOCK_RADIUS[self.layer]


#: Cells that a block of each kind sees to every side: 3x3 kernels, and one on samples of four cells.
BLOCK_RADIUS = {"wide": 1, "wavelet": 1 + 2 * 4, "plain": 2}


_BASE = Config()
CONFIGS: Mapping[str, Config] = MappingProxyType(
    {
        "weconvene": _BASE,
        # the same with a longer g, for which `weconvene-synthesis` trains g alone
        "weconvene-deep": replace(_BASE, synthesis_blocks=6),
        # for the day a GPU is at hand
        "weconvene-m": Config(256, 320, 6, 6, contexts=(160, 224, 224)),
        # twins: 3DM-WeConv layers in f and g, the same without wavelets, and slices without an order of colours
        "weconvene-wavelet": replace(_BASE, layer="wavelet", analysis=96, synthesis=96),
        "weconvene-plain": replace(_BASE, layer="plain", analysis=96, synthesis=96),
        "weconvene-2d": replace(_BASE, ordered_colours=False),
    }
)
#: The family of the weights for each `Options.tune`; the last one of it is used.
FAMILIES = {"psnr": "weconvene", "msssim": "weconvene-msssim"}
