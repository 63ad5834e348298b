"""Signals of a codestream: the image and its low bands as the coefficients give them, neither rounded nor clipped.

On the irreversible path libopenjp2 is asked for samples in more bits than the codestream declares; what rounding them
costs is some 2^-9 of a level.  On the reversible path samples are integers, and the declared range is widened so that
nothing is clipped.  The colour transform of the codestream is applied again, so that a signal is what the inverse
wavelet of the decoded coefficients gives, and its forward wavelet gives these back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wavelic.enhance.level import Area
from wavelic.enhance.suitable import check_colours
from wavelic.errors import FormatError, UnsupportedError
from wavelic.jpeg2000 import DEFAULT_LIMITS, Limits, MainHeader, decode_codestream
from wavelic.jpeg2000.precision import FIRST_DEPTH, with_extra_bits

#: Bits of precision on the irreversible path, and of range on the reversible one, beyond those declared.
EXTRA_BITS, EXTRA_RANGE = 8, 3

# Rows: Y, Cb, Cr of R, G, B (T.800 annex G.3), and the inverse of the linear part of RCT (G.2).
_ICT = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
_RCT = ((0.25, 0.5, 0.25), (0.0, -1.0, 1.0), (1.0, -1.0, 0.0))


@dataclass(frozen=True)
class Signals:
    """A codestream, ready to be asked for its signals.

    Attributes:
        codestream: with more bits or more range.
        header: its main header.
        colours: components that are luma or colours; others, as opacity, stay as they are.
        layers: quality layers that count.
        threads: that libopenjp2 may use.
        limits: for its decodes.
        zero: the sample value that stands for 0.
        unit: how many sample values make one level of the image.
    """

    codestream: bytes
    header: MainHeader
    colours: tuple[int, ...]
    layers: int
    threads: int
    limits: Limits
    zero: float
    unit: float

    @classmethod
    def of(
        cls,
        codestream: bytes,
        header: MainHeader,
        layers: int,
        *,
        threads: int = 1,
        limits: Limits = DEFAULT_LIMITS,
        colours: Sequence[int] | None = None,
    ) -> Signals:
        """Prepare a codestream.

        Args:
            codestream: complete.
            header: its main header.
            layers: quality layers to decode.
            threads: that libopenjp2 may use.
            limits: for its decodes.
            colours: components that are luma or colours; None: all.

        Raises:
            UnsupportedError: its colours differ, or it uses what cannot be enhanced.
        """
        colours = tuple(range(len(header.components)) if colours is None else colours)
        check_colours(header, colours)
        bits = header.components[colours[0]].bits
        if not header.styles[colours[0]].reversible:
            try:
                codestream, header = with_extra_bits(codestream, header, EXTRA_BITS)
            except FormatError as error:
                raise UnsupportedError(f"the codestream cannot be decoded finer ({error})") from None
            zero, unit = 2.0 ** (bits + EXTRA_BITS), 2.0**EXTRA_BITS
            return cls(codestream, header, colours, layers, threads, limits, zero, unit)
        changed, components = bytearray(codestream), list(header.components)
        for index in colours:
            changed[FIRST_DEPTH + 3 * index] += EXTRA_RANGE
            components[index] = replace(components[index], bits=bits + EXTRA_RANGE)
        header = replace(header, components=tuple(components))
        zero = 2.0 ** (bits + EXTRA_RANGE - 1)
        return cls(bytes(changed), header, colours, layers, threads, limits, zero, 1.0)

    @property
    def reversible(self) -> bool:
        """Whether signals are integers."""
        return self.header.styles[self.colours[0]].reversible

    def read(self, reduce: int, area: Area) -> Tensor:
        """Decode a part of the image or of one of its low bands.

        Args:
            reduce: 0 for the image.
            area: rows and columns on the canvas of that size.

        Returns:
            (components, rows, columns): float32, or int32 if reversible; colours in levels around 0.
        """
        header, (rows, columns) = self.header, area
        grid = header.grid
        left, top = max(columns.first << reduce, grid.x0), max(rows.first << reduce, grid.y0)
        right, bottom = min(columns.stop << reduce, grid.x1), min(rows.stop << reduce, grid.y1)
        asked = left - grid.x0, top - grid.y0, right - left, bottom - top
        whole = asked == (0, 0, header.width, header.height)
        decoded = decode_codestream(
            self.codestream,
            reduce=reduce,
            max_layers=self.layers,
            area=None if whole else asked,
            threads=self.threads,
            limits=self.limits,
            header=header,
        )
        planes = torch.from_numpy(np.stack(decoded.planes))
        if not self.reversible:
            planes = planes.float()
        colours = list(self.colours)
        if self.reversible:
            planes[colours] -= int(self.zero)
        else:
            planes[colours] = (planes[colours] - self.zero) / self.unit
        return planes

    def components(self, colours: Tensor) -> Tensor:
        """Apply the colour transform of the codestream to samples from `read`, which is exact on the reversible path.

        Args:
            colours: (components, rows, columns).

        Returns:
            The same shape: what the wavelet transform is of.
        """
        if not self.header.colour_transform:
            return colours
        if not self.reversible:
            return torch.cat((_mixed(colours[:3], torch.tensor(_ICT)), colours[3:]))
        r, g, b = colours[:3]
        return torch.cat((torch.stack(((r + 2 * g + b) >> 2, b - g, r - g)), colours[3:]))


def _mixed(planes: Tensor, matrix: Tensor) -> Tensor:
    """Products of a 3 x 3 matrix with three planes (..., 3, h, w), in their order, whatever their size."""
    rows = []
    for row in matrix.tolist():
        total = planes[..., 0, :, :] * row[0]
        for index in (1, 2):
            total = total + planes[..., index, :, :] * row[index]
        rows.append(total)
    return torch.stack(rows, -3)


def to_colours(components: Tensor, reversible: bool) -> Tensor:
    """Apply the linear inverse of the codestream's colour transform.

    Args:
        components: (..., 3, h, w): luma and colour differences, or corrections of them.
        reversible: of RCT, else of ICT.

    Returns:
        (..., 3, h, w): red, green, blue.
    """
    matrix = torch.tensor(_RCT if reversible else _ICT, dtype=torch.float64)
    return _mixed(components, torch.linalg.inv(matrix))


def colour_components(pixels: NDArray[np.integer], reversible: bool, gray: bool = False, bits: int = 8) -> Tensor:
    """Components of an original that those of a codestream of it are compared with.

    Args:
        pixels: (H, W, 3).
        reversible: by RCT, else by ICT.
        gray: luma as a gray image is coded, and no colour differences.
        bits: per sample.

    Returns:
        float32 (1, 3, H, W), in levels around 0.
    """
    planes = torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1)
    zero = 2 ** (bits - 1)
    if gray:
        luma = _mixed(planes, torch.tensor(_ICT))[:1].round() - zero
        return torch.cat((luma, torch.zeros_like(luma).repeat(2, 1, 1)))[None]
    return _mixed(planes - zero, torch.tensor(_RCT if reversible else _ICT))[None]
