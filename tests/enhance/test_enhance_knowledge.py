"""What packet headers tell of coefficients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from enhance_support import coded
from pictures import image

from wavelic.enhance.knowledge import TileKnowledge, band_norms, norms
from wavelic.jpeg2000 import parse_main_header
from wavelic.jpeg2000.code_blocks import TilePackets, tiles_of
from wavelic.jpeg2000.quantisers import quantisers
from wavelic.wavelets import dwt2, idwt2


def knowledge(codestream: bytes, layers: int | None = None) -> TileKnowledge:
    header = parse_main_header(codestream)
    blocks = TilePackets.of(codestream, header).code_blocks(tiles_of(header)[0], layers)
    return TileKnowledge(header, quantisers(codestream, header), blocks)


@pytest.mark.parametrize("wavelet", ["9/7", "5/3"])
def test_norms_are_those_of_the_synthesis(wavelet: str) -> None:
    zeros = dwt2(torch.zeros(1, 1, 128, 128, dtype=torch.float64), wavelet, 3, "jpeg2000")
    for level in (1, 3):
        bands = zeros.levels[level - 1]
        for name, expected in zip(("hl", "lh", "hh"), band_norms(wavelet, level)[1:], strict=True):
            band = getattr(bands, name)
            band[..., band.shape[-2] // 2, band.shape[-1] // 2] = 1.0
            assert float(idwt2(zeros).norm()) == pytest.approx(expected, rel=1e-6)
            band.zero_()


def test_norms_of_many_levels_go_on_as_those_of_few() -> None:
    assert norms("9/7", 9) == pytest.approx([norm * 2**0.5 for norm in norms("9/7", 8)])
    assert norms("9/7", 8) == pytest.approx([norm * 2**0.5 for norm in norms("9/7", 7)], rel=1e-3)
    assert norms("5/3", 32)[0] == pytest.approx(norms("5/3", 8)[0] * 2**12)


def test_norms_of_the_standard() -> None:
    """libopenjp2 lists those of 9/7, for high bands of half the size."""
    low, high = norms("9/7", 1)
    assert low * low == pytest.approx(1.965, abs=0.005)
    assert low * high * 2 == pytest.approx(2.022, abs=0.005)


def test_more_layers_mean_smaller_steps() -> None:
    codestream = coded(image(140, 130), (0.3, 1.0, 4.0))
    index = np.arange(0, 64, 2)
    steps = [knowledge(codestream, layers).known(0, 1, index, index).log_step for layers in (1, 2, 3)]
    assert (steps[0] >= steps[1]).all()
    assert (steps[1] >= steps[2]).all()
    assert steps[0].mean() > steps[2].mean() + 1


def test_a_code_block_that_is_missing_goes_by_coarser_ones() -> None:
    codestream = coded(image(140, 130), (0.08,))
    found = knowledge(codestream)
    index = np.arange(0, 64, 2)
    chroma = found.known(1, 1, index, index)
    assert not chroma.there.any()
    assert np.isfinite(chroma.log_step).all()
    finest = max(q.step * 2.0 ** (q.planes - 1) for q in quantisers(codestream, parse_main_header(codestream))[1])
    assert (chroma.log_step < np.log2(finest)).all()  # not the widest interval there could be
    luma = found.known(0, 5, index[:2], index[:2])
    assert luma.there.any()


def test_everything_decoded_leaves_nothing_open() -> None:
    lossless = knowledge(coded(image(70, 60), (0.0,), reversible=True))
    index = np.arange(0, 30, 2)
    known = lossless.known(0, 1, index, index)
    assert (known.exact == 1).all()
    assert (known.log_step == 0).all()
    lossy = knowledge(coded(image(70, 60), (0.0,)))
    assert (lossy.known(0, 1, index, index).exact == 0).all()


def test_where_nothing_is_known_nothing_is_open() -> None:
    gray = np.repeat(image(70, 60, 1), 3, axis=-1)
    found = knowledge(coded(gray, (2.0,)))
    index = np.arange(0, 30, 2)
    assert (found.known(1, 1, index, index).exact == 1).all()
    assert not found.known(0, 1, index, index).exact.any()
