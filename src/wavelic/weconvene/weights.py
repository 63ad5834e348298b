"""Trained weights of `weconvene`: float transform, context model in integers, and tables of its symbols."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wavelic.codec.weights import Card, Tensors, architecture_of, load_weights, misfit, tensors_under
from wavelic.entropy.tables import TableSet
from wavelic.errors import UsageError
from wavelic.nn.exact import ExactConv2d, QuantConv2d
from wavelic.nn.precision import has_bfloat16
from wavelic.weconvene.config import CONFIGS, Config
from wavelic.weconvene.context import ContextModel
from wavelic.weconvene.layout import slices_of
from wavelic.weconvene.network import Network, Transform
from wavelic.weconvene.units import SCALE_UNIT, SCALES

_TRANSFORM, _ENTROPY, _TABLES = "transform.", "entropy.", "tables."


@dataclass(frozen=True, eq=False)
class Model:
    """Everything that coding needs.

    Attributes:
        card: which weights these are.
        transform: analysis and synthesis, float32.
        fast: the same with f and g in bfloat16 where the processor has instructions for it, else ``transform``.
        entropy: context model in integers.
        tables: SCALES tables of residuals in steps, by rising scale.
        costs: float32 (SCALES, 2 * R + 1): bits of the residuals -R..R by each table; only encoders look at them.
    """

    card: Card
    transform: Transform
    fast: Transform
    entropy: ContextModel
    tables: TableSet
    costs: NDArray[np.float32]

    @property
    def device(self) -> torch.device:
        """Of all networks."""
        return self.entropy.base.device

    def tensors(self) -> Tensors:
        """Everything as arrays for `save_weights`; the transform in float16."""
        network = {_TRANSFORM + key: value.half().numpy() for key, value in self.transform.state_dict().items()}
        entropy = {_ENTROPY + key: value.numpy() for key, value in self.entropy.state_dict().items()}
        tables = {_TABLES + key: value for key, value in self.tables.to_arrays().items()}
        return {**network, **entropy, **tables}


def make_model(card: Card, transform: Transform, entropy: ContextModel, tables: TableSet) -> Model:
    """Put the parts together, ready to run.  Raises UsageError for another number of tables."""
    if len(tables) != SCALES:
        raise UsageError(f"{len(tables)} tables, expected {SCALES}; calibrate them again")
    transform = transform.to(memory_format=torch.channels_last).eval().requires_grad_(False)  # type: ignore[call-overload]
    fast = transform
    if has_bfloat16(entropy.base.device):
        fast = deepcopy(transform)
        for net in (fast.f, fast.g):
            for layers in (net.enter, net.blocks, net.leave):
                layers.to(torch.bfloat16)
    return Model(card, transform, fast, entropy.eval(), tables, residual_costs(tables))


def integers_of(entropy: ContextModel, config: Config) -> ContextModel:
    """The context model in integers that a trained one stands for."""
    result = ContextModel(config.contexts, slices_of(config), ExactConv2d)
    for trained, layer in zip(entropy.modules(), result.modules(), strict=True):
        if isinstance(trained, QuantConv2d):
            layer.load_state_dict(ExactConv2d.from_float(trained).state_dict())
    result.base.copy_((entropy.base.detach().double() * SCALE_UNIT).round())
    return result


def float_network(model: Model) -> Network:
    """The network in floats that weights stand for, to the precision of the weights: to train on or to search with."""
    network = Network(model.transform.config)
    for layer, stored in zip(network.entropy.modules(), model.entropy.modules(), strict=True):
        if isinstance(stored, ExactConv2d) and isinstance(layer, QuantConv2d):
            stored.to_float(layer)
    with torch.no_grad():
        network.entropy.base.copy_(model.entropy.base.double() / SCALE_UNIT)
    network.load_state_dict(model.transform.state_dict(), strict=False)
    return network.to(model.device)


def float_state(card: Card) -> dict[str, Tensor]:
    """State of the `Network` that installed weights stand for."""
    return float_network(load_model(card)).state_dict()


def config_of(card: Card) -> Config:
    """Return the sizes of the network these weights are for.  Raises ModelError if this wavelic does not have it."""
    return architecture_of(card, CONFIGS)


def load_model(card: Card, device: str = "cpu") -> Model:
    """Load and verify the weights of ``card``, once.  Raises ModelError if they are damaged or do not fit."""
    return _load_model(card, device)


@lru_cache(maxsize=4)
def _load_model(card: Card, device: str) -> Model:
    arrays = dict(load_weights(card))
    config = config_of(card)
    try:
        with torch.device("meta"):  # nothing is initialised that the file then replaces
            transform, entropy = Transform(config), ContextModel(config.contexts, slices_of(config), ExactConv2d)
        transform.load_state_dict({k: v.float() for k, v in _tensors(arrays, _TRANSFORM).items()}, assign=True)
        entropy.load_state_dict(_tensors(arrays, _ENTROPY), assign=True)
        tables = TableSet.from_arrays(tensors_under(arrays, _TABLES))
        return make_model(card, transform.to(device), entropy.to(device), tables)
    except (RuntimeError, UsageError) as error:
        raise misfit(card, error) from error


def _tensors(arrays: dict[str, NDArray[Any]], prefix: str) -> dict[str, Tensor]:
    return {key: torch.from_numpy(np.array(value)) for key, value in tensors_under(arrays, prefix).items()}


def residual_costs(tables: TableSet, largest: int = 255) -> NDArray[np.float32]:
    """Bits of the residuals -largest..largest by each table; beyond a table's range, of its escape and 8 bits more."""
    costs = np.empty((len(tables), 2 * largest + 1), np.float32)
    for number in range(len(tables)):
        offset, count = tables.bounds[number]
        bits = tables.precision - np.log2(tables.table(number).astype(np.float64))
        costs[number] = bits[-1] + 8
        first, last = max(offset, -largest), min(offset + count - 1, largest)
        costs[number, first + largest : last + largest + 1] = bits[first - offset : last - offset + 1]
    return costs
