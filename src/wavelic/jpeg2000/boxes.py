"""The JP2 file format (ITU-T T.800 annex I): boxes around a codestream, read under limits and written.

A box is a length, a four-character type and a payload.  This module finds, writes and replaces boxes; what those of the
header say is in `header_box`, what a file comes to in `files`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from wavelic.errors import FormatError, UsageError
from wavelic.jpeg2000.codestream import parse_main_header
from wavelic.jpeg2000.header import CODESTREAM_START, CUT_SHORT, DAMAGED
from wavelic.jpeg2000.limits import DEFAULT_LIMITS, Limits, admit

SIGNATURE = b"\x00\x00\x00\x0cjP  \r\n\x87\n"
SRGB, GREY, SYCC = 16, 17, 18
_FILE_TYPE = b"jp2 " + bytes(4) + b"jp2 "
_VARIES = 255
_ALPHA_CHANNEL, _WHOLE_IMAGE, _COLOUR_CHANNEL = 1, 0, 0


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


def is_jp2(data: bytes) -> bool:
    """Whether ``data`` begins with the JP2 signature box."""
    return data[: len(SIGNATURE)] == SIGNATURE


def is_jpeg2000(data: bytes) -> bool:
    """Whether ``data``, of which 12 bytes suffice, begins a JP2 file or a bare codestream."""
    return is_jp2(data) or data.startswith(CODESTREAM_START)


def list_boxes(
    data: bytes, limits: Limits = DEFAULT_LIMITS, start: int = 0, stop: int | None = None, *, partial: bool = False
) -> list[Box]:
    """List the boxes in ``data[start:stop]``, not descending into superboxes.

    What follows the codestream and is no box is passed over: padding, a signature, a line of text.

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
        try:
            boxes.append(_box_at(start, data[start : min(start + 16, stop)], stop, partial))
        except FormatError:
            if any(found.kind == b"jp2c" for found in boxes):
                break
            raise
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


def parse_uuid(payload: bytes) -> Uuid:
    """Parse the payload of a `uuid` box.  Raises FormatError if it is shorter than its identifier."""
    if len(payload) < 16:
        raise FormatError(f"a uuid box of {len(payload)} bytes, expected at least 16; {DAMAGED}")
    return Uuid(payload[:16], payload[16:])
