"""CamVid: data, loss, score, recipes.

The standard split at 480 x 360: 367 pictures to train, 101 for choices, 233 to test; 11 classes, of which the twelfth
label, void, is left out of loss and score.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from applications.segmentation.network import UperNet
from applications.training import Recipe
from wavelic.errors import UsageError

CLASSES, VOID = 11, 11
MEAN, DEVIATION = 0.45, 0.25  # of pixels in 0..1, about

RECIPES = {
    # the published network, 80 epochs of 8 crops
    "gpu": Recipe({"plain": 64, "wavelet": 64, "twin": 65}, 3_600, 8, 0.02, "sgd", 5e-4, 200, side=320),
    # a quarter of the width; the twin gains its parameters in the pyramid, since one more channel of the stem is 9 %
    "cpu": Recipe(
        {"plain": 16, "wavelet": 16, "twin": 16}, 1_500, 4, 0.02, "sgd", 5e-4, 100, side=192,
        options=(("twin_channels", 132),),
    ),
    # the same, two fifths of the steps
    "short": Recipe(
        {"plain": 16, "wavelet": 16, "twin": 16}, 600, 4, 0.02, "sgd", 5e-4, 60, side=192,
        options=(("twin_channels", 132),),
    ),
    "smoke": Recipe({"plain": 2, "wavelet": 2, "twin": 2}, 2, 2, 0.02, "sgd", side=64),
}  # fmt: skip


class Segmentation:
    """Mean intersection over union of UperNet on CamVid.

    Args:
        recipe: one of RECIPES.
        folder: with ``train`` and ``test``, and in each ``images/NAME.*`` and ``masks/NAME.png``.
    """

    def __init__(self, recipe: Recipe, folder: Path) -> None:
        self.recipe = recipe
        self.examples = {part: _examples(folder / part) for part in ("train", "test")}

    def network(self, arm: str) -> nn.Module:
        """Make the network of an arm."""
        channels = self.recipe.option("twin_channels", None) if arm == "twin" else None
        return UperNet(CLASSES, self.recipe.widths[arm], channels, arm)

    def batch(self, random: torch.Generator) -> tuple[Tensor, ...]:
        """Draw crops, mirrored at random: (batch, 3, side, side), standardised, and labels (batch, side, side)."""
        side, images, masks = self.recipe.side, [], []
        for _ in range(self.recipe.batch):
            number = int(torch.randint(len(self.examples["train"]), (), generator=random))
            image, mask = self.examples["train"][number]
            top, left = (int(torch.randint(n - side + 1, (), generator=random)) for n in mask.shape)
            window = (slice(top, top + side), slice(left, left + side))
            image, mask = image[:, *window], mask[window]
            if torch.rand((), generator=random) < 0.5:
                image, mask = image.flip(-1), mask.flip(-1)
            images.append(standardised(image))
            masks.append(mask.long())
        return torch.stack(images), torch.stack(masks)

    def loss(self, network: nn.Module, batch: tuple[Tensor, ...], progress: float) -> Tensor:
        """Compute the cross-entropy of all pixels that are not void."""
        images, masks = batch
        return cross_entropy(network(images), masks, ignore_index=VOID)

    @torch.inference_mode()
    def score(self, network: nn.Module) -> dict[str, float]:
        """Measure mean intersection over union of the classes, and the accuracy of pixels, in per cent."""
        network.eval()
        counts = torch.zeros(CLASSES, CLASSES, dtype=torch.int64)
        for image, mask in self.examples["test"]:
            counts += confusion(network(standardised(image)[None]).argmax(1)[0], mask)
        return scores(counts)


def confusion(predicted: Tensor, mask: Tensor) -> Tensor:
    """Count pixels by class: (CLASSES, CLASSES), rows true, columns predicted; void left out.

    Args:
        predicted: (H, W) integers below CLASSES.
        mask: (H, W) labels.
    """
    valid = mask != VOID
    pairs = mask[valid].long() * CLASSES + predicted[valid]
    return torch.bincount(pairs, minlength=CLASSES**2).view(CLASSES, CLASSES)


def scores(counts: Tensor) -> dict[str, float]:
    """Mean IoU over the classes that occur, and pixel accuracy, in per cent, of a confusion matrix."""
    hits, union = counts.diagonal(), counts.sum(0) + counts.sum(1) - counts.diagonal()
    iou = hits[union > 0] / union[union > 0]
    return {
        "mean_iou": round(100.0 * float(iou.mean()), 2),
        "pixel_accuracy": round(100.0 * float(hits.sum() / counts.sum()), 2),
    }


def standardised(image: Tensor) -> Tensor:
    """Levels of 255 to numbers of mean 0 and deviation 1, about."""
    return (image.float() / 255 - MEAN) / DEVIATION


def _examples(folder: Path) -> list[tuple[Tensor, Tensor]]:
    """Pictures (3, H, W) and masks (H, W), both uint8."""
    found = []
    for path in sorted((folder / "images").glob("*")):
        with Image.open(path) as image, Image.open(folder / "masks" / f"{path.stem}.png") as mask:
            pixels, labels = np.array(image.convert("RGB")), np.array(mask)
        found.append((torch.from_numpy(pixels).permute(2, 0, 1), torch.from_numpy(labels)))
    if not found:
        raise UsageError(f"no pictures in {folder / 'images'}; give the folder that has train, val and test")
    return found
