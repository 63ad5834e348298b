"""Trained lifting transforms as files: a safetensors file and a JSON card, as for every codec.

The weights are stored in half precision, which rounds them once, before anything is coded with them: encoder and
decoder load the same numbers.  Stored and hashed with them is what else they mean: which learned steps are done at
which levels, and how many extra bits of precision the decoder asks for.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wavelic.codec.weights import Card, load_weights, save_weights
from wavelic.errors import ModelError
from wavelic.lifting.cards import FAMILY, find_lifting
from wavelic.lifting.jp2.stored_image import EXTRA_BITS
from wavelic.lifting.structures import build_lifting
from wavelic.lifting.transform.proposal_opacity_fast import half_is_fast
from wavelic.lifting.transform.steps import EVERYWHERE, LearnedSteps
from wavelic.lifting.transform.transform import LiftingTransform

_NETWORK = "network."
# Arrays beside the network.  The shipped weights hold a third, a zero by this name, which is a part of their hash.
_STEPS, _EXTRA_BITS, _UNUSED = "steps", "finer_bits", "luma_only"


def save_lifting(
    path: Path,
    structure: str,
    state: Mapping[str, Tensor],
    about: Mapping[str, Any],
    *,
    steps: LearnedSteps = EVERYWHERE,
    family: str = FAMILY,
) -> Card:
    """Write the weights of a transform and their card.

    Args:
        path: of ``<path>.safetensors`` and ``<path>.json``; these suffixes are ignored.
        structure: its name, as in `build_lifting`.
        state: the transform's ``state_dict()``.
        about: what the card says of the training.
        steps: which learned steps are done at which levels.
        family: of the card.

    Raises:
        ModelError: state and structure do not fit.
    """
    _load_state(build_lifting(structure), state, str(path))
    tensors: dict[str, Any] = {_NETWORK + key: value.detach().cpu().half().numpy() for key, value in state.items()}
    tensors[_STEPS] = np.array(steps.pack(), np.uint8)
    tensors[_EXTRA_BITS] = np.array([EXTRA_BITS], np.uint8)
    name = path.name.removesuffix(".safetensors").removesuffix(".json")
    return save_weights(path.parent, name, structure, family, 0, tensors, dict(about))


def load_lifting(name_or_id: str | bytes) -> LiftingTransform:
    """Load a trained transform: in evaluation mode, float32, without gradients; the four last used stay in memory.

    Args:
        name_or_id: as for `find_lifting`.

    Raises:
        ModelError: there is none, or its file is damaged.
    """
    return load_lifting_card(find_lifting(name_or_id))


@lru_cache(maxsize=4)
def load_lifting_card(card: Card, device: str = "cpu") -> LiftingTransform:
    """Load the trained transform of a card, as `load_lifting`.

    Args:
        card: of lifting weights.
        device: torch device to run on.

    Raises:
        ModelError: its file is damaged, of another version of wavelic, or of a structure that is not known.
    """
    arrays = dict(load_weights(card))
    steps, extra_bits = arrays.pop(_STEPS, None), arrays.pop(_EXTRA_BITS, None)
    if steps is None or extra_bits is None or int(extra_bits[0]) != EXTRA_BITS or any(arrays.pop(_UNUSED, [0])):
        raise ModelError(
            f"{card.path.name} does not say learned steps and {EXTRA_BITS} extra bits; it was written by a wavelic"
            " before 0.1.0: export it again"
        )
    transform = build_lifting(card.architecture, steps=LearnedSteps.unpack(tuple(steps.tolist())))
    state = {key.removeprefix(_NETWORK): torch.from_numpy(value).float() for key, value in arrays.items()}
    _load_state(transform, state, card.path.name)
    transform.to(device).eval().requires_grad_(False)
    if device == "cpu":
        transform.deploy(torch.bfloat16 if half_is_fast() else torch.float32)
    return transform


def _load_state(transform: LiftingTransform, state: Mapping[str, Tensor], name: str) -> None:
    try:
        transform.load_state_dict(dict(state))
    except RuntimeError as error:
        cause = " ".join(str(error).split())[:200]
        raise ModelError(f"{name} does not fit its transform ({cause}); export it again") from error
