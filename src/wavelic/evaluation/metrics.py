"""Distortion between two 8-bit pictures: PSNR on RGB, PSNR on luma, MS-SSIM.

Every function takes two uint8 arrays of equal shape (height, width, 3), the reference first, and returns a Python
float.  Sums are exact integers or float64.  Gray pictures are measured after repeating the plane three times, so that
a gray picture has the same PSNR whichever way it is counted.
"""

from __future__ import annotations

import math

import numpy as np

from wavelic.errors import UsageError
from wavelic.evaluation.optional import require

PEAK = 255.0

LUMA_WEIGHTS = (0.299, 0.587, 0.114)
"""ITU-R BT.601 luma, full range: Y' = 0.299 R' + 0.587 G' + 0.114 B', no offset, no rounding."""

MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the five scales, finest first (Wang, Simoncelli, Bovik 2003)."""

MS_SSIM_WINDOW = 11
MS_SSIM_MIN_SIDE = (MS_SSIM_WINDOW - 1) * 2 ** (len(MS_SSIM_WEIGHTS) - 1) + 1
"""Shortest side, in pixels, on which five scales exist: 161."""


def checked_pair(reference: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Check two pictures that are to be compared, and repeat the plane of gray ones.

    Args:
        reference: original, uint8 (height, width, 3) or gray.
        test: the picture to measure, of the same size.

    Returns:
        Both, (height, width, 3).

    Raises:
        UsageError: shapes differ, or the arrays are not uint8 RGB or gray.
    """
    for name, pixels in (("reference", reference), ("test", test)):
        if pixels.dtype != np.uint8:
            raise UsageError(
                f"{name} picture has dtype {pixels.dtype}, expected uint8; round to 8 bits before measuring"
            )
        if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] not in (1, 3)) or pixels.size == 0:
            raise UsageError(
                f"{name} picture has shape {pixels.shape}, expected (height, width, 3) or gray; drop the alpha first"
            )
    if reference.shape[:2] != test.shape[:2]:
        raise UsageError(
            f"pictures differ in size, {reference.shape[:2]} and {test.shape[:2]}; compare a picture with its decode"
        )
    return _rgb(reference), _rgb(test)


def _rgb(pixels: np.ndarray) -> np.ndarray:
    if pixels.ndim == 3 and pixels.shape[2] == 3:
        return pixels
    return np.repeat(pixels.reshape(*pixels.shape[:2], 1), 3, axis=2)


def _psnr(mean_squared_error: float) -> float:
    return math.inf if mean_squared_error == 0 else 10 * math.log10(PEAK**2 / mean_squared_error)


def mse_rgb(reference: np.ndarray, test: np.ndarray) -> float:
    """Mean squared error over all height x width x 3 samples; the sum is an exact integer.

    Args:
        reference: original, uint8 (height, width, 3) or gray.
        test: the picture to measure, of the same size.

    Returns:
        The error in squared gray levels.

    Raises:
        UsageError: shapes differ, or the arrays are not uint8 RGB or gray.
    """
    a, b = checked_pair(reference, test)
    difference = a.astype(np.int32) - b.astype(np.int32)
    return int(np.sum(difference * difference, dtype=np.int64)) / difference.size


def psnr_rgb(reference: np.ndarray, test: np.ndarray) -> float:
    """PSNR, 10 log10(255^2 / MSE), with one MSE over all three channels (not the mean of three PSNRs).

    Args:
        reference: original, uint8 (height, width, 3) or gray.
        test: the picture to measure, of the same size.

    Returns:
        dB; `inf` for identical pictures.

    Raises:
        UsageError: shapes differ, or the arrays are not uint8 RGB or gray.
    """
    return _psnr(mse_rgb(reference, test))


def luma(pixels: np.ndarray) -> np.ndarray:
    """BT.601 full-range luma, not rounded.

    Args:
        pixels: uint8 (height, width, 3) or gray.

    Returns:
        float64 (height, width) in 0..255.
    """
    weights = np.asarray(LUMA_WEIGHTS, dtype=np.float64)
    return _rgb(pixels).astype(np.float64) @ weights


def psnr_y(reference: np.ndarray, test: np.ndarray) -> float:
    """PSNR of the BT.601 full-range luma, peak 255, luma not rounded.

    Args:
        reference: original, uint8 (height, width, 3) or gray.
        test: the picture to measure, of the same size.

    Returns:
        dB; `inf` for identical pictures.

    Raises:
        UsageError: shapes differ, or the arrays are not uint8 RGB or gray.
    """
    a, b = checked_pair(reference, test)
    return _psnr(float(np.mean(np.square(luma(a) - luma(b)))))


def ms_ssim_rgb(reference: np.ndarray, test: np.ndarray) -> float:
    """MS-SSIM, mean over the three RGB channels: five scales, 11-tap Gaussian window of sigma 1.5.

    Computed by `pytorch_msssim` in float32 on the CPU (within 1e-6 of float64): valid windows only, 2x2 means between
    scales, odd sizes padded.  A side of 160 pixels or less has no five scales; the result is then `nan`, and never a
    number from fewer scales that could be taken for MS-SSIM.

    Args:
        reference: original, uint8 (height, width, 3) or gray.
        test: the picture to measure, of the same size.

    Returns:
        A number in -1..1, or `nan`.

    Raises:
        MissingDependencyError: `pytorch_msssim` is not installed.
        UsageError: shapes differ, or the arrays are not uint8 RGB or gray.
    """
    a, b = checked_pair(reference, test)
    if min(a.shape[:2]) < MS_SSIM_MIN_SIDE:
        return math.nan
    torch = require("torch")
    pytorch_msssim = require("pytorch_msssim")
    planes = [torch.from_numpy(x.astype(np.float32)).permute(2, 0, 1)[None] for x in (a, b)]
    with torch.inference_mode():
        return float(
            pytorch_msssim.ms_ssim(*planes, data_range=PEAK, win_size=MS_SSIM_WINDOW, weights=list(MS_SSIM_WEIGHTS))
        )


def to_db(ms_ssim: float) -> float:
    """MS-SSIM in dB, -10 log10(1 - x).

    Args:
        ms_ssim: in -1..1.

    Returns:
        dB; `inf` for 1, `nan` for `nan`.
    """
    return math.inf if ms_ssim >= 1 else -10 * math.log10(1 - ms_ssim)


def bits_per_pixel(file_bytes: int, width: int, height: int) -> float:
    """Rate of a file: all its bytes, headers included, x 8 / (width x height).

    Args:
        file_bytes: size of the file.
        width: columns of the original.
        height: rows of the original.

    Returns:
        Bits per pixel.

    Raises:
        UsageError: a size that is not positive.
    """
    if width <= 0 or height <= 0:
        raise UsageError(f"picture is {width}x{height}, expected at least 1x1; give the size of the original picture")
    return 8 * file_bytes / (width * height)
