"""The contract of `wavelic.codec.base`, run over every codec in the registry: nothing here knows one by name."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch

import wavelic
from wavelic.api.files import encode_image, open_url
from wavelic.codec.architectures import architectures
from wavelic.codec.base import Codec
from wavelic.codec.options import COMMON, Options
from wavelic.codec.registry import CODECS, DEFAULT_CODEC, codecs, get_codec, names, recognize
from wavelic.codec.target import Target
from wavelic.container import DEFAULT_LIMITS, Limits
from wavelic.errors import FormatError, LimitError, UsageError
from wavelic.images import Metadata, from_array
from wavelic.rect import Rect

torch.set_num_threads(1)
Picture = Callable[..., np.ndarray]
every_codec = pytest.mark.parametrize("codec", codecs(), ids=names())
#: Values that no option has by default.
UNUSUAL = {
    "published": True,
    "layers": 2,
    "access": "windows",
    "lossless": True,
    "tile_size": 64,
    "resync": True,
    "enhance": True,
    "effort": 2,
    "learned": "luma",
    "tune": "msssim",
}


def test_the_registry_is_what_users_see() -> None:
    assert names() == wavelic.CODECS
    assert names()[: len(CODECS)] == tuple(CODECS)
    assert names()[0] == DEFAULT_CODEC
    with pytest.raises(UsageError, match=f"no codec 'nonesuch'; choose one of {', '.join(names())}"):
        wavelic.encode(np.zeros((8, 8, 3), np.uint8), "nonesuch")


@every_codec
def test_it_says_what_it_is(codec: Codec) -> None:
    assert get_codec(codec.name) is codec
    assert codec.label
    assert codec.summary
    assert codec.extension.startswith(".")
    assert codec.options <= {field.name for field in fields(Options)} - COMMON
    for card in codec.weights():
        assert card.architecture in {entry.name for entry in codec.architectures()}
    for entry in codec.architectures():
        assert architectures()[entry.name] == entry


@every_codec
def test_its_name_comes_back_and_its_weights_are_named(codec: Codec, picture: Picture) -> None:
    encoded = encode_image(from_array(picture(24, 40)), codec.name)
    file = wavelic.open(encoded.data)
    assert file.codec == file.info["codec"] == codec.name
    assert recognize(encoded.data[:64]) is not None
    assert encoded.model == file.info["model"]
    assert encoded.model in {card.name for card in codec.weights()} | {"none"}


@every_codec
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_every_kind_of_image_and_its_metadata(codec: Codec, channels: int, dtype: type, picture: Picture) -> None:
    pixels = picture(50, 70, channels, dtype)
    metadata = Metadata(exif=b"II*\0\x08\0\0\0\0\0", xmp=b"<x:xmpmeta/>")
    data = encode_image(from_array(pixels, metadata), codec.name, Target("quality", 80)).data
    file = wavelic.open(data)
    assert (file.shape, file.bit_depth) == (pixels.shape, pixels.itemsize * 8)
    file.verify()
    decoded = file.decode()
    assert decoded.metadata == metadata
    assert (decoded.pixels.shape, decoded.pixels.dtype) == (pixels.shape, pixels.dtype)
    colors = channels - (channels in (2, 4))
    error = (decoded.pixels[..., :colors].astype(float) - pixels[..., :colors]) / np.iinfo(dtype).max
    assert 10 * np.log10(1 / np.mean(error**2)) > 20
    np.testing.assert_array_equal(decoded.pixels[..., colors:], pixels[..., colors:])
    stripped = encode_image(from_array(pixels, metadata), codec.name, options=Options(strip=True)).data
    assert wavelic.open(stripped).decode().metadata == Metadata()


@every_codec
@pytest.mark.parametrize("size", [(1, 1), (1, 2), (2, 1), (3, 5), (1, 300), (257, 1), (16, 16), (31, 33), (128, 129)])
def test_every_size(codec: Codec, size: tuple[int, int], picture: Picture) -> None:
    pixels = picture(*size)
    file = wavelic.open(wavelic.encode(pixels, codec.name, 60))
    assert file.read().shape == pixels.shape
    assert file.level_dimensions[0] == size[::-1]
    assert file.layer_count == len(file.layers) >= 1
    for reduce, (width, height) in enumerate(file.level_dimensions):
        assert file.read(reduce=reduce).shape == (height, width, 3)


@every_codec
@pytest.mark.parametrize("kind", ["bpp", "psnr", "size"])
def test_it_meets_targets_or_says_so(codec: Codec, kind: str, picture: Picture) -> None:
    image = from_array(picture(256, 320))
    middle = encode_image(image, codec.name, Target("quality", 45)).data
    goal = {
        "bpp": len(middle) * 8 / (256 * 320),
        "size": float(len(middle)),
        "psnr": wavelic.api.files.psnr(image.pixels, wavelic.decode(middle)),
    }[kind]
    target = Target(kind, goal)  # type: ignore[arg-type]
    encoded = encode_image(image, codec.name, target)
    if kind == "psnr":
        assert abs(wavelic.api.files.psnr(image.pixels, wavelic.decode(encoded.data)) - goal) < 0.1
    else:
        assert abs(len(encoded.data) / len(middle) - 1) <= 0.02
    assert kind != "size" or len(encoded.data) <= goal
    assert encoded.note.startswith(f"asked for {target}")
    assert 0 <= encoded.quality <= 100
    assert "nearest" in encode_image(image, codec.name, Target("size", 1)).note


@every_codec
@pytest.mark.parametrize("option", sorted(UNUSUAL))
def test_options_it_does_not_take_are_refused(codec: Codec, option: str, picture: Picture) -> None:
    assert set(UNUSUAL) == {field.name for field in fields(Options)} - COMMON
    options = Options(**{option: UNUSUAL[option]})
    image = from_array(picture(30, 40))
    if option in codec.options:
        file = wavelic.open(encode_image(image, codec.name, options=options).data)
        assert (file.read(enhance=False) if option == "enhance" else file.read()).shape == (30, 40, 3)
    else:
        with pytest.raises(UsageError, match=f"{option} .* given for codec {codec.name}; it is an option of "):
            encode_image(image, codec.name, options=options)


@every_codec
def test_a_window_is_a_crop(codec: Codec, picture: Picture) -> None:
    """Up to the rounding of floats, as windows of networks are of other sizes."""
    pixels = picture(150, 210, 4)
    file = wavelic.open(wavelic.encode(pixels, codec.name, 70))
    for reduce in sorted({0, min(1, file.levels), file.levels}):
        whole = file.read(reduce=reduce).astype(int)
        for x, y, width, height in ((0, 0, 210, 150), (101, 33, 64, 64), (3, 140, 200, 10), (209, 149, 1, 1)):
            expected = whole[Rect(x, y, width, height).reduced(reduce).slices()]
            if not expected.size:
                with pytest.raises(UsageError, match="no sample"):
                    file.read(reduce=reduce, region=(x, y, width, height))
                continue
            window = file.read(reduce=reduce, region=(x, y, width, height)).astype(int)
            assert window.shape == expected.shape
            assert np.abs(window - expected).max() <= 1
            np.testing.assert_array_equal(window[..., 3], expected[..., 3])
    for wrong in ((0, 0, 211, 1), (-1, 0, 5, 5), (0, 0, 0, 5)):
        with pytest.raises(UsageError, match="not inside the image"):
            file.read(region=wrong)
    with pytest.raises(UsageError, match="reduce is"):
        file.read(reduce=file.levels + 1)
    with pytest.raises(UsageError, match="layers is"):
        file.read(layers=file.layer_count + 1)


@every_codec
def test_a_batch_is_its_images(codec: Codec, picture: Picture) -> None:
    data = [wavelic.encode(picture(40, 52, 4, seed=seed), codec.name, 30 + 20 * (seed % 2)) for seed in range(4)]
    opened = [wavelic.open(each) for each in data]
    alike = [n for n, file in enumerate(opened) if codec.batch_key(file) == codec.batch_key(opened[0])]
    together = codec.decode_batch([opened[n] for n in alike], "cpu", threading.Lock())
    assert len(together) == len(alike)
    everything = range(len(data))
    batches = ((together, alike), (wavelic.decode_batch(data), everything), (wavelic.decode_many(data), everything))
    for batch, numbers in batches:
        for pixels, number in zip(batch, numbers, strict=True):
            alone = wavelic.decode(data[number])
            assert (pixels.shape, pixels.dtype) == (alone.shape, alone.dtype)
            assert np.abs(pixels.astype(int) - alone).max() <= 1


@every_codec
def test_a_file_elsewhere_is_the_same_file(codec: Codec, tmp_path: Path, picture: Picture) -> None:
    data = wavelic.encode(picture(90, 120), codec.name)
    path = tmp_path / f"x{codec.extension}"
    path.write_bytes(data)
    local, ranged = wavelic.open(path), open_url(path)
    assert (ranged.codec, ranged.shape, ranged.info["bytes"]) == (codec.name, local.shape, len(data))
    np.testing.assert_array_equal(ranged.read(region=(10, 20, 30, 40)), local.read(region=(10, 20, 30, 40)))
    ranged.verify()


@every_codec
def test_damage_and_limits_are_told_apart(codec: Codec, picture: Picture) -> None:
    data = wavelic.encode(picture(60, 80), codec.name)
    middle = len(data) * 3 // 4
    damaged = data[:middle] + bytes([data[middle] ^ 0x10]) + data[middle + 1 :]
    with pytest.raises(FormatError) as failure:
        wavelic.open(damaged).verify()
    assert not isinstance(failure.value, LimitError)
    with pytest.raises(FormatError):
        wavelic.open(data[:-9]).verify()
    with pytest.raises(LimitError, match="max_pixels"):
        wavelic.open(data, Limits(max_pixels=100))


@every_codec
def test_trimming_drops_layers_or_says_that_there_are_none(codec: Codec, picture: Picture) -> None:
    options = Options(layers=3) if "layers" in codec.options else Options()
    data = encode_image(from_array(picture(90, 120)), codec.name, options=options).data
    if "layers" in codec.options:
        trimmed = codec.trim(data, 1, None, DEFAULT_LIMITS)
        assert wavelic.open(trimmed).layer_count == 1
        assert len(trimmed) < len(data)
    else:
        with pytest.raises(UsageError, match=f"codec {codec.name} have no quality layers"):
            codec.trim(data, 1, None, DEFAULT_LIMITS)


@every_codec
def test_progress_ends_at_its_total(codec: Codec, picture: Picture) -> None:
    seen: list[tuple[int, int]] = []
    options = Options(progress=lambda done, total: seen.append((done, total)))
    data = encode_image(from_array(picture(60, 80)), codec.name, Target("quality", 40), options).data
    decoded: list[tuple[int, int]] = []
    wavelic.open(data).decode(progress=lambda done, total: decoded.append((done, total)))
    for steps in (seen, decoded):
        assert steps[-1][0] == steps[-1][1]
        assert [done for done, _ in steps] == sorted(done for done, _ in steps)
