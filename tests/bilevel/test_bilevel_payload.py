"""Payloads of bilevel pictures: exact, small, damage told from limits."""

from __future__ import annotations

import io

import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_files import noise
from scans import page

from wavelic.bilevel.payload import decode_bilevel, encode_bilevel, is_bilevel
from wavelic.errors import FormatError, LimitError, UsageError
from wavelic.images import encode_image, from_array


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
        assert len(payload) == 2 + 4


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
        decode_bilevel(b"\1" + stream.getvalue() + bytes(4), size[1], size[0])


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
    for pixels in (
        noise(4, 4),
        noise(4, 4, 3),
        np.eye(6, dtype=np.uint8).reshape(2, 6, 3) * 255,
        np.zeros((4, 4), np.uint16),
    ):
        assert not is_bilevel(from_array(pixels))
        with pytest.raises(UsageError, match="other samples"):
            encode_bilevel(from_array(pixels))
