"""Trained networks of `enhance`, loaded once."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from wavelic.codec.weights import Card, architecture_of, load_weights, misfit
from wavelic.enhance.config import CONFIGS
from wavelic.enhance.network import Network
from wavelic.nn.precision import has_bfloat16


def float_state(card: Card) -> dict[str, Tensor]:
    """Read the weights of a card in float32.

    Args:
        card: of `catalogue.find_enhance`.

    Raises:
        ModelError: its file is damaged.
    """
    return {key: torch.from_numpy(np.array(value)).float() for key, value in load_weights(card).items()}


@lru_cache(maxsize=2)
def load_network(card: Card, device: str = "cpu") -> Network:
    """Load a trained network: in evaluation mode, without gradients; in bfloat16 where the processor multiplies it.

    Args:
        card: of `catalogue.find_enhance`.
        device: torch device.

    Raises:
        ModelError: its file is damaged or does not fit.
    """
    network = Network(architecture_of(card, CONFIGS))
    try:
        network.load_state_dict(float_state(card))
    except RuntimeError as error:
        raise misfit(card, error) from error
    half = has_bfloat16(device)  # as in training
    network = network.to(device, torch.bfloat16 if half else torch.float32, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network.eval().requires_grad_(False)
