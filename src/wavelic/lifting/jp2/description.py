"""What an opened JPEG 2000 file says of itself: size, channels, resolutions, layers, metadata; nothing is decoded."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from wavelic.codec.jp2_box import WavelicBox
from wavelic.codec.opened import Layer, Region, level_dimensions
from wavelic.codec.request import Request
from wavelic.codec.slicing import ArrayFace
from wavelic.images import Metadata
from wavelic.images.readers.jp2 import metadata_of
from wavelic.jpeg2000 import Jp2, MainHeader
from wavelic.jpeg2000.channels import Channels
from wavelic.jpeg2000.header_box import Colour
from wavelic.lifting.jp2.codestream import Codestream, RangedCodestream
from wavelic.remote import Source


@dataclass(frozen=True)
class BoxInfo:
    """One box of the file.

    Attributes:
        kind: its type.
        bytes: its size, header included.
        meaning: what it holds, in words.
    """

    kind: str
    bytes: int
    meaning: str


@dataclass(frozen=True)
class Jp2Description(ArrayFace):
    """The describing half of `wavelic.lifting.jp2.file.Jp2File`.

    Attributes:
        box: what wavelic's box says; made up for plain JPEG 2000.
        ours: whether there is such a box.
        jp2: the parsed boxes.
        codestream: where its bytes are.
        size: bytes of the file.
        boxes: all boxes of the file, in order.
        bytes_beside: bytes of the file that are not codestream.
        complete: False if the file was cut short.
        whole_layers: layers of which all packets are there; 0 if even the first lacks some.
        picture: how the components become a picture; None for codec lifting, whose synthesis does that.
        enhance: whether colours are decoded with what a network estimates of their coefficients; None: if wavelic's box
            says so.
        best_reduce: the finest resolution of which a whole layer is there, as a ``reduce``: more than 0 only for a file
            that was cut short.
    """

    box: WavelicBox
    ours: bool
    jp2: Jp2
    codestream: Codestream
    size: int
    boxes: tuple[BoxInfo, ...]
    bytes_beside: int
    complete: bool
    whole_layers: int
    picture: Channels | None = None
    best_reduce: int = 0
    enhance: bool | None = None

    @property
    def header(self) -> MainHeader:
        """The codestream's main header."""
        return self.codestream.header

    @property
    def source(self) -> Source | None:
        """Where the bytes come from, with counts of what was read; None for a file in memory."""
        return self.codestream.source if isinstance(self.codestream, RangedCodestream) else None

    @property
    def codec(self) -> str:
        """Name of the codec: "lifting" or "jp2", or "jpeg2000" for files that wavelic did not write."""
        return "jpeg2000" if not self.ours else "jp2" if self.box.plain else "lifting"

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels)."""
        return self.header.height, self.header.width, self.channels

    @property
    def channels(self) -> int:
        """1 gray, 2 gray and opacity, 3 RGB, 4 RGB and opacity."""
        if self.picture is not None:
            return len(self.picture.channels)
        return len(self.header.components) + (self.box.alpha is not None)

    @property
    def bit_depth(self) -> int:
        """8 or 16: bits of the samples that are read."""
        return self.box.depth

    @property
    def levels(self) -> int:
        """The largest ``reduce``: wavelet levels, as far as they halve the picture.

        Averages of a palette's indices mean nothing.  An image off the origin of the canvas has, halved, the samples
        that `wavelic.codec.opened` promises only while its offset can be halved.
        """
        if self.picture is not None and self.picture.has_palette:
            return 0
        offset = self.header.grid.x0 | self.header.grid.y0
        return self.header.levels if not offset else min(self.header.levels, (offset & -offset).bit_length() - 1)

    @property
    def level_dimensions(self) -> tuple[tuple[int, int], ...]:
        """(width, height) for every ``reduce`` from 0."""
        return level_dimensions(self.header.width, self.header.height, self.levels)

    @property
    def layer_count(self) -> int:
        """Number of quality layers."""
        return self.header.layers

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """Quality layers, the coarsest first, with bytes and bits per pixel of the file trimmed to them."""
        pixels, beside = self.header.width * self.header.height, self.bytes_beside
        sizes = [None if size is None else beside + size for size in self.codestream.layer_sizes()]
        return tuple(Layer(size, None if size is None else size * 8 / pixels) for size in sizes)

    @cached_property
    def reduced_bytes(self) -> tuple[int | None, ...]:
        """Bytes of the file that ``reduce`` 0, 1, ... takes, headers included; None where the file does not say."""
        sizes = self.codestream.reduced_sizes()
        return tuple(None if size is None else self.bytes_beside + size for size in sizes)

    @property
    def metadata(self) -> Metadata:
        """ICC profile, Exif, XMP, IPTC and resolution."""
        return self.metadata_with([])

    def metadata_with(self, remarks: list[str]) -> Metadata:
        """Return the metadata; what is left out is appended to ``remarks``."""
        colour = self.picture.colour if self.picture is not None else Colour(self.jp2.colour, self.jp2.icc)
        return metadata_of(self.jp2, colour, self.channels, remarks)

    def request(self, reduce: int = 0, layers: int | None = None, region: Region | None = None) -> Request:
        """Check what is to be decoded; arguments as for `read`.

        Raises:
            UsageError: the file has no such resolution, layer or region.
        """
        return Request.of(self, reduce, layers, region)
