"""Scanned pages of text."""

from __future__ import annotations

import numpy as np
import PIL.Image
import PIL.ImageDraw


def page(height: int = 400, width: int = 300) -> np.ndarray:
    """Lines of text, 0 and 255."""
    picture = PIL.Image.new("1", (width, height), 1)
    draw = PIL.ImageDraw.Draw(picture)
    words = ["the", "quick", "brown", "fox", "jumps", "over", "the", "lazy", "dog", "and", "then", "it", "rests"]
    random = np.random.default_rng(0)
    for row in range(10, height - 20, 14):
        draw.text((10, row), " ".join(random.choice(words, width // 30)), fill=0)
    return np.asarray(picture) * np.uint8(255)
