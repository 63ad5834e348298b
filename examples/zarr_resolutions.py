"""One zarr array, no pyramid: overviews, previews and windows of a 16-bit section from the bytes they need.

    python examples/zarr_resolutions.py [--side 2048] [--store PATH]

A section as an instrument gives it is stored once, without loss, in chunks of JPEG 2000 with quality layers.  Then it
is read whole, at reduced sizes, with fewer layers and in a window, and the bytes that left the store are counted.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any

import numpy as np
import zarr
from zarr.storage import LocalStore, MemoryStore, WrapperStore

from wavelic.integrations.zarr import WavelicCodec, at_resolution


class CountingStore(WrapperStore[Any]):
    """A store that counts the bytes of chunks that are read from it."""

    bytes_read = 0

    async def get(self, key: str, prototype: Any, byte_range: Any = None) -> Any:
        """Read a value, or a range of one, and count it."""
        found = await super().get(key, prototype, byte_range)
        if found is not None and not key.endswith("zarr.json"):
            CountingStore.bytes_read += len(found)
        return found

    async def getsize(self, key: str) -> int:
        """Ask the store itself, which need not read the value for it."""
        return await self._store.getsize(key)


@dataclass(frozen=True)
class Row:
    """One way to read the section.

    Attributes:
        what: in words.
        shape: of the samples.
        bytes_read: from the store.
        error: mean difference to the exact samples at that size, of 65535.
    """

    what: str
    shape: tuple[int, ...]
    bytes_read: int
    error: float


def section(side: int) -> np.ndarray:
    """A section of 16 bits: cells on a ground that varies slowly, texture, and the noise of the detector."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:side, :side] / 64.0
    ground = 9000 + 2500 * np.sin(0.3 * x + 0.2 * y) + 400 * np.sin(3 * x) * np.sin(4 * y)
    cells = np.zeros((side, side))
    for row, column, radius in random.uniform((0, 0, 0.2), (side / 64, side / 64, 0.7), (side // 8, 3)):
        cells = np.maximum(cells, np.clip(1.2 - np.hypot(y - row, x - column) / radius, 0, 0.5))
    return np.rint(ground + 20000 * cells + random.normal(0, 120, (side, side))).clip(0, 65535).astype(np.uint16)


def compare(pixels: np.ndarray, store: Any, chunk: int = 1024) -> list[Row]:
    """Store a section and read it in several ways.

    Args:
        pixels: (height, width), uint16.
        store: of zarr.
        chunk: sides of the chunks.
    """
    counting = CountingStore(store)
    codec = WavelicCodec(codec="jp2", lossless=True, layers=4, access="windows")
    array = zarr.create_array(
        counting, shape=pixels.shape, chunks=(chunk, chunk), dtype="uint16", serializer=codec, compressors=None
    )
    array[:] = pixels
    rows: list[Row] = []

    def read(what: str, view: Any, key: Any, exact: np.ndarray) -> None:
        CountingStore.bytes_read = 0
        found = view[key]
        error = float(np.abs(found.astype(float) - exact).mean())
        rows.append(Row(what, found.shape, CountingStore.bytes_read, error))

    everything = np.s_[:, :]
    read("everything, exact", array, everything, pixels)
    middle = tuple(slice(side // 2 - 100, side // 2 + 28) for side in pixels.shape)
    read("a window of 128 x 128, exact", array, middle, pixels[middle])
    for reduce in (1, 2, 3, 4):
        small = at_resolution(array, reduce)
        read(f"1/{2**reduce} of both sides", small, everything, small[:])
    for layers in (1, 2, 3):
        read(f"the first {layers} of 4 layers", at_resolution(array, layers=layers), everything, pixels)
    small = at_resolution(array, 3)
    read("1/8 of both sides, the first layer", at_resolution(array, 3, layers=1), everything, small[:])
    return rows


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=2048)
    parser.add_argument("--store", help="folder to keep the array in; else it stays in memory")
    arguments = parser.parse_args()
    store = LocalStore(arguments.store) if arguments.store else MemoryStore()
    rows = compare(section(arguments.side), store, min(1024, arguments.side))
    print(f"{'read':38} {'samples':>13} {'bytes':>10} {'share':>7} {'error':>8}")
    for row in rows:
        share = row.bytes_read / rows[0].bytes_read
        print(
            f"{row.what:38} {' x '.join(map(str, row.shape)):>13} {row.bytes_read:>10,} {share:>7.1%} {row.error:>8.1f}"
        )


if __name__ == "__main__":
    main()
