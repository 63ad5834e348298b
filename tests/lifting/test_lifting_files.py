"""Codec `lifting` behind the file API, with learned steps that change every picture."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from lifting_support import METADATA
from lifting_transforms import learned
from pictures import image, psnr

import wavelic
from wavelic.codec.weights import weight_folders
from wavelic.errors import FormatError, LimitError, ModelError, UsageError
from wavelic.images import Image, Metadata
from wavelic.lifting.cards import PRODUCT, find_lifting, lifting_id
from wavelic.lifting.jp2.samples import to_components, to_pixels
from wavelic.lifting.transform.steps import PRODUCT_STEPS
from wavelic.lifting.weights import load_lifting, save_lifting

torch.set_num_threads(1)
pytestmark = pytest.mark.usefixtures("weights")


# --- Weights ---------------------------------------------------------------------------------------------------------
def test_weights_there_and_back(weights: Path, tmp_path: Path) -> None:
    card = find_lifting(PRODUCT)
    transform = load_lifting(PRODUCT)
    assert card.path.parent == weights
    assert load_lifting(lifting_id(card)) is transform
    for name, value in learned().state_dict().items():
        assert torch.equal(transform.state_dict()[name], value.half().float())
    other = save_lifting(tmp_path / "x", "Hybrid(9/7)-U16", transform.state_dict(), {}, steps=PRODUCT_STEPS)
    assert other.hash != card.hash  # the same numbers, another transform
    with pytest.raises(ModelError, match="does not fit"):
        save_lifting(tmp_path / "y", "Hybrid(9/7)-5c", transform.state_dict(), {})
    with pytest.raises(ModelError, match="no lifting weights 'z'"):
        load_lifting("z")


def test_a_file_whose_weights_are_missing_says_so(layered: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    model = lifting_id(find_lifting(PRODUCT)).hex()
    monkeypatch.setenv("WAVELIC_WEIGHTS", "")
    assert weight_folders()[0].name == "weights"
    file = wavelic.open(layered)
    assert file.info["model"] == "not installed"
    for action in (file.read, file.verify):
        with pytest.raises(ModelError, match=f"hash {model}.*WAVELIC_WEIGHTS"):
            action()


# --- The opened file -------------------------------------------------------------------------------------------------
def test_both_formats_have_the_same_face(layered: bytes, tmp_path: Path) -> None:
    pixels = image(140, 187)
    for codec, levels, layers in (("lifting", 5, 3), ("wcae", 0, 1)):
        data = layered if codec == "lifting" else wavelic.encode(pixels, codec)
        (tmp_path / "misnamed.png").write_bytes(data)
        file = wavelic.open(tmp_path / "misnamed.png")
        assert (file.codec, file.shape, file.bit_depth, file.complete) == (codec, (140, 187, 3), 8, True)
        assert (file.levels, len(file.layers), len(file.level_dimensions)) == (levels, layers, levels + 1)
        assert file.level_dimensions[0] == (187, 140)
        assert file.layers[-1].bytes == len(data) == file.info["bytes"]
        assert file.layers[-1].bpp == pytest.approx(len(data) * 8 / 140 / 187)
        file.verify()
        json.dumps(file.info)
        whole = file.read()
        np.testing.assert_array_equal(whole, wavelic.decode(data))
        np.testing.assert_array_equal(file.decode().pixels, whole)
        window = file.read(region=(50, 33, 70, 41)).astype(int)
        difference = abs(window - whole[33:74, 50:120])
        assert difference.max() <= 1
        assert (difference == 0).mean() >= 0.999
        for request in (
            {"reduce": levels + 1},
            {"reduce": -1},
            {"layers": 0},
            {"layers": layers + 1},
            {"region": (0, 0, 188, 1)},
            {"region": (-1, 0, 5, 5)},
            {"region": (3, 3, 0, 5)},
        ):
            with pytest.raises(UsageError):
                file.read(**request)
    assert wavelic.open(layered).level_dimensions == ((187, 140), (94, 70), (47, 35), (24, 18), (12, 9), (6, 5))


def test_what_is_neither_is_refused(layered: bytes) -> None:
    with pytest.raises(FormatError):
        wavelic.open(b"GIF89a, or so it says")
    with pytest.raises(LimitError, match="max_pixels"):
        wavelic.open(layered, wavelic.container.Limits(max_pixels=1000))
    with pytest.raises(FormatError):
        wavelic.open(layered[:40])


@pytest.mark.parametrize("access", ["whole", "windows"])
def test_a_window_is_the_crop_at_every_resolution_and_layer(access: str) -> None:
    data = wavelic.encode(image(301, 260), "lifting", bpp=3, layers=(0.4, 1.2), access=access)
    file = wavelic.open(data)
    equal = []
    for reduce in range(file.levels + 1):
        step = 2**reduce
        for layers in (1, 2, 3):
            whole = file.read(reduce, layers)
            assert whole.shape[1::-1] == file.level_dimensions[reduce]
            for x, y, width, height in ((0, 0, 64, 32), (101, 93, 57, 64), (201, 250, 59, 51)):
                window = file.read(reduce, layers, (x, y, width, height)).astype(int)
                rows = slice(-(-y // step), -(-(y + height) // step))
                columns = slice(-(-x // step), -(-(x + width) // step))
                difference = abs(window - whole[rows, columns])
                assert difference.max() <= 1
                equal.append(difference.ravel() == 0)
    assert np.concatenate(equal).mean() >= 0.999


@pytest.mark.parametrize(
    ("channels", "dtype"), [(1, np.uint8), (2, np.uint8), (3, np.uint8), (4, np.uint8), (3, np.uint16), (4, np.uint16)]
)
def test_kinds_of_images(channels: int, dtype: type) -> None:
    pixels = image(77, 90, channels, 8 * np.dtype(dtype).itemsize)
    data = wavelic.encode(Image(pixels, METADATA), "lifting", bpp=12 * channels * pixels.itemsize)
    file = wavelic.open(data)
    decoded = file.decode()
    assert (decoded.pixels.dtype, decoded.pixels.shape, decoded.metadata) == (dtype, pixels.shape, METADATA)
    colours = channels - (channels in (2, 4))
    peak = np.iinfo(dtype).max
    assert psnr(decoded.pixels[..., :colours], pixels[..., :colours], peak) > 45
    np.testing.assert_array_equal(decoded.pixels[..., colours:], pixels[..., colours:])  # alpha without loss
    for reduce in (1, 3):
        whole = file.read(reduce)
        width, height = file.level_dimensions[reduce]
        assert whole.shape == (height, width, channels)
        region = (16, 24, 50, 33)
        window = file.read(reduce, region=region).astype(int)
        step = 2**reduce
        crop = whole[24 // step : -(-57 // step), 16 // step : -(-66 // step)]
        assert abs(window - crop).max() <= max(1, peak // 255)
        np.testing.assert_array_equal(window[..., colours:], crop[..., colours:])
    bare = wavelic.encode(Image(pixels, METADATA), "lifting", bpp=12, strip=True)
    assert wavelic.open(bare).decode().metadata == Metadata()


def test_sizes_from_one_to_seventy() -> None:
    sides = np.random.default_rng(0).permutation(70) + 1
    for height, width in zip([*range(1, 20), *range(20, 71, 3)], sides.tolist(), strict=False):
        pixels = image(height, width, 3 if height % 2 else 1)
        file = wavelic.open(wavelic.encode(pixels, "lifting", bpp=12))
        decoded = file.read()
        assert decoded.shape == pixels.shape
        if height * width > 400:  # 8 bits per pixel are few when the headers are most of the file
            assert psnr(decoded, pixels, 255) > 36, (height, width)
        for reduce, (w, h) in enumerate(file.level_dimensions[1:], 1):
            assert file.read(reduce).shape == (h, w, pixels.shape[2])


def test_a_reduced_picture_is_the_learned_low_band() -> None:
    pixels = image(121, 150)
    file = wavelic.open(wavelic.encode(pixels, "lifting", bpp=30))
    transform = load_lifting(PRODUCT)
    for reduce in range(1, 6):
        low = transform.analysis(to_components(pixels), reduce).low
        assert abs(file.read(reduce).astype(int) - to_pixels(low, 8)).max() <= 2


def test_plain_files_are_read_and_opacity_with_them() -> None:
    pixels = image(64, 80, 4)
    for channels in (1, 2, 3, 4):
        part = pixels[..., 0] if channels == 1 else pixels[..., :channels]
        for extension, options in (("jp2", {}), ("j2k", {"no_jp2": True}), ("jp2", {"quality_layers": [20, 5, 1]})):
            stream = io.BytesIO()
            PIL.Image.fromarray(part).save(stream, "JPEG2000", irreversible=False, **options)
            file = wavelic.open(stream.getvalue())
            assert (file.codec, file.info["format"], file.info["model"]) == ("jpeg2000", extension, "none")
            assert file.shape == (64, 80, channels)
            assert abs(file.read().astype(int).reshape(part.shape) - part).max() <= (
                1 if "quality_layers" in options else 0
            )
            np.testing.assert_array_equal(file.read(region=(5, 7, 60, 50)), file.read()[7:57, 5:65])
            assert file.layers[-1].bytes == len(stream.getvalue())
            if "quality_layers" in options:
                assert [layer.bytes for layer in file.layers[:2]] == [None, None]  # no packet lengths
