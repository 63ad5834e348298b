"""One level: frames, inputs that look alike at any depth, corrections that stay in their intervals."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from enhance_support import coded, random_network
from pictures import image

from wavelic.enhance.config import CONFIGS, INPUTS, OUTPUTS
from wavelic.enhance.examples import decoded
from wavelic.enhance.level import Span, correct, corrections, doubled, framed, merged, network_input
from wavelic.enhance.network import Network, build
from wavelic.wavelets import Coefficients2d, dwt2, idwt2

torch.set_num_threads(1)


@pytest.mark.parametrize(("first", "stop"), [(0, 8), (0, 7), (3, 10), (5, 6), (2, 3)])
def test_a_frame_is_even_and_holds_both_bands(first: int, stop: int) -> None:
    span = Span(first, stop)
    frame = span.framed()
    assert frame.first % 2 == frame.stop % 2 == 0
    bands = [span.band(high) for high in (False, True)]
    assert sum(band.size for band in bands) == span.size
    assert all(frame.first <= band.first and band.stop <= frame.stop for band in bands if band.size)


def test_a_band_is_continued_to_its_frame() -> None:
    band = torch.arange(6.0).reshape(1, 2, 3)
    result = framed(band, Span(1, 3), Span(0, 3), (Span(0, 4), Span(0, 4)))
    assert result.shape == (1, 4, 4)
    assert result[0, :, 3].tolist() == [2.0, 2.0, 5.0, 5.0]
    assert framed(torch.zeros(1, 0, 3), Span(1, 1), Span(0, 3), (Span(0, 2), Span(0, 4))).shape == (1, 2, 4)


@pytest.mark.parametrize("wavelet", ["9/7", "5/3"])
@pytest.mark.parametrize("start", [(0, 0), (3, 6)])
def test_merging_corrections_is_the_synthesis(wavelet: str, start: tuple[int, int]) -> None:
    split = dwt2(torch.randn(1, 3, 13, 10), wavelet, 1, "jpeg2000", start=start)
    signal = Span(start[0], start[0] + 13), Span(start[1], start[1] + 10)
    frame = signal[0].framed(), signal[1].framed()
    bands, (rows, columns) = split.levels[0], signal
    parts = [
        framed(bands.hl, rows.band(False), columns.band(True), frame),
        framed(bands.lh, rows.band(True), columns.band(False), frame),
        framed(bands.hh, rows.band(True), columns.band(True), frame),
    ]
    result = merged(split.low, torch.stack(parts, 2), signal, wavelet)
    expected = idwt2(Coefficients2d(split.low, split.levels, (13, 10), wavelet, "jpeg2000", start))
    assert torch.equal(result, expected)


def test_carried_maps_lie_under_the_finer_level() -> None:
    maps = torch.arange(4.0).reshape(1, 1, 2, 2)
    assert doubled(maps, (1, 0), (Span(2, 5), Span(1, 4))).tolist() == [[[[0, 1, 1], [0, 1, 1], [2, 3, 3]]]]


@pytest.mark.parametrize("reversible", [False, True])
def test_corrections_stay_in_the_intervals(reversible: bool) -> None:
    example = decoded(coded(image(96, 128), (0.6,), reversible=reversible), 1)
    for x in example.levels[:3]:
        huge = torch.randn(1, OUTPUTS, x.low.shape[-2] // 2, x.low.shape[-1] // 2) * 100
        found = corrections(x, huge)
        step = (torch.exp2(x.log_step) * x.live).repeat_interleave(2, -1).repeat_interleave(2, -2)
        zero = x.details.abs() < 0.1 * step
        assert (found.abs()[zero] <= step[zero] * 1.0001).all()
        assert (found.abs()[~zero] <= step[~zero] * 0.5001).all()
        assert found.abs().max() > 0


def test_what_is_lossless_is_not_touched() -> None:
    example = decoded(coded(image(64, 64), (0.0,), reversible=True), 1)
    for x in example.levels:
        shape = (1, OUTPUTS, x.low.shape[-2] // 2, x.low.shape[-1] // 2)
        assert not corrections(x, torch.ones(shape)).any()


def test_depth_does_not_matter() -> None:
    """The same picture in 8 and in 16 bits at about one rate gives the network about the same to look at."""
    small = image(128, 128)
    large = small.astype(np.uint16) * 257
    inputs = []
    for pixels in (small, large):
        example = decoded(coded(pixels, (1.0,)), 1)
        x = example.levels[0]
        inputs.append(network_input(x, x.low))
    assert inputs[0].shape == (1, INPUTS, 32, 32)
    assert (inputs[0] - inputs[1]).abs().mean() < 0.05
    assert inputs[0].abs().mean() > 0.1


def test_gray_has_no_chroma() -> None:
    x = decoded(coded(image(64, 64, 1), (1.0,)), 1).levels[0]
    assert not x.details[:, 1:].any()
    assert not x.live[:, 1:].any()
    assert not corrections(x, torch.ones(1, OUTPUTS, 16, 16))[:, 1:].any()


def test_sizes_of_the_network() -> None:
    network = build("enhance")
    config = CONFIGS["enhance"]
    assert sum(value.numel() for value in network.parameters()) == config.parameters
    assert config.multiplications < 10_000


def test_a_new_network_corrects_nothing_and_sees_only_its_radius() -> None:
    torch.manual_seed(0)
    fresh = Network(CONFIGS["enhance"])
    output, carried = fresh(torch.randn(1, INPUTS, 6, 6), None)
    assert not output.any()
    assert carried.any()
    network = random_network()
    size = 4 * network.radius + 1
    x = torch.zeros(1, INPUTS, size, size)
    before = network(x, None)[0]
    x[..., size // 2, size // 2] = 5.0
    changed = (network(x, None)[0] - before).abs().amax((0, 1)) > 0
    rows = changed.any(1).nonzero().ravel()
    assert (int(rows.min()), int(rows.max())) == (size // 2 - network.radius, size // 2 + network.radius)


def test_the_low_band_counts_as_far_as_it_is_corrected() -> None:
    x = decoded(coded(image(64, 64), (0.8,)), 1).levels[0]
    network = random_network()
    plain, _ = correct(network, x, torch.zeros_like(x.low), None, torch.float32)
    other, _ = correct(network, x, torch.rand_like(x.low) * 30, None, torch.float32)
    assert not torch.equal(plain, other)
