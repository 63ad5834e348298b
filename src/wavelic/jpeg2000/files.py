"""What a JPEG 2000 file is: its boxes and the main header of its codestream, checked against each other and limits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

from wavelic.errors import FormatError, UnsupportedError
from wavelic.jpeg2000.boxes import GREY, SRGB, Box, Uuid, is_jp2, list_boxes, parse_uuid
from wavelic.jpeg2000.codestream import parse_main_header
from wavelic.jpeg2000.header import CUT_SHORT, DAMAGED, MainHeader
from wavelic.jpeg2000.header_box import Colour, HeaderBox, colours_of_layers, parse_header_box
from wavelic.jpeg2000.limits import DEFAULT_LIMITS, Limits, admit
from wavelic.jpeg2000.tileparts import is_whole

#: Brands of files with one codestream that is decoded alone: JP2, JPX and JPH (HTJ2K).
_BRANDS = (b"jp2 ", b"jpx ", b"jpxb", b"jph ")
_OTHER_BRANDS = {b"mjp2": "Motion JPEG 2000", b"mj2s": "Motion JPEG 2000", b"jpm ": "compound images (JPM)"}


@dataclass(frozen=True)
class Jp2:
    """A parsed JPEG 2000 file.

    Attributes:
        header: the codestream's main header.
        box: what the header box says; made up for a bare codestream.
        uuids: all `uuid` boxes of the file, in order.
        boxes: all boxes of the file, in order; none for a bare codestream.
        codestream: the bytes of the first `jp2c` box.
        offset: where the codestream begins in the file.
        complete: False if the file ends inside the codestream (only with ``partial``).
    """

    header: MainHeader
    box: HeaderBox
    uuids: tuple[Uuid, ...]
    boxes: tuple[Box, ...]
    codestream: bytes
    offset: int
    complete: bool

    @property
    def width(self) -> int:
        """Width of the image in pixels."""
        return self.header.width

    @property
    def height(self) -> int:
        """Height of the image in pixels."""
        return self.header.height

    @property
    def components(self) -> int:
        """Number of components."""
        return len(self.header.components)

    @property
    def colour(self) -> int | None:
        """The first enumerated colour space; None if the file states none."""
        return next((colour.space for colour in self.box.colours if colour.space is not None), None)

    @property
    def icc(self) -> bytes | None:
        """The first ICC profile; None if the file has none."""
        return next((colour.icc for colour in self.box.colours if colour.icc is not None), None)

    @property
    def alpha(self) -> int | None:
        """Index of the opacity channel of the whole image, if the file defines one."""
        return next((d.channel for d in self.box.definitions if d.kind == 1 and d.association == 0), None)

    @property
    def resolution(self) -> tuple[Fraction, Fraction] | None:
        """Samples per metre across and down, if the file says it."""
        return self.box.resolution


def read_jp2(data: bytes, limits: Limits = DEFAULT_LIMITS, *, partial: bool = False) -> Jp2:
    """Parse a JP2, JPX or JPH file, check it against ``limits`` and its image header against the codestream's own.

    Args:
        data: the file.
        limits: what is admitted.
        partial: admit a file that ends inside its codestream.

    Raises:
        FormatError: the file is damaged, cut short or of another kind.
        UnsupportedError: it uses what wavelic does not read.
        LimitError: it is above a limit.
    """
    if not is_jp2(data):
        raise FormatError(f"the file begins with {data[:12].hex()}, expected the JP2 signature; give a .jp2 file")
    found = list_boxes(data, limits, partial=partial)
    _check_brands(data, found)
    headers = [box for box in found if box.kind == b"jp2h"]
    streams = [box for box in found if box.kind == b"jp2c"]
    if not streams:
        if any(box.kind in (b"ftbl", b"flst", b"mdat") for box in found):
            raise UnsupportedError("codestreams in fragments are not supported; convert it to a plain JP2 file")
        raise FormatError(f"the file has no codestream box; {CUT_SHORT}")
    if len(headers) != 1 or headers[0].start > streams[0].start:
        raise FormatError(f"{len(headers)} header boxes, expected one in front of the codestream; {DAMAGED}")
    admit("max_metadata_bytes", "the metadata", len(data) - sum(b.stop - b.start for b in streams), limits)
    box = parse_header_box(data, headers[0], limits)
    if not box.colours:
        box = replace(box, colours=_colours_elsewhere(data, found, limits))
    stream = streams[0]
    codestream = bytes(data[stream.start : stream.stop])
    main = parse_main_header(codestream, limits)
    if (main.width, main.height, len(main.components)) != (box.width, box.height, box.components):
        raise FormatError(
            f"the image header says {box.width}x{box.height}x{box.components}, the codestream "
            f"{main.width}x{main.height}x{len(main.components)}; {DAMAGED}"
        )
    uuids = tuple(parse_uuid(data[box.start : box.stop]) for box in found if box.kind == b"uuid")
    complete = stream.stop <= len(data) and (codestream[-2:] == b"\xff\xd9" or is_whole(codestream, main))
    if not complete and not partial:
        raise FormatError(f"the codestream has no end marker; {CUT_SHORT}")
    return Jp2(main, box, uuids, tuple(found), codestream, stream.start, complete)


def read_jpeg2000(data: bytes, limits: Limits = DEFAULT_LIMITS, *, partial: bool = False) -> Jp2:
    """Parse a JP2 file, or a bare codestream as if it were in one.

    Args:
        data: the file.
        limits: what is admitted.
        partial: admit a file that ends inside its codestream.

    Raises:
        FormatError: the file is damaged, cut short or of another kind.
        UnsupportedError: it uses what wavelic does not read.
        LimitError: it is above a limit.
    """
    if is_jp2(data):
        return read_jp2(data, limits, partial=partial)
    header = parse_main_header(data, limits)
    complete = data[-2:] == b"\xff\xd9" or is_whole(data, header)
    if not complete and not partial:
        raise FormatError(f"the codestream has no end marker; {CUT_SHORT}")
    count = len(header.components)
    colours = (Colour(space=GREY if count <= 2 else SRGB),)
    return Jp2(header, HeaderBox(header.width, header.height, count, colours), (), (), data, 0, complete)


def _check_brands(data: bytes, found: list[Box]) -> None:
    """Raise unless a file type box follows the signature and names a kind of file that is read."""
    payload = data[found[1].start : found[1].stop] if len(found) > 1 and found[1].kind == b"ftyp" else b""
    brands = [payload[:4], *(payload[position : position + 4] for position in range(8, len(payload), 4))]
    if not any(brand in _BRANDS for brand in brands):
        other = next((_OTHER_BRANDS[brand] for brand in brands if brand in _OTHER_BRANDS), None)
        if other:
            raise UnsupportedError(f"{other}: not supported; convert it to a JP2 file")
        raise FormatError(f"no file type box that says JP2 follows the signature; {DAMAGED}")


def _colours_elsewhere(data: bytes, found: list[Box], limits: Limits) -> tuple[Colour, ...]:
    """The colour specifications of the first layer of a JPX file whose header box has none."""
    layers = (colours_of_layers(data, box, limits) for box in found if box.kind == b"jplh")
    return next((colours for colours in layers if colours), ())
