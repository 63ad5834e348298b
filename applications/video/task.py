"""Training and scoring of DVC: clips, loss, rate and PSNR in real bytes, recipes.

What is coded late can learn little before what is coded early has learned, so training has four parts:

1. the flow alone (recipe "flow"): at every level of its pyramid, the frame before is to be the frame when it is warped.
   All arms of a seed go on from the same flow;
2. the motion's coder alone ("motion"): its flow is to be that flow, and to warp as well, in few bits;
3. the residual's coder alone ("residual"), on photographs and made predictions of them (`applications.video.made`);
4. all but the flow ("1024"): lambda * MSE + bits per pixel, of two frames of which the second starts from the first as
   decoded.  Half of the clips are photographs that move.  In the first two fifths of the steps the errors of the warped
   frame and of the prediction count beside that of the decoded frame, with a weight that falls from 1 to 0.

The other lambdas go on from the end of that, with everything trained.
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

from applications.pictures import read_pictures
from applications.training import Recipe
from applications.video.clips import read_clip
from applications.video.codec import decode_clip, encode_clip
from applications.video.made import MARGIN, made_clip, made_prediction
from applications.video.model import coder_of, export, load_model
from applications.video.network import DVC, Coded, MotionEstimation, flow_width, noisy, rounded, warp
from wavelic.errors import UsageError

FRAMES = 3  # of a batch's clips
GROUP = 12  # frames from one intra frame to the next when scoring
EARLY_SHARE = 0.4  # of the steps, in which warped and predicted frames count
FLOW_WEIGHT = 1.0  # of the squared error of the decoded flow in pixels, when the motion's coder is trained alone
_EDGE = 0.01  # of the error of warped frames that is between squared and absolute
_QUANTILE_WEIGHT = 1e-3
#: lambda of MSE in 0..1, and the quality of intra frames that goes with it.
POINTS = {256: 30, 512: 45, 1024: 60, 2048: 75}
FIRST = 1024  # the lambda that goes on from the residual's coder; the others go on from it
MADE_SHARE = 0.5  # of a batch's clips, where photographs move


def _recipes(
    kind: str, parts: dict[str, Recipe], first: Recipe, further: Recipe, residual: int, latents: int
) -> dict[str, Recipe]:
    """Recipes of all parts of training, by name: ``kind`` and the part.

    Args:
        kind: first part of their names.
        parts: of "flow", "motion" and "residual" alone.
        first: at the lambda FIRST.
        further: at each of the others.
        residual: see `DVC`.
        latents: likewise.
    """
    about: tuple[tuple[str, Any], ...] = (("residual", residual), ("latents", latents))
    of_flow = (("start", f"{kind}-flow"), ("start_arm", "plain"), ("start_part", "estimation"))
    of_residual = (("start", f"{kind}-residual"), ("trained", ["compensation", "motion", "residual"]))
    recipes = {f"{kind}-flow": replace(parts["flow"], options=(("alone", "flow"),))}
    for part, start in (("motion", of_flow), ("residual", (("start", f"{kind}-motion"),))):
        alone: tuple[tuple[str, Any], ...] = (("alone", part), ("trained", [part]), ("lambda", FIRST))
        if part == "residual":
            alone += (("intra_quality", POINTS[FIRST]),)
        recipes[f"{kind}-{part}"] = replace(parts[part], options=(*about, *start, *alone))
    for point, quality in POINTS.items():
        options = (*about, ("lambda", point), ("intra_quality", quality), ("made", MADE_SHARE))
        if point == FIRST:
            recipes[f"{kind}-{point}"] = replace(first, options=(*options, *of_residual, ("early", EARLY_SHARE)))
        else:
            recipes[f"{kind}-{point}"] = replace(further, options=(*options, ("start", f"{kind}-{FIRST}")))
    return recipes


_FULL, _SMALL = {"plain": 64, "wavelet": 64, "twin": 67}, {"plain": 16, "wavelet": 16, "twin": 17}
_SOAP = Recipe(_SMALL, 0, 2, 3e-3, "soap", warmup=30, side=128, clip=1.0)
_ADAM = Recipe(_FULL, 0, 4, 1e-4, warmup=200, side=256, clip=1.0)
RECIPES = {
    # the published network
    **_recipes(
        "gpu",
        {
            "flow": replace(_ADAM, widths={"plain": 64}, steps=20_000),
            "motion": replace(_ADAM, steps=20_000),
            "residual": replace(_ADAM, steps=200_000),
        },
        replace(_ADAM, steps=400_000),
        replace(_ADAM, steps=100_000, learning_rate=5e-5),
        residual=2,
        latents=3,
    ),
    # a quarter of the width in flow, compensation and the motion's coder, half in the residual's
    **_recipes(
        "cpu",
        {
            "flow": replace(_SOAP, widths={"plain": 16}, steps=600, batch=4, learning_rate=6e-3),
            "motion": replace(_SOAP, steps=500, batch=4),
            "residual": replace(_SOAP, steps=1_500, batch=4),
        },
        replace(_SOAP, steps=600, learning_rate=1e-3),
        replace(_SOAP, steps=200, learning_rate=5e-4),
        residual=4,
        latents=12,
    ),
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
        folder: with clips in ``train`` and ``test``, and photographs in ``photographs`` for the recipes that need them.
        intra: codec of the intra frames when scoring.
    """

    def __init__(self, recipe: Recipe, folder: Path, intra: str = "weconvene") -> None:
        self.recipe, self.folder, self.intra = recipe, folder, intra
        self.clips = [torch.from_numpy(np.array(read_clip(path))) for path in _paths(folder / "train")]
        self.photographs: list[Tensor] = []
        if recipe.option("alone", "") == "residual" or recipe.option("made", 0.0):
            self.photographs = read_pictures(folder / "photographs", recipe.side + 2 * MARGIN)
        self.arm = "plain"

    def network(self, arm: str) -> nn.Module:
        """Make the network of an arm, or its flow if the recipe is of that alone."""
        self.arm = arm
        if self.recipe.option("alone", "") == "flow":
            return MotionEstimation(flow_width(self.recipe.widths[arm]))
        return coder_of(self.recipe, arm)

    def batch(self, random: torch.Generator) -> tuple[Tensor, ...]:
        """Draw crops of three frames, mirrored at random: each (batch, 3, side, side) in 0..1.

        For the residual's coder alone: frames and made predictions of them.
        """
        side, drawn = self.recipe.side, []
        if self.recipe.option("alone", "") == "residual":
            pairs = [made_prediction(self.photographs, side, random) for _ in range(self.recipe.batch)]
            return tuple(torch.cat(tensors) for tensors in zip(*pairs, strict=True))
        made = int(self.recipe.batch * self.recipe.option("made", 0.0))
        drawn += [made_clip(self.photographs, FRAMES, side, random) for _ in range(made)]
        for _ in range(self.recipe.batch - made):
            clip = self.clips[int(torch.randint(len(self.clips), (), generator=random))]
            limits = (len(clip) - FRAMES + 1, clip.shape[1] - side + 1, clip.shape[2] - side + 1, 2)
            first, top, left, mirror = (int(torch.randint(limit, (), generator=random)) for limit in limits)
            crop = clip[first : first + FRAMES, top : top + side, left : left + side].permute(0, 3, 1, 2).float() / 255
            drawn.append(crop.flip(-1) if mirror else crop)
        return tuple(torch.stack(drawn).unbind(1))

    def loss(self, network: nn.Module, batch: tuple[Tensor, ...], progress: float) -> Tensor:
        """Compute the loss, with the errors that count at ``progress``."""
        if self.recipe.option("alone", "") == "residual":
            return self._residual_cost(network, *batch)
        reference, *frames = batch
        if isinstance(network, MotionEstimation):
            errors = [warping_error(network, *pair) for pair in zip(frames, batch, strict=False)]
            return torch.stack(errors).mean()
        if self.recipe.option("alone", "") == "motion":
            costs = [self._motion_cost(network, *pair) for pair in zip(frames, batch, strict=False)]
            return torch.stack(costs).mean()
        share = self.recipe.option("early", 0.0)
        early = max(0.0, 1.0 - progress / share) if share else 0.0
        total = reference.new_zeros(())
        for frame in frames:
            coded: Coded = network(frame, reference)
            distortion = _mse(coded.frame, frame)
            if early:
                distortion = distortion + early * (_mse(coded.warped, frame) + _mse(coded.prediction, frame))
            total = total + self._cost(distortion, coded.motion_bits + coded.residual_bits, frame)
            reference = coded.frame.detach().clamp(0.0, 1.0)
        return total / len(frames) + _quantiles(network)

    def _motion_cost(self, network: nn.Module, frame: Tensor, reference: Tensor) -> Tensor:
        """Cost of the motion between two frames: of the decoded flow, of the frame that it warps, and of its bits."""
        assert isinstance(network, DVC)
        with torch.no_grad():
            flow = network.estimation(frame, reference)
        coder = network.motion
        latents = coder.latents(flow)
        decoded = coder.flow(rounded(latents, coder.prior))
        cost = self._cost(_mse(warp(reference, decoded), frame), coder.prior.bits(noisy(latents)).sum(), frame)
        return cost + FLOW_WEIGHT * _mse(decoded, flow) + _QUANTILE_WEIGHT * coder.prior.quantile_loss()

    def _residual_cost(self, network: nn.Module, frame: Tensor, prediction: Tensor) -> Tensor:
        assert isinstance(network, DVC)
        decoded, bits = network.coded_residual(frame, prediction)
        return self._cost(_mse(decoded, frame), bits, frame) + _QUANTILE_WEIGHT * network.residual.prior.quantile_loss()

    def _cost(self, distortion: Tensor, bits: Tensor, frame: Tensor) -> Tensor:
        pixels = frame.shape[0] * frame.shape[2] * frame.shape[3]
        return self.recipe.option("lambda", 1024) * distortion + bits / pixels

    def score(self, network: nn.Module) -> dict[str, Any]:
        """Code and decode the test clips whole; bits per pixel of the files, and PSNR of RGB frames in dB.

        Means over clips, and those of each.  Of a flow or a motion's coder alone: PSNR of the frame before, warped by
        it and as it is.
        """
        if self.recipe.option("alone", "") in ("flow", "motion"):
            return self._score_motion(network)
        assert isinstance(network, DVC)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.safetensors"
            export(network, path, self.arm, self.recipe)
            model = load_model(path)
        figures = {}
        for number, path in enumerate(_paths(self.folder / "test")):
            frames, decoded = read_clip(path), []
            data = encode_clip(frames, model, GROUP, self.intra, decoded.append)
            shown = np.stack(decoded)
            if not number and not np.array_equal(shown, np.stack(list(decode_clip(data, model)))):
                raise UsageError(f"{path} decodes to other frames than the encoder's; look for what is not the same")
            figures[path.stem] = measured(data, frames, shown)
        means = {name: round(float(np.mean([clip[name] for clip in figures.values()])), 4) for name in ("bpp", "psnr")}
        return {**means, "clips": figures}

    @torch.inference_mode()
    def _score_motion(self, network: nn.Module) -> dict[str, float]:
        network.eval()
        flow = network.decoded_flow if isinstance(network, DVC) else network
        found: dict[str, list[float]] = {"warped": [], "copied": []}
        for path in _paths(self.folder / "test"):
            clip = torch.from_numpy(np.array(read_clip(path))).permute(0, 3, 1, 2).float() / 255
            clip = clip[..., : clip.shape[2] // 16 * 16, : clip.shape[3] // 16 * 16]
            for reference, frame in pairwise(clip.split(1)):
                for name, guess in (("warped", warp(reference, flow(frame, reference))), ("copied", reference)):
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
