"""The codestream of an opened file: all of it in memory, or fetched packet by packet as requests need them.

A window, a reduced size or fewer layers cost the packets they depend on (`wavelic.jpeg2000.partial`).  Empty packets
are put in the places of the others, and the result is decoded as any codestream.

Forward and inverse wavelet cancel, so that coefficients outside the receptive field of a window's synthesis do not
change the window, however much they change the pseudo-image far away; but for the rounding of that image's samples,
which is why the caller adds a few samples to every margin.

The checksum in wavelic's box covers the whole codestream, so a partial read cannot compare it.  What is checked: that
boxes and headers fit together, that the packet lengths add up to the size of the file, that the ranges are of one
version of the file, and everything libopenjp2's strict mode checks.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from wavelic.codec.request import Request
from wavelic.errors import FormatError
from wavelic.jpeg2000 import Limits, MainHeader, parse_main_header
from wavelic.jpeg2000.partial import Layout, layer_sizes, needed_packets, read_layout, rebuild, reduced_sizes
from wavelic.remote import Source, merge_spans

#: Per level, the finest first, samples that a synthesis sees to either side; None: as many as the base wavelet sees.
Margins = Sequence[int] | None


@dataclass(frozen=True)
class Codestream(ABC):
    """A codestream whose headers have been read.

    Attributes:
        header: its main header.
        size: its bytes.
        offset: where it begins in the file.
        limits: for all that is decoded of it.
    """

    header: MainHeader
    size: int
    offset: int
    limits: Limits

    @abstractmethod
    def load(self, request: Request, margins: Margins) -> tuple[bytes, MainHeader]:
        """Get a complete codestream that decodes, for what is asked, as the whole one does, and its main header.

        Args:
            request: what is to be decoded.
            margins: of the synthesis.

        Raises:
            SourceError: the bytes cannot be had.
        """

    @abstractmethod
    def whole(self) -> bytes:
        """Get all of the codestream.

        Raises:
            SourceError: the bytes cannot be had.
        """

    @abstractmethod
    def costs(self, request: Request, margins: Margins) -> tuple[int, ...]:
        """Count the bytes that `load` fetches with 1, 2, ... layers."""

    @property
    @abstractmethod
    def layout(self) -> Layout | None:
        """Where the packets lie; None if the file does not say (no packet lengths, several tiles)."""

    @property
    def headers_end(self) -> int | None:
        """Where the first packet begins in the file; None if the file does not say."""
        return None if self.layout is None else self.offset + int(self.layout.starts.min())

    def layer_sizes(self) -> tuple[int | None, ...]:
        """Count the bytes of the codestream trimmed to 1, 2, ... layers; None where the file does not say."""
        layers = self.header.layers
        if layers == 1 or self.layout is None:
            return (*(None for _ in range(layers - 1)), self.size)
        return layer_sizes(self.layout)

    def reduced_sizes(self) -> tuple[int | None, ...]:
        """Count the bytes that ``reduce`` 0, 1, ... takes, headers included; None where the file does not say."""
        if self.layout is None:
            return (self.size, *(None for _ in range(self.header.levels)))
        return reduced_sizes(self.layout)

    def ranges(self, request: Request, margins: Margins) -> list[tuple[int, int]] | None:
        """List the [start, stop) in the file of the packets a request needs; None if the file does not say."""
        return None if self.layout is None else self._spans(self._needed(self.layout, request, margins))

    def packet_bytes(self, request: Request, margins: Margins) -> int:
        """Count the bytes of the packets a request needs; 0 if the file does not say where they are."""
        return sum(stop - start for start, stop in self.ranges(request, margins) or ())

    def _needed(self, layout: Layout, request: Request, margins: Margins) -> NDArray[np.bool_]:
        return needed_packets(
            layout, reduce=request.reduce, max_layers=request.layers, area=request.region, margins=margins
        )

    def _spans(self, chosen: NDArray[np.bool_]) -> list[tuple[int, int]]:
        """Where the chosen packets lie in the file."""
        assert self.layout is not None
        return [(self.offset + start, self.offset + stop) for start, stop in self.layout.spans(chosen)]


@dataclass(frozen=True)
class LoadedCodestream(Codestream):
    """A codestream in memory.

    Attributes:
        data: its bytes.
    """

    data: bytes

    def load(self, request: Request, margins: Margins) -> tuple[bytes, MainHeader]:
        """Return the whole codestream."""
        return self.data, self.header

    def whole(self) -> bytes:
        """Return the codestream."""
        return self.data

    def costs(self, request: Request, margins: Margins) -> tuple[int, ...]:
        """Return zeros: nothing is fetched."""
        return (0,) * self.header.layers

    @cached_property
    def layout(self) -> Layout | None:
        """Where the packets lie; None if the codestream does not say."""
        try:
            return read_layout(lambda start, stop: self.data[start:stop], self.size, self.limits)
        except FormatError:
            return None


@dataclass(frozen=True)
class RangedCodestream(Codestream):
    """A codestream whose packets are fetched when they are needed.  Safe to use from several threads.

    Attributes:
        packets: where they lie.
        source: where the bytes are.
    """

    packets: Layout
    source: Source

    @property
    def layout(self) -> Layout:
        """Where the packets lie."""
        return self.packets

    def load(self, request: Request, margins: Margins) -> tuple[bytes, MainHeader]:
        """Fetch the packets of the request and put empty ones in the places of the others."""
        chosen = self._needed(self.layout, request, margins)
        data = rebuild(self.layout, chosen, self.source.read_spans(self._spans(chosen)))
        return data, parse_main_header(data, self.limits)

    def whole(self) -> bytes:
        """Read the whole file and return its codestream."""
        return self.source.read_all()[self.offset : self.offset + self.size]

    def costs(self, request: Request, margins: Margins) -> tuple[int, ...]:
        """Count the bytes, those between ranges that are fetched as one included."""
        chosen = self._needed(self.layout, request, margins)
        source, costs = self.source, []
        for layers in range(1, self.header.layers + 1):
            spans = self._spans(chosen & (self.layout.index.layer < layers))
            merged = merge_spans(spans, source.policy.max_gap, source.policy.max_requests)
            costs.append(sum(max(0, stop - max(start, source.kept)) for start, stop in merged))
        return tuple(costs)
