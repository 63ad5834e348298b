"""Named sizes of `weconvene-s` and its twins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from wavelic.weconvene.network import SmallPlan, WeConveneSmall

_BASE = SmallPlan()
SMALL_PLANS: Mapping[str, SmallPlan] = MappingProxyType(
    {
        "weconvene-s": _BASE,
        # the same widths with plain 3x3 convolutions and GDN where the layers transform to wavelets
        "weconvene-s-conv": replace(_BASE, levels=0, channel_levels=0),
        # luma and chroma of a level coded together
        "weconvene-s-2d": replace(_BASE, ordered_colours=False),
        # for the day a GPU is at hand
        "weconvene-m": SmallPlan(width=128, analysis_blocks=4, synthesis_blocks=4, contexts=(96, 128, 128)),
    }
)


def build(name: str) -> WeConveneSmall:
    """Return the network of the size called ``name`` with new weights."""
    return WeConveneSmall(SMALL_PLANS[name])
