"""Files as arrays and slides; numcodecs and zarr chunks; pipelines of other packages; workers that fork."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch

import wavelic
from wavelic.errors import FormatError, ImageError, UsageError, WavelicError
from wavelic.integrations.chunk import as_image, decode_chunk, options_from

numcodecs = pytest.importorskip("numcodecs")
zarr = pytest.importorskip("zarr")

torch.set_num_threads(1)
Picture = Callable[..., np.ndarray]


@pytest.fixture(scope="module")
def scalable(picture: Picture) -> bytes:
    return wavelic.encode(picture(203, 310), "lifting", bpp=2.0, access="windows")


@pytest.fixture(scope="module")
def compact(picture: Picture) -> bytes:
    return wavelic.encode(picture(90, 117, 4), quality=40)


# slicing


@pytest.mark.parametrize(
    "key",
    [
        np.s_[:],
        np.s_[10:50, 20:300],
        np.s_[-30:, :-7],
        np.s_[5],
        np.s_[-1, 3],
        np.s_[7:9, 4, 1],
        np.s_[..., 0],
        np.s_[3:40, ..., -1],
        np.s_[20:30, 40:50, ::2],
        np.s_[4:4],
        np.s_[10:3, :5],
        np.s_[:, 400:],
    ],
)
def test_slices_are_those_of_the_decoded_array(scalable: bytes, compact: bytes, key: object) -> None:
    for data in (scalable, compact):
        file, whole = wavelic.open(data), wavelic.decode(data)
        part, expected = file[key], whole[key]
        assert part.shape == expected.shape
        assert part.dtype == expected.dtype
        difference = abs(part.astype(int) - expected)
        assert difference.max(initial=0) <= 1
        assert not difference.size or (difference == 0).mean() > 0.98


def test_steps_are_reduced_sizes(scalable: bytes) -> None:
    file = wavelic.open(scalable)
    np.testing.assert_array_equal(file[::4, ::4], file.read(reduce=2))
    np.testing.assert_array_equal(file[8:120:8, 16:203:8], file.read(reduce=3, region=(16, 8, 187, 112)))
    assert file[8:120:8, 16:203:8].shape == wavelic.decode(scalable)[8:120:8, 16:203:8].shape
    assert (file.ndim, file.dtype, file.shape) == (3, np.uint8, (203, 310, 3))
    np.testing.assert_array_equal(np.asarray(file), wavelic.decode(scalable))


def test_indices_that_are_none(scalable: bytes, compact: bytes) -> None:
    file = wavelic.open(scalable)
    for key in (np.s_[::3, ::3], np.s_[::2], np.s_[1::2, ::2], np.s_[::-1], np.s_[::64, ::64], "a", [1, 2], None, 1.5):
        with pytest.raises(UsageError):
            file[key]
    with pytest.raises(UsageError, match=r"0\.\.0"):
        wavelic.open(wavelic.encode(file[:40, :40], "nowcae"))[::2, ::2]
    halved = wavelic.open(compact)
    np.testing.assert_array_equal(halved[::2, ::2], halved.read(reduce=1))
    with pytest.raises(IndexError):
        file[203]


# slides


def test_the_names_openslide_has(scalable: bytes) -> None:
    slide = wavelic.open(scalable)
    assert slide.level_count == len(slide.level_dimensions) == len(slide.level_downsamples) == 6
    assert slide.dimensions == slide.level_dimensions[0] == (310, 203)
    assert slide.level_downsamples == (1, 2, 4, 8, 16, 32)
    assert [slide.get_best_level_for_downsample(d) for d in (0.5, 1, 3.9, 4, 1000)] == [0, 0, 1, 2, 5]
    for level, (width, height) in enumerate(slide.level_dimensions):
        whole = slide.read(reduce=level)
        np.testing.assert_array_equal(np.asarray(slide.read_region((0, 0), level, (width, height))), whole)
        step = 2**level
        part = np.asarray(slide.read_region((2 * step, 3 * step), level, (3, 2)))
        padded = np.zeros((5, 5, 3), np.uint8)
        padded[: min(5, height), : min(5, width)] = whole[:5, :5]
        difference = abs(part.astype(int) - padded[3:5, 2:5])
        assert difference.max() <= 1
    assert slide.get_thumbnail((50, 50)).size == (50, 33)
    assert slide.get_thumbnail((78, 78)).size == (78, 51)
    for wrong in ((6, (1, 1)), (-1, (1, 1)), (0, (0, 5))):
        with pytest.raises(UsageError):
            slide.read_region((0, 0), *wrong)


def test_outside_the_image_is_nothing(compact: bytes) -> None:
    slide = wavelic.open(compact)
    region = slide.read_region((-10, 80), 0, (20, 15))
    assert region.mode == "RGBA"
    pixels = np.asarray(region)
    assert not pixels[:, :10].any()
    assert not pixels[10:].any()
    np.testing.assert_array_equal(pixels[:10, 10:], slide[80:90, 0:10])
    assert not np.asarray(slide.read_region((500, 0), 0, (4, 4))).any()


# chunks


@pytest.mark.parametrize("codec", ["wcae", "lifting"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(64, 48), (1, 1, 50, 60), (30, 40, 1), (33, 47, 3), (1, 20, 30, 4), (1, 1)])
def test_chunks_there_and_back(picture: Picture, codec: str, dtype: type, shape: tuple[int, ...]) -> None:
    height, width, channels = (*shape[-3:],) if shape[-1] <= 4 and len(shape) > 2 else (*shape[-2:], 1)
    chunk = np.repeat(picture(height, width, 1, dtype), channels, 2).reshape(shape)
    options = options_from(codec=codec, bpp=40.0 if channels == 4 else 12.0)
    data = options.encode(chunk)
    decoded = decode_chunk(data, shape, dtype)
    assert decoded.shape == shape
    assert decoded.dtype == dtype
    error = np.sqrt(np.mean((decoded.astype(float) - chunk) ** 2)) / np.iinfo(dtype).max
    assert error < 0.06
    assert np.ptp(decoded) > 0.5 * np.ptp(chunk) or chunk.size < 5  # not silently constant
    with pytest.raises(FormatError, match="another array"):
        decode_chunk(data, (7, 7), dtype)
    with pytest.raises(FormatError, match="another array"):
        decode_chunk(data, shape, np.uint8 if dtype is np.uint16 else np.uint16)


def test_what_is_no_image_chunk() -> None:
    for array in (np.zeros((2, 9, 9), np.uint8), np.zeros(9, np.uint8), np.zeros((9, 9), np.int16), np.zeros((9, 9))):
        with pytest.raises(ImageError, match="chunk"):
            as_image(array)
    for options in ({"codec": "none"}, {"quality": 1, "bpp": 1}, {"quality": 101}, {"speed": 3}):
        with pytest.raises(UsageError):
            options_from(**options)


def test_numcodecs(picture: Picture) -> None:
    codec = numcodecs.get_codec({"id": "wavelic", "codec": "lifting", "quality": 70})
    assert codec.get_config() == {"id": "wavelic", "codec": "lifting", "quality": 70}
    assert json.loads(json.dumps(codec.get_config())) == codec.get_config()
    assert codec == numcodecs.get_codec(codec.get_config())
    chunk = picture(60, 70)
    out = np.empty_like(chunk)
    data = codec.encode(chunk)
    assert codec.decode(memoryview(data), out=out) is out
    np.testing.assert_array_equal(out, codec.decode(data))
    assert abs(out.astype(int) - chunk).mean() < 12
    with pytest.raises(WavelicError):
        codec.decode(data[:50])


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_zarr_2_arrays(picture: Picture, dtype: str) -> None:
    image = picture(100, 130, 3, np.dtype(dtype).type)
    codec = numcodecs.get_codec({"id": "wavelic", "bpp": 4.0})
    array = zarr.create_array(
        {}, shape=image.shape, chunks=(64, 64, 3), dtype=dtype, compressors=codec, filters=None, zarr_format=2
    )
    array[:] = image
    decoded = array[:]
    assert decoded.dtype == np.dtype(dtype)
    assert abs(decoded.astype(float) - image).mean() < 0.06 * np.iinfo(dtype).max


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("shape", [(100, 130, 3), (2, 70, 90)])
def test_zarr_3_arrays_with_edge_chunks(picture: Picture, dtype: str, shape: tuple[int, ...]) -> None:
    from wavelic.integrations.zarr import WavelicCodec

    if shape[-1] == 3:
        image, chunks = picture(*shape[:2], 3, np.dtype(dtype).type), (64, 64, 3)
    else:
        image, chunks = np.moveaxis(picture(*shape[1:], 2, np.dtype(dtype).type), -1, 0), (1, 64, 64)
    store: dict[str, object] = {}
    codec = WavelicCodec(codec="lifting", bpp=4.0)
    array = zarr.create_array(store, shape=shape, chunks=chunks, dtype=dtype, serializer=codec, compressors=None)
    array[:] = image
    decoded = zarr.open_array(store)[:]
    assert decoded.dtype == np.dtype(dtype)
    assert abs(decoded.astype(float) - image).mean() < 0.06 * np.iinfo(dtype).max
    np.testing.assert_array_equal(zarr.open_array(store)[-1], decoded[-1])


def test_arrays_open_where_wavelic_was_never_imported(tmp_path: Path, picture: Picture) -> None:
    image = picture(70, 80)
    codec = numcodecs.get_codec({"id": "wavelic", "codec": "lifting"})
    for version, options in ((2, {"compressors": codec}), (3, {"compressors": None})):
        if version == 3:
            from wavelic.integrations.zarr import WavelicCodec

            options["serializer"] = WavelicCodec(codec="lifting")
        path = str(tmp_path / f"{version}.zarr")
        array = zarr.create_array(
            path, shape=image.shape, chunks=(64, 64, 3), dtype="uint8", zarr_format=version, **options
        )
        array[:] = image
        np.save(tmp_path / f"{version}.npy", array[:])
    code = """if True:
        import sys, numpy, zarr
        for version in (2, 3):
            assert not any(name.startswith("wavelic") for name in sys.modules) or version == 3
            pixels = zarr.open_array(f"{sys.argv[1]}/{version}.zarr", mode="r")[:]
            assert (pixels == numpy.load(f"{sys.argv[1]}/{version}.npy")).all()
        print("equal")
    """
    result = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True)
    assert result.stdout == "equal\n", result.stderr


def test_codecs_are_safe_in_threads(picture: Picture) -> None:
    codec = numcodecs.get_codec({"id": "wavelic", "codec": "wcae"})
    chunks = [picture(40, 50, seed=seed) for seed in range(4)]
    expected = [codec.decode(codec.encode(chunk)) for chunk in chunks]
    wrong: list[int] = []

    def work(number: int) -> None:
        decoded = [codec.decode(codec.encode(chunks[number])) for _ in range(3)]
        wrong.extend(number for pixels in decoded if not (pixels == expected[number]).all())

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


# pipelines


class Files(torch.utils.data.Dataset):  # type: ignore[type-arg]
    """Compressed images in memory, decoded by the worker."""

    def __init__(self, data: list[bytes], reduce: int) -> None:
        self.data, self.reduce = data, reduce

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.from_numpy(wavelic.decode(self.data[index], reduce=self.reduce)).permute(2, 0, 1)


@pytest.mark.parametrize("codec", ["wcae", "lifting"])
def test_forked_data_loader_workers(picture: Picture, codec: str) -> None:
    """Also after the parent has decoded, with torch's threads running: what forks badly if anything does."""
    reduce = 2 if codec == "lifting" else 0
    data = [wavelic.encode(picture(64, 96, seed=seed), codec, bpp=1.0) for seed in range(4)]
    torch.set_num_threads(2)
    try:
        expected = [wavelic.decode(one, reduce=reduce) for one in data]
        loader = torch.utils.data.DataLoader(
            Files(data, reduce), batch_size=2, num_workers=2, multiprocessing_context="fork", timeout=60
        )
        batches = torch.cat(list(loader))
    finally:
        torch.set_num_threads(1)
    difference = abs(batches.permute(0, 2, 3, 1).numpy().astype(int) - np.stack(expected))
    assert difference.max() <= 1


def shard(path: Path, picture: Picture) -> list[np.ndarray]:
    """A tar of compressed images with labels, and what they decode to at half the size."""
    decoded = []
    with tarfile.open(path, "w") as archive:
        for number in range(3):
            data = wavelic.encode(picture(50, 60, seed=number), "lifting", bpp=2.0)
            decoded.append(wavelic.decode(data, reduce=1))
            for name, content in ((f"{number:04}.jp2", data), (f"{number:04}.cls", str(number).encode())):
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return decoded


def test_webdataset(tmp_path: Path, picture: Picture) -> None:
    webdataset = pytest.importorskip("webdataset")
    expected = shard(tmp_path / "shard-0.tar", picture)

    def decode(key: str, data: bytes) -> np.ndarray | None:
        return wavelic.decode(data, reduce=1) if key.endswith((".wlic", ".jp2")) else None

    dataset = webdataset.WebDataset(str(tmp_path / "shard-0.tar"), shardshuffle=False).decode(decode)
    pairs = list(dataset.to_tuple("jp2", "cls"))
    assert [label for _, label in pairs] == [0, 1, 2]
    for (pixels, _), wanted in zip(pairs, expected, strict=True):
        np.testing.assert_array_equal(pixels, wanted)


def test_hugging_face_datasets(tmp_path: Path, picture: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    data = [wavelic.encode(picture(50, 60, seed=seed), quality=50, codec="wcae") for seed in range(2)]
    rows = {"image": [{"bytes": one, "path": None} for one in data]}
    dataset = datasets.Dataset.from_dict(rows, features=datasets.Features({"image": datasets.Image()}))
    for row, one in zip(dataset, data, strict=True):
        assert isinstance(row["image"], PIL.Image.Image)
        np.testing.assert_array_equal(np.asarray(row["image"]), wavelic.decode(one))


def test_a_file_is_an_array_for_dask_and_numpy(scalable: bytes) -> None:
    """What dask.array.from_array relies on: shape, dtype, ndim and slices."""
    file = wavelic.open(scalable)
    blocks = [file[y : y + 128, x : x + 128] for y in (0, 128) for x in (0, 128, 256)]
    rows = [np.concatenate(blocks[:3], 1), np.concatenate(blocks[3:], 1)]
    assert abs(np.concatenate(rows).astype(int) - np.asarray(file)).max() <= 1
