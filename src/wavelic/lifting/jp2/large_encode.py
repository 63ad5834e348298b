"""The pseudo-image of a large image, made window by window."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from wavelic.images import set_aside
from wavelic.lifting.jp2.level_windows import Start, count_windows, merge_levels, split_levels
from wavelic.lifting.jp2.pseudo_image import PseudoImage, plain_range, to_codes, to_components
from wavelic.lifting.jp2.sample_store import Codes
from wavelic.memory import give_back
from wavelic.wavelets import Coefficients2d, idwt2

if TYPE_CHECKING:
    from wavelic.images import Image
    from wavelic.lifting.transform.transform import LiftingTransform

#: Pixels from which on an image is analysed in windows; below, memory for all of it at once is no matter.
IN_WINDOWS = 1 << 22


def analysis_steps(size: tuple[int, int], levels: int) -> int:
    """How often `pseudo_image_in_windows` reports for an image of ``size`` (height, width)."""
    return 2 * count_windows(size, levels)


def pseudo_image_in_windows(
    image: Image, transform: LiftingTransform, levels: int, done: Callable[[], None]
) -> PseudoImage:
    """`carrier.pseudo_image` of the transform's coefficients, without ever holding a second copy of them.

    Beyond the image and the codes this needs some 14 bytes per pixel of an RGB image, 5 of a gray one.  done: called
    after every window.
    """
    colours = image.colour()
    height, width, channels = colours.shape
    device = next(transform.parameters(), torch.empty(0)).device
    box, bits = plain_range(transform.base, image.bit_depth)
    codes = Codes(channels, height, width)
    clipped = 0

    def source(rows: slice, columns: slice) -> Tensor:
        return to_components(colours[rows, columns], transform.base)

    def split(x: Tensor, start: Start, number: int) -> Coefficients2d:
        return transform.analysis(x.to(device), 1, start=start, finest=number).map(torch.Tensor.cpu)

    def merge(parts: Coefficients2d, number: int) -> Tensor:
        return idwt2(parts)

    def sink(top: int, left: int, samples: Tensor) -> None:
        nonlocal clipped
        window, outside = to_codes(samples, box, bits)
        clipped += outside
        codes.write(top, left, window)

    reach, plain_reach = transform.level.reach, transform.plain.reach
    with torch.inference_mode():
        low, details = split_levels(source, channels, (height, width), levels, split, reach, done)
        merge_levels(low, details, (height, width), transform.base, merge, plain_reach, sink, done)
    give_back()
    set_aside(colours)  # the coder needs the room, and them only a search for a PSNR
    return PseudoImage(codes, bits, box, levels, clipped)
