"""Effort: what an encoder does for smaller files, with the shipped weights."""

from __future__ import annotations

import io
from dataclasses import replace
from importlib import resources

import numpy as np
import PIL.Image
import pytest
import torch

import wavelic
from wavelic.codec.options import Options
from wavelic.codec.target import Target
from wavelic.codec.weights import family
from wavelic.errors import UsageError
from wavelic.evaluation.metrics import ms_ssim_rgb
from wavelic.images import from_array
from wavelic.rect import Rect
from wavelic.weconvene import refine
from wavelic.weconvene.encode import encode_weconvene
from wavelic.weconvene.files import Encoding, step_of_quality
from wavelic.weconvene.planes import analyse
from wavelic.weconvene.units import STEP_UNIT
from wavelic.weconvene.weights import load_model


def photograph(height: int, width: int) -> np.ndarray:
    """A part of the picture of `wavelic demo`."""
    data = resources.files("wavelic.evaluation").joinpath("assets/demo.webp").read_bytes()
    with PIL.Image.open(io.BytesIO(data)) as opened:
        return np.asarray(opened.convert("RGB"))[64 : 64 + height, 64 : 64 + width]


def _objective(pixels: np.ndarray, data: bytes, step: int) -> float:
    """Bits and squared error, weighed as in training."""
    error = np.square(wavelic.decode(data).astype(float) - pixels).sum()
    return 8 * len(data) + error / (0.2 * 4 ** (step / STEP_UNIT))


def test_more_effort_costs_less() -> None:
    """In bits and error together; files of every effort decode, and a target is met."""
    pixels = photograph(128, 160)
    step = step_of_quality(40)
    image = from_array(pixels)
    quality = Target("quality", 40)
    results = [encode_weconvene(image, quality, Options(effort=effort)).data for effort in (1, 5, 6, 8)]
    costs = [_objective(pixels, data, step) for data in results]
    assert len(results[0]) > len(results[1])
    assert costs[1] > costs[2] > costs[3]
    assert encode_weconvene(image, quality, Options()).data == results[1]
    near = encode_weconvene(image, Target("size", 900), Options(effort=6))
    assert 700 < len(near.data) <= 900
    with pytest.raises(UsageError, match=r"effort 10, expected 1\.\.9"):
        Options(effort=10)


def test_the_search_for_ms_ssim(monkeypatch: pytest.MonkeyPatch) -> None:
    """It lowers the objective of its training, in blocks too, of which the last here shows five columns."""
    pixels, step = photograph(168, 261), step_of_quality(40)
    image, quality = from_array(pixels), Target("quality", 40)

    def cost(data: bytes) -> float:
        similarity = ms_ssim_rgb(pixels, wavelic.decode(data))
        return 8 * len(data) + 19500 * pixels[..., 0].size * (1 - similarity) / 4 ** (step / STEP_UNIT)

    usual, searched = (encode_weconvene(image, quality, Options(tune="msssim", effort=effort)) for effort in (5, 7))
    assert cost(searched.data) < 0.98 * cost(usual.data)
    monkeypatch.setattr(refine, "BLOCK", 128)
    model = load_model(family("weconvene-msssim")[-1])
    parts = [Encoding(image, model, tile=128, iterations=count, tune="msssim").file(step) for count in (0, 4)]
    assert cost(parts[1]) < cost(parts[0])


def test_pictures_too_small_for_ms_ssim() -> None:
    image, quality = from_array(photograph(160, 176)), Target("quality", 40)
    usual, searched = (encode_weconvene(image, quality, Options(tune="msssim", effort=effort)) for effort in (5, 9))
    assert usual.data == searched.data
    assert not usual.note
    assert searched.note == "below 161 pixels a side there is no MS-SSIM: effort 9 does what 5 does"


def test_search_by_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Iterations lower the objective, in blocks too; the same file every time; what does not help is not kept."""
    pixels = photograph(128, 128)
    image, model, step = from_array(pixels), load_model(family("weconvene")[-1]), step_of_quality(30)
    plain = Encoding(image, model).file(step)
    done: list[tuple[int, int]] = []
    searched = Encoding(image, model, iterations=8, progress=lambda *a: done.append(a))
    assert _objective(pixels, searched.file(step), step) < 0.99 * _objective(pixels, plain, step)
    assert done[-1][0] == done[-1][1] == 1 + 8 + 1
    two = [Encoding(image, model, iterations=2).file(step) for _ in range(2)]
    assert two[0] == two[1]
    monkeypatch.setattr(refine, "BLOCK", 128)
    wide = photograph(128, 256)
    blocks = [Encoding(from_array(wide), model, tile=128, iterations=count).file(step) for count in (0, 4)]
    assert _objective(wide, blocks[1], step) < _objective(wide, blocks[0], step)
    monkeypatch.setattr(refine, "CURVATURE", 0.01)
    assert Encoding(from_array(wide), model, tile=128, iterations=2).file(step) == blocks[0]


@pytest.mark.parametrize("shape", [(40, 56, 1), (7, 90, 3), (1, 1, 3), (130, 200, 3)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_any_picture_can_be_searched(shape: tuple[int, ...], dtype: type) -> None:
    """Gray, thin, of one sample, 16 bits: sides that are no multiples of anything, and few levels."""
    pixels = np.random.default_rng(5).integers(0, np.iinfo(dtype).max, shape).astype(dtype)
    data = encode_weconvene(from_array(pixels), Target("quality", 60), Options(effort=6)).data
    assert wavelic.decode(data).reshape(shape).dtype == dtype


def test_error_and_gradient_agree() -> None:
    """The gradient is that of the error, to the coefficients of every level, by finite differences in float32."""
    pixels = photograph(128, 128)
    model, step = load_model(family("weconvene")[-1]), step_of_quality(50)
    model = replace(model, fast=model.transform)  # bfloat16 is too coarse for differences
    planes = analyse(model, pixels, step)
    block = refine._Block(model, planes, pixels, step, [Rect(0, 0, 128, 128)], refine.Search(1))
    _, coded = block.code(block.own, 0.065)
    random = torch.Generator().manual_seed(1)
    for band in coded[0]:  # blank places are all alike, and would all meet the bends of the LeakyReLUs at once
        band += 0.1 * torch.randn(band.shape, generator=random)
    _, gradients = block.error([[band.clone() for band in bands] for bands in coded])
    for index in range(len(coded[0])):
        move = torch.randn(coded[0][index].shape, generator=random) * 1e-3
        errors = []
        for sign in (1, -1):
            moved = [band.clone() for band in coded[0]]
            moved[index] += sign * move
            errors.append(block.error([moved])[0])
        expected = float((gradients[0][index] * move).sum())
        assert (errors[0] - errors[1]) / 2 == pytest.approx(expected, rel=0.1, abs=1e-3)
