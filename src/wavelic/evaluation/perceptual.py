"""SSIMULACRA2 and Butteraugli, which were fitted to what people see.

Both come with libjxl as programs.  They are given PNG files, without a profile, and so take the pictures as sRGB.

- SSIMULACRA2 (Sneyers, 2022, version 2.1 of April 2023): -inf..100; 30 low, 50 medium, 70 high quality, 90 and above
  without visible loss.  Program ``ssimulacra2`` (libjxl 0.8 and later) or, where there is none, the Python package of
  that name with the program's blur and scales in place of its own, which move scores by up to 8 points, and more for
  pictures below 256 pixels.
- Butteraugli (Alakuijala and others, 2016): distance; below 1 no difference should be seen.  The 3-norm of libjxl's map
  of distances, which describes a picture better than its worst spot.  Program ``butteraugli_main`` (libjxl's
  development tools; Debian's package libjxl-devtools).
"""

from __future__ import annotations

import math
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from wavelic.errors import MissingDependencyError, WavelicError
from wavelic.evaluation.metrics import checked_pair
from wavelic.evaluation.optional import require

SMALLEST_SIDE = 8
"""Pictures with a shorter side have no value."""
_SECONDS = 600
_SSIMULACRA2, _BUTTERAUGLI = "ssimulacra2", "butteraugli_main"


def ssimulacra2(reference: np.ndarray, test: np.ndarray) -> float:
    """Measure SSIMULACRA2, by libjxl's program or else by the Python package.

    Args:
        reference: original, uint8 (height, width, 3) or gray.
        test: the picture to measure, of the same size.

    Returns:
        A number up to 100; `nan` for a side below 8 pixels.

    Raises:
        MissingDependencyError: neither is installed.
        UsageError: shapes differ, or the arrays are not uint8 RGB or gray.
        WavelicError: the program failed.
    """
    pair = checked_pair(reference, test)
    if min(pair[0].shape[:2]) < SMALLEST_SIDE:
        return math.nan
    if shutil.which(_SSIMULACRA2) is None:
        return _ssimulacra2_in_python(*pair)
    with TemporaryDirectory() as folder:
        return _number(r"(-?\d+\.\d+)", _output(_SSIMULACRA2, _png_files(pair, Path(folder))))


def _ssimulacra2_in_python(reference: np.ndarray, test: np.ndarray) -> float:
    """SSIMULACRA2 from the parts of the package: up to six scales, each half the one before, in linear light.

    As in the program, the last scale may be smaller than `SMALLEST_SIDE`.
    """
    parts = require("ssimulacra2.ssimulacra2", "metrics")
    score = parts.Msssim()
    linear = [parts.srgb_to_linear(pixels) for pixels in (reference, test)]
    for number in range(parts.kNumScales):
        if min(linear[0].shape[:2]) < SMALLEST_SIDE:
            break
        if number:
            linear = [parts.downsample(picture, 2, 2) for picture in linear]
        a, b = (parts.make_positive_xyb(parts.linear_rgb_to_xyb(picture)) for picture in linear)
        means = _blurred(a), _blurred(b)
        scale = parts.MsssimScale()
        scale.avg_ssim = parts.ssim_map(*means, _blurred(a * a), _blurred(b * b), _blurred(a * b))
        scale.avg_edgediff = parts.edge_diff_map(a, means[0], b, means[1])
        score.scales.append(scale)
    return float(score.score())


def _blurred(planes: np.ndarray) -> np.ndarray:
    """Both sides of (height, width, 3) filtered, with zeros around the picture."""
    filters = require("scipy.ndimage", "metrics")
    for axis in (0, 1):
        planes = filters.correlate1d(planes, _blur_kernel(), axis=axis, mode="constant")
    return planes


@cache
def _blur_kernel(sigma: float = 1.5) -> np.ndarray:
    """Gaussian as libjxl's recursive filter has it: three cosines on 2 N - 1 samples (Charalampidis, 2016).

    Their weights are those of the Gaussian's cosine series, changed as little as gives it unit area and variance.
    """
    radius = round(3.2795 * sigma + 0.2546)
    offsets, omega = np.arange(-radius, radius + 1), np.array([1, 3, 5]) * np.pi / (2 * radius)
    waves = np.cos(omega[:, None] * offsets)
    weights = np.exp(-0.5 * sigma**2 * omega**2) / radius
    conditions = np.stack([waves.sum(1), (waves * (radius**2 - offsets**2)).sum(1)])
    missing = np.array([1, radius**2 - sigma**2]) - conditions @ weights
    kernel: np.ndarray = (weights + np.linalg.pinv(conditions) @ missing) @ waves
    return kernel


def ssimulacra2_version() -> str:
    """What computes SSIMULACRA2 here: "libjxl's program" or the package with its version.

    Raises:
        MissingDependencyError: neither is installed.
    """
    if shutil.which(_SSIMULACRA2):
        return f"program {_SSIMULACRA2} of libjxl"
    return f"Python package ssimulacra2 {require('ssimulacra2', 'metrics').__version__} with libjxl's blur"


def butteraugli(reference: np.ndarray, test: np.ndarray) -> float:
    """Measure the 3-norm of Butteraugli, by libjxl's program, for a display of 80 nits.

    Args:
        reference: original, uint8 (height, width, 3) or gray.
        test: the picture to measure, of the same size.

    Returns:
        A distance from 0; `nan` for a side below 8 pixels.

    Raises:
        MissingDependencyError: there is no program butteraugli_main.
        UsageError: shapes differ, or the arrays are not uint8 RGB or gray.
        WavelicError: the program failed.
    """
    pair = checked_pair(reference, test)
    butteraugli_version()
    if min(pair[0].shape[:2]) < SMALLEST_SIDE:
        return math.nan
    with TemporaryDirectory() as folder:
        return _number(r"3-norm: (\d+\.\d+)", _output(_BUTTERAUGLI, _png_files(pair, Path(folder))))


def butteraugli_version() -> str:
    """What computes Butteraugli here.

    Raises:
        MissingDependencyError: there is no program butteraugli_main.
    """
    if shutil.which(_BUTTERAUGLI) is None:
        raise MissingDependencyError(
            f"butteraugli needs the program {_BUTTERAUGLI} of libjxl, which was not found; on Debian run: "
            "apt-get install libjxl-devtools"
        )
    return f"program {_BUTTERAUGLI} of libjxl, 80 nits"


def _png_files(pair: tuple[np.ndarray, np.ndarray], folder: Path) -> list[Path]:
    files = [folder / "original.png", folder / "decoded.png"]
    for file, pixels in zip(files, pair, strict=True):
        Image.fromarray(pixels).save(file, compress_level=1)
    return files


def _output(program: str, files: list[Path]) -> str:
    try:
        done = subprocess.run([program, *map(str, files)], capture_output=True, text=True, timeout=_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise WavelicError(f"{program} could not be run ({error}); check its installation") from error
    if done.returncode:
        cause = " ".join(done.stderr.split())[-200:]
        raise WavelicError(f"{program} failed with exit code {done.returncode} ({cause}); check its installation")
    return done.stdout


def _number(pattern: str, text: str) -> float:
    match = re.search(pattern, text)
    if match is None:
        raise WavelicError(f"a metric's program printed {text[:80]!r}, expected a number; check its version")
    return float(match[1])
