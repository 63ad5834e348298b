"""JPEG 2000 codestreams: dropping whole quality layers without decoding, and choosing a rate by slope.

`keep_layers` makes the smaller files a layered codestream contains.  A layer can only be dropped at packet borders, so
the packet lengths are read from the PLT marker segment (ISO/IEC 15444-1, A.7.3), the first packets are kept, and the
layer count in COD and the tile-part length in SOT are rewritten.  The result is a complete legal codestream, and its
length is the honest price of the layer.

`lowest_cost` allocates rate between pictures as a constant quantiser step does in other codecs: one Lagrangian slope
for the whole set, instead of one rate for pictures that need very different rates.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator

from wavelic.errors import FormatError, UsageError

SOC, SOT, SOD, EOC = 0xFF4F, 0xFF90, 0xFF93, 0xFFD9
COD, COM, PLT = 0xFF52, 0xFF64, 0xFF58

PROGRESSION_LRCP = 0
_COD_PROGRESSION = 5  # offsets from the COD marker: marker 2, Lcod 2, Scod 1, then progression 1, layers 2
_COD_LAYERS = 6
_SOT_PSOT = 6  # marker 2, Lsot 2, Isot 2, then Psot 4
_SOT_BYTES = 12


def keep_layers(codestream: bytes, layers: int | None = None) -> bytes:
    """The first `layers` quality layers of a single-tile LRCP codestream, without COM and PLT marker segments.

    Parameters
    ----------
    codestream
        A raw JPEG 2000 codestream (not boxed), one tile in one tile-part; with PLT if layers are to be dropped.
    layers
        1 up to the number of layers in the stream; None keeps all and only removes the optional marker segments.

    Raises
    ------
    UsageError
        `layers` is out of range.
    FormatError
        Not a codestream of that kind.
    """
    main_end, main = _main_header(codestream)
    cod = main.find(struct.pack(">H", COD))
    progression = main[cod + _COD_PROGRESSION]
    (total,) = struct.unpack_from(">H", main, cod + _COD_LAYERS)
    layers = total if layers is None else layers
    if not 1 <= layers <= total:
        raise UsageError(f"asked for {layers} layers, the codestream has {total}; ask for 1..{total}")

    packets, lengths = _tile_part(codestream, main_end)
    if layers < total:
        if progression != PROGRESSION_LRCP:
            raise FormatError(f"progression order is {progression}, expected 0 (LRCP); encode with progression='LRCP'")
        if not lengths or len(lengths) % total or sum(lengths) != len(packets):
            raise FormatError("packet lengths are missing or inconsistent, expected PLT markers; encode with plt=True")
        packets = packets[: sum(lengths[: len(lengths) // total * layers])]

    main[cod + _COD_LAYERS : cod + _COD_LAYERS + 2] = struct.pack(">H", layers)
    sot = bytearray(codestream[main_end : main_end + _SOT_BYTES])
    struct.pack_into(">I", sot, _SOT_PSOT, _SOT_BYTES + 2 + len(packets))
    return bytes(main) + bytes(sot) + struct.pack(">H", SOD) + packets + struct.pack(">H", EOC)


def _segments(codestream: bytes, position: int) -> Iterator[tuple[int, int, int]]:
    """(marker, start, end) of successive marker segments from `position`, up to and including SOT or SOD."""
    while True:
        if position + 4 > len(codestream):
            raise FormatError("JPEG 2000 codestream ends inside its headers; the file is cut short, encode it again")
        marker, length = struct.unpack_from(">HH", codestream, position)
        if marker == SOD:
            yield marker, position, position + 2
            return
        yield marker, position, position + 2 + length
        position += 2 + length


def _main_header(codestream: bytes) -> tuple[int, bytearray]:
    """Where the first SOT starts, and the main header without COM."""
    if codestream[:2] != struct.pack(">H", SOC):
        raise FormatError("not a raw JPEG 2000 codestream (no SOC marker); encode with no_jp2=True")
    main = bytearray(codestream[:2])
    seen_cod = False
    for marker, start, end in _segments(codestream, 2):
        if marker == SOT:
            if not seen_cod:
                break
            return start, main
        seen_cod = seen_cod or marker == COD
        if marker != COM:
            main += codestream[start:end]
    raise FormatError("JPEG 2000 codestream has no COD or no SOT marker; the file is damaged, encode it again")


def _tile_part(codestream: bytes, position: int) -> tuple[bytes, list[int]]:
    """Packet bytes of the only tile-part, and the packet lengths PLT declares (empty without PLT)."""
    (tile_part_bytes,) = struct.unpack_from(">I", codestream, position + _SOT_PSOT)
    end = position + tile_part_bytes
    if tile_part_bytes == 0 or codestream[end : end + 2] != struct.pack(">H", EOC):
        raise FormatError("JPEG 2000 codestream has several tile-parts, expected one; encode without tiles")
    lengths: list[int] = []
    data_start = end
    for marker, start, stop in _segments(codestream, position):
        if marker == PLT:
            value = 0
            for byte in codestream[start + 5 : stop]:
                value = value << 7 | byte & 0x7F
                if not byte & 0x80:
                    lengths.append(value)
                    value = 0
        elif marker == SOD:
            data_start = stop
    return codestream[data_start:end], lengths


def lowest_cost(
    encode_at: Callable[[float], bytes],
    cost_of: Callable[[bytes], float],
    lowest_rate: float = 0.01,
    highest_rate: float = 8.0,
    evaluations: int = 11,
) -> bytes:
    """The encoding of least cost (distortion + slope x rate) over log rate, by golden-section search.

    Distortion is a nearly convex function of rate, so the cost has one valley; ripples of the rate control leave the
    result within a few tenths of a percent of the valley.

    Parameters
    ----------
    encode_at
        Rate in bits per pixel -> file.
    cost_of
        File -> Lagrangian cost.
    evaluations
        Encodings tried; 11 narrow an interval of a factor 800 to 5 %.
    """
    golden = (math.sqrt(5) - 1) / 2
    low, high = math.log(lowest_rate), math.log(highest_rate)

    def attempt(log_rate: float) -> tuple[float, bytes]:
        data = encode_at(math.exp(log_rate))
        return cost_of(data), data

    left, right = high - golden * (high - low), low + golden * (high - low)
    at_left, at_right = attempt(left), attempt(right)
    best = min(at_left, at_right, key=lambda pair: pair[0])
    for _ in range(evaluations - 2):
        if at_left[0] < at_right[0]:
            high, right, at_right = right, left, at_left
            left = high - golden * (high - low)
            at_left = attempt(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + golden * (high - low)
            at_right = attempt(right)
        best = min(best, at_left, at_right, key=lambda pair: pair[0])
    return best[1]
