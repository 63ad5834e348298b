"""An outside oracle for `wavelic.wavelets`: the coefficients OpenJPEG writes into a codestream are ours.

Packets of one resolution are kept and all others emptied; what the library then decodes is the synthesis of just those
bands.  5/3 works on integers, so everything is exact; 9/7 is compared within the rounding of the decoded samples.
"""

from __future__ import annotations

import struct

import numpy as np
import pytest
import torch
from pictures import picture

from wavelic.jpeg2000 import EncodeOptions, decode_codestream, encode_codestream, index_packets, parse_main_header
from wavelic.jpeg2000.codestream import QCD
from wavelic.jpeg2000.tileparts import assemble, tile_parts
from wavelic.wavelets import Coefficients2d, dwt2

LEVELS = 3
SIZES = [(64, 64), (75, 58), (33, 97), (5, 1), (1, 6)]


def signed_plane(size: tuple[int, int], amplitude_bits: int) -> np.ndarray:
    """Values that leave a 16-bit range room for whatever a synthesis from a part of the bands overshoots."""
    return picture(*size, bits=amplitude_bits) - 2 ** (amplitude_bits - 1)


def only_resolution(codestream: bytes, resolution: int) -> bytes:
    """The codestream with the packets of all other resolutions replaced by empty ones."""
    header = parse_main_header(codestream)
    parts = tile_parts(codestream, header)
    index = index_packets(header, parts)
    data = codestream[parts[0].start : parts[0].stop]
    packets = [
        data[start : start + length] if found == resolution else b"\x00"
        for found, start, length in zip(index.resolution, index.start, index.length, strict=True)
    ]
    return assemble(codestream, header, {0: b"".join(packets)})


def bands_of(coefficients: Coefficients2d, resolution: int) -> list[torch.Tensor]:
    """The bands OpenJPEG stores at a resolution: LL at 0, else HL, LH, HH of level LEVELS + 1 - resolution."""
    if resolution == 0:
        return [coefficients.low]
    level = coefficients.levels[LEVELS - resolution]
    return [level.hl, level.lh, level.hh]


def flat(bands: list[torch.Tensor]) -> torch.Tensor:
    return torch.cat([band.flatten().double() for band in bands])


@pytest.mark.parametrize("size", SIZES)
def test_5_3_coefficients_in_a_codestream_equal_ours(size: tuple[int, int]) -> None:
    plane = signed_plane(size, 10)
    codestream = encode_codestream([plane], 16, EncodeOptions(reversible=True, levels=LEVELS), signed=True)
    ours = dwt2(torch.from_numpy(plane), "5/3", LEVELS, "reversible")
    for resolution in range(LEVELS + 1):
        decoded = decode_codestream(only_resolution(codestream, resolution)).planes[0]
        theirs = dwt2(torch.from_numpy(decoded), "5/3", LEVELS, "reversible")
        for other in range(LEVELS + 1):
            expected = bands_of(ours, other) if other == resolution else [0 * b for b in bands_of(ours, other)]
            for band, wanted in zip(bands_of(theirs, other), expected, strict=True):
                assert torch.equal(band.long(), wanted.long()), (resolution, other)


@pytest.mark.parametrize("size", SIZES)
def test_9_7_coefficients_in_a_codestream_equal_ours(size: tuple[int, int]) -> None:
    plane = signed_plane(size, 14)
    codestream = encode_codestream([plane], 16, EncodeOptions(levels=LEVELS), signed=True)
    ours = dwt2(torch.from_numpy(plane).double(), "9/7", LEVELS, "jpeg2000")
    for resolution in range(LEVELS + 1):
        decoded = decode_codestream(only_resolution(codestream, resolution)).planes[0]
        theirs = dwt2(torch.from_numpy(decoded).double(), "9/7", LEVELS, "jpeg2000")
        for other in range(LEVELS + 1):
            expected = flat(bands_of(ours, other)) * (other == resolution)
            error = (flat(bands_of(theirs, other)) - expected).abs()
            assert not len(error) or error.max() < 4, (resolution, other)  # of a range of 16384
    assert flat(bands_of(ours, 0)).abs().max() > 1000


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("reversible", [True, False])
def test_a_reduced_decode_is_our_low_band(size: tuple[int, int], reversible: bool) -> None:
    plane = signed_plane(size, 14)
    codestream = encode_codestream([plane], 16, EncodeOptions(reversible=reversible, levels=LEVELS), signed=True)
    for reduce in range(1, LEVELS + 1):
        decoded = torch.from_numpy(decode_codestream(codestream, reduce=reduce).planes[0])
        if reversible:
            assert torch.equal(decoded.long(), dwt2(torch.from_numpy(plane), "5/3", reduce, "reversible").low)
        else:
            low = dwt2(torch.from_numpy(plane).double(), "9/7", reduce, "jpeg2000").low
            assert (decoded - low).abs().max() < 1.5


@pytest.mark.parametrize(("entry", "name"), [(-3, "hl"), (-2, "lh"), (-1, "hh")])
def test_the_bands_have_the_names_of_the_standard(entry: int, name: str) -> None:
    """Changing the step size QCD gives one finest band scales the band of that name and no other."""
    plane = signed_plane((64, 80), 14)
    codestream = bytearray(encode_codestream([plane], 16, EncodeOptions(levels=LEVELS), signed=True))
    qcd = next(s for s in parse_main_header(bytes(codestream)).segments if s.marker == QCD)
    position = qcd.stop + 2 * entry
    (step,) = struct.unpack_from(">H", codestream, position)
    mantissa = (step + 700) % 2048
    struct.pack_into(">H", codestream, position, step & ~0x7FF | mantissa)
    ratio = (2048 + mantissa) / (2048 + (step & 0x7FF))
    ours = dwt2(torch.from_numpy(plane).double(), "9/7", 1, "jpeg2000").levels[0]
    changed = dwt2(torch.from_numpy(decode_codestream(bytes(codestream)).planes[0]).double(), "9/7", 1, "jpeg2000")
    for band in ("hl", "lh", "hh"):
        expected = getattr(ours, band) * (ratio if band == name else 1.0)
        assert (getattr(changed.levels[0], band) - expected).abs().max() < 8
    assert getattr(ours, name).abs().max() * abs(ratio - 1) > 40
