"""Files of codec `jp2` that exist must decode for ever."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from paths import GOLDEN

import wavelic
from wavelic.images import load_image

FILES = sorted(GOLDEN.glob("v1-jp2-*.jp2"))


def test_there_is_one_of_every_kind() -> None:
    """Made by `python tests/golden/make.py jp2`."""
    kinds = {path.stem.removeprefix("v1-jp2-") for path in FILES}
    assert kinds >= {"gray", "gray-alpha", "rgb", "rgba", "rgb16", "rgba-lossless"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_decodes_as_it_always_did(path: Path) -> None:
    """Lossless ones and opacity exactly; others within a grey level, as libraries differ in floats."""
    file, expected = wavelic.open(path), load_image(path.with_suffix(".png")).pixels
    file.verify()
    pixels = file.read()
    assert (file.codec, pixels.shape, pixels.dtype) == ("jp2", expected.shape, expected.dtype)
    level = 0 if "lossless" in path.stem else 1 if pixels.dtype == np.uint8 else 257
    assert np.abs(pixels.astype(int) - expected).max() <= level
    if pixels.shape[2] in (2, 4):
        np.testing.assert_array_equal(pixels[..., -1], expected[..., -1])
    assert file.layer_count == 3
