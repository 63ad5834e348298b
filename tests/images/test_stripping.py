"""Metadata of files is stripped without touching their samples, and the picture is shown as before."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import wavelic
from wavelic.errors import FormatError, UsageError
from wavelic.images import Metadata, Resolution, icc, load_image, orientation_of, stripped_metadata
from wavelic.images.stripping_jp2 import stripped_jp2
from wavelic.jpeg2000 import read_jp2

DATA = Path(__file__).parents[1] / "data" / "images"


def test_the_orientation_alone_stays_where_samples_are_not_turned() -> None:
    metadata = load_image(DATA / "side6.jpg").metadata
    left = stripped_metadata(metadata)
    assert orientation_of(left) == 6
    assert len(left.exif or b"") == 26
    assert left == Metadata(exif=left.exif)
    assert stripped_metadata(Metadata(b"i", None, b"x", b"\x1c", Resolution(Fraction(1), Fraction(2)))) == Metadata()


@pytest.mark.parametrize("what", ["all", "gps"])
@pytest.mark.parametrize("name", ["tagged.jp2", "icc.jp2", "own.jp2", "own16ga.jp2", "trail.jp2"])
def test_jp2_files_keep_their_codestream_and_lose_what_is_said(name: str, what: str) -> None:
    data = (DATA / name).read_bytes()
    before, after = wavelic.open(data).decode(), wavelic.open(stripped_jp2(data, what)).decode()
    np.testing.assert_array_equal(after.pixels, before.pixels)
    assert read_jp2(stripped_jp2(data, what)).codestream == read_jp2(data).codestream
    assert after.metadata == stripped_metadata(before.metadata, what)


def test_the_profile_and_the_resolution_of_our_files_go() -> None:
    for channels in (1, 3):
        metadata = Metadata(icc=icc.from_gamma(1.0, None, channels), resolution=Resolution.from_dpi(300, 300))
        image = wavelic.Image(np.zeros((32, 40, channels), np.uint8), metadata)
        data = wavelic.encode(image, "lifting")
        bare = read_jp2(stripped_jp2(data))
        assert (bare.icc, bare.resolution, bare.colour) == (None, None, 17 if channels == 1 else 16)
        assert stripped_jp2(data, "gps") == data


def test_what_cannot_be_stripped_is_refused() -> None:
    with pytest.raises(FormatError, match="JP2"):
        stripped_jp2((DATA / "pad1.j2k").read_bytes())
    with pytest.raises(UsageError, match="all, gps"):
        stripped_jp2((DATA / "icc.jp2").read_bytes(), "exif")
