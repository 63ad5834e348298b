"""Parts of zarr chunks: windows, reduced sizes and fewer layers from the bytes they need, by counting those."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

import wavelic
from wavelic.errors import FormatError, UsageError
from wavelic.integrations.part import HEAD

zarr = pytest.importorskip("zarr")
storage = pytest.importorskip("zarr.storage")
parts = pytest.importorskip("wavelic.integrations.zarr")
WavelicCodec, at_resolution = parts.WavelicCodec, parts.at_resolution


class CountingStore(storage.WrapperStore):
    """A store that counts the bytes of chunks it gives away, with those that zarr makes of it to read from."""

    count = 0

    async def get(self, key: str, prototype: object, byte_range: object = None) -> object:
        found = await super().get(key, prototype, byte_range)
        if found is not None and "zarr.json" not in key:
            CountingStore.count += len(found)
        return found

    async def getsize(self, key: str) -> int:
        return await self._store.getsize(key)


def volume(depth: int = 2, side: int = 512) -> np.ndarray:
    """Sections of 16 bits as an instrument gives them: smooth, with texture and noise."""
    z, y, x = np.mgrid[:depth, :side, :side] / 37.0
    noise = np.random.default_rng(0).normal(size=(depth, side, side))
    return np.rint(20000 + 9000 * np.sin(x + z) * np.cos(y) + 3000 * np.sin(x * y) + 150 * noise).astype(np.uint16)


@pytest.fixture(scope="module")
def stored() -> tuple[CountingStore, np.ndarray]:
    """An array of one resolution: lossless, in layers, a chunk for each section."""
    store = CountingStore(zarr.storage.MemoryStore())
    sections = volume()
    codec = WavelicCodec(codec="jp2", lossless=True, layers=4, access="windows")
    array = zarr.create_array(
        store, shape=sections.shape, chunks=(1, 512, 512), dtype="uint16", serializer=codec, compressors=None
    )
    array[:] = sections
    return store, sections


def counted(store: CountingStore, array: object, *key: object) -> tuple[np.ndarray, int]:
    """What is selected, and the bytes that were read for it."""
    CountingStore.count = 0
    return array[key], CountingStore.count


def test_all_of_an_array_comes_back(stored: tuple[CountingStore, np.ndarray]) -> None:
    store, sections = stored
    array = zarr.open_array(store, mode="r")
    assert array.metadata.to_dict()["codecs"][0]["configuration"] == {
        "codec": "jp2", "lossless": True, "layers": 4, "access": "windows",
    }  # fmt: skip
    np.testing.assert_array_equal(array[:], sections)
    for key in (np.s_[1], np.s_[0, 100:300, 5], np.s_[:, 255:257, ::7], np.s_[0, 3, 4], np.s_[0, 9:9]):
        np.testing.assert_array_equal(array[key], sections[key])
    np.testing.assert_array_equal(
        array.oindex[[0, 1], 10:20, [5, 300]], sections[np.ix_([0, 1], range(10, 20), [5, 300])]
    )
    np.testing.assert_array_equal(array.vindex[[0, 1], [7, 9], [5, 300]], sections[[0, 1], [7, 9], [5, 300]])


def test_windows_sizes_and_layers_cost_their_bytes(stored: tuple[CountingStore, np.ndarray]) -> None:
    store, sections = stored
    array = zarr.open_array(store, mode="r")
    _, everything = counted(store, array, 1)
    window, bytes_of_window = counted(store, array, 1, slice(40, 72), slice(400, 432))
    np.testing.assert_array_equal(window, sections[1, 40:72, 400:432])
    assert bytes_of_window < 0.4 * everything
    chunk = array.metadata.codecs[0].options.encode(sections[1])
    assert everything == len(chunk)
    seen = [everything]
    for reduce in (1, 2, 3):
        small = at_resolution(array, reduce)
        assert small.shape == (2, 512 >> reduce, 512 >> reduce)
        pixels, cost = counted(store, small, 1)
        np.testing.assert_array_equal(pixels, wavelic.decode(chunk, reduce=reduce)[..., 0])
        assert cost < max(0.45 * seen[-1], 2 * HEAD)
        seen.append(cost)
    errors, costs = [], []
    for layers in (1, 2, 3, 4):
        pixels, cost = counted(store, at_resolution(array, layers=layers), 1)
        errors.append(np.abs(pixels.astype(float) - sections[1]).mean())
        costs.append(cost)
    assert errors == sorted(errors, reverse=True)
    assert costs == sorted(costs)
    assert (errors[-1], costs[0] < 0.5 * everything) == (0, True)
    part = at_resolution(array, 2, layers=2)[1, 30:99, 70]
    np.testing.assert_array_equal(part, at_resolution(array, 2, layers=2)[1][30:99, 70])


@pytest.mark.parametrize("codec", ["lifting", "weconvene"])
def test_windows_of_other_codecs_and_of_colour(codec: str, tmp_path: Path, picture: object) -> None:
    image = picture(128, 128, 3)  # type: ignore[operator]
    array = zarr.create_array(
        str(tmp_path / "a"), shape=image.shape, chunks=(64, 128, 3), dtype="uint8",
        serializer=WavelicCodec(codec=codec, quality=40), compressors=None,
    )  # fmt: skip
    array[:] = image
    whole = array[:]
    assert np.abs(array[50:80, 100:110, 1].astype(int) - whole[50:80, 100:110, 1]).max() <= 1
    halved = at_resolution(array, 1)[:]
    assert halved.shape == (64, 64, 3)
    assert np.abs(halved[10:20, 30:60, 1].astype(int) - at_resolution(array, 1)[10:20, 30:60, 1]).max() <= 1
    if codec == "weconvene":
        with pytest.raises(UsageError, match=r"reduce is 6, the file has 0\.\.5"):
            at_resolution(array, 6)[:]


def test_missing_chunks_shards_and_arrays_of_other_codecs() -> None:
    codec = WavelicCodec(codec="jp2", lossless=True)
    arguments = {"shape": (64, 64), "dtype": "uint8", "compressors": None}
    empty = zarr.create_array({}, chunks=(32, 32), serializer=codec, fill_value=7, **arguments)
    assert (empty[3:9, 4:50] == 7).all()
    assert (at_resolution(empty, 1)[:] == 7).all()
    with pytest.raises(UsageError, match="cannot be halved 6 times"):
        at_resolution(empty, 6)
    with pytest.raises(UsageError, match="cannot be written"):
        at_resolution(empty, 1)[:] = 1
    sharded = zarr.create_array({}, chunks=(32, 32), shards=(64, 64), serializer=codec, **arguments)
    pixels = volume(1, 64)[0].astype(np.uint8)
    sharded[:] = pixels
    np.testing.assert_array_equal(sharded[3:40, 30:50], pixels[3:40, 30:50])
    for other in (sharded, zarr.create_array({}, chunks=(32, 32), **arguments)):
        with pytest.raises(UsageError, match="only codec is not wavelic"):
            at_resolution(other, 1)
    for options in ({"codec": "wcae", "lossless": True}, {"codec": "jp2", "lossless": True, "quality": 5}):
        with pytest.raises(UsageError, match="lossless"):
            WavelicCodec(**options)


def test_a_chunk_of_another_array_is_refused() -> None:
    store = zarr.storage.MemoryStore()
    codec = WavelicCodec(codec="jp2", lossless=True)
    array = zarr.create_array(
        store, shape=(64, 64), chunks=(64, 64), dtype="uint8", serializer=codec, compressors=None
    )  # fmt: skip
    array[:] = volume(1, 64)[0].astype(np.uint8)
    for shape, dtype in (((64, 32), "uint8"), ((64, 64), "uint16")):
        other = zarr.create_array(
            {}, shape=shape, chunks=shape, dtype=dtype, serializer=codec, compressors=None
        )  # fmt: skip
        asyncio.run(
            other.store.set("c/0/0", asyncio.run(store.get("c/0/0", zarr.core.buffer.default_buffer_prototype())))
        )
        with pytest.raises(FormatError, match="the chunk holds"):
            other[:9, :9]
