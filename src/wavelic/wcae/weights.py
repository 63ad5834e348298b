"""A trained autoencoder with everything its files need: network, code means, slice schedule and tables."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from wavelic.codec.weights import Card, Tensors, load_weights
from wavelic.entropy.tables import TableSet
from wavelic.errors import ModelError, UsageError
from wavelic.wcae.network import WaveletAutoencoder, build_autoencoder
from wavelic.wcae.schedule import SliceSchedule

_NETWORK = "network."
_TABLES = "tables."


@dataclass(frozen=True, eq=False)
class Model:
    """Ready to code images.

    Attributes:
        card: which weights these are.
        network: in evaluation mode, float32, channels-last.
        mean: float32 (C,), about which the latent is rounded.  Adding it back is part of the synthesis: it shifts
            pixels, never symbols.
        schedule, tables: the integer side.
    """

    card: Card
    network: WaveletAutoencoder
    mean: NDArray[np.float32]
    schedule: SliceSchedule
    tables: TableSet

    def tensors(self) -> Tensors:
        """Everything as arrays for `save_weights`; the network in float16, which costs no measurable quality."""
        network = {_NETWORK + key: value.half().numpy() for key, value in self.network.state_dict().items()}
        tables = {_TABLES + key: value for key, value in self.tables.to_arrays().items()}
        return {**network, "code.mean": self.mean, **self.schedule.to_arrays(), **tables}


@lru_cache(maxsize=12)
def load_model(card: Card, device: str = "cpu") -> Model:
    """Load and verify the weights of ``card``; the twelve last used stay in memory.

    Raises:
        ModelError: the file is damaged or does not fit its architecture.
    """
    arrays = dict(load_weights(card))
    network = build_autoencoder(card.architecture)
    state = {k.removeprefix(_NETWORK): torch.from_numpy(v).float() for k, v in arrays.items() if k.startswith(_NETWORK)}
    try:
        network.load_state_dict(state)
        mean = arrays["code.mean"].astype(np.float32)
        tables = TableSet.from_arrays({k.removeprefix(_TABLES): v for k, v in arrays.items() if k.startswith(_TABLES)})
    except (RuntimeError, KeyError, UsageError) as error:
        cause = " ".join(str(error).split())[:200]
        raise ModelError(f"{card.path.name} does not fit {card.architecture} ({cause}); export it again") from error
    network = network.to(device, memory_format=torch.channels_last).eval().requires_grad_(False)  # type: ignore[call-overload]
    return Model(card, network, mean, SliceSchedule.from_arrays(arrays), tables)
