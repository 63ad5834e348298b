"""A small `weconvene-s` with random weights, for tests that must not depend on what was trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from wavelic.codec.weights import Card
from wavelic.weconvene.context_integer import IntegerContextModel
from wavelic.weconvene.export import logistic_tables
from wavelic.weconvene.network import SmallPlan, WeConveneSmall
from wavelic.weconvene.subbands import LEVELS
from wavelic.weconvene.weights import DeployedSmall, deploy

PLAN = SmallPlan(width=16, analysis_blocks=1, synthesis_blocks=1, contexts=(8, 12, 12))
STEP = 180  # 1/32 octave: 49 grey levels


def tiny_network(plan: SmallPlan = PLAN, seed: int = 0) -> WeConveneSmall:
    """Every weight random, none zero; corrections and parameters of a size as after training."""
    torch.manual_seed(seed)
    network = WeConveneSmall(plan).eval().requires_grad_(False)
    for net in (network.f, network.g):
        net.leave.weight.normal_(0, 0.003)
        net.leave.bias.normal_(0, 0.003)
    network.band_steps.normal_(0, 0.05)
    for name, value in network.entropy.named_parameters():
        if "head" in name:
            value.normal_(0, 0.05)
    network.entropy.start_from(torch.linspace(0.3, 3, LEVELS)[:, None].expand(LEVELS, 9))
    network.entropy.base += torch.randn(network.entropy.base.shape) / 4
    return network


def tiny_model(plan: SmallPlan = PLAN, seed: int = 0) -> DeployedSmall:
    """The same, ready to code, with the tables of logistic distributions."""
    network = tiny_network(plan, seed)
    for name, value in network.state_dict().items():
        if not name.startswith("entropy."):
            value.copy_(value.half())  # as weights files hold it
    card = Card("tiny", "tiny", "weconvene", "ab" * 32, 99, {}, Path())
    return deploy(card, network, IntegerContextModel(network.entropy), logistic_tables())


def random_subbands(height: int, width: int, batch: int = 1, seed: int = 0) -> tuple[Tensor, list[Tensor]]:
    """Coefficients in steps of pictures of that size: low (N, 3, h, w) and details, larger where coarser."""
    random = torch.Generator().manual_seed(seed)
    low = 20 * torch.randn(batch, 3, height >> LEVELS, width >> LEVELS, generator=random)
    details = [
        torch.randn(batch, 9, height >> d, width >> d, generator=random) * (0.3 * d)
        + torch.randn(batch, 9, height >> d, width >> d, generator=random) ** 5 * 0.1
        for d in range(1, LEVELS + 1)
    ]
    return low, details


def same(a: object, b: object) -> bool:
    """Whether two lists of tensors are equal."""
    return all(np.array_equal(np.asarray(x), np.asarray(y)) for x, y in zip(a, b, strict=True))  # type: ignore[call-overload]
