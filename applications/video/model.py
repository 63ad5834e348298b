"""Weights of the frame coder with the integer tables of its entropy model, as one file.

The tables are made once, by `export`; encoder and decoder read the same integers.  Which table a residual latent takes
follows from a scale that the hyperprior computes in floats, so a video is decoded by the machine, the torch version and
the number of threads that coded it: every frame carries a checksum that tells.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from applications.training import Recipe
from applications.video.network import DVC
from wavelic.entropy import TableSet, gaussian_scales, gaussian_tables
from wavelic.errors import ModelError, UsageError

HASH_BYTES = 16
#: Options of a recipe that are sizes of `DVC`, as published.
_SIZES = (("residual", 2), ("latents", 3))
_TABLES = ("motion", "hyper", "residual")


@dataclass(frozen=True)
class VideoModel:
    """A trained frame coder.

    Attributes:
        network: in evaluation mode.
        tables: integer tables by name: "motion" and "hyper" one for each channel, "residual" one for each scale.
        intra_quality: of the frames that are coded on their own, 0..100.
        digest: first HASH_BYTES of the file's SHA-256, by which videos name it.
    """

    network: DVC
    tables: dict[str, TableSet]
    intra_quality: float
    digest: bytes


def coder_of(recipe: Recipe, arm: str) -> DVC:
    """The untrained network of an arm of a recipe."""
    return DVC(recipe.widths[arm], arm, *(recipe.option(name, default) for name, default in _SIZES))


def export(network: DVC, path: Path, arm: str, recipe: Recipe) -> None:
    """Write a trained network and its tables.

    Args:
        network: after training.
        path: of the file, ``.safetensors``.
        arm: of the network.
        recipe: that it was trained by: its width, and the quality of the frames that are coded on their own.
    """
    tables = {
        "motion": network.motion.prior.tables(),
        "hyper": network.residual.prior.tables(),
        "residual": gaussian_tables(gaussian_scales()),
    }
    tensors = {f"network.{name}": value.contiguous() for name, value in network.state_dict().items()}
    for name, table in tables.items():
        tensors |= {f"tables.{name}.{key}": _tensor(array) for key, array in table.to_arrays().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    facts = {"width": recipe.widths[arm]}
    facts |= {name: recipe.option(name, default) for name, default in (*_SIZES, ("intra_quality", 50))}
    save_file(tensors, path, {"arm": arm, **{name: str(value) for name, value in facts.items()}})


def load_model(path: Path) -> VideoModel:
    """Read what `export` wrote.

    Args:
        path: of the file.

    Raises:
        ModelError: no such file, or not one of ours.
    """
    try:
        data = path.read_bytes()
        with safe_open(path, "pt") as file:
            facts = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        network = DVC(int(facts["width"]), facts["arm"], *(int(facts[name]) for name, _ in _SIZES))
        network.load_state_dict(
            {name.removeprefix("network."): value for name, value in tensors.items() if name.startswith("network.")}
        )
        tables = {name: TableSet.from_arrays(_arrays(tensors, f"tables.{name}.")) for name in _TABLES}
        quality = float(facts["intra_quality"])
    except (OSError, SafetensorError, KeyError, ValueError, RuntimeError, UsageError) as error:
        cause = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(f"{path} is no video model: {cause}; give a file that `video export` wrote") from None
    return VideoModel(
        network.eval().to(memory_format=torch.channels_last),
        tables,
        quality,
        hashlib.sha256(data).digest()[:HASH_BYTES],
    )


def _tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array.astype(np.int32))


def _arrays(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, np.ndarray]:
    arrays = {name.removeprefix(prefix): value.numpy() for name, value in tensors.items() if name.startswith(prefix)}
    if "frequencies" in arrays:
        arrays["frequencies"] = arrays["frequencies"].astype(np.uint16)
    return arrays
