"""The scripts in examples/ run."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from paths import EXAMPLES
from PIL import Image

from wavelic.nn import WaveletConv


@pytest.fixture
def denoise() -> ModuleType:
    spec = importlib.util.spec_from_file_location("denoise", EXAMPLES / "denoise.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_denoisers_are_equally_large_and_take_any_size(denoise: ModuleType) -> None:
    nets = [denoise.Denoiser(width, options) for options, width in denoise.ARMS.values()]
    sizes = [sum(parameter.numel() for parameter in net.parameters()) for net in nets]
    assert sizes[0] == pytest.approx(sizes[1], rel=0.01)
    with torch.inference_mode():
        assert all(net(torch.rand(1, 3, 7, 10)).shape == (1, 3, 7, 10) for net in nets)


def test_the_denoiser_trains(denoise: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)).save(tmp_path / "a.png")
    report = tmp_path / "report.json"
    words = ["denoise.py", str(tmp_path), str(tmp_path), "--steps", "1", "--seeds", "1", "--json", str(report)]
    monkeypatch.setattr(sys, "argv", words)
    denoise.main()
    assert set(json.loads(report.read_text())["arms"]) == set(denoise.ARMS)


def test_video_folds_into_the_batch() -> None:
    """The note in docs/nn.md: every frame by itself."""
    layer, clip = WaveletConv(3, 4, 2), torch.randn(2, 3, 5, 8, 12)
    frames = clip.transpose(1, 2).flatten(0, 1)
    result = layer(frames).unflatten(0, (len(clip), -1)).transpose(1, 2)
    assert result.shape == (2, 4, 5, 4, 6)
    torch.testing.assert_close(result[1, :, 3], layer(clip[1:, :, 3])[0])
