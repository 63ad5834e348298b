"""Training and scoring of DVC: clips, loss, rate and PSNR in real bytes, recipes.

A batch is three frames that follow one another; two are predicted, of which the second starts from the first as
decoded.  The loss is lambda * MSE + bits per pixel.  In the first two fifths of the steps the errors of what comes
before the residual count beside that of the decoded frame: of the frame warped by the flow, of that warped by the
decoded flow, and of the prediction.  Their weight falls from 1 to 0.  What starts from the weights of another recipe
has the loss alone.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from applications.training import Recipe
from applications.video.clips import read_clip
from applications.video.codec import decode_clip, encode_clip
from applications.video.model import export, load_model
from applications.video.network import DVC, Coded, warp
from wavelic.errors import UsageError

FRAMES = 3  # of a batch's clips
GROUP = 12  # frames from one intra frame to the next when scoring
EARLY_SHARE = 0.4  # of the steps, in which warped and predicted frames count
_QUANTILE_WEIGHT = 1e-3
#: lambda of MSE in 0..1, and the quality of intra frames that goes with it.
POINTS = {256: 30, 512: 45, 1024: 60, 2048: 75}


def _recipe(
    widths: dict[str, int],
    steps: int,
    batch: int,
    side: int,
    lambda_: int,
    rate: float = 1e-4,
    start: str = "",
    optimizer: str = "adamw",
) -> Recipe:
    options: tuple[tuple[str, Any], ...] = (("lambda", lambda_), ("intra_quality", POINTS[lambda_]))
    if start:
        options += (("start", start),)
    warmup = min(200, steps // 10)
    return Recipe(widths, steps, batch, rate, optimizer, warmup=warmup, side=side, clip=1.0, options=options)


_FULL, _SMALL = {"plain": 64, "wavelet": 64, "twin": 67}, {"plain": 16, "wavelet": 16, "twin": 17}
RECIPES = {
    # the published network
    **{f"gpu-{point}": _recipe(_FULL, 400_000, 4, 256, point) for point in POINTS},
    # a quarter of the width; the other rates go on from the first
    "cpu-1024": _recipe(_SMALL, 6_000, 2, 128, 1024),
    **{f"cpu-{point}": _recipe(_SMALL, 1_500, 2, 128, point, 5e-5, "cpu-1024") for point in POINTS if point != 1024},
    # the same networks for an hour
    "short-1024": _recipe(_SMALL, 800, 2, 128, 1024, 3e-3, optimizer="soap"),
    **{
        f"short-{point}": _recipe(_SMALL, 200, 2, 128, point, 1.5e-3, "short-1024", "soap")
        for point in POINTS
        if point != 1024
    },
    "smoke": Recipe(
        {"plain": 4, "wavelet": 4, "twin": 4},
        12,
        1,
        1e-4,
        side=64,
        clip=1.0,
        options=(("lambda", 512), ("intra_quality", 30)),
    ),
}


class Video:
    """Rate and distortion of DVC on whole clips.

    Args:
        recipe: one of RECIPES.
        folder: with clips in ``train`` and ``test``.
        intra: codec of the intra frames when scoring.
    """

    def __init__(self, recipe: Recipe, folder: Path, intra: str = "weconvene") -> None:
        self.recipe, self.folder, self.intra = recipe, folder, intra
        self.clips = [torch.from_numpy(np.array(read_clip(path))) for path in _paths(folder / "train")]
        self.arm = "plain"

    def network(self, arm: str) -> nn.Module:
        """Make the network of an arm."""
        self.arm = arm
        return DVC(self.recipe.widths[arm], arm)

    def batch(self, random: torch.Generator) -> tuple[Tensor, ...]:
        """Draw crops of three frames, mirrored at random: each (batch, 3, side, side) in 0..1."""
        side, drawn = self.recipe.side, []
        for _ in range(self.recipe.batch):
            clip = self.clips[int(torch.randint(len(self.clips), (), generator=random))]
            limits = (len(clip) - FRAMES + 1, clip.shape[1] - side + 1, clip.shape[2] - side + 1, 2)
            first, top, left, mirror = (int(torch.randint(limit, (), generator=random)) for limit in limits)
            crop = clip[first : first + FRAMES, top : top + side, left : left + side].permute(0, 3, 1, 2).float() / 255
            drawn.append(crop.flip(-1) if mirror else crop)
        return tuple(torch.stack(drawn).unbind(1))

    def loss(self, network: nn.Module, batch: tuple[Tensor, ...], progress: float) -> Tensor:
        """Compute the loss, with the errors that count at ``progress``."""
        reference, *frames = batch
        early = 0.0 if self.recipe.option("start", "") else max(0.0, 1.0 - progress / EARLY_SHARE)
        total = reference.new_zeros(())
        for frame in frames:
            coded: Coded = network(frame, reference)
            distortion = _mse(coded.frame, frame)
            if early:
                before = (warp(reference, coded.flow), coded.warped, coded.prediction)
                distortion = distortion + early * sum(_mse(x, frame) for x in before)
            total = total + self._cost(distortion, coded.motion_bits + coded.residual_bits, frame)
            reference = coded.frame.detach().clamp(0.0, 1.0)
        return total / len(frames) + _quantiles(network)

    def _cost(self, distortion: Tensor, bits: Tensor, frame: Tensor) -> Tensor:
        pixels = frame.shape[0] * frame.shape[2] * frame.shape[3]
        return self.recipe.option("lambda", 1024) * distortion + bits / pixels

    def score(self, network: nn.Module) -> dict[str, float]:
        """Code and decode the test clips whole; bits per pixel of the files, and PSNR of RGB frames in dB.

        Both are means over clips; the figures of each clip are printed.
        """
        assert isinstance(network, DVC)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.safetensors"
            export(network, path, self.arm, self.recipe.widths[self.arm], self.recipe.option("intra_quality", 50))
            model = load_model(path)
        figures = {}
        for path in _paths(self.folder / "test"):
            frames = read_clip(path)
            data = encode_clip(frames, model, GROUP, self.intra)
            figures[path.stem] = measured(data, frames, np.stack(list(decode_clip(data, model))))
        print(json.dumps(figures), flush=True)
        return {name: round(float(np.mean([clip[name] for clip in figures.values()])), 4) for name in ("bpp", "psnr")}


def measured(data: bytes, frames: np.ndarray, decoded: np.ndarray) -> dict[str, float]:
    """Bits per pixel of a coded clip, and the mean over frames of the PSNR of RGB in dB.

    Args:
        data: the file.
        frames: (frames, H, W, 3) uint8.
        decoded: the same shape.
    """
    if frames.shape != decoded.shape:
        raise UsageError(f"decoded frames are {decoded.shape}, the clip is {frames.shape}; give those of the same clip")
    errors = np.square(frames.astype(np.float64) - decoded).mean((1, 2, 3)).clip(1e-10)
    bits = 8.0 * len(data) / float(np.prod(frames.shape[:3]))
    return {"bpp": round(bits, 5), "psnr": round(float((10.0 * np.log10(255.0**2 / errors)).mean()), 4)}


def _mse(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).square().mean()


def _quantiles(network: nn.Module) -> Tensor:
    """What moves the densities' quantiles to where they belong; no other parameter has a gradient of it.

    It is thousands at first: with its whole weight the loss that is reported would show nothing else.
    """
    return _QUANTILE_WEIGHT * (network.motion.prior.quantile_loss() + network.residual.prior.quantile_loss())


def _paths(folder: Path) -> list[Path]:
    paths = sorted(folder.glob("*.mkv"))
    if not paths:
        raise UsageError(f"no clips *.mkv in {folder}; give the folder that has train and test")
    return paths
