"""JP2 files of codec `lifting` that exist must decode for ever, whatever weights encode today."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from paths import GOLDEN

import wavelic
from wavelic.images import load_image
from wavelic.lifting.cards import PRODUCT, find_lifting

torch.set_num_threads(1)
FILES = sorted(GOLDEN.glob("v1-lifting-*.jp2"))


def test_the_weights_that_encode_have_golden_files_of_every_kind() -> None:
    """Replacing weights needs new ones, beside those of the replaced weights: `python tests/golden/make.py lifting`."""
    start = f"v1-lifting-{find_lifting(PRODUCT).hash[:8]}-range-"
    kinds = {path.stem.removeprefix(start) for path in FILES if path.stem.startswith(start)}
    assert kinds >= {"gray", "gray-alpha", "rgb", "rgba", "rgb16"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_decodes_as_it_always_did(path: Path) -> None:
    """Pixels within one grey level of 255, nearly all equal (some processors use bfloat16), alpha exactly."""
    file, expected = wavelic.open(path), load_image(path.with_suffix(".png")).pixels
    pixels = file.read()
    assert file.info["model_hash"][:8] in path.stem
    assert (pixels.shape, pixels.dtype) == (expected.shape, expected.dtype)
    level = 1 if pixels.dtype == np.uint8 else 257
    difference = np.abs(pixels.astype(int) - expected)
    assert difference.max() <= level
    if pixels.dtype == np.uint8:
        assert (difference == 0).mean() > 0.95
    if pixels.shape[2] in (2, 4):
        np.testing.assert_array_equal(pixels[..., -1], expected[..., -1])
    assert len(file.layers) == 3
    assert file.read(layers=1, reduce=1).shape == ((expected.shape[0] + 1) // 2, 42, expected.shape[2])
