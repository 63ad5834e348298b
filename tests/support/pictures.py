"""Test pictures with smooth areas, an edge and noise, and their PSNR."""

from __future__ import annotations

import numpy as np


def picture(height: int, width: int, bits: int = 8, seed: int = 0) -> np.ndarray:
    """A smooth surface with an edge and some noise: (height, width) int64 in 0..2**bits - 1."""
    y, x = np.mgrid[:height, :width] / max(height, width)
    wave = np.sin(7 * x + 3 * y) + np.cos(11 * y * x) + (x + 0.4 * y > 0.5)
    noise = np.random.default_rng(seed).normal(0, 0.05, (height, width))
    scaled = (wave + noise + 2) / 5.2 * (2**bits - 1)
    return np.clip(np.rint(scaled), 0, 2**bits - 1).astype(np.int64)


def image(height: int, width: int, channels: int = 3, bits: int = 8) -> np.ndarray:
    """`picture` for every channel: (height, width, channels), uint8 for 8 bits and otherwise uint16."""
    pixels = np.stack([picture(height, width, bits, seed) for seed in range(channels)], -1)
    return pixels.astype(np.uint8 if bits == 8 else np.uint16)


def psnr(a: np.ndarray, b: np.ndarray, peak: float | None = None) -> float:
    """Peak signal-to-noise ratio in dB between arrays of one shape; infinite where they are equal.

    The peak is the largest value of the type of ``a`` unless given.
    """
    peak = float(np.iinfo(a.dtype).max) if peak is None else peak
    error = float(np.mean((a.astype(float) - b) ** 2))
    return 10 * np.log10(peak**2 / error) if error else np.inf


def smooth(channels: int = 3, dtype: type = np.uint8, height: int = 70, width: int = 100) -> np.ndarray:
    """Waves (height, width, channels) over the range of the type."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [np.sin(x / (9 + 4 * k)) + np.cos(y / (14 - 3 * k)) for k in range(channels)]
    return ((np.stack(planes, 2) + 2) / 4 * np.iinfo(dtype).max).astype(dtype)
