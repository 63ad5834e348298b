"""From trained weights of `weconvene` to what is shipped: integers, and tables fitted to what is really coded."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wavelic.codec.weights import Card, save_weights
from wavelic.entropy.distributions import factorized_tables
from wavelic.entropy.tables import TableSet
from wavelic.errors import UsageError
from wavelic.training.data import PackedImages
from wavelic.training.export import Export, latest
from wavelic.weconvene.config import CONFIGS, FAMILIES
from wavelic.weconvene.context import code_levels
from wavelic.weconvene.layout import LEVELS
from wavelic.weconvene.network import Network, Transform
from wavelic.weconvene.planes import analyse
from wavelic.weconvene.rdoq import RDOQ_LAMBDA, quantise
from wavelic.weconvene.subbands import pack
from wavelic.weconvene.training import calibrate
from wavelic.weconvene.units import COARSEST, FINEST, LOG2_LOWEST, PER_OCTAVE, SCALES, STEP_UNIT, VALUE
from wavelic.weconvene.weights import Model, integers_of, make_model

_LARGEST = 4096  # residual that a histogram counts
_TAIL = 2.0**-17
#: Side of the crops that tables are fitted to, and the steps these are coded at.
FIT_SIDES = (512, 256)
FIT_STEPS = tuple(range(FINEST, COARSEST + 1, 8))
#: Crops that the units of activations are chosen from, where training did not.
CALIBRATION_CROPS = 16
#: Symbols the logistic distribution counts for beside the histogram.
PRIOR_COUNT = 400.0


def logistic_tables(counts: NDArray[np.float64] | None = None) -> TableSet:
    """One table for each scale: a discretised logistic distribution, mixed with a histogram where there is one.

    counts: (SCALES, 2 * _LARGEST + 1), how often each residual -_LARGEST.._LARGEST was coded with each scale.
    """
    weights, offsets, escapes = [], [], []
    for number in range(SCALES):
        scale = 2.0 ** (LOG2_LOWEST + number / PER_OCTAVE)
        radius = max(1, min(_LARGEST, math.ceil(-scale * math.log(_TAIL))))
        edges = (np.arange(-radius, radius + 2) - 0.5) / scale
        mass = np.diff(0.5 * (1 + np.tanh(edges / 2)))
        weight, escape = PRIOR_COUNT * mass, PRIOR_COUNT * max(1 - float(mass.sum()), _TAIL)
        if counts is not None:
            seen = counts[number]
            weight = weight + seen[_LARGEST - radius : _LARGEST + radius + 1]
            escape += float(seen.sum() - seen[_LARGEST - radius : _LARGEST + radius + 1].sum())
        weight = 0.5 * (weight + weight[::-1])  # the sign is not known before it is coded
        weights.append(weight)
        offsets.append(-radius)
        escapes.append(escape)
    return factorized_tables(weights, offsets, escape_weights=escapes)


def fitted(
    network: Network, images: Sequence[NDArray[np.uint8]], steps: Sequence[int], rdoq_lambda: float = RDOQ_LAMBDA
) -> Model:
    """A model ready to code, its tables fitted to training images (H, W, 3), each coded at one of ``steps`` in turn."""
    card = Card("", "", "", "00" * 32, 0, {}, Path())
    transform = Transform(network.config)
    transform.load_state_dict({k: v for k, v in network.state_dict().items() if not k.startswith("entropy.")})
    entropy = integers_of(network.entropy, network.config)
    model = make_model(card, transform, entropy, logistic_tables())
    for _ in range(2):  # the second time with costs near the final ones
        counts = np.zeros((SCALES, 2 * _LARGEST + 1))
        for number, image in enumerate(images):
            _count(model, image, steps[number % len(steps)], rdoq_lambda, counts)
        model = make_model(card, transform, entropy, logistic_tables(counts))
    return model


def export_weights(
    final: Path,
    folder: Path,
    images: Path,
    every: int = 4,
    progress: Callable[[int, int, str], None] | None = None,
    name: str = "",
) -> Card:
    """Write weights and card of a finished stage; every ``every``-th of the training images fits the tables.

    The product is called as its architecture and is the family of what it was trained for (`codec.FAMILIES`); with a
    ``name`` it is of a study.

    The averaged weights of the transform are rounded to float16 first, as they will ship.
    """
    state = torch.load(final, map_location="cpu", weights_only=True)
    about = json.loads(state["about"])
    network = Network(CONFIGS[about["model"]])
    own = {key.removeprefix("network."): value for key, value in state["objective"].items()}
    network.load_state_dict({k: v if k.startswith("entropy.") else v.half().float() for k, v in own.items()})
    network.eval()
    crops = _crops(images, final.parent / "cache")[::every]
    if progress:
        progress(0, 1, about["model"])
    if not about["stage"].get("quantised"):
        few = torch.from_numpy(crops[:CALIBRATION_CROPS]).permute(0, 3, 1, 2).float()
        calibrate(network, few, torch.linspace(FINEST, COARSEST, len(few)) / STEP_UNIT)
    model = fitted(network, list(crops), FIT_STEPS)
    about["calibration"] = {"images": len(crops), "side": crops.shape[1], "steps": list(FIT_STEPS)}
    about["calibration"]["rdoq_lambda"] = RDOQ_LAMBDA
    if progress:
        progress(1, 1, "done")
    product = FAMILIES["msssim" if about["stage"].get("metric") == "ms-ssim" else "psnr"]
    family = "weconvene-study" if name else product
    name = name or about["model"].replace("weconvene", product, 1)
    return save_weights(folder, name, about["model"], family, 0, model.tensors(), about)


def _crops(images: Path, cache: Path) -> NDArray[np.uint8]:
    """Central crops of training images, of the largest side of FIT_SIDES that any of them has."""
    for side in FIT_SIDES[:-1]:
        with suppress(UsageError):
            return PackedImages.from_folder(images, cache, side).centre_crops(side)
    return PackedImages.from_folder(images, cache, FIT_SIDES[-1]).centre_crops(FIT_SIDES[-1])


def export_stages(finals: Sequence[Path], export: Export) -> list[Card]:
    """Write the stage that was finished last: one set of weights serves all rates.

    Args:
        finals: the ``final.pt`` of the stages.
        export: where to and what with.
    """
    return [export_weights(latest(finals), export.folder, export.images, export.every, export.progress)]


@torch.inference_mode()
def _count(model: Model, image: NDArray[np.uint8], step: int, rdoq_lambda: float, counts: NDArray[np.float64]) -> None:
    """Code an image whose sides are multiples of 128 and add its residuals to the histograms."""
    planes = analyse(model, image, step)
    packed = [pack(d[None]) for d in planes.details]
    costs = torch.from_numpy(model.costs)

    def coder(level: int, index: int, mean: Tensor, table: Tensor) -> Tensor:
        target = packed[level - 1][:, list(model.entropy.slices[index].channels)]
        residual = quantise(target - mean.to(torch.float32) / VALUE, table, costs, rdoq_lambda)
        column = residual.clamp(-_LARGEST, _LARGEST).numpy().ravel() + _LARGEST
        np.add.at(counts, (table.numpy().ravel(), column), 1.0)
        return residual.mul_(VALUE).add_(mean)

    low = planes.low.round().to(torch.int32)
    code_levels(model.entropy, low[None], torch.full((1,), step / STEP_UNIT), LEVELS, coder)
