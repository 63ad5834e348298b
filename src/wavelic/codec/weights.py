"""Trained weights: safetensors files with a JSON card each, found by name or by content hash.

A compressed file names its weights by hash, never by a position in a list, so weights can be added and renamed without
touching files that exist.  Besides the package's own folder, folders in ``WAVELIC_WEIGHTS`` (separated like ``PATH``)
are searched first.  Weights that better ones replaced lie in a folder ``superseded`` beside them: files that name them
open as before, and nothing is encoded with them.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from wavelic.errors import ModelError

Tensors = Mapping[str, NDArray[Any]]
T = TypeVar("T")

#: How a file says that its codec has no weights.
NO_WEIGHTS = bytes(16)
#: Folder of replaced weights within a folder of weights.
SUPERSEDED = "superseded"


def tensors_under(tensors: Tensors, prefix: str) -> dict[str, NDArray[Any]]:
    """Those tensors whose names begin with a prefix, under the rest of their names."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def misfit(card: Card, error: Exception) -> ModelError:
    """What is raised where weights do not fit their architecture, in one line.

    Args:
        card: of the weights.
        error: what building the model from them raised.
    """
    cause = " ".join(str(error).split())[:200]
    return ModelError(f"{card.path.name} does not fit {card.architecture} ({cause}); install wavelic again")


def architecture_of(card: Card, configs: Mapping[str, T]) -> T:
    """Return the sizes of the network that weights are for.

    Args:
        card: of the weights.
        configs: sizes by the name of the architecture.

    Raises:
        ModelError: this wavelic does not have it.
    """
    if card.architecture not in configs:
        raise ModelError(
            f"{card.path.name} is of architecture {card.architecture!r}, which this wavelic lacks; upgrade"
        )
    return configs[card.architecture]


def content_hash(architecture: str, tensors: Tensors) -> bytes:
    """SHA-256 over the architecture's name and every tensor's name, type, shape and little-endian bytes, by name."""
    digest = hashlib.sha256(architecture.encode() + b"\0")
    for name in sorted(tensors):
        value = np.asarray(tensors[name])
        digest.update(f"{name}\0{value.dtype.str.replace('>', '<')}\0{list(value.shape)}\0".encode())
        digest.update(np.ascontiguousarray(value, value.dtype.newbyteorder("<")).tobytes())
    return digest.digest()


@dataclass(frozen=True, eq=False)
class Card:
    """What a weights file is.

    Attributes:
        name: file name without suffix, for instance ``wcae-2``.
        architecture: name in the registry.
        family: weights trained alike for different rates, for instance ``wcae``.
        hash: `content_hash` in hexadecimal.
        rank: position in the family by rising rate, from 0.
        training: recipe, data, seed, lambda, steps, seconds, metrics, as the training loop wrote them.
        path: the safetensors file.
    """

    name: str
    architecture: str
    family: str
    hash: str
    rank: int
    training: dict[str, Any]
    path: Path

    @property
    def file_id(self) -> bytes:
        """The 16 bytes a compressed file names these weights by."""
        return bytes.fromhex(self.hash)[:16]


def save_weights(
    folder: Path, name: str, architecture: str, family: str, rank: int, tensors: Tensors, training: dict[str, Any]
) -> Card:
    """Write ``<name>.safetensors`` and its card ``<name>.json`` into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.safetensors"
    save_file({key: np.ascontiguousarray(value) for key, value in tensors.items()}, path)
    path.chmod(0o644)
    card = Card(name, architecture, family, content_hash(architecture, tensors).hex(), rank, training, path)
    fields = {key: value for key, value in vars(card).items() if key != "path"}
    path.with_suffix(".json").write_text(json.dumps(fields, indent=1) + "\n")
    return card


def weight_folders() -> tuple[Path, ...]:
    """Folders searched for weights: those in ``WAVELIC_WEIGHTS``, then the package's."""
    extra = [Path(part) for part in os.environ.get("WAVELIC_WEIGHTS", "").split(os.pathsep) if part]
    return (*extra, Path(str(resources.files("wavelic"))) / "weights")


def cards() -> tuple[Card, ...]:
    """Every card found, the first of equal names, ordered by family and rank."""
    return _cards(weight_folders())


def superseded_cards() -> tuple[Card, ...]:
    """The cards of replaced weights, which files may still name by hash."""
    return _cards(tuple(folder / SUPERSEDED for folder in weight_folders()))


@lru_cache(maxsize=16)
def _cards(folders: tuple[Path, ...]) -> tuple[Card, ...]:
    found: dict[str, Card] = {}
    for folder in folders:
        for path in sorted(folder.glob("*.safetensors")):
            try:
                fields = json.loads(path.with_suffix(".json").read_text())
                found.setdefault(path.stem, Card(**fields, path=path))
            except (OSError, ValueError, TypeError) as error:
                raise ModelError(
                    f"{path.name} has no valid card beside it ({error}); export the weights again"
                ) from error
    return tuple(sorted(found.values(), key=lambda card: (card.family, card.rank)))


def family(name: str) -> tuple[Card, ...]:
    """The cards of one family by rising rate.  Raises ModelError, naming the families there are, if it is unknown."""
    chosen = tuple(card for card in cards() if card.family == name)
    if not chosen:
        known = sorted({card.family for card in cards()})
        raise ModelError(f"no weights for {name!r}; there are {', '.join(known) or 'none'}: train and export them")
    return chosen


def card_by_id(file_id: bytes) -> Card:
    """The weights a file names.  Raises ModelError, giving the hash, if they are not installed."""
    for card in (*cards(), *superseded_cards()):
        if card.file_id == file_id:
            return card
    raise ModelError(
        f"the file needs weights with hash {file_id.hex()}, which are not installed;"
        " install the wavelic that wrote it, or put them into a folder named in WAVELIC_WEIGHTS"
    )


def card_called(name_or_hash: str, *architectures: str) -> Card:
    """Weights of one of ``architectures`` by name, or by the beginning of their content hash, replaced ones too.

    Raises ModelError, naming those there are, if none or several fit.
    """
    there = [card for card in (*cards(), *superseded_cards()) if card.architecture in architectures]
    fitting = [card for card in there if card.name == name_or_hash or card.hash.startswith(name_or_hash)]
    if len(fitting) == 1:
        return fitting[0]
    known = ", ".join(f"{card.name} ({card.hash[:8]})" for card in there) or "none"
    how_many = "several" if fitting else "no"
    raise ModelError(f"{how_many} weights of {' or '.join(architectures)} fit {name_or_hash!r}; there are {known}")


@lru_cache(maxsize=4)
def load_weights(card: Card) -> Tensors:
    """The tensors of ``card``.  Raises ModelError if the file cannot be read or is not what the card says."""
    try:
        tensors = load_file(card.path)
    except Exception as error:  # safetensors raises its own types for damaged files
        raise ModelError(f"{card.path.name} cannot be read ({error}); install wavelic again") from error
    if content_hash(card.architecture, tensors).hex() != card.hash:
        raise ModelError(f"{card.path.name} does not have the hash its card states; install wavelic again")
    return tensors
