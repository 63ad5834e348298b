"""Trained weights of `3dm`: float transforms, entropy networks in integers, and tables of its symbols."""

from __future__ import annotations

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
from wavelic.threedm.config import CODED, Config
from wavelic.threedm.entropy import SCALE_UNIT, SCALES, EntropyModel
from wavelic.threedm.network import CodecNetwork
from wavelic.threedm.transform import Transform

_TRANSFORM, _ENTROPY, _TABLES, _HYPER_TABLES, _MEDIANS = "transform.", "entropy.", "tables.", "hyper_tables.", "medians"


@dataclass(frozen=True, eq=False)
class Model:
    """Everything that coding needs.

    Attributes:
        card: which weights these are.
        transform: g_a, g_s and h_a, float32, channels-last, in evaluation mode.
        entropy: h_s and slice nets in integers.
        medians: float32 (1, hyper, 1, 1), about which z is rounded; only encoders look at them.
        hyper_tables: of the symbols of z, one for each channel.
        tables: SCALES tables of residuals, by rising scale.
    """

    card: Card
    transform: Transform
    entropy: EntropyModel
    medians: Tensor
    hyper_tables: TableSet
    tables: TableSet

    @property
    def device(self) -> torch.device:
        """Of all networks."""
        return self.entropy.base.device

    @property
    def config(self) -> Config:
        """Sizes of the networks."""
        return self.transform.config

    def tensors(self) -> Tensors:
        """Return everything as arrays for `save_weights`; the transforms in float16."""
        network = {_TRANSFORM + key: value.half().numpy() for key, value in self.transform.state_dict().items()}
        entropy = {_ENTROPY + key: value.numpy() for key, value in self.entropy.state_dict().items()}
        tables = {_TABLES + key: value for key, value in self.tables.to_arrays().items()}
        hyper = {_HYPER_TABLES + key: value for key, value in self.hyper_tables.to_arrays().items()}
        return {**network, **entropy, **tables, **hyper, _MEDIANS: self.medians.numpy()}


def make_model(
    card: Card, transform: Transform, entropy: EntropyModel, medians: Tensor, hyper_tables: TableSet, tables: TableSet
) -> Model:
    """Put the parts together, ready to run; arguments as the attributes of `Model`.

    Raises:
        UsageError: another number of tables.
    """
    if len(tables) != SCALES or len(hyper_tables) != transform.config.hyper:
        raise UsageError(
            f"{len(tables)} tables and {len(hyper_tables)} of z; expected {SCALES} and {transform.config.hyper}:"
            " export the weights again"
        )
    transform = transform.to(memory_format=torch.channels_last).eval().requires_grad_(False)  # type: ignore[call-overload]
    return Model(card, transform, entropy.eval(), medians, hyper_tables, tables)


def transform_of(network: CodecNetwork) -> Transform:
    """Return the transforms of a trained network, alone."""
    transform = Transform(network.config)
    wanted = transform.state_dict()
    transform.load_state_dict({key: value for key, value in network.state_dict().items() if key in wanted})
    return transform


def config_of(card: Card) -> Config:
    """Return the sizes of the network that weights are for.

    Raises:
        ModelError: this wavelic does not have it.
    """
    return architecture_of(card, CODED)


def load_model(card: Card, device: str = "cpu") -> Model:
    """Load and verify weights, once.

    Raises:
        ModelError: they are damaged or do not fit.
    """
    return _load_model(card, device)


@lru_cache(maxsize=4)
def _load_model(card: Card, device: str) -> Model:
    arrays = dict(load_weights(card))
    config = config_of(card)
    try:
        transform = Transform(config)
        transform.load_state_dict({k: v.float() for k, v in _tensors(arrays, _TRANSFORM).items()})
        with torch.device("meta"):  # nothing is initialised that the file then replaces
            entropy = EntropyModel(config, ExactConv2d)
        entropy.load_state_dict(_tensors(arrays, _ENTROPY), assign=True)
        tables = [TableSet.from_arrays(tensors_under(arrays, prefix)) for prefix in (_HYPER_TABLES, _TABLES)]
        medians = torch.from_numpy(np.array(arrays[_MEDIANS])).to(device)
        return make_model(card, transform.to(device), entropy.to(device), medians, *tables)
    except (RuntimeError, KeyError, UsageError) as error:
        raise misfit(card, error) from error


def float_state(card: Card) -> dict[str, Tensor]:
    """State of the `CodecNetwork` that installed weights stand for, to their precision: to train on.

    The density of z is not among the weights, only its tables: it starts anew.

    Raises:
        ModelError: the weights are damaged or do not fit.
    """
    model = load_model(card)
    network = CodecNetwork(config_of(card))
    for layer, stored in zip(network.entropy.modules(), model.entropy.modules(), strict=True):
        if isinstance(stored, ExactConv2d) and isinstance(layer, QuantConv2d):
            stored.to_float(layer)
    with torch.no_grad():
        network.entropy.base.copy_(model.entropy.base.double() / SCALE_UNIT)
        network.prior.quantiles[:, 1] = model.medians.flatten()
    network.load_state_dict(model.transform.state_dict(), strict=False)
    return network.state_dict()


def _tensors(arrays: dict[str, NDArray[Any]], prefix: str) -> dict[str, Tensor]:
    return {key: torch.from_numpy(np.array(value)) for key, value in tensors_under(arrays, prefix).items()}
