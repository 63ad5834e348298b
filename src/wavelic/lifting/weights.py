"""Trained learned-lifting transforms as files: a safetensors file and a JSON card, as for every codec.

The weights are stored in half precision, which rounds them once, before anything is coded with them: encoder and
decoder load the same numbers.  What a file means beyond the numbers is stored, and hashed, with them: at which levels
which learned steps are done, and how finely the decoder asks for samples of the pseudo-image.
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
from wavelic.lifting.transform.proposal_opacity_fast import half_is_fast
from wavelic.lifting.transform.steps import EVERYWHERE, LUMA_ONLY, LearnedSteps
from wavelic.lifting.transform.transform import LiftingTransform, build_lifting

_NETWORK = "network."
# Arrays beside the network.  Weights from before the second and the third say by the first, 0 or 1, whether chroma has
# its learned steps nowhere, and decode from samples of the stock decoder's own bits.
_LUMA_ONLY, _STEPS, _FINER_BITS = "luma_only", "steps", "finer_bits"

#: What new weights are saved with.
FINER_BITS = 8


def save_lifting(
    path: Path,
    transform_name: str,
    state: Mapping[str, Tensor],
    about: Mapping[str, Any],
    *,
    luma_only: bool = False,
    steps: LearnedSteps = EVERYWHERE,
    finer_bits: int = FINER_BITS,
    family: str = FAMILY,
) -> Card:
    """Write ``<path>.safetensors`` and ``<path>.json``; a suffix of ``path`` is ignored.

    transform_name: as in `build_lifting`.  state: the transform's ``state_dict()``.  about: what the card says of the
    training.  luma_only, steps, finer_bits: as in `LiftingTransform`.  Raises ModelError if state and transform
    do not fit.
    """
    steps = LUMA_ONLY if luma_only else steps
    _load_state(build_lifting(transform_name), state, str(path))
    tensors: dict[str, Any] = {_NETWORK + key: value.detach().cpu().half().numpy() for key, value in state.items()}
    tensors[_LUMA_ONLY] = np.array([steps == LUMA_ONLY], np.uint8)
    if steps not in (EVERYWHERE, LUMA_ONLY):
        tensors[_STEPS] = np.array(steps.pack(), np.uint8)
    if finer_bits:
        tensors[_FINER_BITS] = np.array([finer_bits], np.uint8)
    name = path.name.removesuffix(".safetensors").removesuffix(".json")
    return save_weights(path.parent, name, transform_name, family, 0, tensors, dict(about))


def load_lifting(name_or_id: str | bytes) -> LiftingTransform:
    """The trained transform of that name, or the one whose content hash begins with these bytes.

    In evaluation mode, float32, without gradients; the four last used stay in memory.  Raises ModelError if there is
    none, or if its file is damaged.
    """
    return load_lifting_card(find_lifting(name_or_id))


@lru_cache(maxsize=4)
def load_lifting_card(card: Card, device: str = "cpu") -> LiftingTransform:
    """The trained transform of ``card``, as `load_lifting`, on a torch device."""
    arrays = dict(load_weights(card))
    luma_only = bool(arrays.pop(_LUMA_ONLY, np.zeros(1))[0])
    packed = arrays.pop(_STEPS, np.array((LUMA_ONLY if luma_only else EVERYWHERE).pack()))
    finer_bits = int(arrays.pop(_FINER_BITS, [0])[0])
    transform = build_lifting(
        card.architecture, steps=LearnedSteps.unpack(tuple(packed.tolist())), finer_bits=finer_bits
    )
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
