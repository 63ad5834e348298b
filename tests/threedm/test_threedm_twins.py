"""Twins of `3dm` as codecs for `wavelic eval`: their own weights, files that any program decodes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from paths import ROOT

import wavelic
from benchmarks.studies.threedm_twins import PLAIN
from wavelic.codec.options import psnr
from wavelic.codec.weights import family
from wavelic.container import read_container
from wavelic.errors import ModelError
from wavelic.evaluation.outside import load_outside
from wavelic.evaluation.own import OutsideCodec


@pytest.fixture
def _weights(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    monkeypatch.setenv("WAVELIC_WEIGHTS", str(ROOT / "results" / "threedm" / "weights"))


def picture() -> np.ndarray:
    y, x = np.mgrid[0:70, 0:110]
    shades = [120 + 60 * np.sin(x / (9 + k)) + 40 * (y > 30 + 5 * k) + 20 * np.cos(y / 4) for k in range(3)]
    return np.stack(shades, -1).clip(0, 255).astype(np.uint8)


@pytest.mark.usefixtures("_weights")
def test_more_quality_takes_more_bytes_and_files_decode_by_what_they_name() -> None:
    pixels = picture()
    files = [PLAIN.encode(pixels, quality) for quality in (10, 50, 90)]
    reached = [psnr(pixels, wavelic.decode(data)) for data in files]
    assert sorted(map(len, files)) == [len(data) for data in files]
    assert reached == sorted(reached)
    assert reached[-1] > reached[0] + 3
    for data in files:
        assert read_container(data).header.model == PLAIN.card.file_id
        np.testing.assert_array_equal(PLAIN.decode(data), wavelic.decode(data))


@pytest.mark.usefixtures("_weights")
def test_a_twin_within_reach_changes_nothing_for_the_codec_itself() -> None:
    data = wavelic.encode(picture(), "3dm", 50)
    assert read_container(data).header.model == family("3dm")[-1].file_id != PLAIN.card.file_id


@pytest.mark.usefixtures("_weights")
def test_the_evaluation_takes_it_and_states_its_weights() -> None:
    reference = f"{ROOT / 'benchmarks' / 'studies' / 'threedm_twins.py'}:PLAIN"
    assert load_outside(reference).name == "3dm-plain"
    codec = OutsideCodec(reference)
    assert codec.name == "3dm-plain"
    assert PLAIN.card.hash[:12] in codec.description


def test_without_its_weights_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WAVELIC_WEIGHTS", raising=False)
    with pytest.raises(ModelError, match="no weights for '3dm-plain'"):
        PLAIN.encode(picture(), 50)
