"""Smooth pictures of many bits, for training: made of random waves, or of photographs, as instruments deliver them.

Radiographs, heights, temperatures and astronomy have 10 to 16 bits, of which the picture may use a small part; the
noise of a sensor lies far above their last bits, and errors are small within the range though large in levels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def waves(side: int, random: np.random.Generator) -> Floats:
    """Make a smooth field: waves whose power falls with their frequency, perhaps with edges of a few shapes.

    Args:
        side: of the picture in pixels.
        random: what is made is a function of its state.

    Returns:
        (side, side), 0 to 1.
    """
    rows, columns = np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None]
    frequency = np.sqrt(rows**2 + columns**2)
    frequency[0, 0] = 1
    spectrum = random.normal(size=(2, *frequency.shape)) * frequency ** -random.uniform(1.6, 3.2)
    field = np.fft.irfft2(spectrum[0] + 1j * spectrum[1], (side, side))
    field /= field.std()
    y, x = np.mgrid[:side, :side] / side
    for _ in range(int(random.integers(0, 4))):
        height = random.normal(0, 1.5)
        if random.random() < 0.5:  # a straight edge
            angle = random.uniform(0, 2 * np.pi)
            inside = x * np.cos(angle) + y * np.sin(angle) > random.uniform(-0.2, 1)
        else:
            centre, radii = random.uniform(0, 1, 2), random.uniform(0.03, 0.5, 2)
            inside = ((x - centre[0]) / radii[0]) ** 2 + ((y - centre[1]) / radii[1]) ** 2 < 1
        field = field + height * inside
    return _unit(field)


def surface(
    bits: int,
    random: np.random.Generator,
    side: int,
    photograph: NDArray[np.uint8] | None = None,
) -> NDArray[np.uint16]:
    """Make a gray picture of many bits.

    Args:
        bits: per sample, 8 to 16.
        random: what is made is a function of its state.
        side: of the picture in pixels.
        photograph: (side, side, 3), whose brightness takes the place of waves.

    Returns:
        (side, side, 3), three times the same.
    """
    if photograph is None:
        field = waves(side, random)
    else:
        gray = photograph.mean(-1) + random.uniform(-0.5, 0.5, (side, side))
        field = _unit(gray) ** random.uniform(0.6, 2.2)  # linear light, or film
    most = 2**bits - 1
    share = 2.0 ** random.uniform(-5, 0)  # of the range that is used
    low = random.uniform(0, 1 - share)
    sigma = 10 ** random.uniform(-4, -1.3)  # of the picture's own range
    noise = random.normal(0, sigma, (side, side))
    if random.random() < 0.5:  # of photons, more where it is bright
        noise *= np.sqrt(field + 0.05)
    values = np.clip(np.rint((low + share * (field + noise)) * most), 0, most).astype(np.uint16)
    return np.repeat(values[..., None], 3, -1)


def _unit(field: Floats) -> Floats:
    low, high = field.min(), field.max()
    result: Floats = (field - low) / max(high - low, 1e-9)
    return result
