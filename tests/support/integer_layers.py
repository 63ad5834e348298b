"""Exact integer layers with random weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from wavelic.nn.integer import IntegerConv2d


def integers(low: int, high: int, shape: tuple[int, ...]) -> Tensor:
    """Random int32 numbers in low..high."""
    return torch.randint(low, high + 1, shape, dtype=torch.int32)


def random_layer(
    channels: tuple[int, int],
    kernel: int,
    *,
    stride: int = 1,
    groups: int = 1,
    weight_bits: int = 10,
    input_limit: int = 2047,
    carrier: Any = "auto",
) -> IntegerConv2d:
    """A convolution of (inputs, outputs) ``channels`` with random weights of ``weight_bits``."""
    limit = (1 << (weight_bits - 1)) - 1
    return IntegerConv2d(
        integers(-limit, limit, (channels[1], channels[0] // groups, kernel, kernel)),
        integers(-9999, 9999, (channels[1],)),
        integers(1 << 14, (1 << 15) - 1, (channels[1],)),
        integers(20, 26, (channels[1],)),
        input_limit,
        2047,
        stride=stride,
        padding=kernel // 2,
        groups=groups,
        carrier=carrier,
    )
