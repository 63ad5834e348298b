"""A file as the server sees it: a few facts from its header, and windows of its levels as 8-bit samples.

JPEG 2000 files have levels of their own, and a window of one is decoded alone.  Files of all other codecs are decoded
whole and halved by averaging 2 x 2 samples, as often as tiles need; the levels are kept in the cache, so they count
towards its bound.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wavelic.api.files import open_file
from wavelic.codec.jp2_box import BOX_ID, NO_MODEL, find_payload, unpack_box
from wavelic.codec.opened import OpenedFile, level_dimensions
from wavelic.codec.registry import codecs, recognize
from wavelic.codec.wlic import codec_of
from wavelic.container import MAGIC, read_header
from wavelic.errors import FormatError
from wavelic.images.image import convert_depth
from wavelic.jpeg2000 import Uuid, decode_codestream, is_jpeg2000, read_jpeg2000
from wavelic.lifting.jp2.file import Jp2File
from wavelic.remote import merge_spans
from wavelic.serving.request import Box, Size

if TYPE_CHECKING:
    from wavelic.lifting.transform.transform import LiftingTransform

#: File name endings that are served, besides those of the codecs' own files.
_JPEG2000_SUFFIXES = (".jp2", ".j2k", ".j2c")
#: Width and height of tiles, and of the windows that are decoded and kept.
TILE = 512
#: Largest ICC profile sent along with an image, in bytes.
MAX_ICC = 1 << 16
_HEAD = 1 << 16

Samples = NDArray[np.uint8]


@dataclass(frozen=True)
class Facts:
    """What the header says.

    codec: as `opened.OpenedFile.codec`.  averaged: windows are cut from the whole image and its averages, not decoded
    alone.  learned: the synthesis has trained weights, so that other JPEG 2000
    software shows another picture (False for files that only wavelic reads).  levels: resolutions in the file below
    the full one.  layers: quality layers.  bytes: of the file.
    """

    codec: str
    width: int
    height: int
    channels: int
    bit_depth: int
    levels: int
    layers: int
    learned: bool
    bytes: int
    averaged: bool = False

    @property
    def size(self) -> Size:
        """(width, height)."""
        return self.width, self.height

    @property
    def gray(self) -> bool:
        """Whether there is no colour."""
        return self.channels <= 2

    @property
    def own_levels(self) -> int:
        """Levels a window can be taken from without resampling: of the file, or averages."""
        return _halvings(self.size) if self.averaged else self.levels

    @property
    def scale_levels(self) -> int:
        """Levels that are advertised: those of the file, and more if its smallest is larger than four tiles."""
        smallest = level_dimensions(self.width, self.height, self.own_levels)[-1]
        return self.own_levels + (_halvings(smallest) if max(smallest) > 2 * TILE else 0)


@dataclass(frozen=True)
class Variant:
    """Which picture of the file.

    Attributes:
        layers: at most so many quality layers; None for all.
        stock: as other JPEG 2000 software shows it, without the learned synthesis.
    """

    layers: int | None = None
    stock: bool = False

    def of(self, facts: Facts) -> Variant:
        """The same picture, said in the one way that names no more than needed."""
        layers = None if self.layers is None or self.layers >= facts.layers else self.layers
        return Variant(layers, self.stock and facts.learned)


#: Which picture, how often halved, and a box in samples of that level.
Window = tuple[Variant, int, Box]


def suffixes() -> tuple[str, ...]:
    """Return the file name endings that are served."""
    return (*_JPEG2000_SUFFIXES, *sorted({codec.extension for codec in codecs()}.difference(_JPEG2000_SUFFIXES)))


def read_facts(path: Path) -> Facts:
    """Facts from the first bytes of a file; the rest is not read, nor checked.

    Raises FormatError, LimitError for a file that is none of ours or too large, OSError if it cannot be read.
    """
    total = path.stat().st_size
    with path.open("rb") as stream:
        head = stream.read(_HEAD)
        if head.startswith(MAGIC):
            header = read_header(head)
            codec = codec_of(header).name
            return Facts(
                codec, header.width, header.height, header.channels, header.bit_depth, 0, 1, False, total, True
            )
        if recognize(head) is None:
            raise FormatError("neither JPEG 2000 nor of a codec that is installed; convert the file")
        if not is_jpeg2000(head):
            file = open_file(path)
            height, width, channels = file.shape
            return Facts(file.codec, width, height, channels, file.bit_depth, 0, 1, False, total, True)
        try:
            return _jpeg2000_facts(head, total)
        except FormatError:
            if len(head) == total:
                raise
            return _jpeg2000_facts(head + stream.read(), total)  # an unusually long header


def _jpeg2000_facts(data: bytes, total: int) -> Facts:
    jp2 = read_jpeg2000(data, partial=True)
    header = jp2.header
    channels, depth = len(header.components), 8 if header.components[0].bits <= 8 else 16
    learned, codec = False, "jpeg2000"
    payload = find_payload(jp2.uuids, BOX_ID)
    if payload is not None:
        box = unpack_box(Uuid(BOX_ID, payload), None)
        learned, codec, depth = box.model != NO_MODEL, "lifting", box.depth
        channels += box.alpha is not None
    return Facts(codec, header.width, header.height, channels, depth, header.levels, header.layers, learned, total)


class Source:
    """An opened file: windows of its levels, and its ICC profile.  A decode uses one thread."""

    def __init__(self, path: Path, facts: Facts) -> None:
        self.facts = facts
        self._file: OpenedFile = open_file(path)
        jp2 = self._file.jp2 if isinstance(self._file, Jp2File) else None
        self.icc = jp2.icc if jp2 and jp2.icc and len(jp2.icc) <= MAX_ICC else None

    @property
    def layer_bytes(self) -> list[int | None]:
        """Bytes of the file up to each quality layer, None where it does not say."""
        return [layer.bytes for layer in self._file.layers]

    def window(self, variant: Variant, reduce: int, box: Box) -> Samples:
        """Samples (height, width, channels) of ``box`` in the level that is halved ``reduce`` times.

        For JPEG 2000 only.  Raises FormatError, ModelError if the file does not decode.
        """
        x, y, width, height = (side << reduce for side in box)
        region = x, y, min(width, self.facts.width - x), min(height, self.facts.height - y)
        file = self._file
        if isinstance(file, Jp2File) and (variant.stock or not file.ours):
            return _stock(file, reduce, variant.layers, region)
        _one_thread()
        return _eight_bits(file.read(reduce=reduce, layers=variant.layers, region=region))

    def ranges(self, windows: Iterable[Window]) -> list[tuple[int, int]]:
        """[start, stop) of the bytes of the file that decoding ``windows`` needs, sorted and apart.

        Of a file without packet lengths, and of one that is no JPEG 2000, that is all of it.  The headers are
        always among them.
        Raises ModelError if the weights are not installed.
        """
        file, facts = self._file, self.facts
        headers = file.codestream.headers_end if isinstance(file, Jp2File) and file.complete else None
        if headers is None:
            return [(0, facts.bytes)]
        assert isinstance(file, Jp2File)
        found = [(0, headers)]
        for variant, reduce, (x, y, width, height) in windows:
            left, top = x << reduce, y << reduce
            region = left, top, min(width << reduce, facts.width - left), min(height << reduce, facts.height - top)
            transform = None if variant.stock else self._transform
            request = file.request(min(reduce, facts.levels), variant.layers or facts.layers, region)
            found += file.packet_ranges(transform, request) or []
        return merge_spans(sorted(found), 0, len(found))

    @cached_property
    def _transform(self) -> LiftingTransform | None:
        assert isinstance(self._file, Jp2File)
        return self._file.transform()

    def pyramid(self) -> list[Samples]:
        """All levels of an image that is averaged, the full one first.

        Raises FormatError, ModelError if it does not decode.
        """
        from PIL import Image

        _one_thread()
        image = self._file.decode()
        if image.metadata.icc is not None and len(image.metadata.icc) <= MAX_ICC:
            self.icc = image.metadata.icc
        levels = [_eight_bits(image.pixels)]
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


def _stock(file: Jp2File, reduce: int, layers: int | None, region: Box) -> Samples:
    """What libopenjp2 alone makes of the codestream: samples over their whole range, scaled to 8 bits."""
    request = file.request(reduce, layers, region)
    data, header = file.codestream.load(request, None)
    decoded = decode_codestream(
        data, reduce=reduce, max_layers=layers, area=region, limits=file.codestream.limits, header=header
    )
    peak = (1 << decoded.bits[0]) - 1
    planes = np.stack(decoded.planes, -1)
    return ((planes * 510 + peak) // (2 * peak)).astype(np.uint8)


def _halvings(size: Size) -> int:
    """How often ``size`` must be halved, rounding up, to fit into a tile."""
    halvings = 0
    while -(-max(size) // 2**halvings) > TILE:
        halvings += 1
    return halvings
