"""Which learned steps are done where: in the transform, in windows, in the weights' identity, in files."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from lifting_reading import read_with, synthesize_region
from lifting_support import installed_weights
from lifting_transforms import bands, learned, random_transform
from pictures import image
from torch import Tensor

from wavelic.errors import ModelError, UsageError
from wavelic.images import Image
from wavelic.jpeg2000 import EncodeOptions, decode_codestream
from wavelic.lifting.cards import PRODUCT, find_lifting
from wavelic.lifting.jp2 import synthesis, windows
from wavelic.lifting.jp2.analysis import pseudo_image_in_windows
from wavelic.lifting.jp2.opening import open_jp2
from wavelic.lifting.jp2.pseudo_image import encode_coefficients, pseudo_image
from wavelic.lifting.jp2.samples import to_components
from wavelic.lifting.transform.steps import EVERYWHERE, LUMA_STEPS, NEVER, PRODUCT_STEPS, LearnedSteps, Steps
from wavelic.lifting.transform.transform import LiftingTransform
from wavelic.lifting.weights import load_lifting_card, save_lifting
from wavelic.wavelets import Coefficients2d, dwt2

torch.set_num_threads(1)
LUMA_ONLY = LearnedSteps(chroma=Steps(NEVER, NEVER))
CHOICES = [
    EVERYWHERE,
    LUMA_ONLY,
    PRODUCT_STEPS,
    LearnedSteps(chroma=Steps(2, 2)),
    LearnedSteps(Steps(1, 3), Steps(2, NEVER), Steps(3, 1)),
]


def with_steps(steps: LearnedSteps) -> LiftingTransform:
    return LiftingTransform(random_transform("Hybrid(9/7)-U16", 0.5).level, steps=steps)


def picture() -> Tensor:
    return torch.rand(2, 3, 83, 75, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) - 0.5


@pytest.mark.parametrize("steps", CHOICES)
def test_there_and_back_at_once_and_level_by_level(steps: LearnedSteps) -> None:
    transform, x = with_steps(steps), picture()
    with torch.no_grad():
        coefficients = transform.analysis(x, 3)
        torch.testing.assert_close(transform.synthesis(coefficients), x)
        first = transform.analysis(x, 1)
        others = transform.analysis(first.low, 2, finest=2)
        for a, b in zip(bands(coefficients), [others.low, *bands(first)[1:], *bands(others)[1:]], strict=True):
            assert torch.equal(a, b)
        torch.testing.assert_close(transform.synthesis(others, finest=2), first.low)


def test_a_level_without_a_step_does_without_it() -> None:
    """Luma without T_H2L at level 1 has the low band of 9/7; chroma is 9/7 at level 1 and loses details at level 2."""
    x = picture()
    with torch.no_grad():
        found = with_steps(PRODUCT_STEPS).analysis(x, 2)
        everywhere = with_steps(EVERYWHERE).analysis(x, 2)
    base = dwt2(x, "9/7", 2, "jpeg2000")
    one = dwt2(x, "9/7", 1, "jpeg2000").low
    assert torch.equal(found.levels[0].hh[:, 1:], base.levels[0].hh[:, 1:])
    assert not torch.equal(found.levels[1].hh[:, 1:], base.levels[1].hh[:, 1:])
    torch.testing.assert_close(found.low[:, 1:], base.low[:, 1:])
    details = found.levels[0].hl[:, :1]
    assert not torch.equal(details, base.levels[0].hl[:, :1])
    assert not torch.equal(details, everywhere.levels[0].hl[:, :1])
    with torch.no_grad():
        low = with_steps(PRODUCT_STEPS).analysis(x, 1).low
    torch.testing.assert_close(low, one)


def test_a_grey_image_has_steps_of_its_own() -> None:
    x = picture()[:, :1]
    with torch.no_grad():
        found, everywhere = (with_steps(steps).analysis(x, 2) for steps in (PRODUCT_STEPS, EVERYWHERE))
        for a, b in zip(bands(found), bands(everywhere), strict=True):
            assert torch.equal(a, b)
        torch.testing.assert_close(with_steps(CHOICES[-1]).synthesis(with_steps(CHOICES[-1]).analysis(x, 3)), x)


@pytest.mark.parametrize("steps", CHOICES)
def test_a_window_is_the_crop(steps: LearnedSteps) -> None:
    transform, x = with_steps(steps), torch.rand(1, 3, 203, 150, dtype=torch.float64) - 0.5
    with torch.no_grad():
        coefficients = transform.analysis(x, 3).map(lambda band: band.round(decimals=1))
        whole = transform.synthesis(coefficients)
        for x0, y0, width, height in ((0, 0, 7, 9), (51, 77, 20, 33), (100, 0, 50, 12)):
            window = synthesize_region(transform, coefficients, (x0, y0, width, height))
            torch.testing.assert_close(window, whole[..., y0 : y0 + height, x0 : x0 + width], rtol=0, atol=1e-9)


def test_only_a_hybrid_can_leave_one_step_out() -> None:
    level = random_transform("Custom-4S-5c").level
    for steps in (EVERYWHERE, LUMA_ONLY):
        assert isinstance(LiftingTransform(level, steps=steps).analysis(picture(), 1), Coefficients2d)
    with pytest.raises(UsageError, match="hybrid"):
        LiftingTransform(level, steps=PRODUCT_STEPS).analysis(picture(), 1)


def test_the_choice_belongs_to_the_identity_of_weights(tmp_path: Path) -> None:
    state = learned().state_dict()
    seen = set()
    for number, steps in enumerate(CHOICES):
        card = save_lifting(tmp_path / f"w{number}", "Hybrid(9/7)-U16", state, {}, steps=steps)
        seen.add(card.hash)
        assert load_lifting_card(card).steps == steps
    assert len(seen) == len(CHOICES)
    for numbers in ((1, 1, 1, 1, 1), (0, 1, 1, 1, 1, 1), (1, 1, 1, 1, 1, 256)):
        with pytest.raises(ModelError, match="export"):
            LearnedSteps.unpack(numbers)


def test_without_steps_of_chroma_other_software_shows_its_colours() -> None:
    """Luma differs, colour differences do not."""
    gray, level = image(96, 96, 1)[..., 0], learned().level
    pixels = np.stack([gray, gray[::-1], gray[:, ::-1]], -1)
    errors = []
    for steps in (PRODUCT_STEPS, LUMA_STEPS):
        with torch.no_grad():
            coefficients = LiftingTransform(level, steps=steps).analysis(to_components(pixels), 5)
        codestream = open_jp2(encode_coefficients(coefficients, 8, EncodeOptions(), model=b"m" * 8)).jp2.codestream
        seen = np.stack(decode_codestream(codestream).planes, -1) / 4095 * 255
        errors.append(to_components(seen.round().astype(np.uint8)) - to_components(pixels))
    (_, *learned_chroma), (luma, *chroma) = (error.square().mean((0, 2, 3)).sqrt().tolist() for error in errors)
    assert luma > 1 / 255
    assert max(chroma) < 0.5 / 255
    assert min(learned_chroma) > 2 * max(chroma)


@pytest.mark.parametrize("steps", [EVERYWHERE, LUMA_ONLY, PRODUCT_STEPS])
def test_windows_of_files_take_coarse_levels_from_a_reduced_decode(steps: LearnedSteps) -> None:
    """And still equal the crop, at every resolution and layer."""
    transform = LiftingTransform(learned().level, steps=steps)
    pixels = image(301, 360)
    with torch.no_grad():
        coefficients = transform.analysis(to_components(pixels), 5)
    data = encode_coefficients(coefficients, 8, EncodeOptions(layer_bytes=(3000, 20000)), model=b"m" * 8)
    file = open_jp2(data)
    equal = []
    for reduce, layers in ((0, 2), (0, 1), (1, 2), (3, 2), (5, 1)):
        whole = read_with(file, transform, reduce=reduce, layers=layers).astype(int)
        step = 2**reduce
        for x, y, width, height in ((0, 0, 16, 24), (101, 93, 57, 64), (230, 250, 130, 51)):
            region = (x, y, width, height)
            window = read_with(file, transform, reduce=reduce, layers=layers, region=region).astype(int)
            crop = whole[-(-y // step) : -(-(y + height) // step), -(-x // step) : -(-(x + width) // step)]
            assert abs(window - crop).max() <= 1
            equal.append((window == crop).ravel())
    assert np.concatenate(equal).mean() >= 0.999


def test_large_images_are_coded_with_the_same_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Level by level, in windows: codes and pixels of one piece, to the rounding of convolutions."""
    monkeypatch.setattr(windows, "WINDOW", 128)
    transform = LiftingTransform(learned().level, steps=PRODUCT_STEPS)
    pixels = image(281, 330)
    with torch.no_grad():
        coefficients = transform.analysis(to_components(pixels), 5)
    one = pseudo_image(coefficients, 8)
    planes = [[np.zeros(pixels.shape[:2], np.int32) for _ in range(3)] for _ in range(2)]
    one.samples.fill(planes[0])
    pseudo_image_in_windows(Image(pixels), transform, 5, lambda: None).samples.fill(planes[1])
    assert np.abs(np.subtract(*map(np.stack, planes))).max() <= 1
    file = open_jp2(one.file(EncodeOptions(layer_bytes=(9000,)), model=b"m" * 8))
    for reduce in (0, 1, 3):
        whole = read_with(file, transform, reduce=reduce).astype(int)
        with monkeypatch.context() as patch:
            patch.setattr(synthesis, "BY_LEVELS", 0)
            by_levels = read_with(file, transform, reduce=reduce)
        assert abs(by_levels - whole).max() <= 1
        assert (by_levels == whole).mean() >= 0.999


def test_new_weights_encode_and_decode(tmp_path: Path) -> None:
    import wavelic

    weights = installed_weights(tmp_path)
    next(weights)
    try:
        save_lifting(tmp_path / PRODUCT, "Hybrid(9/7)-U16", learned().state_dict(), {"seed": 7}, steps=PRODUCT_STEPS)
        from wavelic.codec.weights import _cards

        _cards.cache_clear()
        for bits in (8, 16):
            pixels = image(90, 77, 3, bits)
            data = wavelic.encode(pixels, "lifting", bpp=12)
            decoded = wavelic.open(io.BytesIO(data).getvalue()).read()
            assert find_lifting(PRODUCT).hash[:16] == wavelic.open(data).info["model_hash"]
            error = decoded.astype(float) / np.iinfo(pixels.dtype).max - pixels / np.iinfo(pixels.dtype).max
            assert np.square(error).mean() < 10**-4.3
    finally:
        next(weights, None)
