"""An opened file as the server sees it: windows of its levels as 8-bit samples, upright.

JPEG 2000 files have levels of their own, and a window of one is decoded alone.  `.wlic` files with levels are decoded
level by level, those without whole and halved by averaging 2 x 2 samples, as often as tiles need; the levels are kept
in the cache, so they count towards its bound.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from wavelic.api.files import open_file
from wavelic.codec.opened import OpenedFile
from wavelic.errors import UsageError
from wavelic.images import upright
from wavelic.images.image import convert_depth
from wavelic.images.orientation import turn
from wavelic.jpeg2000 import decode_codestream
from wavelic.lifting.jp2.file import Jp2File
from wavelic.rect import Rect
from wavelic.remote import merge_spans
from wavelic.serving.facts import ENHANCED, STOCK, Facts, Variant

if TYPE_CHECKING:
    from wavelic.lifting.transform.transform import LiftingTransform

#: Largest ICC profile sent along with an image, in bytes.
MAX_ICC = 1 << 16

#: Share of a file that a first view is made of, and bytes of the files that are worth one.
FIRST_SHARE, FIRST_FROM = 1 / 32, 1 << 16

Samples = NDArray[np.uint8]
#: Which picture, how often halved, and a box in samples of that level, upright.
Window = tuple[Variant, int, Rect]


class Source:
    """An opened file: windows of its levels, and its ICC profile.  A decode uses one thread."""

    def __init__(self, path: Path, facts: Facts) -> None:
        self.facts = facts
        self._file: OpenedFile = open_file(path, allow_partial=not facts.complete)
        icc = self._file.metadata.icc
        self.icc = icc if icc and len(icc) <= MAX_ICC else None

    @property
    def layer_bytes(self) -> list[int | None]:
        """Bytes of the file up to each quality layer, None where it does not say."""
        return [layer.bytes for layer in self._file.layers]

    @property
    def first_view(self) -> tuple[int, int] | None:
        """How often halved and with how many layers the picture lies in the first `FIRST_SHARE` of the file.

        None of files that do not say where their packets are, and of small ones.

        Raises:
            ModelError: the weights are not installed.
        """
        file = self._file
        if not isinstance(file, Jp2File) or not file.complete or self.facts.bytes < FIRST_FROM:
            return None
        try:
            found = file.best_within(int(self.facts.bytes * FIRST_SHARE))
        except UsageError:
            return None
        return found.reduce, found.layers

    def window(self, variant: Variant, reduce: int, box: Rect) -> Samples:
        """Decode a part of a level of the file.

        Args:
            variant: which picture of the file.
            reduce: how often its sides are halved.
            box: in samples of that level, upright.

        Returns:
            Samples (height, width, channels).

        Raises:
            FormatError, ModelError: the file does not decode.
        """
        region = self.facts.stored_region(reduce, box)
        file = self._variant(variant)
        if isinstance(file, Jp2File) and file.picture is None and variant.decode == STOCK:
            samples = _stock(file, reduce, variant.layers, region)
        elif isinstance(file, Jp2File) and file.picture is not None and not file.enhances:
            samples = _eight_bits(file.read_plain(file.request(reduce, variant.layers, region), threads=1))
        else:
            _one_thread()
            samples = _eight_bits(file.read(reduce=reduce, layers=variant.layers, region=region))
        return np.ascontiguousarray(turn(samples, self.facts.orientation))

    def ranges(self, windows: Iterable[Window]) -> list[tuple[int, int]]:
        """List the bytes [start, stop) of the file that decoding windows needs, sorted and apart.

        Of a file without packet lengths, and of one that is no JPEG 2000, that is all of it.  The headers are
        always among them.

        Args:
            windows: which parts.

        Raises:
            ModelError: the weights are not installed.
        """
        file, facts = self._file, self.facts
        headers = file.codestream.headers_end if isinstance(file, Jp2File) and file.complete else None
        if headers is None:
            return [(0, facts.bytes)]
        assert isinstance(file, Jp2File)
        found = [(0, headers)]
        for variant, reduce, box in windows:
            region = facts.stored_region(reduce, box)
            transform = None if variant.decode == STOCK else self._transform
            request = file.request(min(reduce, facts.levels), variant.layers or facts.layers, region)
            found += cast(Jp2File, self._variant(variant)).packet_ranges(transform, request) or []
        return merge_spans(sorted(found), 0, len(found))

    def _variant(self, variant: Variant) -> OpenedFile:
        """The file, told how it is to be decoded."""
        if isinstance(self._file, Jp2File) and variant.decode:
            return self._file.enhanced(variant.decode == ENHANCED)
        return self._file

    @cached_property
    def _transform(self) -> LiftingTransform | None:
        assert isinstance(self._file, Jp2File)
        return self._file.transform()

    def level(self, reduce: int) -> Samples:
        """Decode a level of the file, upright.

        Args:
            reduce: how often its sides are halved.

        Raises:
            FormatError, ModelError: it does not decode.
        """
        _one_thread()
        return _eight_bits(upright(self._file.decode(reduce)).pixels)

    def pyramid(self) -> list[Samples]:
        """Decode an image that is averaged, and halve it.

        Returns:
            All levels, the full one first, upright.

        Raises:
            FormatError, ModelError: it does not decode.
        """
        from PIL import Image

        levels = [self.level(0)]
        for _ in range(self.facts.own_levels):
            samples = levels[-1]
            halved = np.asarray(Image.fromarray(samples[:, :, 0] if samples.shape[2] == 1 else samples).reduce(2))
            levels.append(halved[:, :, np.newaxis] if halved.ndim == 2 else halved)
        return levels


def warm_up() -> None:
    """Load what the first decode needs, so that nobody waits for it."""
    _one_thread()


def _one_thread() -> None:
    """Requests share the processors already; torch must not divide each among them again."""
    import torch

    torch.set_num_threads(1)


def _eight_bits(pixels: NDArray[np.unsignedinteger]) -> Samples:
    return convert_depth(pixels, 8)


def _stock(file: Jp2File, reduce: int, layers: int | None, region: Rect) -> Samples:
    """What libopenjp2 alone makes of the codestream: samples over their whole range, scaled to 8 bits."""
    request = file.request(reduce, layers, region)
    data, header = file.codestream.load(request, None)
    decoded = decode_codestream(
        data,
        reduce=reduce,
        max_layers=layers,
        area=region,
        limits=file.codestream.limits,
        header=header,
    )
    peak = (1 << decoded.bits[0]) - 1
    planes = np.stack(decoded.planes, -1)
    return ((planes * 510 + peak) // (2 * peak)).astype(np.uint8)
