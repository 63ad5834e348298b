"""From finished stages to shipped weights: calibrate each stage, rank by rate, build the ladder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from wavelic.codec.weights import Card, save_weights
from wavelic.entropy import TableSet
from wavelic.errors import UsageError
from wavelic.images import list_images, load_image
from wavelic.training.export import Export
from wavelic.wcae.calibrate import build_ladder, code_length, deployed_tables, fit_schedule, latents_of
from wavelic.wcae.ladder import write_ladder
from wavelic.wcae.network import WaveletAutoencoder, build_autoencoder
from wavelic.wcae.schedule import GAIN_UNIT, SliceSchedule
from wavelic.wcae.weights import Model

GAINS = tuple(range(-2 * GAIN_UNIT, 2 * GAIN_UNIT + 1, GAIN_UNIT // 4))


@dataclass
class _Stage:
    about: dict[str, Any]
    network: WaveletAutoencoder
    mean: NDArray[np.float32]
    schedule: SliceSchedule
    rates: dict[int, float]


def read_rgb(folder: Path, every: int = 1) -> list[NDArray[np.uint8]]:
    """The 8-bit RGB images of a folder, or every n-th of them, by name."""
    images = [load_image(path).colour() for path in list_images(folder)[::every]]
    return [image for image in images if image.dtype == np.uint8 and image.shape[2] == 3]


def load_stage(path: Path) -> tuple[dict[str, Any], WaveletAutoencoder]:
    """What a ``final.pt`` says about itself, and its network rounded to float16 as it will ship."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    about = json.loads(state["about"])
    network = build_autoencoder(about["model"])
    network.load_state_dict(
        {
            key.removeprefix("model."): value.half().float()
            for key, value in state["objective"].items()
            if key.startswith("model.")
        }
    )
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return about, network.eval().requires_grad_(False)


def export_stages(finals: Sequence[Path], export: Export) -> list[Card]:
    """Calibrate stages, rank them by their rate, and write weights, cards and the ladder of qualities.

    Args:
        finals: the ``final.pt`` of the stages, which are of one architecture.
        export: where to and what with; its validation images give the rates for the ladder.

    Raises:
        UsageError: the stages are of several architectures.
    """
    folder, progress = export.folder, export.progress
    training, held_out = read_rgb(export.images, export.every), read_rgb(export.validation)
    pixels = sum(image.shape[0] * image.shape[1] for image in held_out)
    tables = deployed_tables()
    stages = []
    for number, path in enumerate(finals):
        if progress:
            progress(number, len(finals), path.parent.name)
        stages.append(_calibrate(path, training, held_out, pixels, tables))
    stages.sort(key=lambda stage: stage.rates[0])
    names = {stage.about["model"] for stage in stages}
    if len(names) != 1:
        raise UsageError(f"{finals[0].parents[1]} mixes architectures {sorted(names)}; export runs of one architecture")
    family = names.pop()
    written = [_write(stage, rank, family, folder, tables, len(training)) for rank, stage in enumerate(stages)]
    write_ladder(build_ladder(family, [stage.rates for stage in stages]), folder)
    if progress:
        progress(len(finals), len(finals), "done")
    return written


def _calibrate(
    path: Path,
    training: Sequence[NDArray[np.uint8]],
    held_out: Sequence[NDArray[np.uint8]],
    pixels: int,
    tables: TableSet,
) -> _Stage:
    about, network = load_stage(path)
    mean, schedule = fit_schedule(latents_of(network, training), tables)
    latents = latents_of(network, held_out)
    rates = {gain: sum(code_length(y, mean, schedule, tables, gain) for y in latents) / pixels for gain in GAINS}
    return _Stage(about, network, mean, schedule, rates)


def _write(stage: _Stage, rank: int, family: str, folder: Path, tables: TableSet, images: int) -> Card:
    name = f"{family}-{rank}"
    training = dict(stage.about)
    training["calibration"] = {
        "images": images,
        "validation_bpp": {str(gain): round(rate, 5) for gain, rate in stage.rates.items()},
    }
    blank = Card(name, stage.about["model"], family, "", rank, {}, folder)
    tensors = Model(blank, stage.network, stage.mean, stage.schedule, tables).tensors()
    return save_weights(folder, name, stage.about["model"], family, rank, tensors, training)
