"""CIFAR-100: data, loss, score, recipes.

The training pictures here were coded once by AVIF at 37.6 dB (the test pictures are exact), so figures are comparable
among the arms and not with the literature.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, pad

from applications.classification.network import ResNet
from applications.training import Recipe

MEAN, DEVIATION = (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)  # of the training set, pixels in 0..1
SHEETS = {"train": (10, 100, "avif"), "test": (5, 50, "webp")}  # number, tiles in a row, ending

#: Widths of the twins: parameters within 2 % of the wavelet arm (tests/applications).
RECIPES = {
    # the published networks; steps of 128, 100 epochs
    "gpu": Recipe({"plain": 64, "wavelet": 64, "twin": 69}, 39_100, 128, 0.1, "sgd", 5e-4, 400),
    "gpu-34": Recipe(
        {"plain": 64, "wavelet": 64, "twin": 67}, 39_100, 128, 0.1, "sgd", 5e-4, 400, options=(("depth", 34),)
    ),
    # three sixteenths of the width, 8 epochs
    "cpu": Recipe({"plain": 12, "wavelet": 12, "twin": 13}, 3_128, 128, 0.1, "sgd", 5e-4, 200),
    # the same, one epoch: minutes of one core
    "short": Recipe({"plain": 12, "wavelet": 12, "twin": 13}, 391, 128, 0.1, "sgd", 5e-4, 40),
    "smoke": Recipe({"plain": 4, "wavelet": 4, "twin": 4}, 3, 8, 0.05, "sgd", 5e-4, 1),
}


class Classification:
    """Top-1 and top-5 accuracy of ResNet on CIFAR-100.

    Args:
        recipe: one of RECIPES.
        folder: with the sheets ``train_*.avif`` and ``test_*.webp`` and ``labels.npz``.
    """

    def __init__(self, recipe: Recipe, folder: Path) -> None:
        self.recipe = recipe
        labels = np.load(folder / "labels.npz")
        self.images = {part: _standardised(unpack(folder, part)) for part in SHEETS}
        self.labels = {part: torch.from_numpy(labels[part][: len(self.images[part])]).long() for part in SHEETS}

    def network(self, arm: str) -> nn.Module:
        """Make the network of an arm."""
        return ResNet(self.recipe.option("depth", 18), self.recipe.widths[arm], arm=arm)

    def batch(self, random: torch.Generator) -> tuple[Tensor, ...]:
        """Draw pictures, shifted by up to four pixels and mirrored at random, and their labels."""
        count = self.recipe.batch
        chosen = torch.randint(len(self.labels["train"]), (count,), generator=random)
        images = pad(self.images["train"][chosen], (4, 4, 4, 4))
        shifts = torch.randint(9, (2, count), generator=random).tolist()
        cut = [image[:, y : y + 32, x : x + 32] for image, y, x in zip(images, *shifts, strict=True)]
        mirrored = torch.rand(count, generator=random) < 0.5
        batch = torch.stack(cut)
        batch[mirrored] = batch[mirrored].flip(-1)
        return batch.contiguous(memory_format=torch.channels_last), self.labels["train"][chosen]

    def loss(self, network: nn.Module, batch: tuple[Tensor, ...], progress: float) -> Tensor:
        """Compute the cross-entropy."""
        images, labels = batch
        return cross_entropy(network(images), labels)

    @torch.inference_mode()
    def score(self, network: nn.Module) -> dict[str, float]:
        """Measure accuracy in per cent on the test pictures."""
        network.eval()
        hits = torch.zeros(2)
        images, labels = self.images["test"], self.labels["test"]
        for begin in range(0, len(images), 500):
            best = network(images[begin : begin + 500]).topk(5).indices == labels[begin : begin + 500, None]
            hits += torch.stack((best[:, 0].sum(), best.any(1).sum()))
        top1, top5 = (100.0 * hits / len(images)).tolist()
        return {"top1": round(top1, 2), "top5": round(top5, 2)}


def unpack(folder: Path, part: str) -> npt.NDArray[np.uint8]:
    """Cut the sheets of a part into tiles.

    Args:
        folder: with the sheets; the first k of them are read until one is missing.
        part: "train" or "test".

    Returns:
        (count, 32, 32, 3).
    """
    number, columns, ending = SHEETS[part]
    tiles = []
    for path in (folder / f"{part}_{sheet}.{ending}" for sheet in range(number)):
        if not path.exists():
            break
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))
        rows = pixels.shape[0] // 32
        tiles.append(pixels.reshape(rows, 32, columns, 32, 3).transpose(0, 2, 1, 3, 4).reshape(-1, 32, 32, 3))
    return np.concatenate(tiles)


def _standardised(images: npt.NDArray[np.uint8]) -> Tensor:
    mean, deviation = torch.tensor(MEAN), torch.tensor(DEVIATION)
    scaled = torch.from_numpy(np.ascontiguousarray(images)).float().div_(255).sub_(mean).div_(deviation)
    return scaled.permute(0, 3, 1, 2)
