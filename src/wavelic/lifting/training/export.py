"""From a finished lifting run to shipped weights: the last finished stage, rounded to float16."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from wavelic.codec.weights import Card
from wavelic.errors import UsageError
from wavelic.lifting.cards import FAMILY, LUMA, PRODUCT
from wavelic.lifting.training.task import transform_of
from wavelic.lifting.transform.steps import LUMA_STEPS, PRODUCT_STEPS, LearnedSteps
from wavelic.lifting.weights import save_lifting
from wavelic.training.export import Export, about_run, latest


def export_lifting(
    path: Path, folder: Path, name: str, *, steps: LearnedSteps = PRODUCT_STEPS, family: str = FAMILY
) -> Card:
    """Write the transform of one ``final.pt`` (or ``best.pt``) as ``folder/name``.

    steps: which learned steps luma and chroma have at which levels; recipes train on luma and all of them.
    Raises UsageError if the file is of another family.
    """
    about = about_run(path)
    if about.get("family") != FAMILY:
        raise UsageError(f"{path.name} is of family {about.get('family')}, expected {FAMILY}; give another run")
    state = torch.load(path, map_location="cpu", weights_only=True)["objective"]
    transform = transform_of(about["model"], state)
    weights = transform.state_dict()
    return save_lifting(folder / name, about["model"], weights, about, steps=steps, family=family)


def export_stages(finals: Sequence[Path], export: Export) -> list[Card]:
    """Write the stage that was finished last, which needs no calibration, with and without steps of chroma.

    Args:
        finals: the ``final.pt`` of the stages.
        export: where to.
    """
    final = latest(finals)
    return [
        export_lifting(final, export.folder, PRODUCT),
        export_lifting(final, export.folder, LUMA, steps=LUMA_STEPS),
    ]
