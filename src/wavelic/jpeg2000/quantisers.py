"""The quantisers of a codestream: step size and number of bit-planes of every subband (T.800 annex E)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from wavelic.jpeg2000.header import QCC, QCD, MainHeader

#: log2 of the gain of a subband (T.800 table E.1): LL, then HL, LH, HH.
LOG2_GAINS = (0, 1, 1, 2)


@dataclass(frozen=True)
class Quantiser:
    """Quantiser of one subband.

    Attributes:
        step: width of its intervals at bit-plane 0, in sample values, for wavelets with gain 1 at DC of the low and 2
            at the Nyquist frequency of the high band; 1 on the reversible path.
        planes: magnitude bit-planes (M_b of equation E-2).
    """

    step: float
    planes: int


def quantisers(codestream: bytes, header: MainHeader) -> tuple[tuple[Quantiser, ...], ...]:
    """Read the quantisers of every component.

    Args:
        codestream: at least its main header.
        header: the same, parsed, which has checked that there are enough of them.

    Returns:
        For every component its subbands in the order of the standard: LL, then HL, LH, HH of each resolution from the
        second coarsest to the finest.
    """
    default, own = b"", {}
    for segment in header.segments:
        payload = codestream[segment.start + 4 : segment.stop]
        if segment.marker == QCD:
            default = payload
        elif segment.marker == QCC:
            own[payload[0]] = payload[1:]
    return tuple(
        _subbands(own.get(index, default), component.bits, style.levels, style.reversible)
        for index, (component, style) in enumerate(zip(header.components, header.styles, strict=True))
    )


def _subbands(payload: bytes, bits: int, levels: int, reversible: bool) -> tuple[Quantiser, ...]:
    kind, guard = payload[0] & 0x1F, payload[0] >> 5
    result = []
    for band in range(3 * levels + 1):
        resolution, orientation = (0, 0) if band == 0 else ((band + 2) // 3, (band - 1) % 3 + 1)
        if kind == 0:
            exponent, mantissa = payload[1 + band] >> 3, 0
        elif kind == 1:  # derived from that of LL (E-5)
            (first,) = struct.unpack_from(">H", payload, 1)
            exponent, mantissa = max(0, (first >> 11) - max(0, resolution - 1)), first & 0x7FF
        else:
            (value,) = struct.unpack_from(">H", payload, 1 + 2 * band)
            exponent, mantissa = value >> 11, value & 0x7FF
        step = 1.0
        if not reversible:
            step = 2.0 ** (bits + LOG2_GAINS[orientation] - exponent) * (1 + mantissa / 2048)
        result.append(Quantiser(step, guard + exponent - 1))
    return tuple(result)
