"""A quality means about the same PSNR in the files of every codec of the scale."""

from __future__ import annotations

import json
from importlib import resources

import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures import psnr

import wavelic
from wavelic.codec.quality_scale import TABLE, bpp_to_quality, quality_to_bpp

CODECS = tuple(json.loads(TABLE.read_text())["bpp"])
codec_of_the_scale = st.sampled_from(CODECS)


@given(codec_of_the_scale, st.floats(0, 100), st.floats(0.01, 50))
def test_rates_rise_with_qualities_and_lead_back(codec: str, quality: float, more: float) -> None:
    bpp = quality_to_bpp(quality, codec)
    assert bpp_to_quality(bpp, codec) == pytest.approx(quality, abs=1e-6)
    if quality + more <= 100:
        assert quality_to_bpp(quality + more, codec) > bpp
    assert bpp_to_quality(quality_to_bpp(0, codec) / 9, codec) == 0
    assert bpp_to_quality(quality_to_bpp(100, codec) * 9, codec) == 100


def test_the_table_has_a_rate_for_every_quality() -> None:
    table = json.loads(TABLE.read_text())
    assert table["qualities"][0] == 0
    assert table["qualities"][-1] == 100
    for column in (table["qualities"], table["psnr"], *table["bpp"].values()):
        assert len(column) == len(table["qualities"])
        assert column == sorted(set(column))


@pytest.mark.parametrize("quality", [25, 65])
def test_a_photograph_has_about_the_same_psnr(quality: float) -> None:
    with resources.as_file(resources.files("wavelic.evaluation") / "assets" / "demo.webp") as path:
        photograph = np.asarray(PIL.Image.open(path).convert("RGB"))[128:, 256:]
    found = {
        c: psnr(photograph, wavelic.decode(wavelic.encode(photograph, c, quality))) for c in ("weconvene", *CODECS)
    }
    assert max(found.values()) - min(found.values()) < 2.5, found
