"""Coarse resolutions with fewer packets: valid codestreams, exact bytes, and every other packet untouched."""

from __future__ import annotations

import io
import itertools

import numpy as np
import PIL.Image
import pytest
from codestreams import LAYOUTS, coded, layout_of, partial

from wavelic.errors import FormatError, UsageError
from wavelic.jpeg2000 import decode_codestream, parse_main_header, trim_codestream
from wavelic.jpeg2000.coarse import Coarse, read_coarse
from wavelic.jpeg2000.partial import reduced_sizes

LAYERED = {
    "precincts": ((64, 64),),
    "progression": "RPCL",
    "layer_bytes": (3_000, 6_000, 12_000, 24_000, 48_000),
}


def cut(data: bytes, share: float, resolutions: int = 3) -> tuple[Coarse, np.ndarray, bytes]:
    coarse = read_coarse(data, resolutions)
    kept = coarse.within(int(coarse.size * share))
    assert kept is not None
    return coarse, kept, coarse.codestream(kept)


@pytest.mark.parametrize("name", [name for name in LAYOUTS if "layer_bytes" in LAYOUTS[name]])
def test_a_cut_codestream_is_valid_and_as_large_as_it_says(name: str) -> None:
    data = coded(217, 317, **LAYOUTS[name])
    before = layout_of(data)
    coarse, kept, short = cut(data, 0.8)
    layout = layout_of(short)
    assert layout.header == parse_main_header(short)
    assert layout.header.layers == before.header.layers
    length = np.where(kept, before.index.length, 1)
    np.testing.assert_array_equal(layout.index.length, length)
    is_coarse = before.index.resolution <= 2
    assert 0.7 * coarse.size < length[is_coarse].sum() <= 0.8 * coarse.size
    assert kept[~is_coarse].all()
    for packet in np.flatnonzero(kept):
        old, new, size = before.starts[packet], layout.starts[packet], before.index.length[packet]
        assert short[new : new + size] == data[old : old + size]
    assert len(short) < len(data)
    assert coarse.headers >= layout.size - int(length.sum())
    assert [plane.shape for plane in decode_codestream(short).planes] == [(217, 317)] * 3


def test_another_decoder_reads_it() -> None:
    data = coded(217, 317, **LAYERED)
    _, _, short = cut(data, 0.6)
    mine = np.stack(decode_codestream(short).planes, -1)
    with PIL.Image.open(io.BytesIO(short)) as opened:
        np.testing.assert_array_equal(np.asarray(opened), mine)
    imagecodecs = pytest.importorskip("imagecodecs")
    np.testing.assert_array_equal(imagecodecs.jpeg2k_decode(short), mine)


def test_no_layer_before_the_one_below_it() -> None:
    """What is kept of a precinct are its first layers; a layer is begun once all before it are whole."""
    data = coded(217, 317, **LAYERED)
    index = layout_of(data).index
    for share in (0.5, 0.65, 0.77, 0.99):
        coarse, kept, _ = cut(data, share)
        last = [kept[coarse.coarse & (index.layer == layer)] for layer in range(5)]
        whole = [bool(layer.all()) for layer in last]
        none = [not layer.any() for layer in last]
        assert sorted(whole, reverse=True) == whole
        assert sum(whole) + sum(none) >= 4
        left = int(coarse.size * share) - np.where(kept, index.length, 1)[coarse.coarse].sum()
        begun = coarse.coarse & ~kept & (index.layer == sum(whole))
        assert 0 <= left < index.length[begun].min()


def test_all_and_nothing() -> None:
    data = coded(217, 317, **LAYERED)
    coarse = read_coarse(data, 3)
    everything = coarse.within(coarse.size)
    assert everything is not None
    assert everything.all()
    assert coarse.codestream(everything) == data
    assert coarse.octaves(everything) == 0
    first = int(coarse.index.length[coarse.coarse & (coarse.index.layer == 0)].sum())
    assert coarse.within(first) is None  # the others are empty packets, not nothing
    assert coarse.within(first + int((coarse.coarse & (coarse.index.layer > 0)).sum())) is not None
    assert coarse.headers + coarse.size + coarse.others == len(data)


def test_octaves_grow_as_the_cut_goes_down() -> None:
    data = coded(217, 317, **LAYERED)
    depths = [cut(data, share)[0].octaves(cut(data, share)[1]) for share in (0.95, 0.8, 0.6, 0.4)]
    assert depths == sorted(depths)
    assert 0.9 < depths[0] < 1.1  # the layers are an octave apart, and the last is not whole
    coarse = read_coarse(data, 3)
    two_of_five = ~coarse.coarse | (coarse.index.layer < 2)
    by_hand = np.log2(coarse.index.length.sum() / coarse.index.length[coarse.index.layer < 2].sum())
    assert coarse.octaves(two_of_five) == pytest.approx(by_hand)


def test_parts_of_a_cut_codestream_are_exact() -> None:
    _, _, short = cut(coded(217, 317, **LAYERED), 0.6)
    for reduce, area in itertools.product((0, 1, 3), ((0, 0, 64, 64), (130, 71, 60, 33))):
        x, y, width, height = area
        shrink = 2**reduce
        rows, columns = (slice(-(-a // shrink), -(-(a + n) // shrink)) for a, n in ((y, height), (x, width)))
        whole = decode_codestream(short, reduce=reduce).planes
        window = decode_codestream(partial(short, reduce=reduce, area=area), reduce=reduce, area=area).planes
        assert all((a == b[rows, columns]).all() for a, b in zip(window, whole, strict=True))
    for layers in range(1, 6):
        trimmed = decode_codestream(trim_codestream(short, max_layers=layers)).planes
        expected = decode_codestream(short, max_layers=layers).planes
        assert all((a == b).all() for a, b in zip(trimmed, expected, strict=True))


def test_reduced_sizes_are_those_of_the_packets() -> None:
    data = coded(217, 317, **LAYERED)
    sizes = reduced_sizes(layout_of(data))
    coarse = read_coarse(data, 3)
    assert sizes[0] == len(data)
    assert sizes[3] == coarse.headers + coarse.size
    assert list(sizes) == sorted(sizes, reverse=True)
    _, _, short = cut(data, 0.6)
    assert reduced_sizes(layout_of(short))[3] <= coarse.headers + 0.6 * coarse.size


def test_end_of_packet_header_markers() -> None:
    """With EPH announced in COD an empty packet has one as well."""
    data = bytearray(coded(64, 64, 1, levels=2, layer_bytes=(300, 1_000)))
    cod = next(segment.start for segment in parse_main_header(bytes(data)).segments if segment.marker == 0xFF52)
    data[cod + 4] |= 4
    coarse = read_coarse(bytes(data), 1)
    kept = ~coarse.coarse | (coarse.index.layer < 1)
    assert coarse.codestream(kept).count(b"\x00\xff\x92") == data.count(b"\x00\xff\x92") + 1


def test_wrong_requests() -> None:
    with pytest.raises(UsageError, match="at least 1"):
        read_coarse(coded(40, 50), 0)
    with pytest.raises(FormatError, match="packet lengths"):
        read_coarse(coded(40, 50, packet_lengths=False), 3)
    with pytest.raises(FormatError):
        read_coarse(coded(40, 50)[:-20], 3)
