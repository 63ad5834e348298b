"""What the header of a file says, and which pictures of it can be asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from wavelic.api.files import open_file, open_url
from wavelic.codec.jp2_box import NO_MODEL
from wavelic.codec.opened import OpenedFile, level_dimensions
from wavelic.codec.registry import codecs, recognize
from wavelic.codec.wlic_file import WlicFile
from wavelic.container import MAGIC
from wavelic.enhance.catalogue import find_enhance
from wavelic.errors import FormatError, UnsupportedError
from wavelic.images import orientation_of
from wavelic.jpeg2000 import is_jpeg2000
from wavelic.lifting.jp2.file import Jp2File
from wavelic.lifting.jp2.opening import open_head
from wavelic.rect import Rect
from wavelic.serving.request import Size

#: File name endings that are served, besides those of the codecs' own files.
_JPEG2000_SUFFIXES = (".jp2", ".j2k", ".j2c")
#: Width and height of tiles, and of the windows that are decoded and kept.
TILE = 512
#: Ways to decode a file besides its own: as other software does; with what a network estimates of its coefficients.
STOCK, ENHANCED = "stock", "enhanced"
DECODES = (STOCK, ENHANCED)
_HEAD = 1 << 16


@dataclass(frozen=True)
class Facts:
    """What the header says.

    Attributes:
        codec: as `opened.OpenedFile.codec`.
        width: of the picture as it is shown, upright.
        height: of the picture as it is shown.
        channels: 1 gray, 2 gray and opacity, 3 RGB, 4 RGB and opacity.
        bit_depth: 8 or 16.
        levels: resolutions in the file below the full one.
        layers: quality layers.
        decodes: those of `DECODES` that give another picture than the file's own.
        bytes: of the file.
        averaged: the file has no levels; windows are cut from the whole image and its averages.
        tiled: a window costs all tiles that it meets, so levels are decoded whole and kept where they fit.
        orientation: Exif orientation of the stored samples, 1..8.
        complete: False for a file that is cut short or still arriving.
    """

    codec: str
    width: int
    height: int
    channels: int
    bit_depth: int
    levels: int
    layers: int
    decodes: tuple[str, ...]
    bytes: int
    averaged: bool = False
    tiled: bool = False
    orientation: int = 1
    complete: bool = True

    @property
    def size(self) -> Size:
        """(width, height), upright."""
        return self.width, self.height

    @property
    def stored_size(self) -> Size:
        """(width, height) of the stored samples."""
        return (self.height, self.width) if self.orientation >= 5 else self.size

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

    def stored_region(self, reduce: int, box: Rect) -> Rect:
        """Find the stored samples that a part of an upright level is decoded from.

        Args:
            reduce: how often the level is halved.
            box: in its samples, upright; it may reach beyond the right and lower edge.

        Returns:
            A region of the full stored image; its samples at that level are those of the box.
        """
        level = level_dimensions(self.width, self.height, reduce)[reduce]
        x, y, width, height = box.clipped(Rect(0, 0, *level))
        if self.orientation in (2, 3, 6, 7):
            x = level[0] - x - width
        if self.orientation in (3, 4, 7, 8):
            y = level[1] - y - height
        if self.orientation >= 5:
            x, y, width, height = y, x, height, width
        left, top = x << reduce, y << reduce
        full = self.stored_size
        return Rect(left, top, min(width << reduce, full[0] - left), min(height << reduce, full[1] - top))


@dataclass(frozen=True)
class Variant:
    """Which picture of the file.

    Attributes:
        layers: at most so many quality layers; None for all.
        decode: one of `DECODES`, or "" for the file's own way.
    """

    layers: int | None = None
    decode: str = ""

    def of(self, facts: Facts) -> Variant:
        """The same picture, said in the one way that names no more than needed."""
        layers = None if self.layers is None or self.layers >= facts.layers else self.layers
        return Variant(layers, self.decode if self.decode in facts.decodes else "")


def suffixes() -> tuple[str, ...]:
    """Return the file name endings that are served."""
    return (*_JPEG2000_SUFFIXES, *sorted({codec.extension for codec in codecs()}.difference(_JPEG2000_SUFFIXES)))


def read_facts(path: Path, *, partial: bool = False) -> Facts:
    """Read what the header of a file says, as little of the file as needed, and check that its codec is installed.

    Args:
        path: of the file.
        partial: accept a JPEG 2000 file that is cut short, if something of the picture is there.

    Raises:
        UnsupportedError, ModelError: the file is of a kind, or needs weights, that this installation has not.
        FormatError: it is damaged as far as it was read, cut short, or none of ours.
        LimitError: it is too large.
        OSError: it cannot be read.
    """
    total = path.stat().st_size
    with path.open("rb") as stream:
        head = stream.read(_HEAD)
        if recognize(head) is None and not head.startswith(MAGIC):
            raise FormatError("neither JPEG 2000 nor of a codec that is installed; convert the file")
        if not is_jpeg2000(head):
            return _facts(open_url(path), total, tiled=True)
        try:
            return _facts(open_head(head, total), total)
        except UnsupportedError:
            raise
        except FormatError:
            data = head + stream.read()  # of an unusually long header, or of a file that is cut short
        try:
            return _facts(open_head(data, total), total)
        except UnsupportedError:
            raise
        except FormatError:
            if not partial:
                raise
            file = open_file(data, allow_partial=True)
            return replace(_facts(file, total), complete=file.complete)


def _facts(file: OpenedFile, total: int, *, tiled: bool = False) -> Facts:
    height, width, channels = file.shape
    orientation = orientation_of(file.metadata)
    if orientation >= 5:
        width, height = height, width
    decodes = _decodes(file)
    codec, depth, levels, layers = file.codec, file.bit_depth, file.levels, file.layer_count
    averaged = tiled and not levels
    return Facts(codec, width, height, channels, depth, levels, layers, decodes, total, averaged, tiled, orientation)


def _decodes(file: OpenedFile) -> tuple[str, ...]:
    """Which other pictures there are of a file; ModelError if the weights of its own are not installed."""
    if isinstance(file, WlicFile):
        file.card()
    if not isinstance(file, Jp2File):
        return ()
    stock: tuple[str, ...] = ()
    if file.box.model != NO_MODEL:
        file.card()
        stock = (STOCK,)
    if file.box.enhance:
        find_enhance(file.network_name)
        return (STOCK,)
    return (*stock, ENHANCED) if file.can_enhance else stock


def _halvings(size: Size) -> int:
    """How often ``size`` must be halved, rounding up, to fit into a tile."""
    halvings = 0
    while -(-max(size) // 2**halvings) > TILE:
        halvings += 1
    return halvings
