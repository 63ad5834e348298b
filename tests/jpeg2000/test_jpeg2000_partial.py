"""Packet choice: what is decoded from the chosen packets is what the whole codestream gives, sample for sample."""

from __future__ import annotations

import itertools
import struct

import numpy as np
import pytest
from codestreams import LAYOUTS, Recorder, coded, layout_of, partial

from wavelic.errors import FormatError, LimitError, UsageError
from wavelic.jpeg2000 import Limits, decode_codestream, parse_main_header
from wavelic.jpeg2000.partial import needed_packets, read_layout, rebuild
from wavelic.jpeg2000.tileparts import tile_parts

Area = tuple[int, int, int, int]


WINDOWS = [(0, 0, 1, 1), (0, 0, 64, 64), (130, 71, 60, 33), (255, 128, 2, 77), (300, 0, 17, 217), (311, 211, 6, 6)]


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("reduce", [0, 1, 3])
def test_a_window_decodes_as_from_the_whole_codestream(name: str, reduce: int) -> None:
    data = coded(217, 317, **LAYOUTS[name])
    whole = decode_codestream(data, reduce=reduce)
    shrink = 2**reduce
    for x, y, width, height in WINDOWS:
        rows, columns = (slice(-(-a // shrink), -(-(a + n) // shrink)) for a, n in ((y, height), (x, width)))
        if rows.start == rows.stop or columns.start == columns.stop:
            continue
        short = partial(data, reduce=reduce, area=(x, y, width, height))
        decoded = decode_codestream(short, reduce=reduce, area=(x, y, width, height))
        for plane, expected in zip(decoded.planes, whole.planes, strict=True):
            np.testing.assert_array_equal(plane, expected[rows, columns])


@pytest.mark.parametrize("name", LAYOUTS)
def test_layers_and_resolutions(name: str) -> None:
    data = coded(150, 131, **LAYOUTS[name])
    header = parse_main_header(data)
    sizes = []
    for reduce in range(header.levels + 1):
        for layers in range(1, header.layers + 1):
            short = partial(data, reduce=reduce, max_layers=layers)
            assert parse_main_header(short).layers == layers
            sizes.append(len(short))
            decoded = decode_codestream(short, reduce=reduce)
            expected = decode_codestream(data, reduce=reduce, max_layers=layers)
            assert all((a == b).all() for a, b in zip(decoded.planes, expected.planes, strict=True))
    assert min(sizes) < len(data) / 5
    assert partial(data) == data


@pytest.mark.parametrize("size", [(1, 1), (1, 200), (3, 2), (70, 1), (65, 129)])
def test_odd_sizes(size: tuple[int, int]) -> None:
    height, width = size
    data = coded(*size, precincts=((32, 32),), progression="RPCL")
    random = np.random.default_rng(height * width)
    whole = decode_codestream(data).planes
    for _ in range(12):
        x, y = int(random.integers(width)), int(random.integers(height))
        area = (x, y, int(random.integers(1, width - x + 1)), int(random.integers(1, height - y + 1)))
        decoded = decode_codestream(partial(data, area=area), area=area).planes
        crop = slice(y, y + area[3]), slice(x, x + area[2])
        assert all((a == b[crop]).all() for a, b in zip(decoded, whole, strict=True))


def test_every_chosen_precinct_counts() -> None:
    """The choice is not merely large enough: no resolution's packets can be left out without a change of samples."""
    data = coded(260, 260, 1, precincts=((64, 64),), progression="RPCL", layer_bytes=(40_000,))
    area = (70, 80, 50, 40)
    layout = layout_of(data)
    chosen = needed_packets(layout, area=area)
    expected = decode_codestream(data, area=area).planes[0]
    changed = 0
    for resolution in range(6):
        fewer = chosen & (layout.index.resolution != resolution)
        pieces = [data[start:stop] for start, stop in layout.spans(fewer)]
        changed += int((decode_codestream(rebuild(layout, fewer, pieces), area=area).planes[0] != expected).any())
    assert changed == 6
    assert chosen.sum() < len(chosen) / 2


def test_only_headers_and_chosen_packets_are_read() -> None:
    data = coded(600, 600, precincts=((64, 64),), progression="RPCL", layer_bytes=(60_000, 200_000))
    read = Recorder(data)
    layout = read_layout(read, len(data))
    assert read.bytes <= layout.parts[0].start + 2 * 4096
    assert read.calls < 5
    chosen = needed_packets(layout, area=(300, 300, 40, 40))
    spans = layout.spans(chosen)
    assert sum(stop - start for start, stop in spans) == layout.index.length[chosen].sum() < len(data) / 4
    assert all(a[1] < b[0] for a, b in itertools.pairwise(spans))
    assert len(spans) < chosen.sum() / 4  # neighbours are read together


def test_the_result_can_be_cut_again() -> None:
    """It is a complete file with packet lengths of its own."""
    data = coded(200, 200, precincts=((64, 64),), progression="RPCL", layer_bytes=(4_000, 20_000))
    short = partial(data, area=(20, 20, 100, 100))
    area = (50, 60, 20, 20)
    again = decode_codestream(partial(short, area=area), area=area).planes
    assert all((a == b).all() for a, b in zip(again, decode_codestream(data, area=area).planes, strict=True))


def split_tile_parts(data: bytes, at: int) -> bytes:
    """The same codestream with its packets in two tile-parts, the first of ``at`` packets."""
    layout = layout_of(data)
    (part,), head = layout.parts, data[: layout.header.end]
    cut = int(layout.starts[at])
    pieces = [head]
    for number, (start, stop, lengths) in enumerate(
        ((part.start, cut, layout.index.length[:at]), (cut, part.stop, layout.index.length[at:]))
    ):
        codes = b"".join(
            bytes([n >> s & 0x7F | 0x80 for s in (21, 14, 7) if n >> s] + [n & 0x7F]) for n in lengths.tolist()
        )
        plt = struct.pack(">HHB", 0xFF58, 3 + len(codes), 0) + codes
        size = 12 + len(plt) + 2 + stop - start
        pieces += [struct.pack(">HHHIBB", 0xFF90, 10, 0, size, number, 2), plt, b"\xff\x93", data[start:stop]]
    return b"".join([*pieces, b"\xff\xd9"])


def test_several_tile_parts() -> None:
    data = coded(120, 90, precincts=((32, 32),), progression="RPCL")
    parts = split_tile_parts(data, 40)
    assert len(tile_parts(parts, parse_main_header(parts))) == 2
    area = (30, 40, 20, 20)
    assert partial(parts, area=area) == partial(data, area=area)


def test_end_of_packet_header_markers_are_kept() -> None:
    """With EPH announced in COD an empty packet has one as well, or strict readers refuse it."""
    data = coded(64, 64, 1, levels=1)
    layout = layout_of(data)
    cod = next(segment.start for segment in layout.header.segments if segment.marker == 0xFF52)
    with_eph = bytearray(data)
    with_eph[cod + 4] |= 4
    chosen = layout_of(bytes(with_eph)).index.resolution == 0
    short = rebuild(layout_of(bytes(with_eph)), chosen, [data[a:b] for a, b in layout.spans(chosen)])
    assert short.endswith(b"\x00\xff\x92\xff\xd9")


def test_wrong_requests() -> None:
    layout = layout_of(coded(40, 50))
    for request in ({"reduce": 6}, {"reduce": -1}, {"max_layers": 0}, {"area": (0, 0, 51, 1)}, {"area": (0, 0, 0, 1)}):
        with pytest.raises(UsageError):
            needed_packets(layout, **request)


def test_damage_is_told() -> None:
    data = coded(100, 100, precincts=((32, 32),), progression="RPCL")
    with pytest.raises(FormatError, match="packet lengths"):
        layout_of(coded(100, 100, packet_lengths=False))
    for cut in (30, 100, layout_of(data).parts[0].start - 5, len(data) - 2):
        with pytest.raises(FormatError):
            read_layout(Recorder(data[:cut]), cut)
        if cut < len(data) - 2:  # an end marker just where the size puts it is not read
            with pytest.raises(FormatError):
                read_layout(Recorder(data[:cut]), len(data))
    with pytest.raises(LimitError):
        read_layout(Recorder(data), len(data), Limits(max_metadata_bytes=100))
    layout = layout_of(data)
    chosen = needed_packets(layout)
    with pytest.raises(FormatError, match="incomplete"):
        rebuild(layout, chosen, [data[start : stop - 1] for start, stop in layout.spans(chosen)])


def test_mutated_headers_end_in_our_errors() -> None:
    data = coded(100, 100, precincts=((32, 32),), progression="RPCL", layer_bytes=(2_000, 9_000))
    end = layout_of(data).parts[0].start
    random = np.random.default_rng(1)
    outcomes = set()
    for _ in range(400):
        broken = bytearray(data)
        for _ in range(int(random.integers(1, 4))):
            broken[int(random.integers(end))] = int(random.integers(256))
        try:
            layout = layout_of(bytes(broken))
            chosen = needed_packets(layout, reduce=min(1, layout.header.levels))
            spans = layout.spans(chosen)
            rebuild(layout, chosen, [bytes(broken[start:stop]) for start, stop in spans])
            outcomes.add("ok")
        except FormatError:
            outcomes.add("error")
    assert outcomes == {"ok", "error"}
