"""Weights and files for the tests of codec `lifting`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from lifting_transforms import learned
from pictures import image

import wavelic
from wavelic.images import Metadata
from wavelic.lifting.cards import LUMA, PRODUCT
from wavelic.lifting.transform.steps import LUMA_STEPS
from wavelic.lifting.weights import save_lifting

METADATA = Metadata(b"an ICC profile", b"II*\0 exif", b"<x:xmpmeta/>")


def installed_weights(folder: Path) -> Iterator[Path]:
    """Weights of the product's name in a folder of their own: random, and large enough for margins to matter."""
    state = learned().state_dict()
    save_lifting(folder / PRODUCT, "Hybrid(9/7)-U16", state, {"seed": 7})
    save_lifting(folder / LUMA, "Hybrid(9/7)-U16", state, {"seed": 7}, steps=LUMA_STEPS)
    before = os.environ.get("WAVELIC_WEIGHTS")
    os.environ["WAVELIC_WEIGHTS"] = str(folder)
    yield folder
    os.environ.pop("WAVELIC_WEIGHTS")
    if before is not None:
        os.environ["WAVELIC_WEIGHTS"] = before


def layered_file() -> bytes:
    """A JP2 file of 187x140 pixels with three layers."""
    return wavelic.encode(image(140, 187), "lifting", bpp=3, layers=(0.5, 1.5))
