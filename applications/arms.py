"""The three arms of every comparison.

``plain``    the network as published.
``wavelet``  `WaveletConv` in the place of its down- and upsampling layers: the paper's proposal.
``twin``     the same layer without wavelets (a residual block with GDN) in the same places, and channels added to the
             network until it has as many parameters.

What ``wavelet`` gains over ``plain`` may be due to parameters, normalisation and skips; what it gains over ``twin`` is
due to the wavelets.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from wavelic.errors import UsageError
from wavelic.nn import WaveletConv

#: Options of `WaveletConv` in each arm; None keeps the published layers.
ARMS: dict[str, dict[str, Any] | None] = {
    "plain": None,
    "wavelet": {"wavelet": "haar", "levels": 2, "channel_levels": 1},
    "twin": {"levels": 0, "channel_levels": 0},
}


def layer_options(arm: str) -> dict[str, Any] | None:
    """Options of the layer in an arm.

    Args:
        arm: "plain", "wavelet" or "twin".

    Returns:
        Keyword arguments of `WaveletConv`; None for "plain".

    Raises:
        UsageError: another name.
    """
    if arm not in ARMS:
        raise UsageError(f"unknown arm {arm!r}; choose one of {', '.join(ARMS)}")
    return ARMS[arm]


def parameters(network: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


def wavelet_layers(network: nn.Module) -> int:
    """Number of `WaveletConv` layers, of either arm."""
    return sum(isinstance(module, WaveletConv) for module in network.modules())
