"""The shipped weights: kinds of pictures they were hardly trained on are not harmed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from enhance_support import coded
from pictures import image, psnr

import wavelic
from wavelic.enhance.catalogue import PRODUCT, enhancement_weights, find_enhance
from wavelic.enhance.drawings import line_art, page, screen
from wavelic.lifting.cards import ENHANCE

torch.set_num_threads(1)
pytestmark = pytest.mark.skipif(not enhancement_weights(), reason="no weights of enhance are installed")
#: Least gain in dB of any picture at any layer.
LEAST = -0.05


def scan(side: int) -> np.ndarray:
    """Print on paper that is not quite white, with the noise of a scanner, in gray."""
    random = np.random.default_rng(5)
    seen = page(side, random).mean(-1) * 0.8 + 30 + random.normal(0, 4, (side, side))
    return np.clip(np.rint(seen), 0, 255).astype(np.uint8)[..., None]


def radiograph(side: int) -> np.ndarray:
    """Smooth 16-bit gray that uses an eighth of its range."""
    return (image(side, side, 1, 16) // 8 + 9000).astype(np.uint16)


PICTURES = {
    "page": lambda: page(192, np.random.default_rng(1)),
    "screen": lambda: screen(192, np.random.default_rng(1_000_000)),
    "line art": lambda: line_art(192, np.random.default_rng(1_000_000)),
    "scan": lambda: scan(192),
    "radiograph": lambda: radiograph(160),
    "surface": lambda: image(160, 192),
    "noise": lambda: np.random.default_rng(0).integers(0, 256, (128, 128, 3)).astype(np.uint8),
}


@pytest.mark.parametrize("reversible", [False, True])
@pytest.mark.parametrize("kind", PICTURES)
def test_no_kind_of_picture_is_harmed(kind: str, reversible: bool) -> None:
    pixels = PICTURES[kind]()
    file = wavelic.open(coded(pixels, (0.15, 0.5, 2.0), reversible=reversible))
    for layers in (1, 2, 3):
        plain, enhanced = (file.read(layers=layers, enhance=enhance) for enhance in (False, True))
        assert not np.array_equal(plain, enhanced)
        assert psnr(pixels, enhanced) - psnr(pixels, plain) > LEAST


@pytest.mark.parametrize("kind", PICTURES)
def test_no_kind_of_lifting_file_is_harmed(kind: str) -> None:
    pixels = PICTURES[kind]()
    file = wavelic.open(wavelic.encode(pixels, "lifting", bpp=2.0, layers=(0.15, 0.5)))
    for layers in range(1, file.layer_count + 1):
        plain, enhanced = (file.read(layers=layers, enhance=enhance) for enhance in (False, True))
        assert not np.array_equal(plain, enhanced)
        assert psnr(pixels, enhanced) - psnr(pixels, plain) > LEAST


@pytest.mark.parametrize("name", [PRODUCT, ENHANCE])
def test_the_card_says_how_they_were_trained(name: str) -> None:
    about = find_enhance(name).training
    assert about["recipe"]
    assert about["metrics"]["loss"] < 0
