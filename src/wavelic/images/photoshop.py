"""IPTC-IIM records within the resource blocks that Photoshop writes (``8BIM``), in JPEG, TIFF and PNG."""

from __future__ import annotations

import struct

_IPTC, _RECORD = 0x0404, b"\x1c"
_MARK = b"8BIM"


def iptc_of(block: bytes | None) -> bytes | None:
    """Return the IPTC records in a block: the block itself, or resource 0x0404 of Photoshop's list; None if none."""
    if not block:
        return None
    block = block.removeprefix(b"Photoshop 3.0\0")
    if block.startswith(_RECORD):
        return block
    position = 0
    while block[position : position + 4] == _MARK and position + 12 <= len(block):
        (identifier,) = struct.unpack_from(">H", block, position + 4)
        name = block[position + 6]
        size_at = position + 6 + (name + 2) // 2 * 2  # the name with its length byte has even length
        if size_at + 4 > len(block):
            return None
        (size,) = struct.unpack_from(">I", block, size_at)
        data = block[size_at + 4 : size_at + 4 + size]
        if identifier == _IPTC and data.startswith(_RECORD) and len(data) == size:
            return data
        position = size_at + 4 + size + size % 2
    return None


def photoshop_block(iptc: bytes) -> bytes:
    """Return a list of resources that holds these IPTC records."""
    return _MARK + struct.pack(">HHI", _IPTC, 0, len(iptc)) + iptc + bytes(len(iptc) % 2)
