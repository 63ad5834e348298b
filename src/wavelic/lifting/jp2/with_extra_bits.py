"""The same file, its pseudo-image in more bits than it declares: for synthesis, not for viewing.

The stock decoder rounds to the bits of the pseudo-image and clips to its range, at whatever resolution it is asked for.
Both make a reduced decode differ from the low band of the full one, by a few hundredths of a grey level and more where
something was clipped.  With `LiftingTransform.finer_bits` neither matters, and a window can take its coarse levels from
a reduced decode and still equal the crop.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from wavelic.jpeg2000 import parse_main_header
from wavelic.jpeg2000.precision import finer_codestream

if TYPE_CHECKING:
    from wavelic.lifting.jp2.file import CarrierFile
    from wavelic.lifting.transform.transform import LiftingTransform


def finer(file: CarrierFile, transform: LiftingTransform) -> CarrierFile:
    """The file as ``transform`` is to see it: codestream, header and box for ``transform.finer_bits`` more bits.

    The file itself if these are 0.  Raises FormatError as `finer_codestream`.
    """
    if not transform.finer_bits:
        return file
    codestream = finer_codestream(file.codestream, file.header, transform.finer_bits)
    unit, middle = 2.0**transform.finer_bits, 2.0 ** (file.header.components[0].bits - 1)
    box = replace(file.box, scale=file.box.scale * unit, offset=(file.box.offset + middle) * unit)
    return replace(file, box=box, codestream=codestream, header=parse_main_header(codestream, file.limits))
