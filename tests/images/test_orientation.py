"""Shown upright exactly once: turned where Exif does not reach, kept where it does, and what `stripped` takes out."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest
from hypothesis import given
from hypothesis import strategies as st
from image_files import noise, pillow_bytes

from wavelic.errors import UsageError
from wavelic.images import (
    OUTPUT_FORMATS,
    Image,
    Metadata,
    Resolution,
    encode_image,
    from_array,
    from_pillow,
    icc,
    load_image,
    orientation_of,
    stripped,
    upright,
)
from wavelic.images import exif as blocks

DATA = Path(__file__).parents[1] / "data" / "images"
XMP = b'<rdf:Description tiff:Orientation="6" exif:GPSLatitude="52,31N"><exif:GPSAltitude>30/1</exif:GPSAltitude>' \
      b"<exif:GPSMapDatum/><dc:title>GPS</dc:title></rdf:Description>"  # fmt: skip


def exif(orientation: int, order: str = "<", *, gps: bool = True) -> bytes:
    """A block with maker, orientation, resolution, Exif and GPS directories."""
    block = PIL.Image.Exif()
    block.endian = order
    block[271], block[274], block[282], block[283], block[296] = "maker", orientation, 600.0, 300.0, 2
    block.get_ifd(0x8769)[0xA002], block.get_ifd(0x8769)[0xA003] = 8, 5
    if gps:
        block.get_ifd(0x8825)[1], block.get_ifd(0x8825)[2] = "N", (52.0, 31.0, 12.0)
    return block.tobytes()[6:]


def parsed(block: bytes) -> PIL.Image.Exif:
    result = PIL.Image.Exif()
    result.load(b"Exif\0\0" + block)
    return result


def shown(data: bytes) -> np.ndarray:
    """What a viewer that honours Exif shows."""
    with PIL.Image.open(io.BytesIO(data)) as picture:
        return np.asarray(PIL.ImageOps.exif_transpose(picture).convert("RGB"))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("shape", [(5, 8, 3), (1, 1, 1), (9, 4, 2), (6, 6, 4)])
def test_turning_is_what_pillow_shows(orientation: int, order: str, shape: tuple[int, ...]) -> None:
    pixels = noise(*shape)
    image = upright(from_array(pixels, Metadata(exif=exif(orientation, order), xmp=XMP)))
    picture = PIL.Image.fromarray(pixels[..., 0] if shape[2] == 1 else pixels)
    picture.getexif()[274] = orientation
    expected = np.asarray(PIL.ImageOps.exif_transpose(picture)).reshape(image.pixels.shape)
    np.testing.assert_array_equal(image.pixels, expected)
    assert orientation_of(image.metadata) == 1
    if orientation > 1:
        assert b'tiff:Orientation="1"' in (image.metadata.xmp or b"")
    block = parsed(image.metadata.exif or b"")
    sides = [block[282], block[283], block.get_ifd(0x8769)[0xA002], block.get_ifd(0x8769)[0xA003]]
    assert sides == ([300, 600, 5, 8] if orientation >= 5 else [600, 300, 8, 5])
    assert upright(image) is image


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", sorted(OUTPUT_FORMATS))
@pytest.mark.parametrize("strip", [None, "all", "gps"])
def test_every_output_is_shown_upright_once(orientation: int, format: str, strip: str | None) -> None:
    pixels = np.zeros((16, 32, 3), np.uint8)
    pixels[:8, :16] = 255  # one bright corner says how the picture lies
    image = from_array(pixels, Metadata(exif=exif(orientation), xmp=XMP))
    expected = upright(image).pixels
    data = encode_image(stripped(image, strip) if strip else image, format)
    result = shown(data)
    assert result.shape == expected.shape
    assert np.abs(result.astype(int) - expected).mean() < (8 if format == "jpeg" else 0.01)
    again = load_image(data)
    np.testing.assert_array_equal(upright(again).pixels, result)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF", "WEBP", "AVIF"])
def test_every_input_is_shown_upright_once(orientation: int, format: str) -> None:
    pixels = np.zeros((16, 32, 3), np.uint8)
    pixels[:8, :16] = 255
    block = PIL.Image.Exif()
    block[274] = orientation
    data = pillow_bytes(PIL.Image.fromarray(pixels), format, exif=block.tobytes())
    result = upright(load_image(data)).pixels
    expected = upright(from_array(pixels, Metadata(exif=blocks.orientation_block(orientation)))).pixels
    assert result.shape == expected.shape
    assert np.abs(result.astype(int) - expected).mean() < 12


def test_the_field_file_is_upright_in_every_format() -> None:
    image = load_image(DATA / "side6.jpg")
    assert (image.width, image.height) == (96, 64)
    for format in OUTPUT_FORMATS:
        assert shown(encode_image(image, format)).shape == (96, 64, 3)
        assert shown(encode_image(stripped(image), format)).shape == (96, 64, 3)


def test_a_picture_that_pillow_holds_brings_neither_exif_nor_position() -> None:
    with PIL.Image.open(DATA / "side6.jpg") as picture:
        image = from_pillow(picture.transpose(PIL.Image.Transpose.ROTATE_270))
    assert (image.width, image.height) == (64, 96)
    assert (image.metadata.exif, image.metadata.xmp) == (None, None)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("gps", [False, True])
def test_the_position_alone_is_taken_out(order: str, gps: bool) -> None:
    block = exif(6, order, gps=gps)
    image = from_array(noise(4, 5, 3), Metadata(b"icc", block, XMP, b"\x1c", Resolution.from_dpi(300, 300)))
    result = stripped(image, "gps").metadata
    assert result.exif is not None
    left = parsed(result.exif)
    assert 0x8825 not in left
    assert (left[271], left[274], left.get_ifd(0x8769)[0xA002]) == ("maker", 6, 8)
    assert len(result.exif) == len(block)  # nothing has moved
    if not gps:
        assert result.exif == block
    assert (b"N\0" in result.exif) is False or not gps
    assert result.xmp == b'<rdf:Description tiff:Orientation="6"><dc:title>GPS</dc:title></rdf:Description>'
    assert (result.icc, result.iptc, result.resolution) == (b"icc", b"\x1c", image.metadata.resolution)


def test_the_position_of_the_field_file_is_gone_byte_for_byte() -> None:
    image = load_image(DATA / "side6.jpg")
    assert image.metadata.exif is not None
    position = parsed(image.metadata.exif).get_ifd(0x8825)
    assert position
    left = stripped(image, "gps").metadata.exif or b""
    assert not parsed(left).get_ifd(0x8825)
    assert orientation_of(Metadata(exif=left)) == 6


def test_stripping_everything_says_that_colours_go() -> None:
    image = from_array(noise(4, 5, 3), Metadata(icc=icc.from_gamma(1.0, None, 3), exif=exif(6)))
    result = stripped(image)
    assert result.metadata == Metadata()
    assert (result.width, result.height) == (4, 5)
    assert "colour profile" in result.remarks[-1]
    assert stripped(Image(noise(4, 5, 3))).remarks == ()


def test_another_word_for_strip_is_refused() -> None:
    with pytest.raises(UsageError, match="all, gps"):
        stripped(from_array(noise(2, 2)), "exif")


@given(st.binary(max_size=300))
def test_blocks_that_are_no_exif_do_no_harm(block: bytes) -> None:
    for start in (b"", b"II*\0", b"MM\0*", b"II*\0\x08\0\0\0"):
        data = start + block
        assert 1 <= blocks.orientation(data) <= 8
        assert len(blocks.with_orientation(data, 3)) == len(data)
        assert len(blocks.without_gps(data)) == len(data)
        assert len(blocks.with_swapped_sides(data)) == len(data)


def test_a_block_of_the_orientation_alone() -> None:
    for value in range(1, 9):
        block = blocks.orientation_block(value)
        assert blocks.orientation(block) == value
        assert dict(parsed(block)) == {274: value}
