"""From trained weights of `3dm` to what is shipped: integers, and tables fitted to what is really coded."""

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
from wavelic.errors import UsageError
from wavelic.threedm.config import CODED
from wavelic.threedm.entropy import (
    LOG2_LOWEST,
    MAX_VALUE,
    PER_OCTAVE,
    RATE_UNIT,
    RATES,
    SCALES,
    VALUE,
    integers_of,
)
from wavelic.threedm.network import CodecNetwork
from wavelic.threedm.plan import Slice
from wavelic.threedm.training import calibrate
from wavelic.threedm.weights import Model, make_model, transform_of
from wavelic.training.data import PackedImages
from wavelic.training.export import Export, latest

_LARGEST = 4096  # residual that a histogram counts
_TAIL = 2.0**-17
#: Symbols the trained distribution counts for beside a histogram: of residuals, and of one channel of z.
PRIOR_COUNT, HYPER_PRIOR_COUNT = 400.0, 50.0
#: Side of the crops that tables are fitted to, and the rates these are coded at.
FIT_SIDE = 256
FIT_RATES = tuple(range(-RATES, RATES + 1, 16))
#: Crops that the units of activations are chosen from, where training did not.
CALIBRATION_CROPS = 16
#: Networks that encode where they are installed, by rising size; others are twins for studies.
_RANKS = ("3dm", "3dm-m", "3dm-l")


def gaussian_tables(counts: NDArray[np.float64] | None = None) -> TableSet:
    """Make one table for each scale: a discretised Gaussian, mixed with a histogram where there is one.

    Args:
        counts: (SCALES, 2 * 4096 + 1), how often each residual -4096..4096 was coded with each scale.

    Returns:
        SCALES tables by rising scale.
    """
    weights, offsets, escapes = [], [], []
    for number in range(SCALES):
        scale = 2.0 ** (LOG2_LOWEST + number / PER_OCTAVE)
        radius = max(1, min(_LARGEST, math.ceil(scale * math.sqrt(-2 * math.log(_TAIL)))))
        edges = [0.5 * math.erfc(-(k - 0.5) / (scale * math.sqrt(2))) for k in range(-radius, radius + 2)]
        mass = np.diff(np.array(edges))
        weight, escape = PRIOR_COUNT * mass, PRIOR_COUNT * max(1 - float(mass.sum()), _TAIL)
        if counts is not None:
            seen = counts[number]
            weight = weight + seen[_LARGEST - radius : _LARGEST + radius + 1]
            escape += float(seen.sum() - seen[_LARGEST - radius : _LARGEST + radius + 1].sum())
        weights.append(0.5 * (weight + weight[::-1]))  # the sign is not known before it is coded
        offsets.append(-radius)
        escapes.append(escape)
    return factorized_tables(weights, offsets, escape_weights=escapes)


def hyper_tables(prior: TableSet, symbols: NDArray[np.int32]) -> TableSet:
    """Mix tables of the trained prior with histograms of z.

    Args:
        prior: one table for each channel.
        symbols: (channels, n), seen in training images.

    Returns:
        One table for each channel.
    """
    weights, escapes = [], []
    for channel, seen in enumerate(symbols):
        first, count = prior.bounds[channel]
        weight = prior.table(channel).astype(np.float64) * HYPER_PRIOR_COUNT / 2.0**prior.precision
        inside = seen[(seen >= first) & (seen < first + count)]
        weights.append(weight[:count] + np.bincount(inside - first, minlength=count))
        escapes.append(float(weight[-1]) + len(seen) - len(inside))
    return factorized_tables(weights, [first for first, _ in prior.bounds], escape_weights=escapes)


def fitted(network: CodecNetwork, images: Sequence[NDArray[np.uint8]], rates: Sequence[int]) -> Model:
    """Make a model ready to code, its tables fitted to training images.

    Args:
        network: trained, its units chosen (`training.calibrate`).
        images: (H, W, 3), sides multiples of 64.
        rates: in 1/32 octave of lambda; each image is coded at one of them in turn.

    Returns:
        The model; its card is empty.
    """
    card = Card("", "", "", "00" * 32, 0, {}, Path())
    parts = transform_of(network), integers_of(network.entropy, network.config)
    medians, prior = network.prior.medians.clone(), network.prior.tables()
    model = make_model(card, *parts, medians, prior, gaussian_tables())
    counts, seen = np.zeros((SCALES, 2 * _LARGEST + 1)), []
    for number, image in enumerate(images):
        seen.append(_count(model, image, rates[number % len(rates)], counts))
    tables = gaussian_tables(counts)
    return make_model(card, *parts, medians, hyper_tables(prior, np.concatenate(seen, 1)), tables)


@torch.inference_mode()
def _count(model: Model, image: NDArray[np.uint8], rate: int, counts: NDArray[np.float64]) -> NDArray[np.int32]:
    """Add an image's residuals to the histograms; returns its symbols of z, (hyper, n)."""
    x = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
    coefficients = model.transform.coefficients(x, torch.full((1,), rate / RATE_UNIT))
    hyper = model.transform.hyper_analysis(coefficients.contiguous(memory_format=torch.channels_last))
    z = (hyper - model.medians).round().to(torch.int32)

    def coder(part: Slice, mean: Tensor, table: Tensor) -> Tensor:
        target = coefficients[:, part.start : part.stop] - mean.to(torch.float32) / VALUE
        residual = target.round().clamp_(-MAX_VALUE, MAX_VALUE).to(torch.int32)
        column = residual.clamp(-_LARGEST, _LARGEST).numpy().ravel() + _LARGEST
        np.add.at(counts, (table.numpy().ravel(), column), 1.0)
        return residual.mul_(VALUE).add_(mean)

    model.entropy(z, torch.full((1,), rate, dtype=torch.int32), coder)
    return z[0].flatten(1).numpy()


def export_weights(
    final: Path,
    folder: Path,
    images: Path,
    every: int = 4,
    progress: Callable[[int, int, str], None] | None = None,
) -> Card:
    """Write weights and card of a finished stage.

    Args:
        final: its ``final.pt``.
        folder: gets the weights.
        images: training images, of which every ``every``-th fits the tables.
        every: see there.
        progress: told of the work.

    Returns:
        The card.

    Raises:
        UsageError: a network whose entropy model is not one of integers.
    """
    state = torch.load(final, map_location="cpu", weights_only=True)
    about = json.loads(state["about"])
    name = about["model"]
    if name not in CODED:
        raise UsageError(
            f"{name} predicts in floats, as published, so its files would not decode elsewhere; train with model=3dm-l"
            f" for files, or code with wavelic.threedm.file on one machine (networks with files: {', '.join(CODED)})"
        )
    network = CodecNetwork(CODED[name])
    own = {key.removeprefix("network."): value for key, value in state["objective"].items()}
    shipped = ("entropy.", "prior.")
    network.load_state_dict({k: v if k.startswith(shipped) else v.half().float() for k, v in own.items()})
    network.eval()
    crops = PackedImages.from_folder(images, final.parent / "cache", FIT_SIDE).centre_crops(FIT_SIDE)[::every]
    if progress:
        progress(0, 1, name)
    if not about["stage"].get("quantised"):
        few = torch.from_numpy(crops[:CALIBRATION_CROPS]).permute(0, 3, 1, 2).float() / 255
        calibrate(network, few, torch.linspace(-RATES, RATES, len(few)) / RATE_UNIT)
    model = fitted(network, list(crops), FIT_RATES)
    about["calibration"] = {"images": len(crops), "side": FIT_SIDE, "rates": list(FIT_RATES)}
    if progress:
        progress(1, 1, "done")
    family, rank = ("3dm", _RANKS.index(name)) if name in _RANKS else (name, 0)
    return save_weights(folder, name, name, family, rank, model.tensors(), about)


def export_stages(finals: Sequence[Path], export: Export) -> list[Card]:
    """Write the stage that was finished last: one set of weights serves all rates.

    Args:
        finals: the ``final.pt`` of the stages.
        export: where to and what with.

    Returns:
        Its card.

    Raises:
        UsageError: a network whose entropy model is not one of integers.
    """
    return [export_weights(latest(finals), export.folder, export.images, export.every, export.progress)]
