"""Metrics against hand-computed values and against an MS-SSIM written from the paper."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
from scipy.ndimage import correlate1d

from wavelic.errors import UsageError
from wavelic.evaluation import metrics


def noisy_pair(height: int, width: int, sigma: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A smooth picture with texture, and the same with noise."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    waves = np.stack([np.sin(x / 9 + k) * np.cos(y / (13 + k)) for k in range(3)], axis=2)
    clean = 128 + 70 * waves + generator.normal(0, 8, (height, width, 3))
    noisy = clean + generator.normal(0, sigma, clean.shape)
    return tuple(np.clip(np.rint(p), 0, 255).astype(np.uint8) for p in (clean, noisy))  # type: ignore[return-value]


def ms_ssim_reference(a: np.ndarray, b: np.ndarray) -> float:
    """Wang, Simoncelli, Bovik (2003) in float64 with scipy: valid windows, 2x2 means, per channel, then the mean.

    Odd sides are padded by one zero row or column shared by both ends as `avg_pool2d(padding=side % 2)` does.
    """
    weights = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])
    taps = np.exp(-((np.arange(11) - 5) ** 2) / (2 * 1.5**2))
    taps /= taps.sum()
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2

    def blur(p: np.ndarray) -> np.ndarray:
        return correlate1d(correlate1d(p, taps, axis=0)[5:-5], taps, axis=1)[:, 5:-5]

    def halve(p: np.ndarray) -> np.ndarray:
        pad = [(s % 2, s % 2) for s in p.shape]
        p = np.pad(p, pad)
        p = p[: p.shape[0] // 2 * 2, : p.shape[1] // 2 * 2]
        return (p[0::2, 0::2] + p[1::2, 0::2] + p[0::2, 1::2] + p[1::2, 1::2]) / 4

    channels = []
    for c in range(3):
        x, y = a[..., c].astype(np.float64), b[..., c].astype(np.float64)
        factors = []
        for scale in range(5):
            mx, my = blur(x), blur(y)
            vx, vy, cov = blur(x * x) - mx * mx, blur(y * y) - my * my, blur(x * y) - mx * my
            contrast = (2 * cov + c2) / (vx + vy + c2)
            luminance = (2 * mx * my + c1) / (mx * mx + my * my + c1)
            factors.append(max(0.0, float(np.mean(contrast * luminance if scale == 4 else contrast))))
            x, y = halve(x), halve(y)
        channels.append(float(np.prod(np.array(factors) ** weights)))
    return float(np.mean(channels))


def test_psnr_of_a_constant_offset() -> None:
    a = np.full((16, 24, 3), 100, np.uint8)
    assert metrics.psnr_rgb(a, a + 5) == pytest.approx(10 * math.log10(255**2 / 25), abs=1e-12)
    assert metrics.psnr_y(a, a + 5) == pytest.approx(10 * math.log10(255**2 / 25), abs=1e-9)


def test_psnr_is_one_mse_over_all_channels_and_does_not_wrap() -> None:
    a, b = np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8, 3), np.uint8)
    b[..., 0] = 255
    assert metrics.mse_rgb(a, b) == 255**2 / 3
    assert metrics.psnr_rgb(a, b) == metrics.psnr_rgb(b, a) == pytest.approx(10 * math.log10(3))
    assert metrics.psnr_y(a, b) == pytest.approx(-20 * math.log10(0.299))


def test_identical_pictures_are_infinitely_good() -> None:
    a, _ = noisy_pair(176, 176, 0)
    assert metrics.psnr_rgb(a, a) == math.inf
    assert metrics.psnr_y(a, a) == math.inf
    assert metrics.ms_ssim_rgb(a, a) == pytest.approx(1, abs=1e-6)
    assert metrics.to_db(1.0) == math.inf


@pytest.mark.parametrize(("height", "width", "sigma"), [(192, 256, 3), (192, 256, 30), (161, 176, 10), (208, 163, 60)])
def test_ms_ssim_agrees_with_the_paper_in_float64(height: int, width: int, sigma: float) -> None:
    a, b = noisy_pair(height, width, sigma)
    assert metrics.ms_ssim_rgb(a, b) == pytest.approx(ms_ssim_reference(a, b), abs=2e-6)


def test_ms_ssim_of_a_small_picture_is_undefined_rather_than_of_fewer_scales() -> None:
    a, b = noisy_pair(metrics.MS_SSIM_MIN_SIDE - 1, 300, 5)
    assert math.isnan(metrics.ms_ssim_rgb(a, b))
    assert math.isnan(metrics.to_db(math.nan))
    a, b = noisy_pair(metrics.MS_SSIM_MIN_SIDE, 161, 5)
    assert 0 < metrics.ms_ssim_rgb(a, b) < 1


def test_ms_ssim_in_db() -> None:
    assert metrics.to_db(0.9) == pytest.approx(10)
    assert metrics.to_db(0.99) == pytest.approx(20)


def test_grey_is_three_equal_channels() -> None:
    a, b = noisy_pair(32, 40, 9)
    gray = metrics.psnr_rgb(a[..., 0], b[..., 0])
    assert gray == metrics.psnr_rgb(np.repeat(a[..., :1], 3, 2), np.repeat(b[..., :1], 3, 2))


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (np.zeros((4, 4, 3)), np.zeros((4, 4, 3), np.uint8), "uint8"),
        (np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), "alpha"),
        (np.zeros((4, 5, 3), np.uint8), np.zeros((5, 4, 3), np.uint8), "size"),
        (np.zeros((0, 5, 3), np.uint8), np.zeros((0, 5, 3), np.uint8), "shape"),
    ],
)
def test_pictures_that_cannot_be_compared(a: np.ndarray, b: np.ndarray, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        metrics.psnr_rgb(a, b)


def test_bits_per_pixel_counts_whole_bytes() -> None:
    assert metrics.bits_per_pixel(49152, 768, 512) == 1.0
    with pytest.raises(UsageError, match="1x1"):
        metrics.bits_per_pixel(10, 0, 512)


def test_importing_the_package_is_light() -> None:
    code = (
        "import sys, wavelic.evaluation, wavelic.evaluation.metrics, wavelic.evaluation.bd, wavelic.evaluation.results,"
        "wavelic.evaluation.runner, wavelic.evaluation.anchors;"
        "heavy = {'torch', 'scipy', 'matplotlib', 'jinja2', 'imagecodecs'} & set(sys.modules); print(heavy or 'light')"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "light"
