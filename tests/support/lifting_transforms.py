"""Learned lifting transforms with random weights, and the published table of their sizes."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from wavelic.lifting.transform.transform import LiftingTransform, build_lifting
from wavelic.wavelets import Coefficients2d

torch.set_num_threads(1)

# Table III: thousands of parameters, region of support.
TABLE_3 = {
    "Hybrid(5/3)-5c": (35, 78),
    "Hybrid(9/7)-5c": (35, 82),
    "Hybrid(5/3)-9c": (63, 78),
    "Hybrid(9/7)-9c": (63, 82),
    "Hybrid(9/7)-9c-compact": (35, 54),
    "Custom-4S-5c": (38, 162),
    "Custom-4MS-5c": (55, 202),
    "Custom-5S-5c": (73, 234),
    "Custom-4S-9c": (69, 162),
    "Custom-4MS-9c": (98, 202),
    "Custom-5S-9c": (133, 234),
}


def random_transform(name: str, scale: float = 1.0, dtype: torch.dtype = torch.float64) -> LiftingTransform:
    """The transform with weights far from their initial values: learned steps of the size of the image."""
    torch.manual_seed(7)
    transform = build_lifting(name)
    with torch.no_grad():
        for parameter in transform.parameters():
            fan_in = max(1, parameter[0].numel())
            parameter.copy_(scale * torch.randn_like(parameter) * math.sqrt(2 / fan_in))
    return transform.to(dtype)


def learned(scale: float = 0.12) -> LiftingTransform:
    """A hybrid whose random steps change the picture by some grey levels, as trained ones do."""
    return random_transform("Hybrid(9/7)-U16", scale, torch.float32)


def bands(coefficients: Coefficients2d) -> list[Tensor]:
    """The low band, then lh, hl, hh of every level."""
    return [coefficients.low, *(b for level in coefficients.levels for b in (level.lh, level.hl, level.hh))]
