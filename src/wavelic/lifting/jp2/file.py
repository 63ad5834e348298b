"""JPEG 2000 files, ours or plain: opened, checked, described, trimmed; loads no torch until samples are asked for.

Ours have the learned synthesis that their box names.  The bytes are in memory, or at a source (a web server, a local
file) of which every request fetches the packets it needs.

>>> import numpy as np, wavelic
>>> file = open_jp2(wavelic.encode(np.zeros((40, 60, 3), np.uint8), "lifting", layers=2))
>>> file.codec, file.levels, len(file.layers), file.read(reduce=2).shape
('lifting', 5, 2, (10, 15, 3))
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wavelic.codec.opened import Layer, Progress, Region, level_dimensions
from wavelic.codec.options import check_device
from wavelic.codec.slicing import ArrayFace
from wavelic.codec.weights import Card
from wavelic.container.crc import crc32c
from wavelic.errors import ChecksumError, FormatError, LimitError, UsageError
from wavelic.images import Image, Metadata, decode_alpha
from wavelic.jpeg2000 import (
    DEFAULT_LIMITS,
    GREY,
    SRGB,
    Jp2,
    Limits,
    MainHeader,
    decode_codestream,
    is_jp2,
    is_jpeg2000,
    parse_main_header,
    read_jpeg2000,
    replace_codestream,
    salvage,
    trim_codestream,
)
from wavelic.jpeg2000.boxes import Box, find_codestream
from wavelic.jpeg2000.codestream import SOT
from wavelic.jpeg2000.partial import read_layout
from wavelic.lifting.jp2.box import (
    ALPHA_ID,
    BOX_ID,
    EXIF_ID,
    NO_MODEL,
    XMP_ID,
    WavelicBox,
    find_payload,
    is_disguised,
    plain_box,
    unpack_box,
)
from wavelic.lifting.jp2.codestream import Codestream, LoadedCodestream, Margins, RangedCodestream
from wavelic.lifting.jp2.info import BoxInfo, box_infos, jp2_info
from wavelic.lifting.jp2.request import Request, check_request
from wavelic.remote import Source

if TYPE_CHECKING:
    from wavelic.lifting.jp2.stored_image import StoredImage
    from wavelic.lifting.transform.transform import LiftingTransform

#: Samples more than the synthesis sees, because the pseudo-image is rounded and may be clipped.
_ROUNDING_MARGIN = 4
_DAMAGED = "the file is damaged; fetch it again"


@dataclass(frozen=True)
class Jp2File(ArrayFace):
    """An opened JPEG 2000 file (`wavelic.codec.opened.OpenedFile`): checked, not yet decoded.

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
        """Name of the codec: "lifting", or "jpeg2000" for files that wavelic did not write."""
        return "lifting" if self.ours else "jpeg2000"

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels)."""
        return self.header.height, self.header.width, self.channels

    @property
    def channels(self) -> int:
        """1 gray, 2 gray and opacity, 3 RGB, 4 RGB and opacity."""
        return len(self.header.components) + (self.box.alpha is not None)

    @property
    def bit_depth(self) -> int:
        """8 or 16: bits of the samples that are read."""
        return self.box.depth

    @property
    def levels(self) -> int:
        """Wavelet levels: the largest ``reduce``."""
        return self.header.levels

    @property
    def level_dimensions(self) -> tuple[tuple[int, int], ...]:
        """(width, height) for every ``reduce`` from 0."""
        return level_dimensions(self.header.width, self.header.height, self.levels)

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
        """ICC profile, Exif and XMP."""
        uuids = self.jp2.uuids
        return Metadata(self.jp2.icc, find_payload(uuids, EXIF_ID), find_payload(uuids, XMP_ID))

    @property
    def info(self) -> dict[str, Any]:
        """What the file is: format, codec, model, geometry, layers, precincts and boxes."""
        return jp2_info(self)

    def request(self, reduce: int = 0, layers: int | None = None, region: Region | None = None) -> Request:
        """Check what is to be decoded; arguments as for `read`.

        Raises:
            UsageError: the file has no such resolution, layer or region.
        """
        return check_request(self.header, reduce, layers, region)

    def decode(
        self,
        reduce: int = 0,
        layers: int | None = None,
        region: Region | None = None,
        device: str = "cpu",
        progress: Progress | None = None,
    ) -> Image:
        """Decode samples, with the file's metadata; see `wavelic.codec.opened.OpenedFile.decode`."""
        request = self.request(reduce, layers, region)
        transform = self.transform(device)
        import torch

        from wavelic.lifting.jp2 import synthesis

        pixels = synthesis.read(self, transform, request, threads=torch.get_num_threads(), progress=progress)
        return Image(pixels, self.metadata)

    def alpha(self) -> NDArray[np.unsignedinteger] | None:
        """Decode the plane (height, width) of the opacity box; None if there is none.

        Raises:
            FormatError: the box is damaged.
        """
        if self.box.alpha is None:
            return None
        payload = find_payload(self.jp2.uuids, ALPHA_ID) or b""
        limit = self.codestream.limits.max_pixels
        return decode_alpha(payload, self.header.width, self.header.height, self.box.depth, limit)

    def verify(self) -> None:
        """Check all that can be checked without synthesis: a decode of everything, and alpha.

        Opening has compared the checksum, unless the file is read in parts: then all of it is read now.

        Raises:
            FormatError: the file is damaged.
            ModelError: its weights are not installed.
        """
        if self.source is not None:
            open_jp2(self.source.read_all(), self.codestream.limits).verify()
            return
        self.alpha()
        if self.box.model != NO_MODEL:
            self.card()
        data, header = self.codestream.load(self.request(), None)
        decode_codestream(data, limits=self.codestream.limits, header=header)

    def card(self) -> Card:
        """Find the weights the file names.

        Raises:
            ModelError: they are not installed.
        """
        from wavelic.lifting.cards import find_lifting

        return find_lifting(self.box.model)

    def transform(self, device: str = "cpu") -> LiftingTransform | None:
        """Load the trained transform the file names; None if it names none.

        Args:
            device: torch device to run on.

        Raises:
            ModelError: it is not installed.
            UsageError: the device cannot be used.
        """
        if self.box.model == NO_MODEL:
            return None
        card = self.card()  # before torch is loaded
        check_device(device)
        from wavelic.lifting.weights import load_lifting_card

        return load_lifting_card(card, device)

    def load(self, transform: LiftingTransform | None, request: Request, threads: int) -> StoredImage:
        """Get the pseudo-image, or as much of it as a request needs.

        Args:
            transform: of the synthesis; None for the base wavelet alone.
            request: from `request`.
            threads: that libopenjp2 may use.

        Raises:
            SourceError: its bytes cannot be had.
        """
        from wavelic.lifting.jp2.stored_image import StoredImage

        data, header = self.codestream.load(request, self._margins(transform))
        return StoredImage(data, header, self.box, request.layers, threads, self.codestream.limits)

    def read_bytes(self, reduce: int = 0, layers: int | None = None, region: Region | None = None) -> int:
        """Count the bytes that `read` with the same arguments fetches: none of a file in memory.

        Raises:
            UsageError: as `read`.
            ModelError: the weights, which decide what is needed, are not installed.
        """
        request = self.request(reduce, layers, region)
        return self.codestream.costs(request, self._margins(self.transform()))[request.layers - 1]

    def layers_within(self, max_bytes: int, reduce: int = 0, region: Region | None = None) -> int:
        """Find the most layers with which `read` fetches at most ``max_bytes``.

        Args:
            max_bytes: that the read may fetch.
            reduce: as for `read`.
            region: as for `read`.

        Raises:
            UsageError: the first layer takes more, or as `read`.
            ModelError: the weights, which decide what is needed, are not installed.
        """
        costs = self.codestream.costs(self.request(reduce, None, region), self._margins(self.transform()))
        if costs[0] > max_bytes:
            raise UsageError(
                f"the first layer takes {costs[0]} bytes, and {max(max_bytes, 0)} are left of max_bytes;"
                " allow more, or ask for less: a higher reduce or a smaller region"
            )
        return max(layers for layers, cost in enumerate(costs, 1) if cost <= max_bytes)

    def packet_ranges(self, transform: LiftingTransform | None, request: Request) -> list[tuple[int, int]] | None:
        """List the bytes [start, stop) of the file with the packets a request needs, headers left out.

        Args:
            transform: of the synthesis; None for the base wavelet alone.
            request: from `request`.

        Returns:
            Sorted ranges; None if the file does not say where its packets are.
        """
        return self.codestream.ranges(request, self._margins(transform)) if self.complete else None

    def _margins(self, transform: LiftingTransform | None) -> Margins:
        """Samples that each level of the synthesis sees; None: as many as the codestream's own wavelet.

        The same for all components, even if some have fewer learned steps: a decoder mixes them and clips the result,
        which without chroma could change luma.
        """
        if transform is None:
            return None
        count, numbers = len(self.header.components), range(1, self.levels + 1)
        return tuple(transform.receptive_radius(number, count) + _ROUNDING_MARGIN for number in numbers)


def open_jp2(source: bytes | Source, limits: Limits = DEFAULT_LIMITS, *, allow_partial: bool = False) -> Jp2File:
    """Open a JP2 file or a bare codestream, ours or plain: gray or RGB, with or without opacity.

    Args:
        source: its bytes, or where they are.  Of a source as little as possible is read; a file that cannot be read
            in parts (no packet lengths, several tiles, cut short) is read as a whole.
        limits: what is admitted.
        allow_partial: if the file is cut short, keep the layers that are there.

    Raises:
        FormatError: the file is damaged, cut short or of another kind.
        ChecksumError: wavelic's box is there and its checksum does not match.
        LimitError: the file is above a limit.
        SourceError: its bytes cannot be had.
    """
    if isinstance(source, bytes):
        return _open_whole(source, limits, allow_partial)
    file = open_in_parts(source, limits)
    return _open_whole(source.read_all(), limits, allow_partial) if file is None else file


def open_in_parts(source: Source, limits: Limits = DEFAULT_LIMITS) -> Jp2File | None:
    """Open a JPEG 2000 file whose packets are fetched as requests need them; None if it cannot be read so.

    Args:
        source: where its bytes are.
        limits: what is admitted.

    Raises:
        LimitError: the file is above a limit.
        SourceError: its bytes cannot be had.
    """
    try:
        return _open_ranged(source, limits)
    except LimitError:
        raise
    except FormatError:
        return None


def trim_jp2(
    data: bytes,
    *,
    max_layers: int | None = None,
    max_bytes: int | None = None,
    bpp: float | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> bytes:
    """Drop the last layers of a JPEG 2000 file without decoding it; wavelic's box gets the new checksum.

    Args:
        data: the file.
        max_layers: at most so many layers stay.
        max_bytes: at most so many bytes of the file stay.
        bpp: at most so many bits per pixel of the file stay; in the place of ``max_bytes``.
        limits: what is admitted.

    Raises:
        UsageError: not even one layer is admitted, or nothing is asked for.
        FormatError: the file is of another kind, damaged, or has no packet lengths (PLT).
    """
    if not is_jpeg2000(data):
        raise FormatError("not a JPEG 2000 file, and only these have layers to drop; give a .jp2 file")
    file = _open_whole(data, limits, False)
    if bpp is not None:
        max_bytes = int(bpp * file.header.width * file.header.height / 8)
    budget = None if max_bytes is None else max_bytes - file.bytes_beside
    trimmed = trim_codestream(file.jp2.codestream, max_layers=max_layers, max_bytes=budget, limits=limits)
    if not is_jp2(data):
        return trimmed
    uuids = [file.box.pack(trimmed) if uuid.identifier == BOX_ID else uuid for uuid in file.jp2.uuids]
    return replace_codestream(data, trimmed, uuids)


def _open_whole(data: bytes, limits: Limits, allow_partial: bool) -> Jp2File:
    jp2 = read_jpeg2000(data, limits, partial=allow_partial)
    box, ours = _described(jp2, jp2.codestream if jp2.complete else None)
    if not ours and jp2.complete:
        _refuse_disguised(data, jp2)
    stream, header, whole_layers = jp2.codestream, jp2.header, jp2.header.layers
    if not jp2.complete:
        saved = salvage(stream, limits)
        stream, whole_layers = saved.codestream, saved.layers
        header = parse_main_header(stream, limits)
    loaded = LoadedCodestream(header, len(stream), jp2.offset, limits, stream)
    infos = box_infos(data, jp2.boxes, len(data))
    beside = len(data) - len(jp2.codestream)
    return Jp2File(box, ours, jp2, loaded, len(data), infos, beside, jp2.complete, whole_layers)


def _open_ranged(source: Source, limits: Limits) -> Jp2File:
    found = Box(b"jp2c", 0, source.size)
    if is_jp2(source.read(0, 12)):
        found = find_codestream(source.read, source.size, limits)
    start, stop = found.start, found.stop
    kept = min(source.kept, stop) - start
    layout = read_layout(lambda a, b: source.read(start + a, min(start + b, stop)), stop - start, limits, kept=kept)
    head = source.read(0, start) + layout.head + SOT.to_bytes(2, "big")
    jp2 = read_jpeg2000(head, limits, partial=True)
    box, ours = _described(jp2, None)
    ranged = RangedCodestream(layout.header, stop - start, start, limits, layout, source)
    infos = box_infos(head, jp2.boxes, source.size)
    beside = source.size - (stop - start)
    return Jp2File(box, ours, jp2, ranged, source.size, infos, beside, True, layout.header.layers)


def _refuse_disguised(data: bytes, jp2: Jp2) -> None:
    """Refuse a file one of whose boxes is wavelic's main box with a damaged identifier or type."""
    if any(is_disguised(data[found.start : found.stop], jp2.codestream) for found in jp2.boxes):
        raise FormatError(f"the identifier of wavelic's box is damaged; {_DAMAGED}")


def _described(jp2: Jp2, codestream: bytes | None) -> tuple[WavelicBox, bool]:
    """The box, made up where the file has none, and whether it has one.

    codestream: all of it, to be compared with the box's checksum; None if it is not there.
    """
    plain, opacity = _plain(jp2)
    uuid = next((uuid for uuid in jp2.uuids if uuid.identifier == BOX_ID), None)
    if uuid is None:
        return plain, False
    stated = unpack_box(uuid, codestream)
    if stated.base != plain.base or opacity:
        raise FormatError(f"wavelic's box says {stated.base}, the codestream {plain.base}; {_DAMAGED}")
    payload = find_payload(jp2.uuids, ALPHA_ID)
    if stated.alpha is not None and (payload is None or crc32c(payload) != stated.alpha):
        raise ChecksumError(f"the alpha box is missing or its checksum is not {stated.alpha:08x}; {_DAMAGED}")
    return stated, True


def _plain(jp2: Jp2) -> tuple[WavelicBox, bool]:
    """How plain JPEG 2000 with these headers is read, and whether its last component is opacity."""
    header = jp2.header
    count = len(header.components)
    kinds = {(component.bits, component.signed, component.dx, component.dy) for component in header.components}
    opacity = count in (2, 4) and jp2.alpha == count - 1
    if count - opacity not in (1, 3) or len(kinds) != 1 or jp2.colour not in (SRGB, GREY, None):
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
