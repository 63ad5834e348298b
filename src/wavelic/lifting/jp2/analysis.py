"""The pseudo-image of a large image, made level by level in windows."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from wavelic.images import set_aside
from wavelic.lifting.jp2.pseudo_image import PseudoImage, code_type, plain_range, to_codes
from wavelic.lifting.jp2.sample_store import SampleStore
from wavelic.lifting.jp2.samples import to_components
from wavelic.lifting.jp2.windows import Start, count_windows, merge_levels, split_levels
from wavelic.memory import give_back
from wavelic.wavelets import Coefficients2d, idwt2

if TYPE_CHECKING:
    from wavelic.images import Image
    from wavelic.lifting.transform.transform import LiftingTransform

#: Pixels from which on an image is analysed in windows; below, memory for all of it at once is no matter.
IN_WINDOWS = 1 << 22


def analysis_steps(size: tuple[int, int], levels: int) -> int:
    """Count the windows `pseudo_image_in_windows` has for an image of ``size`` (height, width)."""
    return 2 * count_windows(size, levels)


def pseudo_image_in_windows(
    image: Image, transform: LiftingTransform, levels: int, done: Callable[[], None]
) -> PseudoImage:
    """Make the `pseudo_image` of a transform's coefficients without ever holding a second copy of them.

    Beyond the image and the codes this needs some 14 bytes per pixel of an RGB image, 5 of a gray one.

    Args:
        image: its opacity is left out.
        transform: of the analysis.
        levels: how many.
        done: called after every window.
    """
    colours = image.colour()
    height, width, channels = colours.shape
    device = next(transform.parameters(), torch.empty(0)).device
    box, bits = plain_range(transform.base, image.bit_depth)
    codes = SampleStore(channels, height, width, code_type(bits))
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

    margin, plain_margin = transform.level.receptive_radius, transform.plain.receptive_radius
    with torch.inference_mode():
        low, details = split_levels(source, channels, (height, width), levels, split, margin, done)
        merge_levels(low, details, (height, width), transform.base, merge, plain_margin, sink, done)
    give_back()
    set_aside(colours)  # the coder needs the room, and them only a search for a PSNR
    return PseudoImage(codes, bits, box, levels, clipped)
