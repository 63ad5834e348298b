"""Codec `bilevel` in files: taken by itself where it fits, exact, small, and refused where it does not fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scans import page

import wavelic
from wavelic.api.files import encode_image
from wavelic.codec.target import Target
from wavelic.container import read_container, write_container
from wavelic.errors import FormatError, UsageError
from wavelic.images import Metadata, from_array


@given(st.integers(1, 70), st.integers(1, 70), st.integers(1, 4), st.integers(0, 2**32))
@settings(deadline=None, max_examples=40)
def test_a_scan_comes_back_bit_for_bit(height: int, width: int, channels: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    pixels = np.repeat(random.integers(0, 2, (height, width, 1), np.uint8) * np.uint8(255), channels, axis=2)
    if channels in (2, 4):
        pixels[..., -1] = random.integers(0, 256, (height, width))
    data = wavelic.encode(pixels)
    file = wavelic.open(data)
    assert file.codec == file.info["codec"] == "bilevel"
    file.verify()
    np.testing.assert_array_equal(file.read(), pixels)
    np.testing.assert_array_equal(wavelic.decode_batch([data, data])[1], pixels)
    x, y = width // 2, height // 3
    np.testing.assert_array_equal(file.read(region=(x, y, width - x, height - y)), pixels[y:, x:])


@pytest.mark.parametrize("format", ["PNG", "TIFF", "BMP", "PPM", "GIF"])
def test_scans_of_every_format_are_kept(format: str, tmp_path: Path) -> None:
    PIL.Image.fromarray(page()).convert("1").save(tmp_path / "scan", format)
    data = wavelic.encode(tmp_path / "scan")
    assert wavelic.open(data).codec == "bilevel"
    np.testing.assert_array_equal(wavelic.decode(data)[..., 0], page())
    assert len(data) < (tmp_path / "scan").stat().st_size


def test_metadata_is_kept_and_stripped() -> None:
    image = from_array(page(), Metadata(exif=b"II*\0\x08\0\0\0\0\0", xmp=b"<x/>"))
    assert wavelic.open(wavelic.encode(image)).metadata == image.metadata
    assert wavelic.open(wavelic.encode(image, strip=True)).metadata == Metadata()


def test_a_named_codec_is_used_and_the_loss_said() -> None:
    encoded = encode_image(from_array(page()), "wcae")
    assert encoded.codec == "wcae"
    assert "codec bilevel keeps such a picture exactly" in encoded.note
    assert encode_image(from_array(page()[:64] // 2), "wcae").note == ""


@pytest.mark.parametrize("kind", ["quality", "psnr", "bpp", "size"])
def test_targets_are_met_by_exactness_or_by_another_codec(kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 2, (64, 64), np.uint8) * np.uint8(255)
    value = {"quality": 5.0, "psnr": 20.0, "bpp": 0.4, "size": 300.0}[kind]
    text, hard = (encode_image(from_array(plane), None, Target(kind, value)) for plane in (page(), noise))  # type: ignore[arg-type]
    small = kind in ("bpp", "size")
    assert text.codec == ("weconvene" if kind == "size" else "bilevel")
    assert hard.codec == ("weconvene" if small else "bilevel")
    assert ("asked for" in text.note) == (kind != "quality")


def test_other_pictures_are_refused_by_name() -> None:
    with pytest.raises(UsageError, match="other samples"):
        wavelic.encode(np.full((8, 8, 3), 7, np.uint8), "bilevel")
    with pytest.raises(UsageError, match=r"access .* given for codec bilevel"):
        wavelic.encode(page(), "bilevel", access="windows")
    assert wavelic.open(wavelic.encode(page(), access="windows")).codec == "weconvene"


@pytest.mark.parametrize(
    "change", [{"gain": 3}, {"bit_depth": 16}, {"model": b"x" * 16}, {"width": 299}, {"height": 9275}]
)
def test_a_header_that_was_not_written_here_is_damage(change: dict[str, object]) -> None:
    container = read_container(wavelic.encode(page()))
    data = write_container(replace(container, header=replace(container.header, **change)))  # type: ignore[arg-type]
    file = wavelic.open(data)
    with pytest.raises((FormatError, wavelic.errors.ModelError)):
        file.verify()


def test_every_damaged_byte_is_noticed() -> None:
    data = wavelic.encode(page(20, 30))
    for position in range(len(data)):
        with pytest.raises(FormatError):
            wavelic.open(data[:position] + bytes([data[position] ^ 0x5A]) + data[position + 1 :]).verify()
