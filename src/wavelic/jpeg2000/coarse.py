"""Cheaper coarse resolutions: a layered codestream that leaves out the last bits of them.

Rate allocation weighs errors in the full picture, where a coefficient of a coarse resolution counts for many pixels, so
those resolutions get more bits per sample than their own small picture can show.  Here their packets are kept layer by
layer until a number of bytes is full, and the rest of them are replaced by empty packets, which any decoder reads.
Every other packet, and the layer count, stay as they are.  A layer is a slope of rate against distortion, so that no
other choice of as many bytes costs less, up to the packets of the last layer that is begun.

>>> from wavelic.jpeg2000 import EncodeOptions, encode_codestream
>>> picture = np.arange(300 * 400).reshape(300, 400) % 251
>>> data = encode_codestream([picture], 8, EncodeOptions(layer_bytes=(4_000, 8_000, 16_000)))
>>> coarse = read_coarse(data, 3)
>>> cut = coarse.within(coarse.size * 2 // 3)
>>> read_coarse(coarse.codestream(cut), 3).size <= coarse.size * 2 // 3
True
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wavelic.errors import UsageError
from wavelic.jpeg2000.codestream import MainHeader, parse_main_header
from wavelic.jpeg2000.limits import DEFAULT_LIMITS, Limits
from wavelic.jpeg2000.packets import PacketIndex, index_packets
from wavelic.jpeg2000.tileparts import assemble, empty_packet, tile_parts

Chosen = NDArray[np.bool_]  # one per packet, in file order


@dataclass(frozen=True)
class Coarse:
    """The packets of a codestream, and which of them belong to its coarse resolutions.

    header: the main header.  packets: all of them.  index: what each holds.  coarse: which are coarse.  empty: what an
    empty packet is.
    """

    source: bytes
    header: MainHeader
    packets: bytes
    index: PacketIndex
    coarse: Chosen
    empty: bytes

    @property
    def size(self) -> int:
        """Bytes of the coarse packets."""
        return int(self.index.length[self.coarse].sum())

    @property
    def others(self) -> int:
        """Bytes of the packets of the other resolutions."""
        return len(self.packets) - self.size

    @property
    def headers(self) -> int:
        """Bytes of the codestream that are no packets, packet lengths included; of a cut one not more."""
        return len(assemble(self.source, self.header, {0: b""}, lengths=self.index.length.tolist()))

    def within(self, max_bytes: int) -> Chosen | None:
        """Which packets stay if those of the coarse resolutions may have ``max_bytes``; None if not one layer fits.

        All of a layer come before any of the next; of the last layer that is begun the largest that fit.
        """
        length, layer = self.index.length, self.index.layer
        kept: Chosen = ~self.coarse
        left = max_bytes - int(self.coarse.sum()) * len(self.empty)  # those left out are not nothing
        for number in range(self.header.layers):
            which = np.flatnonzero(self.coarse & (layer == number))
            more = length[which] - len(self.empty)
            if more.sum() <= left:
                kept[which] = True
                left -= int(more.sum())
                continue
            if number == 0:
                return None
            for at in np.argsort(-more, kind="stable"):
                if more[at] <= left:
                    kept[which[at]] = True
                    left -= int(more[at])
            break
        return kept

    def octaves(self, kept: Chosen) -> float:
        """How far down the layers coarse packets were cut: log2 of the bytes of all layers over those of the last layer
        whose coarse packets are all kept."""
        length, layer, layers = self.index.length, self.index.layer, self.header.layers
        whole = int(layer[~kept].min(initial=layers))
        return math.log2(len(self.packets) / int(length[layer < whole].sum()))

    def codestream(self, kept: Chosen) -> bytes:
        """A codestream of the packets ``kept``, with empty ones in the places of the others.

        Of the optional marker segments it has the packet lengths alone.
        """
        pieces, done = [], 0
        start, length = self.index.start[~kept], self.index.length[~kept]
        for first, stop in zip(start.tolist(), (start + length).tolist(), strict=True):
            pieces += [self.packets[done:first], self.empty]
            done = stop
        pieces.append(self.packets[done:])
        lengths = np.where(kept, self.index.length, len(self.empty)).tolist()
        return assemble(self.source, self.header, {0: b"".join(pieces)}, lengths=lengths)


def read_coarse(codestream: bytes, resolutions: int, limits: Limits = DEFAULT_LIMITS) -> Coarse:
    """Which packets of ``codestream`` belong to its ``resolutions`` coarsest resolutions.

    Raises UsageError if that is less than 1; FormatError if the codestream is damaged, has several tiles, or has no
    packet lengths (PLT).
    """
    if resolutions < 1:
        raise UsageError(f"{resolutions} coarse resolutions, expected at least 1; there is nothing to cut")
    header = parse_main_header(codestream, limits)
    parts = tile_parts(codestream, header)
    index = index_packets(header, parts)
    packets = b"".join(codestream[part.start : part.stop] for part in parts)
    coarse: Chosen = index.resolution < resolutions
    return Coarse(codestream, header, packets, index, coarse, empty_packet(codestream, header))
