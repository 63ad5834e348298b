"""Pictures for measuring: crops and mosaics of photographs, of the packaged one unless a folder is given."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources
from itertools import count, islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wavelic.images import list_images, load_image

Pixels = NDArray[np.uint8]


def photograph() -> Pixels:
    """The packaged photograph: (512, 768, 3) uint8."""
    path = resources.files("wavelic.evaluation") / "assets" / "demo.webp"
    return load_image(Path(str(path))).colour().astype(np.uint8, copy=False)


def photographs(folder: Path | None) -> Iterator[Pixels]:
    """8-bit RGB photographs of a folder in the order of their names, or the packaged one: (H, W, 3)."""
    if folder is None:
        yield photograph()
        return
    for path in list_images(folder):
        pixels = load_image(path).colour()
        if pixels.shape[2] == 3 and pixels.dtype == np.uint8:
            yield pixels


def crops(side: int, folder: Path | None = None) -> Iterator[Pixels]:
    """Endless squares (side, side, 3), one of each photograph in turn: random places, each turned and mirrored.

    Raises:
        SystemExit: no photograph of ``folder`` is large enough.
    """
    for turn in count():
        random, found = np.random.default_rng(turn), False
        for pixels in photographs(folder):
            if min(pixels.shape[:2]) < side:
                continue
            found = True
            y, x = (int(random.integers(0, length - side + 1)) for length in pixels.shape[:2])
            square = np.rot90(pixels[y : y + side, x : x + side], int(random.integers(4)))
            yield np.ascontiguousarray(square[:, ::-1] if random.integers(2) else square)
        if not found:
            raise SystemExit(f"{folder} has no 8-bit RGB photograph of {side} pixels a side; choose another folder")


def some_crops(number: int, side: int, folder: Path | None = None) -> list[Pixels]:
    """The first ``number`` of `crops`."""
    return list(islice(crops(side, folder), number))


def mosaic_bands(height: int, width: int, tile: int, folder: Path | None = None) -> Iterator[Pixels]:
    """Crops of ``tile`` pixels side by side, in bands (at most ``tile``, width, 3) from the top down."""
    source = crops(tile, folder)
    across = -(-width // tile)
    for top in range(0, height, tile):
        band = np.concatenate(list(islice(source, across)), 1)
        yield np.ascontiguousarray(band[: height - top, :width])


def mosaic(height: int, width: int, tile: int = 256, folder: Path | None = None) -> Pixels:
    """Crops of ``tile`` pixels side by side: (height, width, 3)."""
    return np.concatenate(list(mosaic_bands(height, width, tile, folder)))


def luma(pixels: Pixels) -> Pixels:
    """8-bit luma of BT.601, (H, W, 1), of RGB."""
    return np.rint(pixels @ np.array([0.299, 0.587, 0.114], np.float32)).astype(np.uint8)[..., None]


def psnr(a: NDArray[np.integer], b: NDArray[np.integer]) -> float:
    """Peak signal-to-noise ratio of 8-bit samples in dB; infinite where they are equal."""
    error = float(np.square(a.astype(np.float64) - b).mean())
    return 10 * float(np.log10(255**2 / error)) if error else float("inf")
