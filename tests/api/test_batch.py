"""Many images at once: the pixels of one by one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import numpy as np
import pytest
import torch

import wavelic
from wavelic.api import batch
from wavelic.api.batch import decode_batch, decode_many
from wavelic.codec.base import Codec
from wavelic.codec.opened import OpenedFile, Pixels
from wavelic.codec.registry import get_codec
from wavelic.container import Container, read_container, write_container
from wavelic.errors import ChecksumError, FormatError, LimitError, UsageError
from wavelic.jpeg2000 import EncodeOptions, encode_codestream, write_jp2

torch.set_num_threads(1)
Picture = Callable[..., np.ndarray]


def check_same(decoded: np.ndarray, expected: np.ndarray) -> None:
    """Equal up to the rounding of floats: 1 of 255 at most, and hardly anywhere."""
    assert (decoded.dtype, decoded.shape) == (expected.dtype, expected.shape)
    unit = np.iinfo(decoded.dtype).max // 255
    difference = abs(decoded.astype(int) - expected)
    assert difference.max() <= unit
    assert (difference <= unit // 64).mean() > 0.995


def plain_file(pixels: np.ndarray) -> bytes:
    """A JPEG 2000 file as other software writes it."""
    planes = list(pixels.transpose(2, 0, 1).astype(np.int32))
    return write_jp2(encode_codestream(planes, 8, EncodeOptions(colour_transform=True)))


@pytest.mark.parametrize("codec", ["wcae", "weconvene", "lifting"])
@pytest.mark.parametrize(("channels", "dtype"), [(1, np.uint8), (2, np.uint16), (3, np.uint8), (4, np.uint16)])
def test_a_batch_is_its_images(
    picture: Picture, codec: str, channels: int, dtype: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(get_codec(codec)), "batch_pixels", 3 * batch._LEAST_PIXELS)  # several batches
    qualities = (20, 90, 50, 20, 35, 90, 20) if codec == "wcae" else (20, 90, 50, 35)
    files = [
        wavelic.encode(picture(45, 60, channels, dtype, seed), quality=quality, codec=codec)
        for seed, quality in enumerate(qualities)
    ]
    assert codec != "wcae" or len({wavelic.open(data).info["model"] for data in files}) > 1
    check_same(decode_batch(files), np.stack([wavelic.decode(data) for data in files]))


def test_whatever_wrote_them_and_whatever_their_size(picture: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "_SMALL", 150 * 150)  # so that there is one that is decoded alone
    small, wide, large = picture(40, 50, seed=1), picture(33, 90, 1, np.uint16, 2), picture(200, 170, 4, seed=3)
    files = [wavelic.encode(image, codec) for codec in wavelic.CODECS for image in (small, wide, small)]
    files += [wavelic.encode(large, codec) for codec in ("weconvene", "lifting")]
    files += [plain_file(small), wavelic.encode(small, "weconvene", quality=80), plain_file(small)]
    files += [wavelic.encode(picture(130, 150), "weconvene", access="windows")]
    order = np.random.default_rng(0).permutation(len(files))
    files = [files[index] for index in order]
    for threads in (1, 2):
        torch.set_num_threads(threads)
        try:
            decoded = decode_many(files)
        finally:
            torch.set_num_threads(1)
        for data, pixels in zip(files, decoded, strict=True):
            check_same(pixels, wavelic.decode(data))
    assert decode_many([]) == []
    alike = [data for data in files if wavelic.open(data).shape == small.shape]
    check_same(decode_batch(alike), np.stack([wavelic.decode(data) for data in alike]))


def test_pictures_in_tiles(picture: Picture) -> None:
    """Of 2 x 2 tiles of 256 pixels."""
    files = [
        wavelic.encode(picture(270, 300, seed=seed), "weconvene", quality=20 + seed, access="windows")
        for seed in (0, 9)
    ]
    check_same(decode_batch(files), np.stack([wavelic.decode(data) for data in files]))


@pytest.mark.parametrize("codec", ["wcae", "weconvene", "lifting"])
def test_files_that_are_alike_go_through_the_networks_together(
    picture: Picture, codec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def counted(
        self: Codec, files: list[OpenedFile], device: str, lock: AbstractContextManager[object]
    ) -> list[Pixels]:
        calls.append(len(files))
        return original(self, files, device, lock)

    kind = type(get_codec(codec))
    original = kind.decode_batch
    monkeypatch.setattr(kind, "decode_batch", counted)
    files = [wavelic.encode(picture(40, 50, seed=seed), codec, quality=50 + seed % 2) for seed in range(6)]
    decode_batch(files)
    assert max(calls) > 1
    assert sum(calls) == 6


def test_the_symbols_are_compared_with_their_checksum(picture: Picture) -> None:
    files = [wavelic.encode(picture(40, 50, seed=seed), quality=50, codec="wcae") for seed in range(3)]
    container = read_container(files[1])
    chunks = list(container.chunks)
    at = next(index for index, chunk in enumerate(chunks) if chunk.kind == b"lcrc")
    chunks[at] = type(chunks[at])(b"lcrc", b"\0\0\0\1")
    broken = write_container(Container(container.header, tuple(chunks)))
    with pytest.raises(ChecksumError, match="latent"):
        decode_batch([files[0], broken, files[2]])


def test_coefficients_are_compared_with_their_checksum(picture: Picture) -> None:
    files = [wavelic.encode(picture(40, 50, seed=seed), quality=50, codec="weconvene") for seed in range(3)]
    container = read_container(files[1])
    chunk = container.chunks[0]
    damaged = type(chunk)(chunk.kind, chunk.payload[:-1] + bytes([chunk.payload[-1] ^ 1]))
    broken = write_container(Container(container.header, (damaged, *container.chunks[1:])))
    with pytest.raises(ChecksumError, match="coefficients"):
        decode_batch([files[0], broken, files[2]])


def test_what_is_no_batch(picture: Picture) -> None:
    data = wavelic.encode(picture(40, 50), codec="wcae")
    with pytest.raises(UsageError, match="no files"):
        decode_batch([])
    for other in (picture(40, 51), picture(40, 50, 1), picture(40, 50, 3, np.uint16)):
        with pytest.raises(UsageError, match="2 kinds"):
            decode_batch([data, wavelic.encode(other, codec="lifting")])
    for wrong in (decode_batch, decode_many):
        with pytest.raises(FormatError):
            wrong([data, data[:-5]])
        with pytest.raises(LimitError):
            wrong([data], limits=wavelic.container.Limits(max_pixels=100))
        with pytest.raises(UsageError, match="device"):
            wrong([data], device="nowhere")
