"""Asking a standard decoder for samples in more bits, and with more range, than the codestream declares.

The irreversible path of JPEG 2000 ends in real numbers, which a decoder rounds to integers of the declared bits and
clips to their range.  What a step size means is relative to the declared bits (T.800 equation E-3): step =
2^(bits - exponent) (1 + mantissa / 2^11).  So a header that declares b + n bits gives samples 2^n times as large, of
which the n bits that rounding loses are a part.  One bit more together with exponents larger by one leaves the step as
it is and doubles the range, so that nothing is clipped; one guard bit less keeps the number of bit planes (equation
E-2), of which the exponents are a part too.  Not a byte of the packets changes.
"""

from __future__ import annotations

import struct
from dataclasses import replace

from wavelic.errors import FormatError
from wavelic.jpeg2000.codestream import QCC, QCD, RGN, MainHeader

#: Byte of SIZ, after the marker SOC, in which the bits of the first component are; those of the next are 3 bytes on.
FIRST_DEPTH = 42
_REMEDY = "convert the file"


def with_extra_bits(codestream: bytes, header: MainHeader, bits: int) -> tuple[bytes, MainHeader]:
    """Change the headers so that a sample v of b bits becomes 2^bits (v + 2^(b - 1)), not clipped.

    Components on the reversible path, as opacity may be beside colours, stay as they are.

    Args:
        codestream: of the irreversible path, or with components of both.
        header: its main header.
        bits: 1 or more; together with the declared ones at most 30.  For single-precision decoders 24 is all there is.

    Returns:
        The codestream and its main header.

    Raises:
        FormatError: the codestream is reversible, or its quantisers cannot be shifted.
    """
    reversible = [style.reversible for style in header.styles]
    if all(reversible):
        raise FormatError(f"a reversible codestream has no finer samples; {_REMEDY}")
    changed = bytearray(codestream)
    for index, component in enumerate(header.components):
        if reversible[index]:
            continue
        if component.bits + bits > 30:
            raise FormatError(f"{component.bits} bits per sample and {bits} more are above 30; {_REMEDY}")
        changed[FIRST_DEPTH + 3 * index] += bits + 1
    for segment in header.segments:
        if segment.marker == RGN:
            raise FormatError(f"the codestream has a region of interest, which wavelic does not write; {_REMEDY}")
        if segment.marker in (QCD, QCC):
            start = segment.start + (4 if segment.marker == QCD else 5)
            if changed[start] & 0x1F or not any(reversible):
                _shift(changed, start, segment.stop)
    components = tuple(
        component if kept else replace(component, bits=component.bits + bits + 1)
        for component, kept in zip(header.components, reversible, strict=True)
    )
    return bytes(changed), replace(header, components=components)


def _shift(codestream: bytearray, start: int, stop: int) -> None:
    """One guard bit less, exponents larger by one, in the quantiser segment whose style byte is at ``start``."""
    style = codestream[start]
    steps = [struct.unpack_from(">H", codestream, at)[0] for at in range(start + 1, stop - 1, 2)]
    if style & 0x1F not in (1, 2) or not style >> 5 or any(step >> 11 == 31 for step in steps):
        raise FormatError(f"quantiser style {style:#x} leaves no room for a finer decode; {_REMEDY}")
    codestream[start] -= 1 << 5
    for number, step in enumerate(steps):
        struct.pack_into(">H", codestream, start + 1 + 2 * number, step + (1 << 11))
