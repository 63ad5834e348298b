"""Decoding a JPEG 2000 file, ours or plain, so that memory beyond its samples grows little with it.

Plain files, and parts of any file, are decoded in windows that know nothing of each other.  With learned steps a window
sees some 900 samples to every side, through all levels, which cost more than the window itself.  A large whole image is
therefore decoded level by level (`synthesis_levels`): coefficients of the whole image, 4 bytes for every sample, but
nothing is done twice.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from wavelic.codec.jp2_box import NO_MODEL, WavelicBox
from wavelic.codec.opened import Progress, Region
from wavelic.codec.request import Request
from wavelic.errors import ModelError
from wavelic.lifting.jp2.contents import Jp2Contents
from wavelic.lifting.jp2.enhanced_image import EnhancedImage
from wavelic.lifting.jp2.samples import scaled_to_pixels
from wavelic.lifting.jp2.synthesis_levels import synthesize_levels
from wavelic.lifting.jp2.synthesis_windows import synthesize_window
from wavelic.lifting.names import PLAIN_STRUCTURES
from wavelic.lifting.structures import build_lifting
from wavelic.lifting.transform.grid import Axis
from wavelic.lifting.transform.transform import LiftingTransform

if TYPE_CHECKING:
    from wavelic.enhance.network import Network

#: Pixels up to which a region, or an image without learned steps, is decoded in one piece.
ONE_PIECE = 1 << 24
#: Pixels from which on a whole image with learned steps is decoded level by level: as fast, in half the memory.
BY_LEVELS = 1 << 22
#: Sides of the windows beyond.  With learned steps a window sees some 900 samples to every side, which count as well.
PLAIN_WINDOW = 4096
LEARNED_WINDOW = 2560


def read(
    file: Jp2Contents,
    transform: LiftingTransform | None = None,
    request: Request | None = None,
    *,
    threads: int = 1,
    progress: Progress | None = None,
    network: Network | None = None,
) -> NDArray[np.unsignedinteger]:
    """Decode samples of a file.

    Args:
        file: opened.
        transform: the one whose weights the file names; None if it names none.
        request: what to decode, from `Jp2Contents.request`; None: everything.
        threads: that libopenjp2 may use.
        progress: called as ``progress(done, total)`` with windows.
        network: that corrects the coefficients of a pseudo-image; needs a file with `Jp2Contents.enhances`.

    Returns:
        (height, width, channels), uint8 or uint16.

    Raises:
        ModelError: the file needs another transform.
        UnsupportedError: the network cannot be applied.
        FormatError: it is damaged.
        LimitError: the decode would need too much memory.
        SourceError: its bytes cannot be had.
    """
    request = request or file.request()
    if file.picture is not None and transform is None:
        return file.read_plain(request, progress, threads)
    transform = matching(transform, file.box)
    alpha = file.alpha()  # before the synthesis: cheap, and it may be damaged
    stored = file.load(transform if transform.level.radii else None, request, threads)
    if network is not None:
        stored = EnhancedImage.of(stored, network)
    left, top, width, height = request.area
    pixels = np.empty((height, width, file.channels), np.uint8 if file.box.depth == 8 else np.uint16)
    colours = pixels[..., : stored.components]
    learned = bool(transform.level.radii)
    with torch.inference_mode():
        if learned:
            stored = stored.with_extra_bits()
        if learned and request.whole and width * height > BY_LEVELS and request.reduce < file.levels:
            synthesize_levels(stored, transform, request.reduce, colours, progress)
        else:
            side = max(width, height)
            if width * height > ONE_PIECE:
                side = LEARNED_WINDOW if learned else PLAIN_WINDOW
            windows = [(x, y) for y in range(0, height, side) for x in range(0, width, side)]
            for done, (x, y) in enumerate(windows, 1):
                axes = Axis(top + y, min(side, height - y)), Axis(left + x, min(side, width - x))
                part = colours[y : y + side, x : x + side]
                if learned:
                    part[:] = synthesize_window([stored], transform, axes, request.reduce)[0]
                else:
                    scaled_to_pixels(stored.planes(axes, request.reduce), stored.box, part)
                if progress:
                    progress(done, len(windows))
    if alpha is not None:
        pixels[..., -1] = reduced_plane(alpha, request.reduce, request.area)
    return pixels


def likeness(file: Jp2Contents) -> Hashable:
    """Return what is equal for files that `read_alike` can decode together: geometry, wavelet, model and mapping."""
    header = file.header
    return header.width, header.height, header.levels, header.components, replace(file.box, alpha=None)


def read_alike(
    files: Sequence[Jp2Contents], transform: LiftingTransform, threads: int
) -> list[NDArray[np.unsignedinteger]]:
    """Decode all of several files with learned steps, so that the networks run once for all.

    Args:
        files: of one `likeness`.
        transform: the one whose weights they name.
        threads: that libopenjp2 may use.

    Returns:
        As `read`, of every file.

    Raises:
        ModelError: the files need another transform.
        FormatError: one is damaged.
        LimitError: a decode would need too much memory.
    """
    transform = matching(transform, files[0].box)
    alphas = [file.alpha() for file in files]
    header = files[0].header
    with torch.inference_mode():
        stored = [file.load(transform, file.request(), threads).with_extra_bits() for file in files]
        pictures = synthesize_window(stored, transform, (Axis(0, header.height), Axis(0, header.width)), 0)
    return [
        picture if alpha is None else np.concatenate([picture, alpha[..., None]], 2)
        for picture, alpha in zip(pictures, alphas, strict=True)
    ]


def matching(transform: LiftingTransform | None, box: WavelicBox) -> LiftingTransform:
    """Return the transform to decode with: the given one, or the plain wavelet for None.

    Raises:
        ModelError: it is not what the box says.
    """
    if transform is None:
        if box.model != NO_MODEL:
            raise ModelError(f"the file needs model {box.model.hex()}; pass the transform with these weights")
        return build_lifting(PLAIN_STRUCTURES[box.base])
    if transform.base != box.base:
        raise ModelError(f"the transform is based on {transform.base}, the file on {box.base}; pass the right one")
    return transform


def reduced_plane(plane: NDArray[np.unsignedinteger], reduce: int, area: Region) -> NDArray[np.unsignedinteger]:
    """Return every 2^reduce-th sample of a plane (H, W) within an area of that size, from the first on.

    Opacity has these at reduced sizes: samples of the grid the low bands are on.
    """
    x, y, width, height = area
    return plane[:: 2**reduce, :: 2**reduce][y : y + height, x : x + width]
