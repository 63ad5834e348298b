"""Opening JPEG 2000 files, ours or plain: parsed, checked, not decoded; and making them smaller.  Loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wavelic.codec.opened import Region, check_layers, check_reduce, level_dimensions, reduced_region
from wavelic.container.crc import crc32c
from wavelic.errors import ChecksumError, FormatError
from wavelic.images import Metadata, Resolution, decode_alpha
from wavelic.jpeg2000 import (
    DEFAULT_LIMITS,
    GREY,
    SRGB,
    Jp2,
    Limits,
    MainHeader,
    is_jp2,
    layer_sizes,
    parse_main_header,
    read_jp2,
    replace_codestream,
    salvage,
    trim_codestream,
)
from wavelic.jpeg2000.boxes import list_boxes
from wavelic.jpeg2000.partial import read_layout, reduced_sizes
from wavelic.jpeg2000.tileparts import is_whole
from wavelic.lifting.jp2.box import (
    ALPHA_ID,
    BOX_ID,
    EXIF_ID,
    IPTC_ID,
    XMP_ID,
    CarrierBox,
    find_payload,
    is_disguised,
    plain_box,
    reduce_plane,
    unpack_box,
)

if TYPE_CHECKING:
    from wavelic.lifting.transform.transform import LiftingTransform

CODESTREAM_MAGIC = b"\xff\x4f\xff\x51"
_DAMAGED = "the file is damaged; fetch it again"


@dataclass(frozen=True)
class CarrierFile:
    """An opened file, checked but not decoded.

    box: what wavelic's box says, made up for plain JPEG 2000.  ours: whether there is such a box.  jp2: the parsed
    file.  header: the codestream's main header.  codestream: what is decoded.  opacity: the component of a plain file
    that is opacity, if any.  complete: False if the file was cut; ``whole_layers`` of its layers remain (0: not even
    one, some packets are missing).  overhead: bytes of the file beyond the codestream.  limits: for the decodes to
    come.
    """

    box: CarrierBox
    ours: bool
    jp2: Jp2
    header: MainHeader
    codestream: bytes
    opacity: int | None
    complete: bool
    whole_layers: int
    overhead: int
    limits: Limits

    @property
    def levels(self) -> int:
        """Wavelet levels: the largest ``reduce``."""
        return self.header.levels

    @property
    def layers(self) -> int:
        """Quality layers: the largest ``max_layers``."""
        return self.header.layers

    @cached_property
    def layer_bytes(self) -> tuple[int | None, ...]:
        """Bytes of the file trimmed to 1, 2, ... layers; None where a file without packet lengths does not say."""
        total = self.overhead + len(self.codestream)
        if self.layers == 1:
            return (total,)
        try:
            return tuple(self.overhead + size for size in layer_sizes(self.codestream, self.limits))
        except FormatError:
            return (*(None for _ in range(self.layers - 1)), total)

    @cached_property
    def reduced_bytes(self) -> tuple[int | None, ...]:
        """Bytes of the file that ``reduce`` 0, 1, ... takes, headers included; None where it does not say."""
        whole = self.overhead + len(self.codestream)
        try:
            layout = read_layout(lambda start, stop: self.codestream[start:stop], len(self.codestream), self.limits)
        except FormatError:
            return (whole, *(None for _ in range(self.levels)))
        return tuple(self.overhead + size for size in reduced_sizes(layout))

    @property
    def level_dimensions(self) -> tuple[tuple[int, int], ...]:
        """(width, height) for every ``reduce`` from 0."""
        return level_dimensions(self.header.width, self.header.height, self.levels)

    @property
    def channels(self) -> int:
        """1 gray, 2 gray+alpha, 3 RGB, 4 RGBA."""
        return len(self.header.components) + (self.box.alpha is not None)

    @property
    def metadata(self) -> Metadata:
        """ICC, Exif, XMP, IPTC and resolution."""
        exif, xmp, iptc = (find_payload(self.jp2.uuids, name) for name in (EXIF_ID, XMP_ID, IPTC_ID))
        resolution = Resolution.checked(*self.jp2.resolution) if self.jp2.resolution else None
        return Metadata(self.jp2.icc, exif, xmp, iptc, resolution)

    def alpha(self) -> NDArray[np.unsignedinteger] | None:
        """The plane (height, width) of the opacity box.  Raises FormatError if it is damaged."""
        if self.box.alpha is None:
            return None
        payload = find_payload(self.jp2.uuids, ALPHA_ID) or b""
        return decode_alpha(payload, self.header.width, self.header.height, self.box.depth, self.limits.max_pixels)

    def read(
        self,
        transform: LiftingTransform | None = None,
        *,
        reduce: int = 0,
        max_layers: int | None = None,
        region: Region | None = None,
        threads: int = 1,
    ) -> NDArray[np.unsignedinteger]:
        """Decode to samples (height, width, 1..4), uint8 or uint16.

        transform: the one whose model the box names; None if it names none.  reduce: halve the size that often,
        rounding up.  region: (x, y, width, height) in pixels of the full image, as in `wavelic.codec.opened`.

        Raises ModelError without the transform that is needed, UsageError for a wrong request, FormatError for damage.
        """
        check_reduce(reduce, self.levels)
        layers = check_layers(max_layers, self.layers)
        wanted = reduced_region(region, self.level_dimensions[0], reduce)
        alpha = self.alpha()  # before the synthesis: cheap, and it may be damaged
        from wavelic.lifting.jp2.read import read_pixels

        pixels = read_pixels(self, transform, reduce, layers, None if region is None else region, threads)
        if alpha is not None:
            pixels = np.concatenate([pixels, reduce_plane(alpha, reduce, wanted)[..., None]], 2)
        return np.ascontiguousarray(pixels)


def open_carrier(data: bytes, *, limits: Limits = DEFAULT_LIMITS, allow_partial: bool = False) -> CarrierFile:
    """Open a JP2 file or a bare codestream, ours or plain: gray or RGB, with or without opacity.

    allow_partial: if the file is cut short, keep its whole layers.  Raises FormatError for a file that is damaged or of
    another kind, ChecksumError if the box is there and its checksum does not match, LimitError above a limit.
    """
    jp2 = (
        read_jp2(data, limits, partial=allow_partial) if is_jp2(data) else bare_codestream(data, limits, allow_partial)
    )
    header = parse_main_header(jp2.codestream, limits)
    ours = find_payload(jp2.uuids, BOX_ID) is not None
    box, opacity = describe(jp2, header, jp2.codestream if jp2.complete else None)
    if (
        not ours
        and is_jp2(data)
        and jp2.complete
        and any(is_disguised(data[found.start : found.stop], jp2.codestream) for found in list_boxes(data, limits))
    ):
        raise FormatError(f"the identifier of wavelic's box is damaged; {_DAMAGED}")
    codestream, whole_layers = jp2.codestream, header.layers
    if not jp2.complete:
        saved = salvage(codestream, limits)
        codestream, whole_layers = saved.codestream, saved.layers
        header = parse_main_header(codestream, limits)
    overhead = len(data) - len(jp2.codestream)
    return CarrierFile(box, ours, jp2, header, codestream, opacity, jp2.complete, whole_layers, overhead, limits)


def trim_carrier(
    data: bytes, *, max_layers: int | None = None, max_bytes: int | None = None, limits: Limits = DEFAULT_LIMITS
) -> bytes:
    """The file with fewer layers, at most ``max_layers`` and at most ``max_bytes`` in all, not re-encoded.

    The box gets the new checksum.  Raises as `open_carrier` and `jpeg2000.trim_codestream` do.
    """
    file = open_carrier(data, limits=limits)
    budget = None if max_bytes is None else max_bytes - file.overhead
    codestream = trim_codestream(file.codestream, max_layers=max_layers, max_bytes=budget, limits=limits)
    if not is_jp2(data):
        return codestream
    uuids = [file.box.pack(codestream) if uuid.identifier == BOX_ID else uuid for uuid in file.jp2.uuids]
    return replace_codestream(data, codestream, uuids)


def bare_codestream(data: bytes, limits: Limits, partial: bool) -> Jp2:
    """A codestream without boxes as if it were in a file."""
    header = parse_main_header(data, limits)
    count = len(header.components)
    complete = data[-2:] == b"\xff\xd9" or is_whole(data, header)
    if not complete and not partial:
        raise FormatError("the codestream has no end marker; the file is cut short or damaged, fetch it again")
    alpha = count - 1 if count in (2, 4) else None
    colour = GREY if count <= 2 else SRGB
    return Jp2(header.width, header.height, count, colour, None, alpha, (), data, complete)


def describe(jp2: Jp2, header: MainHeader, codestream: bytes | None) -> tuple[CarrierBox, int | None]:
    """The box, made up where the file has none, and which component of a plain file is opacity.

    codestream: all of it, to be compared with the box's checksum; None if it is not there.  Raises FormatError or
    ChecksumError if something does not fit.
    """
    box, opacity = _described(jp2, header)
    uuid = next((uuid for uuid in jp2.uuids if uuid.identifier == BOX_ID), None)
    if uuid is None:
        return box, opacity
    stated = unpack_box(uuid, codestream)
    if stated.base != box.base or opacity is not None:
        raise FormatError(f"wavelic's box says {stated.base}, the codestream {box.base}; {_DAMAGED}")
    payload = find_payload(jp2.uuids, ALPHA_ID)
    if stated.alpha is not None and (payload is None or crc32c(payload) != stated.alpha):
        raise ChecksumError(f"the alpha box is missing or its checksum is not {stated.alpha:08x}; {_DAMAGED}")
    return stated, None


def _described(jp2: Jp2, header: MainHeader) -> tuple[CarrierBox, int | None]:
    """How plain JPEG 2000 with that header is read, and which component is opacity."""
    count = len(header.components)
    kinds = {(component.bits, component.signed, component.dx, component.dy) for component in header.components}
    opacity = jp2.alpha if count in (2, 4) and jp2.alpha == count - 1 else None
    if count - (opacity is not None) not in (1, 3) or len(kinds) != 1 or jp2.colour not in (SRGB, GREY, None):
        raise FormatError(
            f"{count} components of {kinds}, expected gray or RGB, with or without opacity; convert the file"
        )
    styles = {(style.levels, style.reversible) for style in header.styles}
    if len(styles) != 1 or header.grid.x0 or header.grid.y0:
        raise FormatError("components of different wavelets, or an image off the origin; convert the file")
    bits, signed, *steps = kinds.pop()
    if signed or steps != [1, 1]:
        raise FormatError("signed or subsampled components; convert the file to plain RGB or gray")
    if bits > 16:
        raise FormatError(f"{bits} bits per sample, expected at most 16; convert the file")
    return plain_box(header.styles[0].reversible, bits), opacity
