"""Bilevel pictures: exact, small, and the user is told where they are coded as gray."""

from __future__ import annotations

import io

import numpy as np
import PIL.Image
import PIL.ImageDraw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_files import noise, pillow_bytes, png

from wavelic.errors import FormatError, LimitError, UsageError
from wavelic.images import encode_image, from_array, load_image
from wavelic.images.bilevel import decode_bilevel, encode_bilevel, is_bilevel


def page(height: int = 400, width: int = 300) -> np.ndarray:
    """Lines of text, 0 and 255."""
    picture = PIL.Image.new("1", (width, height), 1)
    draw = PIL.ImageDraw.Draw(picture)
    words = ["the", "quick", "brown", "fox", "jumps", "over", "the", "lazy", "dog", "and", "then", "it", "rests"]
    random = np.random.default_rng(0)
    for row in range(10, height - 20, 14):
        draw.text((10, row), " ".join(random.choice(words, width // 30)), fill=0)
    return np.asarray(picture) * np.uint8(255)


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from(["noise", "black", "white", "page", "one"]))
@settings(deadline=None)
def test_every_picture_comes_back_exactly(height: int, width: int, kind: str) -> None:
    plane = {
        "noise": noise(height, width, depth=1) * np.uint8(255),
        "black": np.zeros((height, width), np.uint8),
        "white": np.full((height, width), 255, np.uint8),
        "page": page()[:height, :width],
        "one": np.eye(height, width, dtype=np.uint8) * np.uint8(255),
    }[kind]
    payload = encode_bilevel(from_array(plane))
    np.testing.assert_array_equal(decode_bilevel(payload, width, height)[..., 0], plane)
    if kind in ("black", "white"):
        assert len(payload) == 2


def test_a_page_of_text_is_smaller_than_any_gray_png() -> None:
    sheet = PIL.Image.fromarray(page(400, 300)).resize((900, 1200), PIL.Image.Resampling.BICUBIC)
    scan = np.asarray(sheet.rotate(0.8, PIL.Image.Resampling.BICUBIC, fillcolor=255))  # laid askew on the glass
    plane = np.where(scan > 127, np.uint8(255), np.uint8(0))
    payload = encode_bilevel(from_array(plane))
    assert payload[0] == 2
    np.testing.assert_array_equal(decode_bilevel(payload, 900, 1200)[..., 0], plane)
    assert len(payload) * 2 < len(encode_image(from_array(plane), "png"))


@pytest.mark.parametrize("size", [(399, 300), (400, 301), (1, 1)])
def test_a_png_of_another_size_is_damage(size: tuple[int, int]) -> None:
    stream = io.BytesIO()
    PIL.Image.fromarray(page()).convert("1").save(stream, "PNG")
    with pytest.raises(FormatError, match="damaged"):
        decode_bilevel(b"\1" + stream.getvalue(), size[1], size[0])


@given(st.binary(max_size=60))
@settings(deadline=None)
def test_damaged_payloads_give_the_size_asked_for_or_a_format_error(payload: bytes) -> None:
    message = "decoded"
    try:
        assert decode_bilevel(payload, 33, 20).shape == (20, 33, 1)
    except FormatError as error:
        message = str(error)
    assert len(message.splitlines()) == 1


def test_limits_and_other_pictures_are_refused() -> None:
    with pytest.raises(LimitError, match="max_pixels"):
        decode_bilevel(b"\0\0", 100, 100, max_pixels=9999)
    for pixels in (noise(4, 4), noise(4, 4, 3), np.zeros((4, 4), np.uint16)):
        assert not is_bilevel(from_array(pixels))
        with pytest.raises(UsageError, match="other samples"):
            encode_bilevel(from_array(pixels))


@pytest.mark.parametrize("format", ["PNG", "TIFF", "BMP", "PPM"])
def test_the_user_is_told_of_a_bilevel_scan(format: str) -> None:
    scan = PIL.Image.fromarray(page()).convert("1")
    image = load_image(pillow_bytes(scan, format))
    assert is_bilevel(image)
    assert any("bilevel" in remark for remark in image.remarks)
    grays = load_image(pillow_bytes(PIL.Image.fromarray(noise(9, 9)), format))
    assert not any("bilevel" in remark for remark in grays.remarks)


def test_a_bilevel_png_with_transparency_is_not_bilevel() -> None:
    data = png(noise(8, 8, 1, depth=1), 1, 0, [(b"tRNS", b"\0\1")])
    assert load_image(data).remarks == ()
