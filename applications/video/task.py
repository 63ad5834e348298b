"""Training and scoring of DVC: clips, loss, rate and PSNR in real bytes, recipes.

First the flow is trained alone (recipe "flow"): at every level of its pyramid, the frame before is to be the frame when
it is warped.  All arms of a seed go on from the same flow.

A batch is three frames that follow one another; two are predicted, of which the second starts from the first as
decoded.  The loss is lambda * MSE + bits per pixel.  In the first two fifths of the steps the errors of what comes
before the residual count beside that of the decoded frame: of the frame warped by the flow, of the decoded flow, of the
frame warped by it, and of the prediction.  Their weight falls from 1 to 0, and as long as it is not 0 the flow has a
gradient from its own error alone.  What goes on from another lambda has the loss alone.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from applications.training import Recipe
from applications.video.clips import read_clip
from applications.video.codec import decode_clip, encode_clip
from applications.video.model import export, load_model
from applications.video.network import DVC, Coded, MotionEstimation, flow_width, warp
from wavelic.errors import UsageError

FRAMES = 3  # of a batch's clips
GROUP = 12  # frames from one intra frame to the next when scoring
EARLY_SHARE = 0.4  # of the steps, in which warped and predicted frames count
FLOW_WEIGHT = 1.0  # of the squared error of the decoded flow in pixels, in those steps
_EDGE = 0.01  # of the error of warped frames that is between squared and absolute
_QUANTILE_WEIGHT = 1e-3
#: lambda of MSE in 0..1, and the quality of intra frames that goes with it.
POINTS = {256: 30, 512: 45, 1024: 60, 2048: 75}
FIRST = 1024  # the lambda that goes on from the flow; the others go on from it


def _coders(
    kind: str, widths: dict[str, int], residual: int, steps: int, further: int, **settings: Any
) -> dict[str, Recipe]:
    """Recipes of a flow and of all lambdas.

    Args:
        kind: first part of their names.
        widths: of the arms.
        residual: see `DVC`.
        steps: at the first lambda.
        further: at each of the others.
        settings: of all of them; the others begin with half the learning rate.
    """
    about: tuple[tuple[str, Any], ...] = (("residual", residual),)
    recipes = {}
    for point, quality in POINTS.items():
        options = (*about, ("lambda", point), ("intra_quality", quality))
        recipe = Recipe(widths, steps, warmup=min(200, steps // 20), clip=1.0, options=options, **settings)
        if point == FIRST:
            start = (("start", f"{kind}-flow"), ("start_arm", "plain"), ("start_part", "estimation"))
            recipe = replace(recipe, options=(*options, *start, ("early", EARLY_SHARE)))
        else:
            options = (*options, ("start", f"{kind}-{FIRST}"))
            recipe = replace(recipe, steps=further, warmup=further // 10, options=options)
            recipe = replace(recipe, learning_rate=recipe.learning_rate / 2)
        recipes[f"{kind}-{point}"] = recipe
    return recipes


_FULL, _SMALL = {"plain": 64, "wavelet": 64, "twin": 67}, {"plain": 16, "wavelet": 16, "twin": 17}
_FLOW = Recipe({"plain": 16}, 600, 4, 6e-3, "soap", warmup=30, side=128, clip=1.0, options=(("flow_alone", True),))
RECIPES = {
    # the published network
    "gpu-flow": replace(_FLOW, widths={"plain": 64}, steps=6000, side=256),
    **_coders("gpu", _FULL, 2, 400_000, 100_000, batch=4, learning_rate=1e-4, side=256),
    # a quarter of the width in flow, compensation and the motion's coder, half in the residual's
    "cpu-flow": _FLOW,
    **_coders("cpu", _SMALL, 4, 800, 100, batch=2, learning_rate=3e-3, optimizer="soap", side=128),
    "smoke": Recipe(
        {"plain": 4, "wavelet": 4, "twin": 4},
        12,
        1,
        1e-4,
        side=64,
        clip=1.0,
        options=(("lambda", 512), ("intra_quality", 30), ("early", EARLY_SHARE)),
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
        """Make the network of an arm, or its flow if the recipe is of that alone."""
        self.arm = arm
        if self.recipe.option("flow_alone", False):
            return MotionEstimation(flow_width(self.recipe.widths[arm]))
        return DVC(self.recipe.widths[arm], arm, self.recipe.option("residual", 2))

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
        if isinstance(network, MotionEstimation):
            errors = [warping_error(network, *pair) for pair in zip(frames, batch, strict=False)]
            return torch.stack(errors).mean()
        share = self.recipe.option("early", 0.0)
        early = max(0.0, 1.0 - progress / share) if share else 0.0
        total = reference.new_zeros(())
        for frame in frames:
            coded: Coded = network(frame, reference, train_flow=not early)
            distortion = _mse(coded.frame, frame)
            if early:
                before = (warp(reference, coded.flow), coded.warped, coded.prediction)
                distortion = distortion + early * sum(_mse(x, frame) for x in before)
                total = total + early * FLOW_WEIGHT * _mse(coded.decoded_flow, coded.flow.detach())
            total = total + self._cost(distortion, coded.motion_bits + coded.residual_bits, frame)
            reference = coded.frame.detach().clamp(0.0, 1.0)
        return total / len(frames) + _quantiles(network)

    def _cost(self, distortion: Tensor, bits: Tensor, frame: Tensor) -> Tensor:
        pixels = frame.shape[0] * frame.shape[2] * frame.shape[3]
        return self.recipe.option("lambda", 1024) * distortion + bits / pixels

    def score(self, network: nn.Module) -> dict[str, Any]:
        """Code and decode the test clips whole; bits per pixel of the files, and PSNR of RGB frames in dB.

        Means over clips, and those of each.  Of a flow alone: PSNR of the frame before warped by it, and as it is.
        """
        if isinstance(network, MotionEstimation):
            return self._score_flow(network)
        assert isinstance(network, DVC)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.safetensors"
            export(network, path, self.arm, self.recipe)
            model = load_model(path)
        figures = {}
        for path in _paths(self.folder / "test"):
            frames = read_clip(path)
            data = encode_clip(frames, model, GROUP, self.intra)
            figures[path.stem] = measured(data, frames, np.stack(list(decode_clip(data, model))))
        means = {name: round(float(np.mean([clip[name] for clip in figures.values()])), 4) for name in ("bpp", "psnr")}
        return {**means, "clips": figures}

    @torch.inference_mode()
    def _score_flow(self, network: MotionEstimation) -> dict[str, float]:
        network.eval()
        found: dict[str, list[float]] = {"warped": [], "copied": []}
        for path in _paths(self.folder / "test"):
            clip = torch.from_numpy(np.array(read_clip(path))).permute(0, 3, 1, 2).float() / 255
            clip = clip[..., : clip.shape[2] // 8 * 8, : clip.shape[3] // 8 * 8]
            for reference, frame in pairwise(clip.split(1)):
                for name, guess in (("warped", warp(reference, network(frame, reference))), ("copied", reference)):
                    found[name].append(float(-10.0 * torch.log10(_mse(guess, frame).clamp_min(1e-10))))
        return {name: round(float(np.mean(values)), 4) for name, values in found.items()}


def warping_error(network: MotionEstimation, frame: Tensor, reference: Tensor) -> Tensor:
    """Error of the frame before when it is warped, summed over the levels of the pyramid: about absolute."""
    levels = network.levels_of(frame, reference)
    differences = (warp(level.reference, level.flow) - level.frame for level in levels)
    return torch.stack([torch.sqrt(d.square() + _EDGE**2).mean() for d in differences]).sum()


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
