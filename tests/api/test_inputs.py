"""What `wavelic.encode`, `open` and `decode` take: pixels of several kinds, files in memory, by name, and open."""

from __future__ import annotations

import io
import mmap
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from commands import served
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import smooth

import wavelic
from wavelic.api.inputs import image_of, tensor_of
from wavelic.errors import ImageError, UsageError


@pytest.fixture(scope="module")
def data() -> bytes:
    """A `.wlic` file of 100 x 70."""
    return wavelic.encode(smooth(), "wcae")


@given(
    st.integers(1, 5), st.integers(1, 5), st.sampled_from([1, 2, 3, 4]), st.sampled_from([8, 16]), st.integers(0, 99)
)
@settings(deadline=None)
def test_pixels_of_every_kind_are_the_same_image(height: int, width: int, channels: int, depth: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 2**depth, (height, width, channels), f"uint{depth}")
    unit = pixels / (2**depth - 1)
    kinds = [
        pixels, pixels.astype(f">u{depth // 8}"), unit, unit.astype(np.float32),
        torch.from_numpy(pixels.copy()).permute(2, 0, 1), torch.from_numpy(unit).permute(2, 0, 1).requires_grad_(),
        wavelic.Image(pixels),
    ]  # fmt: skip
    for kind in kinds:
        np.testing.assert_array_equal(image_of(kind, depth).pixels, pixels)
    np.testing.assert_array_equal(image_of(pixels[..., 0]).pixels, pixels[..., :1])
    np.testing.assert_array_equal(image_of(torch.from_numpy(pixels[..., 0].copy())).pixels, pixels[..., :1])
    np.testing.assert_array_equal(tensor_of(pixels, "cpu").permute(1, 2, 0).numpy(), pixels)
    np.testing.assert_array_equal(image_of(pixels[..., 0] > 9).pixels, (pixels[..., :1] > 9) * np.uint8(255))


@pytest.mark.parametrize(
    ("pixels", "cause"),
    [
        (np.zeros((3, 50, 60)), r"moveaxis"),
        (np.full((5, 6), 1.01), r"from 1.01 to 1.01, expected 0 to 1"),
        (np.full((5, 6), np.nan), r"expected 0 to 1"),
        (np.zeros((5, 6), np.int16), r"int16"),
        (torch.zeros(50, 60, 3), r"permute"),
        (torch.zeros(1, 3, 50, 60), r"one by one"),
    ],
)
def test_pixels_without_an_agreed_meaning_are_refused(pixels: np.ndarray, cause: str) -> None:
    with pytest.raises(ImageError, match=cause):
        wavelic.encode(pixels)
    with pytest.raises(UsageError, match="bit_depth is 10"):
        wavelic.encode(np.zeros((5, 6)), bit_depth=10)


def test_image_files_are_taken_by_path_url_bytes_and_stream(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.png"
    PIL.Image.fromarray(smooth()).save(path)
    with served(tmp_path) as address, path.open("rb") as stream:
        sources = [path, str(path), path.read_bytes(), bytearray(path.read_bytes()), stream, f"{address}/a.png"]
        for source in sources:
            assert wavelic.encode(source, "wcae") == data
    assert wavelic.decode(wavelic.encode(data, "lifting")).shape == (70, 100, 3)


def test_files_are_opened_from_every_kind_of_bytes(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.wlic"
    path.write_bytes(data)
    expected = wavelic.decode(data)
    behind = io.BytesIO(b"header" + data)
    behind.seek(6)
    with path.open("rb") as stream, path.open("rb") as other:
        mapped = mmap.mmap(other.fileno(), 0, access=mmap.ACCESS_READ)
        for source in (path, bytearray(data), memoryview(data), np.frombuffer(data, np.uint8), stream, behind, mapped):
            np.testing.assert_array_equal(wavelic.decode(source), expected)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="mode 'rb'"), path.open(encoding="latin-1") as text:
        wavelic.open(text)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="int given for a file"):
        wavelic.open(7)  # type: ignore[arg-type]


def test_a_tensor_is_given_on_request(data: bytes) -> None:
    tensor = wavelic.decode(data, as_tensor=True, region=(10, 20, 30, 40))
    assert (tensor.shape, tensor.dtype, tensor.is_contiguous()) == ((3, 40, 30), torch.uint8, True)
    np.testing.assert_array_equal(tensor.permute(1, 2, 0).numpy(), wavelic.decode(data, region=(10, 20, 30, 40)))
    deep = wavelic.encode(smooth(1, np.uint16), "wcae")
    assert wavelic.decode(deep, as_tensor=True).dtype == torch.uint16


def test_an_opened_file_is_closed_by_with(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.wlic").write_bytes(data)
    with wavelic.open(tmp_path / "a.wlic") as file:
        assert file.read().shape == (70, 100, 3)
    closed = []
    with served(tmp_path) as address, wavelic.open(f"{address}/a.wlic") as remote:
        source = remote.source  # type: ignore[attr-defined]
        source.close = lambda: closed.append(True)
    assert closed == [True]


@pytest.mark.parametrize("codec", ["weconvene", "lifting"])
def test_properties_by_the_names_of_openslide(codec: str) -> None:
    from fractions import Fraction

    from wavelic.images import Metadata, Resolution

    resolution = Resolution(Fraction(4_000_000), Fraction(2_000_000))
    file = wavelic.open(wavelic.encode(wavelic.Image(smooth(), Metadata(resolution=resolution)), codec, 10))
    assert file.metadata.resolution == resolution
    found = file.properties
    assert all(isinstance(value, str) for value in found.values())
    assert (found["openslide.level-count"], found["openslide.level[0].width"]) == (str(file.levels + 1), "100")
    assert (found["openslide.mpp-x"], found["openslide.mpp-y"]) == ("0.25", "0.5")
    assert found["wavelic.codec"] == codec
