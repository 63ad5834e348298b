"""The slice plan: which wavelet coefficients are coded in which order, and what each slice may look at.

3DM-WeConvene, section III-B and figure 5; WeConvene (ECCV 2024) for the two-dimensional plan.  The latent y is split
into subbands, the subbands lie one after another along the channels in coding order, and slices are runs of these
channels.  A slice sees a number of whole slices from the beginning of the order.  Training, encoding and decoding all
walk through the same plan (`wavelic.threedm.slices`), so the order exists once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from wavelic.errors import UsageError
from wavelic.wavelets import Bands2d, Coefficients2d, Coefficients3d, dwt2, dwt3, idwt2, idwt3

Split = Literal["3d", "2d", "polyphase", "channels"]
SPLITS = ("3d", "2d", "polyphase", "channels")

# First letter: channel direction.  LH: high-pass vertically, HL: horizontally (the naming of `wavelic.wavelets`).
BANDS_3D = ("LLL", "HLL", "LLH", "LHL", "LHH", "HLH", "HHL", "HHH")
BANDS_2D = ("LL", "LH", "HL", "HH")


@dataclass(frozen=True)
class Band:
    """Subband ``name``: channels [start, stop) of the coefficients."""

    name: str
    start: int
    stop: int


@dataclass(frozen=True)
class Slice:
    """What is coded in one go.

    Attributes:
        name: the band, and which part of it if there are several.
        start, stop: its channels in the coefficients.
        support: how many slices, from the first on, its parameters depend on.
        features: output channels of its attention modules.
        sees_low: its latent residual prediction is given the spatial low bands a second time.
    """

    name: str
    start: int
    stop: int
    support: int
    features: int
    sees_low: bool

    @property
    def channels(self) -> int:
        """Coefficient channels of the slice."""
        return self.stop - self.start


@dataclass(frozen=True)
class SlicePlan:
    """The order of coding of a latent with ``latent`` channels, that is 4 * latent coefficient channels.

    Attributes:
        split: "3d": one DWT level along the channels and one in the plane; "2d": in the plane only; "polyphase": the
            order of "3d" on even and odd samples without any wavelet (the "lazy wavelet"), for twins; "channels": the
            channels of the latent in their order, the four samples of each cell one after another (ChARM).
        wavelet: "haar", "5/3" or "9/7"; ignored by "polyphase" and "channels".
        slices: in coding order; the first ``low_slices`` of them hold the spatial low bands.
        kernels: of the parameter nets.

    Raises:
        UsageError: slices that overlap, leave gaps or look ahead.
    """

    latent: int
    split: Split
    wavelet: str
    bands: tuple[Band, ...]
    slices: tuple[Slice, ...]
    low_slices: int
    kernels: tuple[int, int, int]

    def __post_init__(self) -> None:
        edges = [0, *(s.stop for s in self.slices)]
        if [s.start for s in self.slices] != edges[:-1] or edges[-1] != 4 * self.latent:
            raise UsageError(f"slices end at channels {edges[1:]}; expected a tiling of {4 * self.latent} channels")
        if any(s.support > number or s.channels < 1 for number, s in enumerate(self.slices)):
            raise UsageError("a slice is empty or depends on itself or a later one; give earlier slices as support")

    @property
    def low_channels(self) -> int:
        """Coefficient channels of the spatial low bands (LLL and HLL, or LL): the first ones."""
        return self.latent

    def analysis(self, y: Tensor) -> Tensor:
        """Latent (N, latent, H, W), even sides -> coefficients (N, 4 * latent, H/2, W/2) in coding order.

        Raises:
            UsageError: another shape.
        """
        if y.shape[1] != self.latent or y.shape[2] % 2 or y.shape[3] % 2:
            raise UsageError(f"latent of shape {tuple(y.shape)}; expected (N, {self.latent}, even, even)")
        if self.split == "channels":
            return pixel_unshuffle(y, 2)
        if self.split == "polyphase":
            phases = y.unflatten(1, (-1, 2)).unflatten(3, (-1, 2)).unflatten(5, (-1, 2))
            return torch.cat([phases[:, :, c, :, v, :, h] for c, v, h in map(_highs, BANDS_3D)], 1)
        if self.split == "2d":
            planar = dwt2(y, self.wavelet)
            return torch.cat((planar.low, *_details(planar)), 1)
        c = dwt3(y, self.wavelet)
        return torch.cat((c.low.low, c.highs[0].low, *_details(c.low), *_details(c.highs[0])), 1)

    def synthesis(self, coefficients: Tensor) -> Tensor:
        """Inverse of `analysis`."""
        if self.split == "channels":
            return pixel_shuffle(coefficients, 2)
        parts = coefficients.split([band.stop - band.start for band in self.bands], 1)
        size = (2 * coefficients.shape[-2], 2 * coefficients.shape[-1])
        if self.split == "polyphase":
            y = coefficients.new_empty((coefficients.shape[0], self.latent, *size))
            phases = y.unflatten(1, (-1, 2)).unflatten(3, (-1, 2)).unflatten(5, (-1, 2))
            for (c, v, h), part in zip(map(_highs, BANDS_3D), parts, strict=True):
                phases[:, :, c, :, v, :, h] = part
            return y
        if self.split == "2d":
            return idwt2(self._plane(parts[0], parts[1:], size))
        low, high = self._plane(parts[0], parts[2:5], size), self._plane(parts[1], parts[5:], size)
        return idwt3(Coefficients3d(low, (high,), self.latent))

    def _plane(self, low: Tensor, details: tuple[Tensor, ...], size: tuple[int, int]) -> Coefficients2d:
        return Coefficients2d(low, (Bands2d(*details),), size, self.wavelet, "orthonormal")


def plan_3d(
    latent: int = 320,
    wavelet: str = "9/7",
    *,
    low_parts: int = 2,
    high_support: int = 3,
    split: Split = "3d",
    features: int = 0,
) -> SlicePlan:
    """3DWeChARM: LLL and HLL in ``low_parts`` slices each, then six slices LLH, LHL, LHH, HLH, HHL, HHH.

    Low slices see all slices before them; high slices all low ones and at most ``high_support`` high ones, so that with
    3 the last three do not depend on each other.  With 320 channels the slices have 4 x 80 and 6 x 160 channels.

    Args:
        latent: channels of y.
        wavelet: "haar", "5/3" or "9/7".
        low_parts: slices of each of the two low bands.
        high_support: how many high slices a high slice sees at most.
        split: "3d" or "polyphase".
        features: output channels of the attention modules; 0: as many as published.

    Returns:
        The order of coding.

    Raises:
        UsageError: the channels of a band cannot be cut into equal parts.

    Examples:
        >>> [(s.name, s.channels, s.support) for s in plan_3d().slices][2:6]
        [('HLL0', 80, 2), ('HLL1', 80, 3), ('LLH', 160, 4), ('LHL', 160, 5)]
    """
    if latent < 2 or low_parts < 1 or latent % (2 * low_parts):
        raise UsageError(f"{latent} latent channels do not make two bands of {low_parts} slices; choose a multiple")
    size, low_slices = latent // 2, 2 * low_parts
    part = size // low_parts
    slices = []
    for number in range(low_slices):
        name = f"{BANDS_3D[number // low_parts]}{number % low_parts}"
        wide = features or latent + number * part
        slices.append(Slice(name, number * part, (number + 1) * part, number, wide, False))
    for number, name in enumerate(BANDS_3D[2:]):
        start = latent + number * size
        support = low_slices + min(number, high_support)
        slices.append(Slice(name, start, start + size, support, features or latent, True))
    bands = tuple(Band(name, number * size, (number + 1) * size) for number, name in enumerate(BANDS_3D))
    return SlicePlan(latent, split, wavelet, bands, tuple(slices), low_slices, (3, 1, 1))


def plan_2d(
    latent: int = 320, wavelet: str = "haar", *, low_parts: int = 5, high_parts: int = 5, features: int = 0
) -> SlicePlan:
    """WeChARM: LL in ``low_parts`` slices, then LH, HL and HH as one run of channels in ``high_parts`` slices.

    Every slice sees all slices before it.  As in the public code a high slice may straddle two bands.

    Args:
        latent: channels of y.
        wavelet: "haar", "5/3" or "9/7".
        low_parts: slices of the low band.
        high_parts: slices of the high bands.
        features: output channels of the attention modules; 0: as many as published.

    Returns:
        The order of coding.

    Raises:
        UsageError: the channels cannot be cut into equal parts.

    Examples:
        >>> [(s.name, s.channels, s.support) for s in plan_2d().slices][3:7]
        [('LL3', 64, 3), ('LL4', 64, 4), ('high0', 192, 5), ('high1', 192, 6)]
    """
    if latent < 1 or min(low_parts, high_parts) < 1 or latent % low_parts or 3 * latent % high_parts:
        raise UsageError(f"{latent} latent channels do not make {low_parts} + {high_parts} slices; choose a multiple")
    part, high = latent // low_parts, 3 * latent // high_parts
    slices = [
        Slice(f"LL{number}", number * part, (number + 1) * part, number, features or latent + number * part, False)
        for number in range(low_parts)
    ]
    for number in range(high_parts):
        start = latent + number * high
        slices.append(Slice(f"high{number}", start, start + high, low_parts + number, features or start, True))
    bands = tuple(Band(name, number * latent, (number + 1) * latent) for number, name in enumerate(BANDS_2D))
    return SlicePlan(latent, "2d", wavelet, bands, tuple(slices), low_parts, (3, 3, 3))


def plan_channels(latent: int, parts: int, features: int = 0) -> SlicePlan:
    """ChARM (Minnen and Singh 2020): runs of channels of the latent itself, no wavelet, each seeing all before it.

    Args:
        latent: channels of y.
        parts: slices.
        features: output channels of the attention modules; 0: ``latent``.

    Returns:
        The order of coding.

    Raises:
        UsageError: the channels cannot be cut into equal parts.
    """
    if min(latent, parts) < 1 or latent % parts:
        raise UsageError(f"{latent} latent channels do not make {parts} slices; choose a multiple")
    size = 4 * latent // parts
    slices = tuple(
        Slice(f"y{number}", number * size, (number + 1) * size, number, features or latent, False)
        for number in range(parts)
    )
    return SlicePlan(latent, "channels", "haar", (Band("y", 0, 4 * latent),), slices, 0, (3, 1, 1))


def _details(coefficients: Coefficients2d) -> tuple[Tensor, Tensor, Tensor]:
    bands = coefficients.levels[0]
    return bands.lh, bands.hl, bands.hh


def _highs(name: str) -> tuple[int, int, int]:
    """Whether a 3-D band is high-pass along channels, rows (vertically) and columns."""
    return int(name[0] == "H"), int(name[2] == "H"), int(name[1] == "H")
