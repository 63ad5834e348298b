"""The published 3DM-WeConvene networks with few channels, and pictures for them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from wavelic.threedm.config import PUBLISHED
from wavelic.threedm.network import WeConvene

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
