"""Effort: what an encoder does for smaller files, with the shipped weights."""

from __future__ import annotations

import io
from importlib import resources

import numpy as np
import PIL.Image
import pytest

import wavelic
from wavelic.codec.options import Options
from wavelic.codec.target import Target
from wavelic.codec.weights import family
from wavelic.errors import UsageError
from wavelic.images import from_array
from wavelic.weconvene import refine
from wavelic.weconvene.context import STEP_UNIT
from wavelic.weconvene.encode import encode_weconvene
from wavelic.weconvene.files import Encoding, step_of_quality
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
    results = [encode_weconvene(image, quality, Options(effort=effort)).data for effort in (1, 5, 7)]
    costs = [_objective(pixels, data, step) for data in results]
    assert len(results[0]) > len(results[1])
    assert costs[1] >= costs[2]
    assert encode_weconvene(image, quality, Options()).data == results[1]
    near = encode_weconvene(image, Target("size", 900), Options(effort=7))
    assert 700 < len(near.data) <= 900
    with pytest.raises(UsageError, match=r"effort 10, expected 1\.\.9"):
        Options(effort=10)


def test_search_by_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Iterations lower the objective, in blocks too; the same file every time; what does not help is not kept."""
    pixels = photograph(128, 128)
    image, model, step = from_array(pixels), load_model(family("weconvene")[-1]), step_of_quality(30)
    plain = Encoding(image, model).file(step)
    done: list[tuple[int, int]] = []
    searched = Encoding(image, model, iterations=40, progress=lambda *a: done.append(a))
    assert _objective(pixels, searched.file(step), step) < _objective(pixels, plain, step)
    assert done[-1][0] == done[-1][1] == 1 + 40 + 1
    two = [Encoding(image, model, iterations=2).file(step) for _ in range(2)]
    assert two[0] == two[1]
    monkeypatch.setattr(refine, "RATE", 9.0)
    monkeypatch.setattr(refine, "BLOCK", 128)
    wide = from_array(photograph(128, 256))
    assert Encoding(wide, model, tile=128, iterations=2).file(step) == Encoding(wide, model, tile=128).file(step)
