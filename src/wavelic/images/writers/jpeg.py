"""What Pillow does not write into a JPEG file: resolutions in any unit, and IPTC."""

from __future__ import annotations

import struct
from fractions import Fraction

from wavelic.errors import OutputError
from wavelic.images.metadata import Metadata, Resolution
from wavelic.images.photoshop import photoshop_block

_SEGMENT = 65535 - 2
_START = b"\xff\xd8\xff\xe0"  # SOI, APP0


def with_jfif(data: bytes, metadata: Metadata) -> bytes:
    """Return a JPEG file that begins with a JFIF segment, with that segment's density and IPTC set from ``metadata``.

    Raises:
        OutputError: the IPTC records are longer than a segment.
    """
    if not data.startswith(_START) or data[6:11] != b"JFIF\0":
        return data
    end = 4 + int.from_bytes(data[4:6], "big")
    segment = bytearray(data[:end])
    if metadata.resolution:
        struct.pack_into(">BHH", segment, 13, *_density(metadata.resolution))
    pieces = [bytes(segment), data[end:]]
    if metadata.iptc:
        block = b"Photoshop 3.0\0" + photoshop_block(metadata.iptc)
        if len(block) > _SEGMENT:
            raise OutputError(f"jpeg holds at most {_SEGMENT} bytes of IPTC, given {len(block)}; write png or strip it")
        pieces.insert(1, b"\xff\xed" + struct.pack(">H", len(block) + 2) + block)
    return b"".join(pieces)


def _density(resolution: Resolution) -> tuple[int, int, int]:
    """Unit (0 ratio, 1 inch, 2 centimetre) and samples per unit across and down."""
    if not resolution.absolute:
        ratio = (resolution.x / resolution.y).limit_denominator(1000)
        return 0, _clipped(Fraction(ratio.numerator)), _clipped(Fraction(ratio.denominator))
    inch, centimetre = resolution.dpi, (resolution.x / 100, resolution.y / 100)
    if any(n.denominator > 1 for n in inch) and all(n.denominator == 1 for n in centimetre):
        return 2, _clipped(centimetre[0]), _clipped(centimetre[1])
    return 1, _clipped(inch[0]), _clipped(inch[1])


def _clipped(value: Fraction) -> int:
    return min(max(1, round(value)), 65535)
