"""Windows, sizes, layers and tiles of enhanced decodes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from enhance_support import coded, coded_in_tiles, plain, random_network, reader
from pictures import image

from wavelic.enhance.examples import decoded
from wavelic.enhance.network import Network
from wavelic.enhance.objective import Enhancement
from wavelic.enhance.reading import WINDOW
from wavelic.enhance.signals import to_colours
from wavelic.errors import UnsupportedError
from wavelic.rect import Rect

torch.set_num_threads(1)
HEIGHT, WIDTH = 141, 173
PIXELS = image(HEIGHT, WIDTH)
WINDOWS = [Rect(0, 0, 60, 50), Rect(37, 51, 64, 33), Rect(100, 101, 73, 40), Rect(33, 0, 1, HEIGHT)]
#: Samples that are computed in windows of other shapes may differ by the rounding of float32.
ROUNDING = 1e-3


@pytest.mark.parametrize("reversible", [False, True])
def test_a_window_is_the_crop(reversible: bool) -> None:
    found = reader(coded(PIXELS, reversible=reversible))
    whole = found.read(0, Rect(0, 0, WIDTH, HEIGHT))
    for area in WINDOWS:
        crop = whole[:, area.y : area.bottom, area.x : area.right]
        assert (found.read(0, area) - crop).abs().max() < ROUNDING


@pytest.mark.parametrize("reversible", [False, True])
def test_a_window_of_a_reduced_size_is_the_crop(reversible: bool) -> None:
    found = reader(coded(PIXELS, reversible=reversible))
    for reduce in (1, 3, 5):
        height, width = -(-HEIGHT // 2**reduce), -(-WIDTH // 2**reduce)
        whole = found.read(reduce, Rect(0, 0, width, height))
        part = found.read(reduce, Rect(1, 2, width - 2, height - 3))
        assert (part - whole[:, 2 : height - 1, 1 : width - 1]).abs().max() < ROUNDING


@pytest.mark.parametrize("reversible", [False, True])
def test_tiles(reversible: bool) -> None:
    codestream = coded_in_tiles(PIXELS, (66, 59), reversible=reversible)
    found = reader(codestream)
    whole = found.read(0, Rect(0, 0, WIDTH, HEIGHT))
    assert (whole - torch.from_numpy(plain(codestream))).abs().mean() > 0.5
    for area in WINDOWS[1:3]:
        crop = whole[:, area.y : area.bottom, area.x : area.right]
        assert (found.read(0, area) - crop).abs().max() < ROUNDING


@pytest.mark.parametrize("reversible", [False, True])
def test_reading_does_what_training_saw(reversible: bool) -> None:
    codestream, network = coded(PIXELS, reversible=reversible), random_network()
    example = decoded(codestream, 1)
    sizes = [(signal.shape[-2], signal.shape[-1]) for signal in example.signals]
    delta = Enhancement(network).corrections(example.levels, sizes, example.wavelet)[0]
    read = reader(codestream, network, 1).read(0, Rect(0, 0, WIDTH, HEIGHT))
    unchanged = reader(codestream, Network(network.config), 1).read(0, Rect(0, 0, WIDTH, HEIGHT))
    assert (read - unchanged - to_colours(delta, reversible)[0]).abs().max() < 0.05
    assert delta.abs().max() > 5


@pytest.mark.parametrize("reversible", [False, True])
def test_a_network_of_zeros_gives_the_plain_decode(reversible: bool) -> None:
    codestream = coded(PIXELS, reversible=reversible)
    fresh = Network(random_network().config)
    for layers, reduce in ((1, 0), (2, 0), (2, 2)):
        height, width = -(-HEIGHT // 2**reduce), -(-WIDTH // 2**reduce)
        samples = reader(codestream, fresh, layers).read(reduce, Rect(0, 0, width, height))
        expected = plain(codestream, layers, reduce)
        assert np.abs(samples.round().clamp(0, 255).numpy() - expected).max() <= (0 if reversible else 1)


def test_lossless_stays_lossless() -> None:
    for channels, bits in ((3, 8), (1, 16)):
        pixels = image(HEIGHT, WIDTH, channels, bits)
        samples = reader(coded(pixels, (1.0, 0.0), reversible=True)).read(0, Rect(0, 0, WIDTH, HEIGHT))
        assert np.array_equal(samples.permute(1, 2, 0).numpy(), pixels)


def test_code_blocks_of_zeros_in_a_lossless_file_stay_zero() -> None:
    pixels = np.full((200, 180, 3), 77, np.uint8)
    pixels[:40, :50] = image(40, 50)
    samples = reader(coded(pixels, (0.0,), reversible=True)).read(0, Rect(0, 0, 180, 200))
    assert np.array_equal(samples.permute(1, 2, 0).numpy(), pixels)


def test_gray_and_tiny_images() -> None:
    for shape in ((40, 50, 1), (1, 1, 3), (1, 9, 3), (7, 2, 1)):
        pixels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
        codestream = coded(pixels, (24.0,))
        samples = reader(codestream).read(0, Rect(0, 0, shape[1], shape[0]))
        assert samples.shape == (shape[2], *shape[:2])
        assert torch.isfinite(samples).all()


def test_large_areas_are_read_in_windows() -> None:
    found = reader(coded(PIXELS))
    areas = found.windows(Rect(0, 0, WINDOW + 1, 2 * WINDOW))
    assert [area.width for area in areas] == [WINDOW, 1, WINDOW, 1]


def test_a_region_of_interest_is_not_enhanced() -> None:
    codestream = coded(PIXELS)
    at = codestream.index(b"\xff\x5c")
    with pytest.raises(UnsupportedError, match="region of interest"):
        reader(codestream[:at] + b"\xff\x5e\x00\x05\x00\x00\x07" + codestream[at:])
