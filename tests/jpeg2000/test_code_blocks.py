"""Packet headers, compared with the coefficients they promise: each lies on the lattice of its code-block's plane."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from enhance_support import coded, coded_in_tiles
from pictures import image

from wavelic.enhance.level import Span
from wavelic.enhance.signals import Signals
from wavelic.errors import FormatError
from wavelic.jpeg2000 import parse_main_header
from wavelic.jpeg2000.code_blocks import TilePackets, tiles_of
from wavelic.jpeg2000.quantisers import quantisers
from wavelic.wavelets import dwt2

torch.set_num_threads(1)
PIXELS = image(133, 159)


def off_lattice(codestream: bytes, layers: int) -> tuple[int, int]:
    """Count the coefficients that are not zero, and those of them that no interval of their plane explains."""
    header = parse_main_header(codestream)
    signals = Signals.of(codestream, header, layers)
    packets, steps = TilePackets.of(codestream, header), quantisers(codestream, header)
    found = wrong = 0
    for tile in tiles_of(header):
        signal = signals.components(signals.read(0, (Span(tile.y0, tile.y1), Span(tile.x0, tile.x1))))
        kind = ("5/3", "reversible") if signals.reversible else ("9/7", "jpeg2000")
        start = tile.y0, tile.x0
        split = dwt2(signal if signals.reversible else signal.double(), kind[0], header.levels, kind[1], start=start)  # type: ignore[arg-type]
        for (component, band), block in packets.code_blocks(tile, layers).items():
            values = split.low[component].numpy()
            if band:
                bands = split.levels[header.levels - 1 - (band - 1) // 3]
                values = (bands.hl, bands.lh, bands.hh)[(band - 1) % 3][component].numpy()
            assert values.shape == (block.area[3] - block.area[1], block.area[2] - block.area[0])
            rows = (np.arange(block.area[1], block.area[3]) >> block.shift[1]) - block.origin[0]
            columns = (np.arange(block.area[0], block.area[2]) >> block.shift[0]) - block.origin[1]
            if not values.size:
                continue
            passes = block.passes[np.ix_(rows, columns)].astype(int)
            quantiser = steps[component][band]
            plane = quantiser.planes - block.zero_planes[np.ix_(rows, columns)] - (passes + 2) // 3
            size = np.abs(values) / (quantiser.step * 2.0**plane)
            # single precision loses some of the extra bits of 16-bit samples
            exact = 1e-9 if signals.reversible else 0.06 if header.components[0].bits <= 8 else 0.6
            tolerance = exact / (quantiser.step * 2.0**plane)
            zero = size < tolerance
            assert zero[passes == 0].all()
            # the middle of an interval, or of half of one where the next plane is begun; integers at the last plane
            half = np.abs(size % 1 - 0.5) < tolerance
            quarter = ((passes + 2) % 3 > 0) & (np.abs(size * 2 % 1 - 0.5) < 2 * tolerance)
            whole = signals.reversible & (plane <= 1) & (np.abs(size * 2 % 1) < 1e-9)
            found += int((~zero).sum())
            wrong += int((~zero & ~half & ~quarter & ~whole).sum())
    return found, wrong


@pytest.mark.parametrize("reversible", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"progression": "RLCP", "code_block": (32, 16)},
        {"progression": "RPCL", "precincts": ((64, 64), (32, 32))},
        {"progression": "PCRL", "precincts": ((32, 64),), "code_block": (64, 64)},
        {"progression": "CPRL", "precincts": ((64, 32),), "levels": 3},
    ],
    ids=lambda options: options.get("progression", "LRCP"),
)
def test_coefficients_lie_where_the_headers_say(options: dict[str, Any], reversible: bool) -> None:
    codestream = coded(PIXELS, (0.3, 1.0, 3.0), reversible=reversible, **options)
    counts = []
    for layers in (1, 2, 3):
        found, wrong = off_lattice(codestream, layers)
        assert not wrong
        counts.append(found)
    assert 100 < counts[0] < counts[1] < counts[2]


@pytest.mark.parametrize("reversible", [False, True])
def test_tiles_of_any_size(reversible: bool) -> None:
    codestream = coded_in_tiles(PIXELS.astype(np.uint8), (47, 61), reversible=reversible)
    assert parse_main_header(codestream).grid.tiles == 12
    found, wrong = off_lattice(codestream, 2)
    assert found > 100
    assert not wrong


def test_gray_of_16_bits() -> None:
    found, wrong = off_lattice(coded(image(90, 70, 1, 16), (1.0,)), 1)
    assert found > 100
    assert wrong < found / 50  # by the rounding of single precision


def test_markers_in_the_packet_data() -> None:
    out = io.BytesIO()
    PIL.Image.fromarray(PIXELS.astype(np.uint8)).save(out, "JPEG2000", no_jp2=True, plt=True)
    assert off_lattice(out.getvalue(), 1)[1] == 0


@pytest.mark.parametrize("seed", range(6))
def test_damaged_packets_end_in_an_error_or_in_numbers(seed: int) -> None:
    codestream = bytearray(coded(PIXELS, (1.0,)))
    header = parse_main_header(bytes(codestream))
    random = np.random.default_rng(seed)
    for at in random.integers(header.end + 40, len(codestream) - 2, 12):
        codestream[at] = int(random.integers(0, 255))
    try:
        blocks = TilePackets.of(bytes(codestream), header).code_blocks(tiles_of(header)[0])
    except FormatError:
        return
    assert all((band.passes >= 0).all() for band in blocks.values())


def test_packets_that_end_early() -> None:
    codestream = coded(PIXELS, (1.0,), packet_lengths=False)
    header = parse_main_header(codestream)
    short = bytearray(codestream[: header.end + 14 + 20] + codestream[-2:])
    short[header.end + 6 : header.end + 10] = (34).to_bytes(4, "big")  # Psot
    with pytest.raises(FormatError, match="packet headers of tile 0 cannot be read"):
        TilePackets.of(bytes(short), header).code_blocks(tiles_of(header)[0])


def test_more_packets_than_bytes_are_refused_before_they_are_listed() -> None:
    """A header of some 100 bytes that announces 2^16 precincts in 1,024 layers."""
    codestream = bytearray(coded(image(16, 16, 1), (4.0,), levels=0, precincts=((4, 4),), packet_lengths=False))
    at = codestream.index(b"\xff\x51")
    codestream[at + 6 : at + 14] = (1024).to_bytes(4, "big") * 2  # the image, and its only tile
    codestream[at + 22 : at + 30] = (1024).to_bytes(4, "big") * 2
    at = codestream.index(b"\xff\x52")
    codestream[at + 6 : at + 8] = (1024).to_bytes(2, "big")
    header = parse_main_header(bytes(codestream))
    with pytest.raises(FormatError, match="packets or more in"):
        TilePackets.of(bytes(codestream), header).code_blocks(tiles_of(header)[0])
