"""`weconvene-s` with everything its files need: float transform, integer entropy model and its tables."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from wavelic.codec.weights import Card, Tensors, load_weights
from wavelic.entropy.tables import TableSet
from wavelic.errors import ModelError, UsageError
from wavelic.weconvene.configs import SMALL_PLANS
from wavelic.weconvene.context import SCALES
from wavelic.weconvene.context_integer import IntegerContextModel
from wavelic.weconvene.network import SmallPlan, WeConveneSmall

_NETWORK, _ENTROPY, _TABLES = "network.", "entropy.", "tables."


@dataclass(frozen=True, eq=False)
class DeployedSmall:
    """Ready to code images.

    Attributes:
        card: which weights these are.
        network: f, g and the steps of the bands, float32.  Its own float entropy model is not used.
        entropy: the same networks in integers.
        tables: SCALES tables of residuals in steps, by rising scale.
        costs: float32 (SCALES, 2 * R + 1): bits of the residuals -R..R by each table; only encoders look at them.
    """

    card: Card
    network: WeConveneSmall
    entropy: IntegerContextModel
    tables: TableSet
    costs: NDArray[np.float32]

    @property
    def device(self) -> torch.device:
        return self.entropy.base.device

    def tensors(self) -> Tensors:
        """Everything as arrays for `save_weights`; the transform in float16."""
        state = {k: v for k, v in self.network.state_dict().items() if not k.startswith("entropy.")}
        network = {_NETWORK + key: value.half().numpy() for key, value in state.items()}
        entropy = {_ENTROPY + key: value for key, value in self.entropy.arrays().items()}
        tables = {_TABLES + key: value for key, value in self.tables.to_arrays().items()}
        return {**network, **entropy, **tables}


def deploy(card: Card, network: WeConveneSmall, entropy: IntegerContextModel, tables: TableSet) -> DeployedSmall:
    """Put the parts together, ready to run."""
    if len(tables) != SCALES:
        raise UsageError(f"{len(tables)} tables, expected {SCALES}; calibrate them again")
    network = network.to(memory_format=torch.channels_last).eval().requires_grad_(False)  # type: ignore[call-overload]
    return DeployedSmall(card, network, entropy.eval(), tables, residual_costs(tables))


def plan_of(card: Card) -> SmallPlan:
    """Return the sizes of the network these weights are for.  Raises ModelError if this wavelic does not have it."""
    if card.architecture not in SMALL_PLANS:
        raise ModelError(
            f"{card.path.name} is of architecture {card.architecture!r}, which this wavelic lacks; upgrade"
        )
    return SMALL_PLANS[card.architecture]


def load_small(card: Card, device: str = "cpu") -> DeployedSmall:
    """Load and verify the weights of ``card``, once.  Raises ModelError if they are damaged or do not fit."""
    return _load_small(card, device)


@lru_cache(maxsize=4)
def _load_small(card: Card, device: str) -> DeployedSmall:
    arrays = dict(load_weights(card))
    network = WeConveneSmall(plan_of(card))
    try:
        entropy = IntegerContextModel(network.entropy)
        entropy.load_arrays(_part(arrays, _ENTROPY))
        tables = TableSet.from_arrays(_part(arrays, _TABLES))
        state = {key: torch.from_numpy(np.array(value)).float() for key, value in _part(arrays, _NETWORK).items()}
        missing, unexpected = network.load_state_dict(state, strict=False)
        if unexpected or any(not name.startswith("entropy.") for name in missing):
            raise ModelError(f"{card.path.name} does not fit {card.architecture}; install wavelic again")
        network.to(device)
        entropy.to(device)
        return deploy(card, network, entropy, tables)
    except (RuntimeError, UsageError) as error:
        cause = " ".join(str(error).split())[:200]
        raise ModelError(
            f"{card.path.name} does not fit {card.architecture} ({cause}); install wavelic again"
        ) from error


def _part(arrays: dict[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]]:
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}


def residual_costs(tables: TableSet, reach: int = 255) -> NDArray[np.float32]:
    """Bits of the residuals -reach..reach by each table; beyond a table's range, that of its escape and 8 bits."""
    costs = np.empty((len(tables), 2 * reach + 1), np.float32)
    for number in range(len(tables)):
        offset, count = tables.bounds[number]
        bits = tables.precision - np.log2(tables.table(number).astype(np.float64))
        costs[number] = bits[-1] + 8
        first, last = max(offset, -reach), min(offset + count - 1, reach)
        costs[number, first + reach : last + reach + 1] = bits[first - offset : last - offset + 1]
    return costs
