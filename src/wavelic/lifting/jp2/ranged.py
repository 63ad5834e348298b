"""JPEG 2000 files read in parts: a window, a reduced size or fewer layers costs the bytes of the packets it needs.

Opening reads the boxes in front of the codestream, its main header and its packet lengths.  Every `read` then fetches
packets (`jpeg2000.partial`), puts empty ones in the places of the others, and decodes as usual.

Which packets: forward and inverse wavelet cancel, so wavelet coefficients that are missing outside what the synthesis
of the window sees do not change it, however much they change the pseudo-image far away; but for the rounding of that
image's samples, which is why a few samples more are taken on every level.

The checksum in wavelic's box covers the whole codestream, so a partial read cannot compare it; `verify` reads all.
What is checked: that boxes and headers fit together, that the packet lengths add up to the size of the file, that
the ranges are of one version of the file, and everything libopenjp2's strict mode checks.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wavelic.codec.opened import Region, check_layers, check_reduce, reduced_region
from wavelic.errors import FormatError, LimitError, UsageError
from wavelic.jpeg2000 import DEFAULT_LIMITS, Limits, parse_main_header, read_jp2
from wavelic.jpeg2000.boxes import list_boxes
from wavelic.jpeg2000.codestream import CUT_SHORT, SOT
from wavelic.jpeg2000.limits import admit
from wavelic.jpeg2000.partial import Layout, layer_sizes, needed_packets, read_layout, rebuild, reduced_sizes
from wavelic.lifting.file import BoxInfo, LiftingFile, box_infos, open_jpeg2000
from wavelic.lifting.jp2.box import BOX_ID, find_payload
from wavelic.lifting.jp2.file import CODESTREAM_MAGIC, CarrierFile, bare_codestream, describe
from wavelic.remote import Source, merge_spans

if TYPE_CHECKING:
    from wavelic.lifting.transform.transform import LiftingTransform

#: Samples more than the synthesis sees, because the pseudo-image is rounded and may be clipped.
_MARGIN = 4


@dataclass(frozen=True)
class RangedCarrier(CarrierFile):
    """An opened file whose packets are fetched when they are needed; `codestream` is empty.

    source: where the bytes are.  layout: where the packets are, from ``offset`` of the file on.
    """

    source: Source
    layout: Layout
    offset: int

    @cached_property
    def layer_bytes(self) -> tuple[int | None, ...]:
        """Bytes of the file trimmed to 1, 2, ... layers."""
        return tuple(self.overhead + size for size in layer_sizes(self.layout))

    @cached_property
    def reduced_bytes(self) -> tuple[int | None, ...]:
        """Bytes of the file that ``reduce`` 0, 1, ... takes, headers included."""
        return tuple(self.overhead + size for size in reduced_sizes(self.layout))

    def read(
        self,
        transform: LiftingTransform | None = None,
        *,
        reduce: int = 0,
        max_layers: int | None = None,
        region: Region | None = None,
        threads: int = 1,
    ) -> NDArray[np.unsignedinteger]:
        """As `CarrierFile.read`; fetches the packets this needs.  Raises SourceError if they cannot be had."""
        check_reduce(reduce, self.levels)
        layers = check_layers(max_layers, self.layers)
        reduced_region(region, self.level_dimensions[0], reduce)
        file = self.fetched(transform, reduce, layers, region)
        return file.read(transform, reduce=reduce, max_layers=layers, region=region, threads=threads)

    def fetched(
        self, transform: LiftingTransform | None, reduce: int, layers: int, region: Region | None
    ) -> CarrierFile:
        """A file in memory that decodes as this one does, for this request; arguments as checked by `read`."""
        chosen = self._needed(transform, reduce, layers, region)
        codestream = rebuild(self.layout, chosen, self.source.read_spans(self._spans(chosen)))
        file = CarrierFile(**{field.name: getattr(self, field.name) for field in fields(CarrierFile)})
        return replace(file, codestream=codestream, header=parse_main_header(codestream, self.limits))

    def costs(self, transform: LiftingTransform | None, reduce: int, region: Region | None) -> tuple[int, ...]:
        """Bytes that `fetched` takes with 1, 2, ... layers, those between ranges that are fetched as one included."""
        chosen = self._needed(transform, reduce, self.layers, region)
        source, costs = self.source, []
        for layers in range(1, self.layers + 1):
            spans = self._spans(chosen & (self.layout.index.layer < layers))
            merged = merge_spans(spans, source.policy.max_gap, source.policy.max_requests)
            costs.append(sum(max(0, stop - max(start, source.kept)) for start, stop in merged))
        return tuple(costs)

    def ranges(
        self, transform: LiftingTransform | None, reduce: int, layers: int, region: Region | None
    ) -> list[tuple[int, int]]:
        """[start, stop) in the file of the packets that `fetched` asks for; arguments as checked by `read`."""
        return self._spans(self._needed(transform, reduce, layers, region))

    def _needed(
        self, transform: LiftingTransform | None, reduce: int, layers: int, region: Region | None
    ) -> NDArray[np.bool_]:
        reach = self._reach(transform)
        return needed_packets(self.layout, reduce=reduce, max_layers=layers, area=region, reach=reach)

    def _spans(self, chosen: NDArray[np.bool_]) -> list[tuple[int, int]]:
        """Where the chosen packets lie in the file."""
        return [(self.offset + start, self.offset + stop) for start, stop in self.layout.spans(chosen)]

    def _reach(self, transform: LiftingTransform | None) -> tuple[int, ...] | None:
        """How far each level of the synthesis sees; None: as far as the codestream's own wavelet.

        The same for all components, even if some have fewer learned steps: the stock decoder mixes them and clips the
        result, which without chroma could change luma.
        """
        if transform is None:
            return None
        count, numbers = len(self.header.components), range(1, self.levels + 1)
        return tuple(transform.reach_of(count, number) + _MARGIN for number in numbers)


@dataclass(frozen=True)
class RangedFile(LiftingFile):
    """An opened JPEG 2000 file (`opened.OpenedFile`) that is read in parts.  Safe to use from several threads."""

    carrier: RangedCarrier

    @property
    def source(self) -> Source:
        """Where the bytes come from; its ``bytes_read`` and ``requests`` count."""
        return self.carrier.source

    def fetched(
        self, transform: LiftingTransform | None, reduce: int, layers: int | None, region: Region | None
    ) -> CarrierFile:
        return self.carrier.fetched(transform, reduce, check_layers(layers, self.carrier.layers), region)

    def read_bytes(self, reduce: int = 0, layers: int | None = None, region: Region | None = None) -> int:
        """Bytes that `read` with the same arguments fetches; raises UsageError as it does."""
        wanted = check_layers(layers, self.carrier.layers)
        return self._costs(reduce, region)[wanted - 1]

    def layers_within(self, max_bytes: int, reduce: int = 0, region: Region | None = None) -> int:
        """The most layers with which `read` fetches at most ``max_bytes``.

        Raises UsageError if that is less than the first layer takes, and as `read` does.
        """
        costs = self._costs(reduce, region)
        if costs[0] > max_bytes:
            raise UsageError(
                f"the first layer takes {costs[0]} bytes, and {max(max_bytes, 0)} are left of max_bytes;"
                " allow more, or ask for less: a higher reduce or a smaller region"
            )
        return max(layers for layers, cost in enumerate(costs, 1) if cost <= max_bytes)

    def _costs(self, reduce: int, region: Region | None) -> tuple[int, ...]:
        check_reduce(reduce, self.levels)
        reduced_region(region, self.level_dimensions[0], reduce)
        return self.carrier.costs(self.transform(), reduce, region)

    def verify(self) -> None:
        """Read the whole file, compare its checksum, and decode it."""
        open_jpeg2000(self.source.read_all(), self.carrier.limits).verify()


def open_ranged(source: Source, limits: Limits = DEFAULT_LIMITS, *, allow_partial: bool = False) -> LiftingFile:
    """Open a JP2 file or codestream, reading as little of ``source`` as possible.

    A file that cannot be read in parts (no packet lengths, several tiles, cut short) is read as a whole.  Raises as
    `open_jpeg2000` does, and SourceError if the bytes cannot be had.
    """
    file = find_ranges(source, limits)
    return open_jpeg2000(source.read_all(), limits, allow_partial=allow_partial) if file is None else file


def find_ranges(source: Source, limits: Limits = DEFAULT_LIMITS) -> RangedFile | None:
    """Open a JPEG 2000 file to be read in parts; None if it cannot be.  Raises LimitError and SourceError."""
    try:
        return _open(source, limits)
    except LimitError:
        raise
    except FormatError:
        return None


def _open(source: Source, limits: Limits) -> RangedFile:
    boxed = source.read(0, 4) != CODESTREAM_MAGIC
    start, stop = _find_codestream(source, limits) if boxed else (0, source.size)
    kept = min(source.kept, stop) - start
    layout = read_layout(lambda a, b: source.read(start + a, min(start + b, stop)), stop - start, limits, kept=kept)
    head = source.read(0, start) + layout.head + struct.pack(">H", SOT)
    jp2 = read_jp2(head, limits, partial=True) if boxed else bare_codestream(head, limits, True)
    header = layout.header
    box, opacity = describe(jp2, header, None)
    ours = find_payload(jp2.uuids, BOX_ID) is not None
    jp2 = replace(jp2, codestream=b"", complete=True)
    overhead = source.size - (stop - start)
    carrier = RangedCarrier(
        box, ours, jp2, header, b"", opacity, True, header.layers, overhead, limits, source, layout, start
    )
    infos: tuple[BoxInfo, ...] = (BoxInfo("codestream", source.size, "no boxes"),)
    if boxed:
        infos = box_infos(head, list_boxes(head, limits, partial=True), source.size)
    return RangedFile(carrier, source.size, infos)


def _find_codestream(source: Source, limits: Limits) -> tuple[int, int]:
    """[start, stop) of the codestream in a JP2 file, from the lengths of the boxes before it."""
    position = count = 0
    while True:
        head = source.read(position, position + 16)
        if len(head) < 8:
            raise FormatError(f"the file has no codestream box; {CUT_SHORT}")
        length, kind = struct.unpack_from(">I4s", head)
        start = position + 8
        if length == 1 and len(head) == 16:
            (length,) = struct.unpack_from(">Q", head, 8)
            start += 8
        stop = source.size if length == 0 else position + length
        if stop < start or stop > source.size:
            raise FormatError(f"box {kind!r} at byte {position} ends at {stop}, the file at {source.size}; {CUT_SHORT}")
        if kind == b"jp2c":
            return start, stop
        position, count = stop, count + 1
        admit("max_boxes", "the number of boxes", count, limits)
        admit("max_metadata_bytes", "the metadata", position, limits)
