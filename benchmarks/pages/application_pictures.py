"""Draw the pictures of docs/applications.md from checkpoints: flow of the video coder, class maps, denoised crops.

    python -m benchmarks.pages.application_pictures --runs runs/applications --clip CLIP --street PHOTO --noisy PHOTO

Every picture has a column for each arm (plain, wavelet, twin) of one recipe and seed 0.  The pictures that they work on
are not of the test sets, whose terms do not allow to show them: a clip and photographs with free licences.  A picture
whose three checkpoints are not all there is left as it is.
"""

from __future__ import annotations

import argparse
import colorsys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from applications.arms import ARMS
from applications.denoising.network import GROUPS, MIRNetV2
from applications.denoising.task import RECIPES as DENOISERS
from applications.denoising.task import denoise
from applications.segmentation.network import UperNet
from applications.segmentation.task import CLASSES, standardised
from applications.segmentation.task import RECIPES as SEGMENTERS
from applications.training import Recipe
from applications.video.clips import read_clip
from applications.video.model import coder_of
from applications.video.network import DVC
from applications.video.task import RECIPES as CODERS
from benchmarks.measuring import DOCS

Pixels = NDArray[np.uint8]
GAP = 4  # pixels between columns
SIDE = 192  # of denoised crops
#: Noise like a camera's at a high speed: deviation in levels of 255 at black and at white.
DARK, BRIGHT = 4.0, 9.0
#: CamVid's usual colours: sky, building, pole, road, pavement, tree, sign, fence, car, pedestrian, bicyclist.
COLOURS = np.array(
    [(128, 128, 128), (128, 0, 0), (192, 192, 128), (128, 64, 128), (60, 40, 222), (128, 128, 0), (192, 128, 128),
     (64, 64, 128), (64, 0, 128), (64, 64, 0), (0, 128, 192)],
    np.uint8,
)  # fmt: skip


def trained(runs: Path, stem: str, make: Callable[[str], nn.Module]) -> dict[str, nn.Module]:
    """The networks of all arms, or none if a checkpoint is missing.

    Args:
        runs: folder of the checkpoints.
        stem: application and recipe.
        make: the untrained network of an arm.
    """
    paths = {arm: runs / f"{stem}-{arm}-0.pt" for arm in ARMS}
    if not all(path.is_file() for path in paths.values()):
        return {}
    networks = {}
    for arm, path in paths.items():
        networks[arm] = make(arm).eval()
        networks[arm].load_state_dict(torch.load(path, weights_only=True)["network"])
    return networks


def beside(columns: list[Pixels]) -> Pixels:
    """Pictures of one size next to each other."""
    gap = np.full((columns[0].shape[0], GAP, 3), 255, np.uint8)
    parts = [part for column in columns for part in (column, gap)]
    return np.concatenate(parts[:-1], 1)


def samples(x: Tensor) -> Pixels:
    """(3, H, W) in 0..1 as 8-bit pixels."""
    return (x.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()


def flow_colours(flow: Tensor, most: float) -> Pixels:
    """Direction as hue, and length as saturation, of a flow (2, H, W); lengths of ``most`` pixels are full."""
    right, down = flow.numpy()
    hue = (np.arctan2(down, right) / (2 * np.pi)) % 1
    strength = np.minimum(np.hypot(right, down) / max(most, 1e-6), 1)
    wheel = np.array([colorsys.hsv_to_rgb(i / 256, 1, 1) for i in range(256)])
    colours = wheel[(hue * 255).astype(int)]
    mixed = 1 - strength[..., None] * (1 - colours)
    return np.asarray((mixed * 255).round(), np.uint8)


@torch.inference_mode()
def flows(networks: dict[str, nn.Module], clip: Path) -> Pixels:
    """The frame and each arm's decoded flow; below, the difference of the frames and what prediction leaves of it."""
    first, second = (torch.from_numpy(np.array(frame)).permute(2, 0, 1)[None] / 255 for frame in read_clip(clip)[10:12])
    height, width = (side // 64 * 64 for side in first.shape[2:])
    reference, frame = first[..., :height, :width], second[..., :height, :width]
    decoded, left = [], []
    for network in networks.values():
        assert isinstance(network, DVC)
        flow = network.decoded_flow(frame, reference)
        decoded.append(flow[0])
        left.append(network.predict(flow, reference)[1])
    most = max(float(flow.square().sum(0).sqrt().quantile(0.99)) for flow in decoded)
    upper = [samples(frame[0]), *(flow_colours(flow, most) for flow in decoded)]
    lower = [samples((frame - x)[0] * 2 + 0.5) for x in (reference, *left)]
    gap = np.full((GAP, beside(upper).shape[1], 3), 255, np.uint8)
    return np.concatenate((beside(upper), gap, beside(lower)))


@torch.inference_mode()
def class_maps(networks: dict[str, nn.Module], photo: Path) -> Pixels:
    """The photograph, and each arm's classes."""
    image = Image.open(photo).convert("RGB")
    image.thumbnail((480, 360))
    pixels = np.asarray(image)
    x = standardised(torch.from_numpy(pixels.copy()).permute(2, 0, 1))[None]
    return beside([pixels, *(COLOURS[network(x).argmax(1)[0].numpy()] for network in networks.values())])


def denoised(networks: dict[str, nn.Module], photo: Path) -> Pixels:
    """The crop, the crop with noise, and what each arm makes of it."""
    pixels = np.asarray(Image.open(photo).convert("RGB"))
    top, left = ((length - SIDE) // 2 for length in pixels.shape[:2])
    clean = torch.from_numpy(pixels[top : top + SIDE, left : left + SIDE].copy()).permute(2, 0, 1)
    deviation = DARK + (BRIGHT - DARK) * clean / 255
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    noisy = (clean + deviation * noise).round().clamp(0, 255).byte()
    results = [clean, noisy, *(denoise(network, noisy) for network in networks.values())]
    return beside([x.permute(1, 2, 0).numpy().repeat(2, 0).repeat(2, 1) for x in results])


def main() -> None:
    """Draw what there are checkpoints for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, required=True, help="folder of checkpoints")
    parser.add_argument("--recipe", default="cpu", help="of segmentation and denoising; default: cpu")
    parser.add_argument("--video", default="cpu-1024", help="recipe of the video coder; default: cpu-1024")
    parser.add_argument("--clip", type=Path, required=True)
    parser.add_argument("--street", type=Path, required=True, help="photograph that is segmented")
    parser.add_argument("--noisy", type=Path, required=True, help="photograph that noise is put on")
    arguments = parser.parse_args()

    coder: Recipe = CODERS[arguments.video]
    segmenter, denoiser = SEGMENTERS[arguments.recipe], DENOISERS[arguments.recipe]

    def uper_net(arm: str) -> nn.Module:
        channels = segmenter.option("twin_channels", None) if arm == "twin" else None
        return UperNet(CLASSES, segmenter.widths[arm], channels, arm)

    def mir_net(arm: str) -> nn.Module:
        widths = denoiser.option("twin_widths", None) if arm == "twin" else None
        return MIRNetV2(denoiser.widths[arm], denoiser.option("groups", GROUPS), arm, widths)

    pictures: list[tuple[str, str, Callable[[str], nn.Module], Callable[..., Pixels], Path]] = [
        (
            "video",
            arguments.video,
            lambda arm: coder_of(coder, arm),
            flows,
            arguments.clip,
        ),
        ("segmentation", arguments.recipe, uper_net, class_maps, arguments.street),
        ("denoising", arguments.recipe, mir_net, denoised, arguments.noisy),
    ]
    for name, recipe, make, draw, source in pictures:
        networks = trained(arguments.runs, f"{name}-{recipe}", make)
        if not networks:
            print(f"{name}: checkpoints of {recipe} are missing")
            continue
        path = DOCS / f"applications-{name}.webp"
        Image.fromarray(draw(networks, source)).save(path, quality=80, method=6)
        print(path)


if __name__ == "__main__":
    main()
