"""3DM-WeConvene networks with few channels, and pictures for them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wavelic.codec.weights import Card
from wavelic.threedm.config import CODED, PUBLISHED, Config
from wavelic.threedm.entropy import integers_of
from wavelic.threedm.export import gaussian_tables
from wavelic.threedm.network import CodecNetwork, WeConvene
from wavelic.threedm.training import calibrate
from wavelic.threedm.weights import Model, make_model, transform_of

SMALL: dict[str, Any] = {
    "width": 8,
    "latent": 16,
    "hyper": 8,
    "attention": 8,
    "hidden": (8, 8),
    "blocks": (1, 1, 1),
    "hyper_blocks": 1,
    "low_parts": 2,
    "high_parts": 3,
}


def small(name: str, **changes: Any) -> WeConvene:
    """A named network with few channels."""
    return WeConvene(replace(PUBLISHED[name], **(SMALL | changes)))


def lively(model: WeConvene) -> WeConvene:
    """Random weights whose latents have symbols worth coding: larger latents, scales to match."""
    with torch.no_grad():
        for layer, gain in ((model.analysis[-1], 60.0), (model.hyper_analysis[-1], 10.0)):
            layer.weight.mul_(gain)
        for net in model.slices:
            net.scale_net[-1].bias.add_(14.0)
    return model


def picture(batch: int, height: int, width: int) -> Tensor:
    """Smooth shades with a few edges in 0..1."""
    rows, columns = torch.meshgrid(torch.linspace(0, 3, height), torch.linspace(0, 5, width), indexing="ij")
    shades = [torch.sin(rows * (k + 1) + columns * (k - 1.5)) + (rows > 1 + 0.2 * k) for k in range(3 * batch)]
    return torch.stack(shades).view(batch, 3, height, width).mul(0.25).add(0.4).clamp(0, 1)


#: A network of the codec `3dm` with few channels.
CONFIG = replace(
    CODED["3dm"], width=8, latent=16, hyper=4, attention=8, features=8, hidden=(8, 8), blocks=(0, 1, 0), hyper_blocks=1
)


def tiny_network(config: Config = CONFIG, seed: int = 0) -> CodecNetwork:
    """Every weight random, none zero, with latents worth coding; in floats, its units chosen."""
    torch.manual_seed(seed)
    network = CodecNetwork(config).eval().requires_grad_(False)
    images = picture(4, 64, 64)
    network.start_from(images)
    for name, value in network.named_parameters():
        if "_net." in name or name.startswith(("analysis.6", "synthesis.6")):
            value.add_(torch.randn(value.shape) * 0.03)
    network.hyper_analysis[-1].weight.mul_(30.0)
    for name, value in network.state_dict().items():
        if not name.startswith(("entropy.", "prior.")):
            value.copy_(value.half())  # as weights files hold it
    calibrate(network, images, torch.linspace(-3, 3, 4))
    return network


def tiny_model(config: Config = CONFIG, seed: int = 0) -> Model:
    """The same, ready to code, with the tables of Gaussians and of the prior."""
    network = tiny_network(config, seed)
    card = Card("tiny", "3dm", "3dm", "ab" * 32, 99, {}, Path())
    parts = transform_of(network), integers_of(network.entropy, config), network.prior.medians.clone()
    return make_model(card, *parts, network.prior.tables(), gaussian_tables())
