"""A large image of real photographs, for measuring: crops of a folder's photographs side by side.

    python benchmarks/make_huge.py FOLDER OUT.tif [--side 10000] [--tile 500]

The photographs come in the order of their names and again from the start when they run out, each time another part of
them.  The file is a TIFF or PNG, written row of tiles by row of tiles, so that this needs little memory.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import numpy as np

from wavelic.images import atomic_output, load_image, write_bands


def crops(folder: Path, tile: int) -> Iterator[np.ndarray]:
    """Endless crops (tile, tile, 3); the n-th time round at another place of each photograph."""
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in (".webp", ".png", ".jpg", ".tif"))
    for turn in count():
        random = np.random.default_rng(turn)
        found = 0
        for path in paths:
            pixels = load_image(path).pixels
            if pixels.shape[2] != 3 or pixels.dtype != np.uint8 or min(pixels.shape[:2]) < tile:
                continue
            found += 1
            y, x = (int(random.integers(0, side - tile + 1)) for side in pixels.shape[:2])
            yield pixels[y : y + tile, x : x + tile]
        if not found:
            raise SystemExit(f"{folder} has no RGB photograph of {tile} pixels a side")


def rows(folder: Path, side: int, tile: int) -> Iterator[np.ndarray]:
    """The image in bands of one row of tiles."""
    source = crops(folder, tile)
    across = -(-side // tile)
    for top in range(0, side, tile):
        band = np.concatenate([next(source) for _ in range(across)], 1)[:, :side]
        yield np.ascontiguousarray(band[: side - top])


def main() -> None:
    """Write the image."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--side", type=int, default=10_000)
    parser.add_argument("--tile", type=int, default=500)
    arguments = parser.parse_args()
    format = "png" if arguments.out.suffix == ".png" else "tiff"
    shape = (arguments.side, arguments.side, 3)
    with atomic_output(arguments.out, force=True) as stream:
        write_bands(stream, format, shape, np.dtype(np.uint8), rows(arguments.folder, arguments.side, arguments.tile))


if __name__ == "__main__":
    main()
