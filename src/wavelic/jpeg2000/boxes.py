"""The JP2 file format (ITU-T T.800 annex I): boxes around a codestream, read under limits and written.

A box is a length, a four-character type and a payload.  wavelic reads the signature, the file type, the image header,
the colour specification and `uuid` boxes; every other box is kept but not interpreted.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from wavelic.errors import FormatError, UnsupportedError, UsageError
from wavelic.jpeg2000.codestream import CODESTREAM_START, CUT_SHORT, MainHeader, parse_main_header
from wavelic.jpeg2000.limits import DEFAULT_LIMITS, Limits, admit
from wavelic.jpeg2000.tileparts import is_whole

SIGNATURE = b"\x00\x00\x00\x0cjP  \r\n\x87\n"
SRGB, GREY, SYCC = 16, 17, 18
_ENUMERATED_COLOURS = (SRGB, GREY, SYCC)
_FILE_TYPE = b"jp2 " + bytes(4) + b"jp2 "
_VARIES = 255
_ALPHA_CHANNEL, _WHOLE_IMAGE, _COLOUR_CHANNEL = 1, 0, 0
_DAMAGED = "the file is damaged; fetch it again"


@dataclass(frozen=True)
class Box:
    """One box of the file.

    Attributes:
        kind: its type, four bytes.
        start: where its payload begins in the file.
        stop: where it ends.
    """

    kind: bytes
    start: int
    stop: int


@dataclass(frozen=True)
class Uuid:
    """A `uuid` box.

    Attributes:
        identifier: 16 bytes that identify the kind.
        data: what follows them.
    """

    identifier: bytes
    data: bytes


@dataclass(frozen=True)
class Jp2:
    """A parsed JP2 file.

    Attributes:
        header: the codestream's main header.
        colour: an enumerated colour space (SRGB, GREY, SYCC), or None if an ICC profile says it.
        icc: that profile.
        alpha: index of the opacity channel, if any.
        uuids: all `uuid` boxes of the file, in order.
        boxes: all boxes of the file, in order; none for a bare codestream.
        codestream: the bytes of the first `jp2c` box.
        offset: where the codestream begins in the file.
        complete: False if the file ends inside the codestream (only with ``partial``).
        resolution: samples per metre across and down, if the file says it.
        order: the components in the order of the colours (red, green, blue), opacity last; empty if that is their own
            order.
    """

    header: MainHeader
    colour: int | None
    icc: bytes | None
    alpha: int | None
    uuids: tuple[Uuid, ...]
    boxes: tuple[Box, ...]
    codestream: bytes
    offset: int
    complete: bool
    resolution: tuple[Fraction, Fraction] | None = None
    order: tuple[int, ...] = ()

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


def is_jp2(data: bytes) -> bool:
    """Whether ``data`` begins with the JP2 signature box."""
    return data[: len(SIGNATURE)] == SIGNATURE


def is_jpeg2000(data: bytes) -> bool:
    """Whether ``data``, of which 12 bytes suffice, begins a JP2 file or a bare codestream."""
    return is_jp2(data) or data.startswith(CODESTREAM_START)


def read_jp2(data: bytes, limits: Limits = DEFAULT_LIMITS, *, partial: bool = False) -> Jp2:
    """Parse a JP2 file, check it against ``limits`` and its image header against the codestream's own.

    Args:
        data: the file.
        limits: what is admitted.
        partial: admit a file that ends inside its codestream.

    Raises:
        FormatError: the file is damaged, cut short or of another kind.
        LimitError: it is above a limit.
    """
    if not is_jp2(data):
        raise FormatError(f"the file begins with {data[:12].hex()}, expected the JP2 signature; give a .jp2 file")
    found = list_boxes(data, limits, partial=partial)
    if len(found) < 2 or found[1].kind != b"ftyp" or b"jp2 " not in _brands(data[found[1].start : found[1].stop]):
        raise FormatError(f"no file type box that says JP2 follows the signature; {_DAMAGED}")
    headers = [box for box in found if box.kind == b"jp2h"]
    streams = [box for box in found if box.kind == b"jp2c"]
    if not streams:
        raise FormatError(f"the file has no codestream box; {CUT_SHORT}")
    if len(headers) != 1 or headers[0].start > streams[0].start:
        raise FormatError(f"{len(headers)} header boxes, expected one in front of the codestream; {_DAMAGED}")
    admit("max_metadata_bytes", "the metadata", len(data) - sum(b.stop - b.start for b in streams), limits)
    width, height, components, colour, icc, alpha, resolution, order = _parse_header(data, headers[0], limits)
    stream = streams[0]
    codestream = bytes(data[stream.start : stream.stop])
    main = parse_main_header(codestream, limits)
    if (main.width, main.height, len(main.components)) != (width, height, components):
        raise FormatError(
            f"the image header says {width}x{height}x{components}, the codestream "
            f"{main.width}x{main.height}x{len(main.components)}; {_DAMAGED}"
        )
    uuids = tuple(_uuid(data[box.start : box.stop]) for box in found if box.kind == b"uuid")
    complete = stream.stop <= len(data)
    return Jp2(main, colour, icc, alpha, uuids, tuple(found), codestream, stream.start, complete, resolution, order)


def read_jpeg2000(data: bytes, limits: Limits = DEFAULT_LIMITS, *, partial: bool = False) -> Jp2:
    """Parse a JP2 file, or a bare codestream as if it were in one.

    Args:
        data: the file.
        limits: what is admitted.
        partial: admit a file that ends inside its codestream.

    Raises:
        FormatError: the file is damaged, cut short or of another kind.
        LimitError: it is above a limit.
    """
    if is_jp2(data):
        return read_jp2(data, limits, partial=partial)
    header = parse_main_header(data, limits)
    complete = data[-2:] == b"\xff\xd9" or is_whole(data, header)
    if not complete and not partial:
        raise FormatError(f"the codestream has no end marker; {CUT_SHORT}")
    count = len(header.components)
    alpha = count - 1 if count in (2, 4) else None
    return Jp2(header, GREY if count <= 2 else SRGB, None, alpha, (), (), data, 0, complete)


def list_boxes(
    data: bytes, limits: Limits = DEFAULT_LIMITS, start: int = 0, stop: int | None = None, *, partial: bool = False
) -> list[Box]:
    """List the boxes in ``data[start:stop]``, not descending into superboxes.

    Fewer than 8 bytes, or zeros, behind the codestream are no box and are passed over: they are padding.

    Args:
        data: the file.
        limits: what is admitted.
        start: where the first box begins.
        stop: where the last one ends; None: with the data.
        partial: the last box, if it is the codestream, may end beyond the data; its ``stop`` then says where it
            should.

    Raises:
        FormatError: a length does not fit.
        LimitError: there are too many boxes.
    """
    stop = len(data) if stop is None else stop
    boxes: list[Box] = []
    while start < stop:
        if any(found.kind == b"jp2c" for found in boxes) and _is_padding(data[start:stop]):
            break
        boxes.append(_box_at(start, data[start : min(start + 16, stop)], stop, partial))
        admit("max_boxes", "the number of boxes", len(boxes), limits)
        start = boxes[-1].stop
    return boxes


def find_codestream(read: Callable[[int, int], bytes], size: int, limits: Limits = DEFAULT_LIMITS) -> Box:
    """Find the codestream of a JP2 file that is read by ranges, from the lengths of the boxes before it.

    Args:
        read: gives the bytes [start, stop) of the file.
        size: bytes of the file.
        limits: what is admitted.

    Raises:
        FormatError: there is no codestream box, or a length does not fit.
        LimitError: there are too many boxes before it, or they are too large.
    """
    position = count = 0
    while position < size:
        found = _box_at(position, read(position, position + 16), size, False)
        if found.kind == b"jp2c":
            return found
        position, count = found.stop, count + 1
        admit("max_boxes", "the number of boxes", count, limits)
        admit("max_metadata_bytes", "the metadata", position, limits)
    raise FormatError(f"the file has no codestream box; {CUT_SHORT}")


def _box_at(position: int, head: bytes, stop: int, partial: bool) -> Box:
    """The box at ``position``, of which ``head`` has the first 16 bytes, where no box ends beyond ``stop``."""
    if len(head) < 8:
        raise FormatError(f"{len(head)} bytes at {position} are too few for a box; {CUT_SHORT}")
    length, kind = struct.unpack_from(">I4s", head)
    payload = position + 8
    if length == 1 and len(head) == 16:
        (length,) = struct.unpack_from(">Q", head, 8)
        payload += 8
    end = stop if length == 0 else position + length
    if end < payload or (end > stop and not (partial and kind == b"jp2c")):
        raise FormatError(
            f"box {kind!r} at byte {position} says {length} bytes, {stop - position} are left; {CUT_SHORT}"
        )
    return Box(kind, payload, end)


def _is_padding(rest: bytes) -> bool:
    return len(rest) < 8 or not any(rest)


def write_jp2(
    codestream: bytes,
    *,
    colour: int = SRGB,
    icc: bytes | None = None,
    alpha: int | None = None,
    uuids: Sequence[Uuid] = (),
    resolution: tuple[Fraction, Fraction] | None = None,
) -> bytes:
    """A JP2 file around ``codestream``; the image header is taken from it.

    colour: enumerated colour space, used unless ``icc`` is given.  alpha: index of the opacity channel.  uuids: written
    in front of the codestream, so that a reader of a stream meets them first.  resolution: samples per metre across and
    down, for the capture resolution box.  Raises FormatError if ``codestream`` is none.
    """
    main = parse_main_header(codestream)
    depths = [component.bits - 1 | component.signed << 7 for component in main.components]
    same = len(set(depths)) == 1
    ihdr = struct.pack(">IIHBBBB", main.height, main.width, len(depths), depths[0] if same else _VARIES, 7, 0, 0)
    header = box(b"ihdr", ihdr)
    if not same:
        header += box(b"bpcc", bytes(depths))
    if icc is not None:
        header += box(b"colr", b"\x02\x00\x00" + icc)
    else:
        header += box(b"colr", struct.pack(">BBBI", 1, 0, 0, colour))
    if alpha is not None:
        entries = [
            (index, _ALPHA_CHANNEL, _WHOLE_IMAGE) if index == alpha else (index, _COLOUR_CHANNEL, number + 1)
            for number, index in enumerate([i for i in range(len(depths)) if i != alpha] + [alpha])
        ]
        entries.sort()
        header += box(b"cdef", struct.pack(">H", len(entries)) + b"".join(struct.pack(">HHH", *e) for e in entries))
    if resolution is not None:
        header += box(b"res ", box(b"resc", pack_resolution(*resolution)))
    tail = b"".join(box(b"uuid", uuid.identifier + uuid.data) for uuid in uuids)
    return SIGNATURE + box(b"ftyp", _FILE_TYPE) + box(b"jp2h", header) + tail + box(b"jp2c", codestream)


def pack_resolution(x: Fraction, y: Fraction) -> bytes:
    """Return the payload of a `resc` or `resd` box: samples per metre across (x) and down (y), T.800 I.5.3.7."""
    (vertical, vertical_power), (horizontal, horizontal_power) = _u16_fraction(y), _u16_fraction(x)
    numbers = (vertical.numerator, vertical.denominator, horizontal.numerator, horizontal.denominator)
    return struct.pack(">HHHHbb", *numbers, vertical_power, horizontal_power)


def unpack_resolution(payload: bytes) -> tuple[Fraction, Fraction] | None:
    """Return samples per metre (across, down) of a `resc` or `resd` box; None if it is damaged."""
    if len(payload) != 10:
        return None
    *numbers, vertical_power, horizontal_power = struct.unpack(">HHHHbb", payload)
    if 0 in numbers:
        return None
    ten = Fraction(10)
    return (
        Fraction(numbers[2], numbers[3]) * ten**horizontal_power,
        Fraction(numbers[0], numbers[1]) * ten**vertical_power,
    )


def _u16_fraction(value: Fraction) -> tuple[Fraction, int]:
    """The nearest fraction of two u16, and the power of ten it is to be multiplied with."""
    best: tuple[Fraction, Fraction, int] | None = None
    for power in range(-9, 10):
        scaled = value / Fraction(10) ** power
        if not Fraction(1, 65535) <= scaled <= 65535:
            continue
        near = scaled.limit_denominator(min(65535, max(1, int(65535 / scaled))))
        if near.numerator > 65535:
            continue
        error = abs(near - scaled) / scaled
        if best is None or (error, abs(power)) < (best[0], abs(best[2])):
            best = error, near, power
    if best is None or not best[1]:
        raise UsageError(f"a resolution of {float(value)} samples per metre does not fit the box; leave it out")
    return best[1], best[2]


def replace_codestream(data: bytes, codestream: bytes, uuids: Sequence[Uuid] | None = None) -> bytes:
    """The JP2 file ``data`` with another codestream of the same image, every other box as it was.

    uuids: if given, they take the place of the file's own `uuid` boxes, directly before the codestream.  Raises
    FormatError if ``data`` is not a list of boxes.
    """
    pieces = []
    placed = False
    for found in list_boxes(data, partial=True):
        if found.kind == b"uuid" and uuids is not None:
            continue
        if found.kind == b"jp2c":
            if not placed:
                pieces += [box(b"uuid", uuid.identifier + uuid.data) for uuid in uuids or ()]
                pieces.append(box(b"jp2c", codestream))
            placed = True
        else:
            pieces.append(box(found.kind, data[found.start : found.stop]))
    return b"".join(pieces)


def box(kind: bytes, payload: bytes) -> bytes:
    """One box; its length field grows to 64 bits where 32 are too few."""
    if len(payload) + 8 < 1 << 32:
        return struct.pack(">I4s", len(payload) + 8, kind) + payload
    return struct.pack(">I4sQ", 1, kind, len(payload) + 16) + payload


def _brands(payload: bytes) -> list[bytes]:
    """The compatibility list of a file type box."""
    return [payload[position : position + 4] for position in range(8, len(payload), 4)]


def _uuid(payload: bytes) -> Uuid:
    if len(payload) < 16:
        raise FormatError(f"a uuid box of {len(payload)} bytes, expected at least 16; {_DAMAGED}")
    return Uuid(payload[:16], payload[16:])


def _parse_header(
    data: bytes, header: Box, limits: Limits
) -> tuple[int, int, int, int | None, bytes | None, int | None, tuple[Fraction, Fraction] | None, tuple[int, ...]]:
    """width, height, components, enumerated colour, ICC profile, opacity, resolution, order of a `jp2h` superbox."""
    inside = list_boxes(data, limits, header.start, header.stop)
    if not inside or inside[0].kind != b"ihdr" or inside[0].stop - inside[0].start != 14:
        raise FormatError(f"the header box does not begin with an image header of 14 bytes; {_DAMAGED}")
    height, width, components, _, compression = struct.unpack_from(">IIHBB", data, inside[0].start)
    if compression != 7:
        raise FormatError(f"the image header says compression {compression}, expected 7 (JPEG 2000); {_DAMAGED}")
    colour: int | None = None
    icc: bytes | None = None
    alpha: int | None = None
    order: tuple[int, ...] = ()
    resolution: tuple[Fraction, Fraction] | None = None
    for found in inside[1:]:
        payload = data[found.start : found.stop]
        if found.kind == b"pclr":
            raise UnsupportedError("the file uses a palette; convert it to a JP2 file with colour components")
        if found.kind == b"colr" and colour is None and icc is None and len(payload) >= 3:
            if payload[0] == 1 and len(payload) >= 7:
                colour = int.from_bytes(payload[3:7], "big")
            elif payload[0] in (2, 3):
                icc = bytes(payload[3:])
        if found.kind == b"cdef":
            alpha, order = _parse_channels(payload, components)
        if found.kind == b"res " and resolution is None:
            resolution = stated_resolution(data, found, limits)
    if icc is None and colour not in _ENUMERATED_COLOURS:
        raise FormatError(f"colour space {colour} is not one of sRGB, grey, sYCC or an ICC profile; convert the file")
    return width, height, components, colour, icc, alpha, resolution, order


def stated_resolution(data: bytes, found: Box, limits: Limits) -> tuple[Fraction, Fraction] | None:
    """Return samples per metre (across, down) in a `res ` superbox: of the capture, else for display, else None."""
    inside = list_boxes(data, limits, found.start, found.stop)
    payloads = [data[b.start : b.stop] for kind in (b"resc", b"resd") for b in inside if b.kind == kind]
    return next((both for payload in payloads if (both := unpack_resolution(payload))), None)


def _parse_channels(payload: bytes, components: int) -> tuple[int | None, tuple[int, ...]]:
    """The opacity channel of a channel definition box, if it has one for the whole image, and `Jp2.order`."""
    if len(payload) < 2 or len(payload) != 2 + 6 * int.from_bytes(payload[:2], "big"):
        raise FormatError(f"a channel definition box of {len(payload)} bytes has no matching count; {_DAMAGED}")
    alpha: int | None = None
    colours: dict[int, int] = {}
    for position in range(2, len(payload), 6):
        index, kind, association = struct.unpack_from(">HHH", payload, position)
        if index >= components:
            raise FormatError(f"channel {index} is defined, the image has {components}; {_DAMAGED}")
        if kind == _ALPHA_CHANNEL and association == _WHOLE_IMAGE and alpha is None:
            alpha = index
        if kind == _COLOUR_CHANNEL and association:
            colours.setdefault(association, index)
    order = tuple(colours[number] for number in sorted(colours)) + (() if alpha is None else (alpha,))
    return alpha, () if order == tuple(range(components)) or len(order) != components else order
