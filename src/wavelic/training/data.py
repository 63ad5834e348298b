"""Random crops from a folder of images, addressed by step so that resuming needs no sampler state.

All images are decoded once into one flat uint8 file that every process maps; a crop is then a strided copy.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from torch import Tensor

from wavelic.errors import UsageError
from wavelic.images import list_images, load_image


@dataclass(frozen=True)
class PackedImages:
    """RGB images of different sizes in one flat array.

    Attributes:
        pixels: uint8, all images one after another, each (height, width, 3).
        sizes: int64 (count, 2): height and width.
        offsets: int64 (count,): first sample of each image in ``pixels``.
    """

    pixels: NDArray[np.uint8]
    sizes: NDArray[np.int64]
    offsets: NDArray[np.int64]

    @classmethod
    def from_folder(cls, folder: Path, cache: Path, min_side: int) -> PackedImages:
        """Decode ``folder`` into ``cache`` (reused while names, sizes and dates stay the same) and map it."""
        files = list_images(folder)
        key = json.dumps([min_side, *((f.name, f.stat().st_size, f.stat().st_mtime_ns) for f in files)])
        stem = cache / hashlib.sha256(key.encode()).hexdigest()[:16]
        pixel_file, index_file = stem.with_suffix(".u8"), stem.with_suffix(".json")
        if not index_file.exists():
            cache.mkdir(parents=True, exist_ok=True)
            sizes = []
            with open(pixel_file, "wb") as out:
                for file in track(files, f"decoding {folder.name}", console=Console(stderr=True)):
                    pixels = load_image(file).colour()
                    if pixels.dtype != np.uint8 or pixels.shape[2] != 3 or min(pixels.shape[:2]) < min_side:
                        continue
                    out.write(pixels.tobytes())
                    sizes.append(pixels.shape[:2])
            if not sizes:
                raise UsageError(f"no 8-bit RGB image of at least {min_side} pixels a side in {folder}")
            temporary = index_file.with_suffix(".tmp")
            temporary.write_text(json.dumps(sizes))
            temporary.replace(index_file)
        shapes = np.array(json.loads(index_file.read_text()), np.int64)
        ends = np.cumsum(shapes.prod(1) * 3)
        return cls(np.memmap(pixel_file, np.uint8, "r"), shapes, np.concatenate([[0], ends[:-1]]))

    def __len__(self) -> int:
        return len(self.sizes)

    def image(self, index: int) -> NDArray[np.uint8]:
        """(height, width, 3) view of one image."""
        height, width = self.sizes[index]
        start = self.offsets[index]
        return self.pixels[start : start + height * width * 3].reshape(height, width, 3)

    def random_crops(self, count: int, side: int, *key: int) -> NDArray[np.uint8]:
        """``count`` square crops (count, side, side, 3), a pure function of ``key`` (seed, step, rank).

        Images are drawn in proportion to their area; crops are flipped and transposed at random.
        """
        random = np.random.Generator(np.random.Philox(np.random.SeedSequence(key)))
        area = self.sizes.prod(1)
        crops = np.empty((count, side, side, 3), np.uint8)
        for crop, index in zip(crops, random.choice(len(area), count, p=area / area.sum()), strict=True):
            top, left = (int(random.integers(0, extent - side + 1)) for extent in self.sizes[index])
            window = self.image(int(index))[top : top + side, left : left + side]
            flip_v, flip_h, transpose = random.integers(0, 2, 3)
            window = window[:: -1 if flip_v else 1, :: -1 if flip_h else 1]
            crop[:] = window.transpose(1, 0, 2) if transpose else window
        return crops

    def centre_crops(self, side: int) -> NDArray[np.uint8]:
        """The central crop of every image, (len(self), side, side, 3): the fixed validation set."""
        crops = np.empty((len(self), side, side, 3), np.uint8)
        for index, (height, width) in enumerate(self.sizes):
            top, left = (height - side) // 2, (width - side) // 2
            crops[index] = self.image(index)[top : top + side, left : left + side]
        return crops


def to_batch(crops: NDArray[np.uint8], device: torch.device) -> Tensor:
    """uint8 (N, H, W, 3) -> (N, 3, H, W) in channels-last memory order, without a copy on the CPU."""
    return torch.from_numpy(crops).to(device, non_blocking=True).permute(0, 3, 1, 2)
