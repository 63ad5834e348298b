"""Large files decoded in windows: the pixels of one piece."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from test_jpeg2000 import picture
from test_lifting import random_transform
from wavelic.codecs import large
from wavelic.codecs.carrier import NO_MODEL, encode_carrier, to_components
from wavelic.codecs.large import read_large
from wavelic.codecs.lifting import open_jpeg2000
from wavelic.codecs.ranged import open_ranged
from wavelic.jpeg2000 import EncodeOptions
from wavelic.models.lifting import LiftingTransform, build_lifting
from wavelic.remote import open_source

torch.set_num_threads(1)


def coded(transform: LiftingTransform, model: bytes) -> bytes:
    pixels = np.stack([picture(131, 150, 8, seed) for seed in range(3)], -1).astype(np.uint8)
    with torch.inference_mode():
        coefficients = transform.analysis(to_components(pixels), 5)
    return encode_carrier(coefficients, 8, EncodeOptions(layer_bytes=(1500, 6000)), model=model).data


@pytest.mark.parametrize("learned", [False, True])
def test_windows_together_are_the_whole(learned: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    transform = build_lifting("CDF-9/7")
    if learned:
        transform = LiftingTransform(random_transform("Hybrid(9/7)-U16", 0.12, torch.float32).level, luma_only=True)
    given = transform if learned else None
    file = open_jpeg2000(coded(transform, b"m" * 8 if learned else NO_MODEL)).carrier
    steps: list[tuple[int, int]] = []
    for reduce, region in ((0, None), (1, None), (0, (13, 20, 120, 111)), (2, (5, 6, 140, 120))):
        whole = file.read(given, reduce=reduce, region=region)
        with monkeypatch.context() as patch:
            patch.setattr(large, "ONE_PIECE", 100)
            patch.setattr(large, "PLAIN_WINDOW", 48)
            patch.setattr(large, "LEARNED_WINDOW", 64)
            steps.clear()
            windows = read_large(file, given, reduce, None, region, 1, lambda done, total: steps.append((done, total)))
        height, width = whole.shape[:2]
        side = 64 if learned else 48
        count = -(-height // side) * -(-width // side)
        assert steps == [(done + 1, count) for done in range(count)]
        assert windows.dtype == whole.dtype
        difference = abs(windows.astype(int) - whole)
        assert difference.max() <= int(learned)
        assert (difference == 0).mean() > 0.998


def test_a_file_read_in_parts_is_fetched_once(monkeypatch: pytest.MonkeyPatch) -> None:
    data = coded(build_lifting("CDF-9/7"), NO_MODEL)
    expected = open_jpeg2000(data).read()
    monkeypatch.setattr(large, "ONE_PIECE", 100)
    monkeypatch.setattr(large, "PLAIN_WINDOW", 48)
    source = open_source(data)
    file = open_ranged(source)
    opened = source.bytes_read
    np.testing.assert_array_equal(file.read(), expected)
    assert source.bytes_read - opened <= len(data)
