"""From trained weights of `weconvene-s` to what is shipped: integers, and tables fitted to what is really coded."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wavelic.codec.weights import Card, save_weights
from wavelic.entropy.distributions import factorized_tables
from wavelic.entropy.tables import TableSet
from wavelic.training.data import PackedImages
from wavelic.training.export import Export, latest
from wavelic.weconvene.configs import SMALL_PLANS
from wavelic.weconvene.context import LOG2_LOWEST, PER_OCTAVE, SCALES
from wavelic.weconvene.context_integer import VALUE, IntegerContextModel
from wavelic.weconvene.files import COARSEST, FINEST
from wavelic.weconvene.network import WeConveneSmall
from wavelic.weconvene.planes import analyse
from wavelic.weconvene.subbands import MULTIPLE, pack
from wavelic.weconvene.tiles import RATE_WEIGHT, quantise
from wavelic.weconvene.weights import DeployedSmall, deploy

_REACH = 4096  # largest residual that a histogram counts
_TAIL = 2.0**-17
#: Side of the crops that tables are fitted to, and the steps these are coded at.
FIT_SIDE = 256
FIT_STEPS = tuple(range(FINEST, COARSEST + 1, 8))
#: Symbols the logistic distribution counts for beside the histogram.
PRIOR_COUNT = 400.0


def logistic_tables(counts: NDArray[np.float64] | None = None) -> TableSet:
    """One table for each scale: a discretised logistic distribution, mixed with a histogram where there is one.

    counts: (SCALES, 2 * _REACH + 1), how often each residual -_REACH.._REACH was coded with each scale.
    """
    weights, offsets, escapes = [], [], []
    for number in range(SCALES):
        scale = 2.0 ** (LOG2_LOWEST + number / PER_OCTAVE)
        radius = max(1, min(_REACH, math.ceil(-scale * math.log(_TAIL))))
        edges = (np.arange(-radius, radius + 2) - 0.5) / scale
        mass = np.diff(0.5 * (1 + np.tanh(edges / 2)))
        weight, escape = PRIOR_COUNT * mass, PRIOR_COUNT * max(1 - float(mass.sum()), _TAIL)
        if counts is not None:
            seen = counts[number]
            weight = weight + seen[_REACH - radius : _REACH + radius + 1]
            escape += float(seen.sum() - seen[_REACH - radius : _REACH + radius + 1].sum())
        weight = 0.5 * (weight + weight[::-1])  # the sign is not known before it is coded
        weights.append(weight)
        offsets.append(-radius)
        escapes.append(escape)
    return factorized_tables(weights, offsets, escape_weights=escapes)


def fitted(
    network: WeConveneSmall, images: Sequence[NDArray[np.uint8]], steps: Sequence[int], rate_weight: float = RATE_WEIGHT
) -> DeployedSmall:
    """A model ready to code, its tables fitted to training images (H, W, 3), each coded at one of ``steps`` in turn."""
    card = Card("", "", "", "00" * 32, 0, {}, Path())
    entropy = IntegerContextModel(network.entropy)
    model = deploy(card, network, entropy, logistic_tables())
    for _ in range(2):  # the second time with costs near the final ones
        counts = np.zeros((SCALES, 2 * _REACH + 1))
        for number, image in enumerate(images):
            _count(model, image, steps[number % len(steps)], rate_weight, counts)
        model = deploy(card, network, entropy, logistic_tables(counts))
    return model


def export_small(
    final: Path,
    folder: Path,
    images: Path,
    every: int = 4,
    progress: Callable[[int, int, str], None] | None = None,
    name: str = "",
) -> Card:
    """Write weights and card of a finished stage; every ``every``-th of the training images fits the tables.

    The product is called as its architecture and is the family `weconvene`; with a ``name`` it is of a study.

    The averaged weights of the transform are rounded to float16 first, as they will ship.
    """
    state = torch.load(final, map_location="cpu", weights_only=True)
    about = json.loads(state["about"])
    network = WeConveneSmall(SMALL_PLANS[about["model"]])
    own = {key.removeprefix("model."): value for key, value in state["objective"].items()}
    network.load_state_dict({k: v if k.startswith("entropy.") else v.half().float() for k, v in own.items()})
    crops = PackedImages.from_folder(images, final.parent / "cache", FIT_SIDE).centre_crops(FIT_SIDE)[::every]
    if progress:
        progress(0, 1, about["model"])
    model = fitted(network.eval(), list(crops), FIT_STEPS)
    about["calibration"] = {"images": len(crops), "side": FIT_SIDE, "steps": list(FIT_STEPS)}
    about["calibration"]["rate_weight"] = RATE_WEIGHT
    if progress:
        progress(1, 1, "done")
    family = "weconvene-study" if name else "weconvene"
    return save_weights(folder, name or about["model"], about["model"], family, 0, model.tensors(), about)


def export_stages(finals: Sequence[Path], export: Export) -> list[Card]:
    """Write the stage that was finished last: one set of weights serves all rates.

    Args:
        finals: the ``final.pt`` of the stages.
        export: where to and what with.
    """
    return [export_small(latest(finals), export.folder, export.images, export.every, export.progress)]


def _count(
    model: DeployedSmall, image: NDArray[np.uint8], step: int, weight: float, counts: NDArray[np.float64]
) -> None:
    """Code an image whose sides are multiples of 128 and add its residuals to the histograms."""
    assert image.shape[0] % MULTIPLE == image.shape[1] % MULTIPLE == 0
    planes = analyse(model, image, step)
    packed = [pack(d[None]) for d in planes.details]
    costs = torch.from_numpy(model.costs)

    def coder(level: int, index: int, mean: Tensor, table: Tensor) -> Tensor:
        target = packed[level - 1][:, list(model.entropy.passes[index].channels)]
        residual = quantise(target - mean.to(torch.float32) / VALUE, table, costs, weight)
        column = residual.clamp(-_REACH, _REACH).numpy().ravel() + _REACH
        np.add.at(counts, (table.numpy().ravel(), column), 1.0)
        return residual

    low = planes.low.round().to(torch.int32)
    model.entropy.code_subbands(low[None], step, coder)
