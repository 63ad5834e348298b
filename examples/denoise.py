"""A small denoiser with `WaveletConv` where strided and transposed convolutions stood, against its plain twin.

Usage: python examples/denoise.py TRAIN_FOLDER TEST_FOLDER [--steps 400] [--seeds 1]

One network, written once; only the layer differs:

    conv3 3 -> C, layer down to half the size, layer, layer up again, conv3 C -> 3; the result is subtracted

The plain layers are the residual blocks that WaveletConv becomes without wavelets (``levels=0, channel_levels=0``), of
a width that gives as many parameters.  Both see the same noise on the same crops in the same order.  Prints, for each
seed, the PSNR on crops of the test folder and the CPU time of training; --json writes them to a file.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from wavelic.nn import WaveletConv

SIGMA = 25 / 255  # of the noise, for pixels in 0..1
SIDE, BATCH = 32, 16
WAVELETS: dict[str, Any] = {"wavelet": "haar", "levels": 2, "channel_levels": 1}
PLAIN: dict[str, Any] = {"levels": 0, "channel_levels": 0}
ARMS = {"WaveletConv": (WAVELETS, 24), "plain convolutions": (PLAIN, 26)}  # options and width


class Denoiser(nn.Module):
    """(N, 3, H, W) in 0..1 with noise -> the same without, any H and W."""

    def __init__(self, width: int, options: dict[str, Any]) -> None:
        super().__init__()
        self.noise = nn.Sequential(
            nn.Conv2d(3, width, 3, padding=1),
            nn.ReLU(),
            WaveletConv(width, width, stride=2, **options),
            WaveletConv(width, width, **options),
            WaveletConv(width, width, stride=2, transposed=True, **options),
            nn.Conv2d(width, 3, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        return x - self.noise(x)[..., :height, :width]  # an odd size comes back one larger


def crops(folder: Path, count: int, seed: int) -> Tensor:
    """``count`` random crops of the first images of a folder, a few from each: (count, 3, SIDE, SIDE) in 0..1."""
    random = np.random.default_rng(seed)
    paths = sorted(path for path in folder.iterdir() if path.is_file())[: -(-count // 8)]
    cut = []
    for path in paths:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))
        for _ in range(-(-count // len(paths))):
            top, left = (int(random.integers(0, side - SIDE + 1)) for side in pixels.shape[:2])
            cut.append(pixels[top : top + SIDE, left : left + SIDE])
    return torch.from_numpy(np.stack(cut[:count])).permute(0, 3, 1, 2).float() / 255


def psnr(images: Tensor, originals: Tensor) -> float:
    """Mean over images of 10 log10(1 / MSE), in dB, after clipping to 0..1."""
    error = (images.clamp(0, 1) - originals).square().mean((1, 2, 3))
    return float((-10 * error.log10()).mean())


def train(net: Denoiser, images: Tensor, steps: int, seed: int) -> float:
    """Mean squared error, Adam, cosine schedule to zero.  Returns seconds of CPU time."""
    random = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(net.parameters(), 2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    start = time.thread_time()
    for _ in range(steps):
        clean = images[torch.randint(len(images), (BATCH,), generator=random)]
        noisy = clean + SIGMA * torch.randn(clean.shape, generator=random)
        loss = (net(noisy) - clean).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return time.thread_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    images, originals = crops(arguments.train, 512, 0), crops(arguments.test, 64, 1)
    noisy = originals + SIGMA * torch.randn(originals.shape, generator=torch.Generator().manual_seed(2))
    report: dict[str, Any] = {"steps": arguments.steps, "noisy_psnr": round(psnr(noisy, originals), 3), "arms": {}}
    print(f"noisy: {report['noisy_psnr']:.2f} dB")
    for seed in range(arguments.seeds):
        for name, (options, width) in ARMS.items():
            torch.manual_seed(seed)
            net = Denoiser(width, options).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            seconds = train(net, images, arguments.steps, seed)
            with torch.inference_mode():
                result = psnr(net(noisy), originals)
            arm = report["arms"].setdefault(name, {"width": width, "psnr": [], "seconds": []})
            arm["parameters"] = sum(parameter.numel() for parameter in net.parameters())
            arm["psnr"].append(round(result, 3))
            arm["seconds"].append(round(seconds, 1))
            print(f"seed {seed}, {name} ({arm['parameters']} parameters): {result:.2f} dB, {seconds:.0f} s", flush=True)
            if arguments.json:
                arguments.json.parent.mkdir(parents=True, exist_ok=True)
                arguments.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
