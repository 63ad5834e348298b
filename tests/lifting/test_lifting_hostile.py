"""Mutated files of codec `lifting`: wavelic's error or the right picture, quickly, and never a third thing."""

from __future__ import annotations

import random
import sys
import time

import numpy as np
import pytest
import torch
from lifting_reading import read_with
from lifting_transforms import learned
from paths import FUZZ
from pictures import image

from wavelic.errors import WavelicError
from wavelic.images import Metadata, encode_alpha
from wavelic.jpeg2000 import EncodeOptions
from wavelic.lifting.jp2.file import Jp2File
from wavelic.lifting.jp2.opening import open_jp2
from wavelic.lifting.jp2.pseudo_image import pseudo_image
from wavelic.lifting.jp2.samples import to_components
from wavelic.lifting.transform.transform import LiftingTransform

sys.path.insert(0, str(FUZZ))
from fuzz_jpeg2000 import mutate

torch.set_num_threads(1)
FILES = 1200
SECONDS = 5.0


@pytest.fixture(scope="module")
def seeds() -> list[tuple[bytes, np.ndarray]]:
    """Small files of different structure, and the pictures in them."""
    transform = learned()
    found = []
    for height, width, channels, options in (
        (24, 33, 3, EncodeOptions(layer_bytes=(300, 700))),
        (33, 20, 1, EncodeOptions(precincts=((64, 64),), progression="RPCL")),
        (18, 25, 4, EncodeOptions(layer_bytes=(500,))),
    ):
        pixels = image(height, width, channels)
        with torch.no_grad():
            coefficients = transform.analysis(to_components(pixels[..., : 3 if channels > 1 else 1]), 3)
        alpha = encode_alpha(pixels[..., 3], 8) if channels == 4 else None
        data = pseudo_image(coefficients, 8).file(
            options, model=b"m" * 8, alpha=alpha, metadata=Metadata(b"icc", b"II*\0", b"<x/>")
        )
        found.append((data, read_with(open_jp2(data), transform)))
    return found


def attempt(
    data: bytes, transform: LiftingTransform, *, allow_partial: bool = False
) -> tuple[Jp2File | None, np.ndarray | None]:
    """The opened file and its picture, or nothing for one of wavelic's errors; anything else fails the test."""
    begin = time.process_time()
    try:
        file = open_jp2(data, allow_partial=allow_partial)
        return file, read_with(file, transform if file.ours else None)
    except WavelicError as error:
        message = str(error)
    finally:
        assert time.process_time() - begin < SECONDS
    assert message
    assert "\n" not in message
    return None, None


def test_mutations(seeds: list[tuple[bytes, np.ndarray]]) -> None:
    draw = random.Random(0)
    transform = learned()
    refused = right = 0
    for number in range(FILES):
        data, expected = draw.choice(seeds)
        damaged = mutate(data, draw)
        file, decoded = attempt(damaged, transform)
        if file is None:
            refused += 1
            continue
        # only metadata, padding or a box that says nothing was changed
        assert file.ours, f"file {number}: our box is gone and nobody noticed"
        np.testing.assert_array_equal(decoded, expected, f"file {number}")
        right += 1
    assert refused > 0.7 * FILES
    assert right > 0.02 * FILES


def test_cut_and_mutated_files_opened_in_part(seeds: list[tuple[bytes, np.ndarray]]) -> None:
    """No checksum vouches for a file that is not whole: an error, or a picture of the right size that says so."""
    draw = random.Random(1)
    transform = learned()
    decoded = 0
    for _ in range(250):
        data, expected = draw.choice(seeds)
        start = data.index(b"\xff\x93")
        damaged = bytearray(data[: draw.randrange(start, len(data) - 2)])
        if draw.random() < 0.5:
            damaged[draw.randrange(len(damaged))] ^= 1 << draw.randrange(8)
        file, pixels = attempt(bytes(damaged), transform, allow_partial=True)
        if file is not None and pixels is not None:
            assert not file.complete
            assert file.whole_layers < 3
            assert not file.ours or pixels.shape == expected.shape
            decoded += 1
    assert decoded > 60


def test_every_cut_gives_the_last_whole_layer(seeds: list[tuple[bytes, np.ndarray]]) -> None:
    data, _ = seeds[0]
    transform = learned()
    whole = open_jp2(data)
    sizes = [layer.bytes or 0 for layer in whole.layers]
    for stop in range(sizes[0] + 20, len(data), 37):
        file = open_jp2(data[:stop], allow_partial=True)
        assert not file.complete
        assert file.whole_layers in (1, 2)
        np.testing.assert_array_equal(read_with(file, transform), read_with(whole, transform, layers=file.whole_layers))
