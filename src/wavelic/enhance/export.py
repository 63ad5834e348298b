"""From a finished run of `enhance` to shipped weights: the last finished stage, its corrections a little smaller."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from wavelic.codec.weights import Card, save_weights
from wavelic.enhance.catalogue import FAMILY, PRODUCT
from wavelic.enhance.config import OUTPUTS
from wavelic.errors import UsageError
from wavelic.training.export import Export, about_run, latest

_NETWORK = "network."
#: What corrections are multiplied by.  Where they are right this costs a four-hundredth of the gain; where they are
#: wrong, in pictures unlike those of training, it takes a tenth of the harm or more (docs/enhance.md).
SHRINKAGE = 0.95


def export_weights(path: Path, folder: Path, name: str = PRODUCT) -> Card:
    """Write the averaged network of one ``final.pt`` or ``best.pt``, with corrections times SHRINKAGE, in float16.

    Args:
        path: the file.
        folder: gets ``name``.safetensors and its card.
        name: of the weights.

    Raises:
        UsageError: the file is of another family.
    """
    about = about_run(path)
    if about.get("family") != FAMILY:
        raise UsageError(f"{path.name} is of family {about.get('family')}, expected {FAMILY}; give another run")
    state = torch.load(path, map_location="cpu", weights_only=True)["objective"]
    network = {key.removeprefix(_NETWORK): value.float() for key, value in state.items() if key.startswith(_NETWORK)}
    for key in ("leave.weight", "leave.bias"):
        network[key][:OUTPUTS] *= SHRINKAGE
    tensors = {key: value.half().numpy() for key, value in network.items()}
    return save_weights(folder, name, about["model"], FAMILY, 0, tensors, about)


def export_stages(finals: Sequence[Path], export: Export) -> list[Card]:
    """Write the stage that was finished last, which needs no calibration.

    Args:
        finals: the ``final.pt`` of the stages.
        export: where to.
    """
    return [export_weights(latest(finals), export.folder)]
