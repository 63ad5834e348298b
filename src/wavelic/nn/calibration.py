"""Units of the activations of an integer network, chosen from what they reach on pictures."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from wavelic.nn.exact import fitting_exponent, layers, set_quantised


@torch.no_grad()
def calibrate_activations(entropy: nn.Module, run: Callable[[], object]) -> None:
    """Choose the units of a network's activations so that none of them overflows; it computes quantised from now on.

    Args:
        entropy: network of `QuantConv2d` layers with a method ``set_exponents`` that takes layer -> exponent.
        run: computes the network on pictures, in floats.
    """
    every = layers(entropy)
    set_quantised(entropy, False)
    for layer in every:
        layer.largest = []
    run()
    reached = {layer: max(layer.largest or [0.0]) for layer in every}
    for layer in every:
        layer.largest = None
    entropy.set_exponents({layer: fitting_exponent(largest) for layer, largest in reached.items()})  # type: ignore[operator]
    set_quantised(entropy, True)
