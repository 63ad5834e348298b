"""Resolution and IPTC survive: every unit, both ways, in every format that has a place for them."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st
from image_files import noise, pillow_bytes, tiff

from wavelic.errors import FormatError, OutputError
from wavelic.images import OUTPUT_FORMATS, Metadata, Resolution, encode_image, from_array, left_out, load_image
from wavelic.images.photoshop import iptc_of, photoshop_block

DATA = Path(__file__).parents[1] / "data" / "images"
IPTC = b"\x1c\x02\x05\x00\x05title" + b"\x1c\x02\x50\x00\x06author"
HOLDS = sorted(name for name, kind in OUTPUT_FORMATS.items() if "resolution" in kind.keeps)


def dpi(data: bytes) -> tuple[float, ...]:
    with PIL.Image.open(io.BytesIO(data)) as picture:
        return tuple(float(side) for side in picture.info["dpi"])


@pytest.mark.parametrize("format", HOLDS)
@pytest.mark.parametrize("stated", [(72, 72), (96, 96), (300, 300), (600, 300), (1200, 1200), (2400, 4800)])
def test_whole_dots_per_inch_stay_exactly(format: str, stated: tuple[int, int]) -> None:
    resolution = Resolution.from_dpi(*stated)
    data = encode_image(from_array(noise(4, 6, 3), Metadata(resolution=resolution)), format)
    assert dpi(data) == pytest.approx(stated, abs=0.02)  # as another program reads it
    assert load_image(data).metadata.resolution == resolution


@pytest.mark.parametrize("format", HOLDS)
def test_dots_per_centimetre_stay(format: str) -> None:
    resolution = Resolution.checked(Fraction(11800), Fraction(3900))
    again = load_image(encode_image(from_array(noise(4, 6, 3), Metadata(resolution=resolution)), format))
    assert again.metadata.resolution == resolution


@pytest.mark.parametrize("format", ["jpeg", "png", "tiff"])
def test_the_shape_of_a_pixel_stays(format: str) -> None:
    resolution = Resolution.checked(Fraction(16), Fraction(11), absolute=False)
    data = encode_image(from_array(noise(4, 6, 3), Metadata(resolution=resolution)), format)
    again = load_image(data).metadata.resolution
    assert again is not None
    assert not again.absolute
    assert again.x / again.y == Fraction(16, 11)


@pytest.mark.parametrize("name", ["dpi.tif", "dpi.png", "dpi.jpg"])
@pytest.mark.parametrize("format", HOLDS)
def test_field_files_at_600_dpi(name: str, format: str) -> None:
    image = load_image(DATA / name)
    assert image.metadata.resolution == Resolution.from_dpi(600, 600)
    assert dpi(encode_image(image, format)) == pytest.approx((600, 600), abs=0.02)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF", "BMP"])
def test_files_of_pillow(format: str) -> None:
    data = pillow_bytes(PIL.Image.fromarray(noise(4, 6, 3)), format, dpi=(300, 150))
    assert load_image(data).metadata.resolution == Resolution.from_dpi(300, 150)
    assert load_image(pillow_bytes(PIL.Image.fromarray(noise(4, 6, 3)), "WEBP")).metadata.resolution is None


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("unit", "factor"), [(2, Fraction(10000, 254)), (3, Fraction(100))])
def test_tiff_units(order: str, unit: int, factor: Fraction) -> None:
    data = tiff(noise(4, 6, 3), order, tag282=[(1181, 10)], tag283=[(300, 1)], tag296=unit)
    found = load_image(data).metadata.resolution
    assert found == Resolution(Fraction(1181, 10) * factor, 300 * factor)


@pytest.mark.parametrize("bad", [[(0, 1)], [(1, 0)], [(0, 0)]])
def test_resolutions_that_say_nothing_are_none(bad: list[tuple[int, int]]) -> None:
    assert load_image(tiff(noise(4, 6, 3), tag282=bad, tag283=bad, tag296=2)).metadata.resolution is None
    assert load_image(tiff(noise(4, 6, 3), tag282=[(1, 1)], tag283=[(1, 1)], tag296=1)).metadata.resolution is None


@given(st.fractions(Fraction(1, 10**5), 10**8), st.fractions(Fraction(1, 10**5), 10**8), st.booleans())
def test_the_chunk_comes_back(x: Fraction, y: Fraction, absolute: bool) -> None:
    again = Resolution.unpack(Resolution(x, y, absolute).pack())
    assert again.absolute == absolute
    assert abs(again.x - x) <= x / 10**4
    assert abs(again.y - y) <= y / 10**4
    assert Resolution.unpack(again.pack()) == again


@pytest.mark.parametrize("payload", [b"", bytes(17), b"\2" + b"\0\0\0\1" * 4, bytes(16), b"\1" + b"\0\0\0\1" * 3])
def test_damaged_chunks_are_refused(payload: bytes) -> None:
    with pytest.raises(FormatError, match="resolution"):
        Resolution.unpack(payload)


@given(st.integers(1, 10**6))
def test_samples_per_metre_of_whole_dots_per_inch(stated: int) -> None:
    resolution = Resolution.from_dpi(min(stated, 20000), min(stated, 20000))
    assert resolution is not None
    assert Resolution.from_metre(*resolution.per_metre) == resolution
    odd = Resolution.from_metre(stated, stated)
    assert odd is None or odd.per_metre == (stated, stated)


@pytest.mark.parametrize("format", sorted(name for name, kind in OUTPUT_FORMATS.items() if "iptc" in kind.keeps))
@pytest.mark.parametrize("records", [IPTC, IPTC + b"\x1c\x02\x19\x00\x01k"])
def test_iptc_survives(format: str, records: bytes) -> None:
    image = from_array(noise(8, 8, 3), Metadata(iptc=records, exif=b"II*\0\x08\0\0\0\0\0\0\0\0\0", xmp=b"<x/>"))
    again = load_image(encode_image(image, format)).metadata
    assert (again.iptc, again.xmp) == (records, b"<x/>")


def test_pillow_finds_our_iptc() -> None:
    from PIL.IptcImagePlugin import getiptcinfo

    for format in ("jpeg", "tiff"):
        data = encode_image(from_array(noise(8, 8, 3), Metadata(iptc=IPTC)), format)
        with PIL.Image.open(io.BytesIO(data)) as picture:
            assert (getiptcinfo(picture) or {})[2, 5] == b"title"


def test_iptc_too_long_for_jpeg_is_said() -> None:
    with pytest.raises(OutputError, match="IPTC"):
        encode_image(from_array(noise(8, 8, 3), Metadata(iptc=b"\x1c" + bytes(70000))), "jpeg")


@given(st.binary(max_size=200))
def test_resource_lists_that_are_damaged_hold_nothing_or_records(data: bytes) -> None:
    for block in (data, b"8BIM" + data, b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0" + data):
        found = iptc_of(block)
        assert found is None or (found.startswith(b"\x1c") and found in block)
    assert iptc_of(photoshop_block(b"\x1c" + data)) == b"\x1c" + data


@pytest.mark.parametrize(
    ("format", "lost"), [("ppm", 5), ("bmp", 4), ("webp", 2), ("png", 0), ("tiff", 0), ("jpeg", 0)]
)
def test_what_a_format_has_no_place_for_is_said(format: str, lost: int) -> None:
    image = from_array(noise(4, 4, 3), Metadata(b"i", b"e", b"x", b"\x1c", Resolution.from_dpi(300, 300)))
    remarks = left_out(image, format)
    assert len(remarks) == (lost > 0)
    assert sum(remark.count(",") + 1 for remark in remarks) == lost
    assert left_out(from_array(np.zeros((2, 2), np.uint8)), format) == ()
