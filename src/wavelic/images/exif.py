"""Exif blocks changed in place: the orientation, and a GPS position taken out.

A block is a TIFF file without pixels.  Rewriting one moves its parts, which breaks the offsets inside makers' notes;
so bytes are changed where they are, and nothing moves but the entries of the first directory.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

ORIENTATION, GPS_DIRECTORY = 274, 0x8825
_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT = 282, 283, 296
_EXIF_DIRECTORY = 0x8769
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_SHORT, _LONG = 3, 4


@dataclass(frozen=True)
class _Entry:
    """One entry of a directory: its tag, type, count, and where its 12 bytes and its value lie."""

    tag: int
    kind: int
    count: int
    position: int
    value: int
    size: int


def _order(block: bytes) -> str | None:
    """The byte order of the block as `struct` writes it, or None if it is no TIFF header."""
    return {b"II*\0": "<", b"MM\0*": ">"}.get(bytes(block[:4])) if len(block) >= 8 else None


def _entries(block: bytes, order: str, directory: int) -> Iterator[_Entry]:
    """The entries of the directory at that offset which lie within the block."""
    if directory + 2 > len(block):
        return
    (count,) = struct.unpack_from(order + "H", block, directory)
    for number in range(count):
        position = directory + 2 + 12 * number
        if position + 12 > len(block):
            return
        tag, kind, length = struct.unpack_from(order + "HHI", block, position)
        size = _SIZES.get(kind, 1) * length
        value = position + 8 if size <= 4 else struct.unpack_from(order + "I", block, position + 8)[0]
        yield _Entry(tag, kind, length, position, value, size)


def _first(block: bytes, order: str) -> int:
    return int(struct.unpack_from(order + "I", block, 4)[0])


def _find(block: bytes | None, tag: int) -> tuple[str, _Entry] | None:
    """The entry of that tag in the first directory, and the byte order."""
    order = _order(block or b"")
    if block is None or order is None:
        return None
    return next(((order, e) for e in _entries(block, order, _first(block, order)) if e.tag == tag), None)


def orientation(exif: bytes | None) -> int:
    """Return the orientation 1..8 an Exif block states; 1 where it states none or another number."""
    found = _find(exif, ORIENTATION)
    if exif is None or found is None:
        return 1
    order, entry = found
    if entry.kind not in (_SHORT, _LONG) or entry.count != 1:
        return 1
    (value,) = struct.unpack_from(order + ("H" if entry.kind == _SHORT else "I"), exif, entry.value)
    return int(value) if 1 <= value <= 8 else 1


def with_orientation(exif: bytes, value: int) -> bytes:
    """Return the block with that orientation in the place of the one it states; unchanged where it states none."""
    found = _find(exif, ORIENTATION)
    if found is None:
        return exif
    order, entry = found
    changed = bytearray(exif)
    if entry.kind in (_SHORT, _LONG) and entry.count == 1:
        struct.pack_into(order + ("H" if entry.kind == _SHORT else "I"), changed, entry.value, value)
    return bytes(changed)


def orientation_block(value: int) -> bytes:
    """Return an Exif block that states the orientation and nothing else."""
    return struct.pack("<2sHIHHHIHHI", b"II", 42, 8, 1, ORIENTATION, _SHORT, 1, value, 0, 0)


def with_swapped_sides(exif: bytes) -> bytes:
    """Return the block with its resolution across and down exchanged, and its pixel dimensions (0xA002, 0xA003)."""
    changed = _swapped(exif, None, _X_RESOLUTION, _Y_RESOLUTION)
    return _swapped(changed, _EXIF_DIRECTORY, 0xA002, 0xA003)


def _swapped(exif: bytes, directory: int | None, first: int, second: int) -> bytes:
    order = _order(exif)
    if order is None:
        return exif
    start = _first(exif, order)
    if directory is not None:
        pointer = next((e for e in _entries(exif, order, start) if e.tag == directory and e.size == 4), None)
        if pointer is None:
            return exif
        (start,) = struct.unpack_from(order + "I", exif, pointer.value)
    found = {entry.tag: entry for entry in _entries(exif, order, start)}
    a, b = found.get(first), found.get(second)
    if a is None or b is None or a.value + a.size > len(exif) or b.value + b.size > len(exif):
        return exif
    changed = bytearray(exif)
    for target, source in ((a, b), (b, a)):  # type, count and value, the tag and its order stay
        changed[target.position + 2 : target.position + 12] = exif[source.position + 2 : source.position + 12]
    return bytes(changed)


def without_gps(exif: bytes) -> bytes:
    """Return the block without its GPS directory: the pointer is taken out and what it led to becomes zeros."""
    order = _order(exif)
    if order is None:
        return exif
    changed = bytearray(exif)
    directory = _first(exif, order)
    while (
        entry := next((e for e in _entries(bytes(changed), order, directory) if e.tag == GPS_DIRECTORY), None)
    ) is not None:
        if entry.size == 4:
            _blank(changed, order, struct.unpack_from(order + "I", changed, entry.value)[0])
        (count,) = struct.unpack_from(order + "H", changed, directory)
        end = min(directory + 2 + 12 * count + 4, len(changed))  # the offset of the next directory moves along
        changed[entry.position : end - 12] = changed[entry.position + 12 : end]
        changed[end - 12 : end] = bytes(12)
        struct.pack_into(order + "H", changed, directory, count - 1)
    return bytes(changed)


def _blank(block: bytearray, order: str, directory: int) -> None:
    """Zeros in the place of a directory and of the values it points to."""
    spans = [(directory, directory + 2)]
    for entry in _entries(bytes(block), order, directory):
        spans += [(entry.position, entry.position + 12), (entry.value, entry.value + entry.size)]
    for start, stop in spans:
        stop = min(stop, len(block))
        if start >= 8 and stop > start:  # never the header
            block[start:stop] = bytes(stop - start)


_GPS_ELEMENT = re.compile(rb"<exif:GPS(\w+)\b[^>]*?(?:/>|>.*?</exif:GPS\1\s*>)", re.DOTALL)
_GPS_ATTRIBUTE = re.compile(rb"\s+exif:GPS\w+\s*=\s*(?:\"[^\"]*\"|'[^']*')")
_XMP_ORIENTATION = re.compile(rb"(tiff:Orientation\s*(?:=\s*[\"']|>\s*))([1-8])")


def xmp_without_gps(xmp: bytes) -> bytes:
    """Return an XMP packet without the position, altitude and direction that mirror Exif's GPS tags."""
    return _GPS_ATTRIBUTE.sub(b"", _GPS_ELEMENT.sub(b"", xmp))


def xmp_with_orientation(xmp: bytes, value: int) -> bytes:
    """Return an XMP packet whose ``tiff:Orientation``, if it has one, is ``value``."""
    return _XMP_ORIENTATION.sub(lambda match: match.group(1) + str(value).encode("ascii"), xmp)
