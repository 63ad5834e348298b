"""Trained networks of `enhance`: found by name, loaded once."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch

from wavelic.codec.weights import Card, cards, load_weights
from wavelic.enhance.catalogue import FAMILY, PRODUCT
from wavelic.enhance.network import CONFIGS, Network
from wavelic.errors import ModelError


def find_enhance(name: str = PRODUCT) -> Card:
    """Find the card of trained weights.

    Args:
        name: of the weights.

    Raises:
        ModelError: they are not installed.
    """
    found = [card for card in cards() if card.family == FAMILY]
    for card in found:
        if card.name == name:
            return card
    names = ", ".join(card.name for card in found) or "none"
    raise ModelError(f"no weights {name!r} for enhanced decoding; there are {names}: train them or set WAVELIC_WEIGHTS")


@lru_cache(maxsize=2)
def load_network(card: Card, device: str = "cpu") -> Network:
    """Load a trained network: in evaluation mode, float32, without gradients.

    Args:
        card: of `find_enhance`.
        device: torch device.

    Raises:
        ModelError: its file is damaged or does not fit.
    """
    if card.architecture not in CONFIGS:
        raise ModelError(
            f"{card.path.name} is of architecture {card.architecture!r}, which this wavelic lacks; upgrade"
        )
    network = Network(CONFIGS[card.architecture])
    state = {key: torch.from_numpy(np.array(value)).float() for key, value in load_weights(card).items()}
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        cause = " ".join(str(error).split())[:200]
        raise ModelError(f"{card.path.name} does not fit its network ({cause}); install wavelic again") from error
    network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network.eval().requires_grad_(False)
