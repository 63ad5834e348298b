"""A small `weconvene` with random weights, for tests that must not depend on what was trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from wavelic.codec.weights import Card
from wavelic.nn.exact import ExactConv2d
from wavelic.weconvene.config import Config
from wavelic.weconvene.context import ContextModel, LevelContext
from wavelic.weconvene.export import logistic_tables
from wavelic.weconvene.layout import LEVELS
from wavelic.weconvene.network import Network, Transform
from wavelic.weconvene.training import calibrate
from wavelic.weconvene.units import COARSEST, FINEST, STEP_UNIT
from wavelic.weconvene.weights import Model, integers_of, make_model

CONFIG = Config(analysis=16, synthesis=16, analysis_blocks=1, synthesis_blocks=1, contexts=(8, 16, 16))
STEP = 180  # 1/32 octave: 49 grey levels


def tiny_network(config: Config = CONFIG, seed: int = 0) -> Network:
    """Every weight random, none zero; corrections and parameters of a size as after training; in floats."""
    torch.manual_seed(seed)
    network = Network(config).eval().requires_grad_(False)
    for net in (network.f, network.g):
        net.leave.weight.normal_(0, 0.003)
        net.leave.bias.normal_(0, 0.003)
    network.band_steps.normal_(0, 0.05)
    for name, value in network.entropy.named_parameters():
        if "heads" in name:
            value.normal_(0, 0.05)
    network.entropy.start_from(torch.linspace(0.3, 3, LEVELS)[:, None].expand(LEVELS, 9))
    network.entropy.base += torch.randn(network.entropy.base.shape) / 4
    return network


def calibrated(network: Network) -> Network:
    """The same, with units for its activations."""
    random = torch.Generator().manual_seed(1)
    calibrate(
        network, 255 * torch.rand(4, 3, 128, 128, generator=random), torch.linspace(FINEST, COARSEST, 4) / STEP_UNIT
    )
    return network


def tiny_model(config: Config = CONFIG, seed: int = 0) -> Model:
    """The same, ready to code, with the tables of logistic distributions."""
    network = tiny_network(config, seed)
    for name, value in network.state_dict().items():
        if not name.startswith("entropy."):
            value.copy_(value.half())  # as weights files hold it
    calibrated(network)
    transform = Transform(config)
    transform.load_state_dict({k: v for k, v in network.state_dict().items() if not k.startswith("entropy.")})
    card = Card("tiny", "tiny", "weconvene", "ab" * 32, 99, {}, Path())
    return make_model(card, transform, integers_of(network.entropy, config), logistic_tables())


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


def assert_same_integers(found: ContextModel, expected: ContextModel) -> None:
    """Both compute the same; a channel may have twice the weights and one bit more to shift them by."""
    assert torch.equal(found.base, expected.base)
    for (name, layer), other in zip(found.named_modules(), expected.modules(), strict=True):
        if isinstance(layer, ExactConv2d):
            assert isinstance(other, ExactConv2d)
            assert torch.equal(layer.exponents, other.exponents), name
            for a, b in ((layer.weight.flatten(1), other.weight.flatten(1)), (layer.bias, other.bias)):
                units = [2.0 ** -x.shift.double() for x in (layer, other)]
                scaled = [
                    (x.double().movedim(0, -1) * unit).movedim(-1, 0) for x, unit in zip((a, b), units, strict=True)
                ]
                assert torch.equal(*scaled), name


def levels_asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The levels whose context networks are used from now on, one entry for each use."""
    asked: list[int] = []
    plain = ContextModel.level

    def counting(self: ContextModel, number: int) -> LevelContext:
        asked.append(number)
        return plain(self, number)

    monkeypatch.setattr(ContextModel, "level", counting)
    return asked
