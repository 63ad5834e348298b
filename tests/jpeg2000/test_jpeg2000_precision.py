"""Finer samples of a codestream than it declares: the same picture, rounded and clipped less."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pictures import picture

from wavelic.errors import FormatError
from wavelic.jpeg2000 import EncodeOptions, decode_codestream, encode_codestream, parse_main_header
from wavelic.jpeg2000.precision import finer_codestream
from wavelic.wavelets import dwt2

torch.set_num_threads(1)
BITS = 8


def coarse_and_fine(depth: int, reduce: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Samples (3, h, w) of a codestream at a low rate, as declared and finer, the latter in units of the former."""
    planes = [np.clip(picture(150, 181, depth, seed).astype(np.int64) * 2, 0, (1 << depth) - 1) for seed in range(3)]
    options = EncodeOptions(layer_bytes=(4000,), colour_transform=True, levels=5, reversible=False)
    codestream = encode_codestream([plane.astype(np.int32) for plane in planes], depth, options)
    finer = finer_codestream(codestream, parse_main_header(codestream), BITS)
    found = [np.stack(decode_codestream(data, reduce=reduce).planes) for data in (codestream, finer)]
    return found[0], found[1] / 2**BITS - 2 ** (depth - 1)


@pytest.mark.parametrize("depth", [12, 16])
def test_finer_samples_round_and_clip_to_the_declared_ones(depth: int) -> None:
    coarse, fine = coarse_and_fine(depth)
    peak = (1 << depth) - 1
    assert fine.max() > peak + 5  # the picture is bright enough to be clipped
    assert coarse.max() == peak
    assert abs(np.clip(fine, 0, peak) - coarse).max() <= 0.5 + 2 ** (depth - 20)
    assert abs(fine - np.rint(fine)).mean() == pytest.approx(0.25, abs=0.02)


def test_a_reduced_decode_is_the_low_band_of_the_full_one() -> None:
    full = torch.from_numpy(coarse_and_fine(12)[1])[None]
    for reduce in (1, 2, 4):
        low = dwt2(full, "9/7", reduce, "jpeg2000").low[0].numpy()
        coarse, fine = coarse_and_fine(12, reduce)
        assert abs(fine - low).max() < 0.01
        assert abs(coarse - low).max() > 0.4


def test_what_cannot_be_finer_is_refused() -> None:
    plane = picture(40, 40)
    reversible = encode_codestream([plane], 8, EncodeOptions(reversible=True))
    with pytest.raises(FormatError, match="reversible"):
        finer_codestream(reversible, parse_main_header(reversible), BITS)
    codestream = encode_codestream([plane], 8, EncodeOptions(reversible=False))
    header = parse_main_header(codestream)
    with pytest.raises(FormatError, match="above 30"):
        finer_codestream(codestream, header, 23)
    style = next(segment.start for segment in header.segments if segment.marker == 0xFF5C) + 4
    no_guard = bytearray(codestream)
    no_guard[style] &= 0x1F
    with pytest.raises(FormatError, match="no room"):
        finer_codestream(bytes(no_guard), header, BITS)
