"""Many images at once: the pixels of one by one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

import wavelic
from wavelic.codecs import batch
from wavelic.codecs.batch import decode_batch
from wavelic.container import Container, read_container, write_container
from wavelic.errors import ChecksumError, FormatError, LimitError, UsageError

torch.set_num_threads(1)
Picture = Callable[..., np.ndarray]


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_batch_is_its_images(picture: Picture, channels: int, dtype: type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "_GROUP_PIXELS", 2 * 45 * 60)  # several groups of two
    qualities = (20, 90, 50, 20, 35, 90, 20)
    files = [
        wavelic.encode(picture(45, 60, channels, dtype, seed), quality=quality, codec="wcae")
        for seed, quality in enumerate(qualities)
    ]
    models = {wavelic.open(data).info["model"] for data in files}
    assert len(models) > 1
    decoded = decode_batch(files)
    assert decoded.dtype == dtype
    expected = np.stack([wavelic.decode(data) for data in files])
    assert decoded.shape == expected.shape
    unit = np.iinfo(dtype).max // 255
    assert abs(decoded.astype(int) - expected).max() <= unit
    assert (abs(decoded.astype(int) - expected) <= unit // 64).mean() > 0.995


def test_the_symbols_are_compared_with_their_checksum(picture: Picture) -> None:
    files = [wavelic.encode(picture(40, 50, seed=seed), quality=50, codec="wcae") for seed in range(3)]
    container = read_container(files[1])
    chunks = list(container.chunks)
    at = next(index for index, chunk in enumerate(chunks) if chunk.kind == b"lcrc")
    chunks[at] = type(chunks[at])(b"lcrc", b"\0\0\0\1")
    broken = write_container(Container(container.header, tuple(chunks)))
    with pytest.raises(ChecksumError, match="latent"):
        decode_batch([files[0], broken, files[2]])


def test_what_is_no_batch(picture: Picture) -> None:
    data = wavelic.encode(picture(40, 50), codec="wcae")
    with pytest.raises(UsageError, match="no files"):
        decode_batch([])
    for other in (picture(40, 51), picture(40, 50, 1), picture(40, 50, 3, np.uint16)):
        with pytest.raises(UsageError, match="kinds"):
            decode_batch([data, wavelic.encode(other, codec="wcae")])
    with pytest.raises(FormatError):
        decode_batch([data, data[:-5]])
    with pytest.raises(LimitError):
        decode_batch([data], limits=wavelic.container.Limits(max_pixels=100))
    with pytest.raises(UsageError, match="device"):
        decode_batch([data], device="nowhere")
