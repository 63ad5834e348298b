"""Denoising photographs of real cameras, or with Gaussian noise: data, loss, score, recipes.

Real noise: training on the pairs of ``polyu/train``, test on ``polyu/test`` (pairs cut for this project, see the data's
README: figures are comparable among the arms only) and on ``cc15``, the usual 15 crops of Nam et al. (CVPR 2016).
Gaussian noise: training on the photographs of ``train``, test on ``cbsd68``, noise from a fixed seed.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from applications.denoising.network import GROUPS, MIRNetV2
from applications.pictures import read_picture, read_pictures
from applications.training import Recipe
from wavelic.errors import UsageError

#: Real noise except where "sigma" is given, the deviation of Gaussian noise in levels of 255.  Twins of small networks
#: have more channels at each scale ("twin_widths"), since groups of channels allow only some widths.
_FULL = (("groups", GROUPS), ("twin_widths", (84, 128, 188)))
_SMALL = (("groups", (1, 2)), ("twin_widths", (18, 24, 40)))
RECIPES = {
    "gpu": Recipe({"plain": 80, "wavelet": 80, "twin": 84}, 300_000, 16, 2e-4, side=128, clip=0.01, options=_FULL),
    "gpu-gaussian": Recipe(
        {"plain": 80, "wavelet": 80, "twin": 84},
        300_000, 16, 2e-4, side=128, clip=0.01, options=(*_FULL, ("sigma", 25)),
    ),
    # a fifth of the width, two residual groups of four
    "cpu": Recipe(
        {"plain": 16, "wavelet": 16, "twin": 18},
        2_400, 4, 4e-4, warmup=100, side=64, clip=0.1, options=_SMALL,
    ),
    "cpu-gaussian": Recipe(
        {"plain": 16, "wavelet": 16, "twin": 18},
        2_400, 4, 4e-4, warmup=100, side=64, clip=0.1, options=(*_SMALL, ("sigma", 25)),
    ),
    "short": Recipe(
        {"plain": 16, "wavelet": 16, "twin": 18},
        300, 4, 6e-4, warmup=30, side=64, clip=0.1, options=_SMALL,
    ),
    "short-gaussian": Recipe(
        {"plain": 16, "wavelet": 16, "twin": 18},
        200, 4, 6e-4, warmup=30, side=64, clip=0.1, options=(*_SMALL, ("sigma", 25)),
    ),
    "smoke": Recipe(
        {"plain": 4, "wavelet": 4, "twin": 4},
        2, 1, 1e-4, side=16, options=(("groups", (1,)), ("twin_widths", (4, 6, 9))),
    ),
}  # fmt: skip
_EPSILON = 1e-3  # of the Charbonnier loss
_TILE, _MARGIN = 256, 16  # of the windows in which whole pictures are denoised


class Denoising:
    """PSNR of MIRNet-v2 on pairs of noisy and clean pictures.

    Args:
        recipe: one of RECIPES.
        folder: with ``polyu/train``, ``polyu/test`` and ``cc15`` for real noise; with ``train`` and ``cbsd68`` for
            Gaussian noise.
    """

    def __init__(self, recipe: Recipe, folder: Path) -> None:
        self.recipe = recipe
        self.sigma = recipe.option("sigma", 0)
        if self.sigma:
            self.training = [(clean, clean) for clean in read_pictures(folder / "train")]
            self.tests = {"cbsd68": [(self._with_noise(x, 1), x) for x in read_pictures(folder / "cbsd68")]}
        else:
            self.training = _pairs(folder / "polyu" / "train")
            self.tests = {name.name: _pairs(name) for name in (folder / "polyu" / "test", folder / "cc15")}

    def network(self, arm: str) -> nn.Module:
        """Make the network of an arm."""
        widths = self.recipe.option("twin_widths", None) if arm == "twin" else None
        return MIRNetV2(self.recipe.widths[arm], self.recipe.option("groups", GROUPS), arm, widths)

    def batch(self, random: torch.Generator) -> tuple[Tensor, ...]:
        """Draw crops, turned and mirrored at random: noisy and clean, (batch, 3, side, side) in 0..1."""
        side, noisy, clean = self.recipe.side, [], []
        for _ in range(self.recipe.batch):
            pair = self.training[int(torch.randint(len(self.training), (), generator=random))]
            top, left = (int(torch.randint(n - side + 1, (), generator=random)) for n in pair[0].shape[1:])
            turn, mirror = (int(torch.randint(n, (), generator=random)) for n in (4, 2))
            for picture, crops in zip(pair, (noisy, clean), strict=True):
                crop = picture[:, top : top + side, left : left + side].rot90(turn, (1, 2))
                crops.append((crop.flip(-1) if mirror else crop).float() / 255)
        before, after = torch.stack(noisy), torch.stack(clean)
        if self.sigma:
            before = after + self.sigma / 255 * torch.randn(after.shape, generator=random)
        return before, after

    def loss(self, network: nn.Module, batch: tuple[Tensor, ...], progress: float) -> Tensor:
        """Compute the Charbonnier loss, as the authors of MIRNet-v2."""
        noisy, clean = batch
        return ((network(noisy) - clean).square() + _EPSILON**2).sqrt().mean()

    def score(self, network: nn.Module) -> dict[str, float]:
        """Measure the mean PSNR of each test set, in dB, before and after."""
        scores = {}
        for name, pairs in self.tests.items():
            scores[f"{name}_noisy_psnr"] = round(_mean_psnr([(noisy, clean) for noisy, clean in pairs]), 3)
            results = [(denoise(network, noisy), clean) for noisy, clean in pairs]
            scores[f"{name}_psnr"] = round(_mean_psnr(results), 3)
        return scores

    def _with_noise(self, clean: Tensor, seed: int) -> Tensor:
        random = torch.Generator().manual_seed(seed)
        noise = self.sigma * torch.randn(clean.shape, generator=random)
        return clean.float() + noise  # not rounded and not clipped, as is usual for CBSD68


@torch.inference_mode()
def denoise(network: nn.Module, picture: Tensor) -> Tensor:
    """Denoise a picture in windows, so that memory does not grow with its size.

    Args:
        network: the denoiser.
        picture: (3, H, W), levels of 255.

    Returns:
        (3, H, W), uint8.
    """
    network.eval()
    height, width = picture.shape[1:]
    result = torch.empty(3, height, width, dtype=torch.uint8)
    for top in range(0, height, _TILE):
        for left in range(0, width, _TILE):
            above, before = min(_MARGIN, top), min(_MARGIN, left)
            window = picture[:, top - above : top + _TILE + _MARGIN, left - before : left + _TILE + _MARGIN]
            cleaned = network(window[None].float() / 255)[0, :, above : above + _TILE, before : before + _TILE]
            levels = (255 * cleaned.clamp(0, 1)).round().to(torch.uint8)
            result[:, top : top + _TILE, left : left + _TILE] = levels
    return result


def _mean_psnr(pairs: list[tuple[Tensor, Tensor]]) -> float:
    errors = torch.stack([(a.double() - b.double()).square().mean() for a, b in pairs])
    return float((10 * (255**2 / errors.clamp_min(1e-10)).log10()).mean())


def _pairs(folder: Path) -> list[tuple[Tensor, Tensor]]:
    """Pictures ``*_noisy.*`` with their ``*_clean.*``."""
    noisy = sorted(folder.glob("*_noisy.*"))
    if not noisy:
        raise UsageError(f"no pictures *_noisy.* in {folder}; put the pairs or a link to their folder there")
    return [(read_picture(path), read_picture(path.with_name(path.name.replace("_noisy", "_clean")))) for path in noisy]
