"""A codec and a metric of one's own in wavelic's evaluation; docs/evaluation.md says what each must have.

    wavelic eval examples/own_codec.py:DeflatedDct --images PHOTOS --json mine.json --against weconvene.json \
        --metric examples/own_codec.py:BLOCKINESS -j 2

The codec: 8x8 DCT of luma and chroma, one quantiser step, deflated.  The metric: how much stronger the jumps at the
borders of 8x8 blocks became than those elsewhere.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np
from scipy.fft import dctn, idctn

from wavelic.evaluation.quality import Metric

_TO_YCC = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])


class DeflatedDct:
    """What an evaluation needs of a codec: two methods.  The rest is how tables and plots call it."""

    name = "deflated-dct"
    label = "Deflated DCT"
    description = "8x8 DCT, uniform quantiser, deflate"
    parameter = "step"
    settings = (96.0, 64.0, 44.0, 30.0, 20.0, 13.0)

    def encode(self, pixels: np.ndarray, setting: float) -> bytes:
        """uint8 (height, width, 3) and the quantiser step to a whole file."""
        height, width = pixels.shape[:2]
        padded = np.pad(pixels, ((0, -height % 8), (0, -width % 8), (0, 0)), mode="edge")
        levels = dctn(_blocks(padded @ _TO_YCC.T - [128, 0, 0]), axes=(2, 3), norm="ortho") / setting
        by_frequency = np.rint(levels).astype("<i2").transpose(2, 3, 4, 0, 1)
        return struct.pack("<HHf", height, width, setting) + zlib.compress(by_frequency.tobytes(), 9)

    def decode(self, data: bytes) -> np.ndarray:
        """These bytes, and nothing else, to pixels."""
        height, width, step = struct.unpack_from("<HHf", data)
        rows, columns = -(-height // 8), -(-width // 8)
        levels = np.frombuffer(zlib.decompress(data[8:]), "<i2").reshape(8, 8, 3, rows, columns)
        blocks = idctn(levels.transpose(3, 4, 0, 1, 2) * step, axes=(2, 3), norm="ortho")
        ycc = blocks.swapaxes(1, 2).reshape(8 * rows, 8 * columns, 3) + np.array([128, 0, 0])
        rgb = ycc @ np.linalg.inv(_TO_YCC).T
        return np.rint(rgb).clip(0, 255).astype(np.uint8)[:height, :width]


def _blocks(planes: np.ndarray) -> np.ndarray:
    """(8 R, 8 C, 3) -> (R, C, 8, 8, 3)."""
    height, width, colours = planes.shape
    return planes.reshape(height // 8, 8, width // 8, 8, colours).swapaxes(1, 2)


def blockiness(reference: np.ndarray, test: np.ndarray) -> float:
    """Mean jump of luma across borders of 8x8 blocks over the mean of all others, less the same of the original."""
    ratios = []
    for pixels in (test, reference):
        jumps = np.abs(np.diff(pixels @ _TO_YCC[0], axis=1)).mean(0)
        border = np.arange(len(jumps)) % 8 == 7
        ratios.append(float(jumps[border].mean() / max(jumps[~border].mean(), 1e-9)))
    return ratios[0] - ratios[1]


# Less is better, so that the scale turns it round; a BD-rate needs ranges that overlap by 0.02 of it.
BLOCKINESS = Metric("blockiness", "Blockiness", blockiness, scale=lambda value: -value, least=0.02)
