"""Random crops from a folder of images, addressed by step so that resuming needs no sampler state.

All images are decoded once into one flat uint8 file that every process maps; a crop is then a strided copy.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from torch import Tensor

from wavelic.errors import UsageError
from wavelic.images import list_images, load_image


class Place(NamedTuple):
    """A square crop: of which image, its upper left corner, and how it is turned (flips first)."""

    image: int
    top: int
    left: int
    flip_v: bool
    flip_h: bool
    transpose: bool


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
            with open(pixel_file, "wb") as out, ThreadPoolExecutor() as pool:
                decoded = _ahead(pool, _decoded, files)
                for pixels in track(decoded, f"decoding {folder.name}", len(files), console=Console(stderr=True)):
                    if pixels.dtype == np.uint8 and pixels.shape[2] == 3 and min(pixels.shape[:2]) >= min_side:
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
        crops = np.empty((count, side, side, 3), np.uint8)
        for crop, place in zip(crops, self.draw(count, side, *key), strict=True):
            window = self.image(place.image)[place.top : place.top + side, place.left : place.left + side]
            window = window[:: -1 if place.flip_v else 1, :: -1 if place.flip_h else 1]
            crop[:] = window.transpose(1, 0, 2) if place.transpose else window
        return crops

    def draw(self, count: int, side: int, *key: int) -> list[Place]:
        """Where the crops of `random_crops` lie."""
        random = np.random.Generator(np.random.Philox(np.random.SeedSequence(key)))
        area = self.sizes.prod(1)
        places = []
        for index in random.choice(len(area), count, p=area / area.sum()):
            top, left = (int(random.integers(0, extent - side + 1)) for extent in self.sizes[index])
            flip_v, flip_h, transpose = (bool(flag) for flag in random.integers(0, 2, 3))
            places.append(Place(int(index), top, left, flip_v, flip_h, transpose))
        return places

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


def _decoded(file: Path) -> NDArray[Any]:
    return load_image(file).colour()


def _ahead(
    pool: ThreadPoolExecutor, task: Callable[[Path], NDArray[Any]], files: Sequence[Path], count: int = 32
) -> Iterator[NDArray[Any]]:
    """Results in the order of the files, of which ``count`` are worked on ahead."""
    waiting = deque(pool.submit(task, file) for file in files[:count])
    for file in (*files[count:], *(None,) * count):
        if waiting:
            yield waiting.popleft().result()
        if file is not None:
            waiting.append(pool.submit(task, file))


class CropSource:
    """Batches of random crops on a device.

    On a GPU with room for them (a quarter of its free memory) all images lie in its memory as uint8, and crops are
    gathered there; otherwise they are cut on the CPU and sent.  Both give the same crops.
    """

    def __init__(self, images: PackedImages, device: torch.device, resident: bool | None = None) -> None:
        self.images, self.device = images, device
        if resident is None:
            resident = device.type == "cuda" and images.pixels.nbytes < torch.cuda.mem_get_info(device)[0] // 4
        self._pixels = torch.from_numpy(np.array(images.pixels)).to(device).view(-1, 3) if resident else None

    def batch(self, count: int, side: int, *key: int) -> Tensor:
        """uint8 (count, 3, side, side), channels-last: the crops of `PackedImages.random_crops`."""
        if self._pixels is None:
            return to_batch(self.images.random_crops(count, side, *key), self.device)
        # a crop's samples lie at first + row * down + column * across, whichever way it is turned
        walks = [self._walk(place, side) for place in self.images.draw(count, side, *key)]
        first, down, across = torch.tensor(walks).to(self.device, non_blocking=True)[:, :, None, None].unbind(1)
        along = torch.arange(side, device=self.device)
        index = first + down * along[:, None] + across * along
        return self._pixels[index].permute(0, 3, 1, 2)

    def _walk(self, place: Place, side: int) -> tuple[int, int, int]:
        """First sample of a crop, and the distance to the next row and to the next column."""
        width = int(self.images.sizes[place.image][1])
        top, down = (place.top + side - 1, -width) if place.flip_v else (place.top, width)
        left, across = (place.left + side - 1, -1) if place.flip_h else (place.left, 1)
        first = int(self.images.offsets[place.image]) // 3 + top * width + left
        return (first, across, down) if place.transpose else (first, down, across)
