"""The pseudo-image as a file stores it: samples of any window and size of it, decoded by libopenjp2.

A decoder rounds to the bits of the pseudo-image and clips to its range, at whatever resolution it is asked for.  Both
make a reduced decode differ from the low band of the full one, by a few hundredths of a gray level and more where
something was clipped.  With `EXTRA_BITS` neither matters, and a window can take its coarse levels from a reduced
decode and still equal the crop.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from wavelic.codec.jp2_box import WavelicBox
from wavelic.jpeg2000 import Limits, MainHeader, decode_codestream
from wavelic.jpeg2000.precision import with_extra_bits
from wavelic.lifting.transform.windows import Axes

#: Bits of precision, beyond those of the pseudo-image, in which its samples are decoded for a learned synthesis.
EXTRA_BITS = 8


@dataclass(frozen=True)
class StoredImage:
    """A pseudo-image in a complete codestream.

    Attributes:
        codestream: all of it, or one that decodes alike for what is asked.
        header: its main header.
        box: how its samples map to numbers.
        layers: how many of its quality layers are used.
        threads: that libopenjp2 may use.
        limits: for its decodes.
    """

    codestream: bytes
    header: MainHeader
    box: WavelicBox
    layers: int
    threads: int
    limits: Limits

    @property
    def components(self) -> int:
        """Number of components, opacity of a plain file included."""
        return len(self.header.components)

    @property
    def has_extra_bits(self) -> bool:
        """Whether `with_extra_bits` changes anything: not on the reversible path, whose samples are integers."""
        return not self.header.styles[0].reversible

    def with_extra_bits(self) -> StoredImage:
        """Return the same image, its samples with `EXTRA_BITS` more bits and not clipped.

        Raises:
            FormatError: the codestream's quantisers cannot be shifted.
        """
        if not self.has_extra_bits:
            return self
        codestream, header = with_extra_bits(self.codestream, self.header, EXTRA_BITS)
        unit, middle = 2.0**EXTRA_BITS, 2.0 ** (self.header.components[0].bits - 1)
        box = replace(self.box, scale=self.box.scale * unit, offset=(self.box.offset + middle) * unit)
        return replace(self, codestream=codestream, header=header, box=box)

    def planes(self, window: Axes, reduce: int) -> list[Tensor]:
        """Decode a window.

        Args:
            window: its rows and columns at the reduced size.
            reduce: how often both sides are halved.

        Returns:
            One int32 plane (rows, columns) for every component.
        """
        (rows, columns), step, header = window, 2**reduce, self.header
        left, top = columns.start * step, rows.start * step
        right = min((columns.start + columns.size) * step, header.width)
        bottom = min((rows.start + rows.size) * step, header.height)
        area = left, top, right - left, bottom - top
        decoded = decode_codestream(
            self.codestream,
            reduce=reduce,
            max_layers=self.layers,
            area=None if area == (0, 0, header.width, header.height) else area,
            threads=self.threads,
            limits=self.limits,
            header=header,
        )
        return [torch.from_numpy(plane) for plane in decoded.planes]
