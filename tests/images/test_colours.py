"""Colours keep their meaning: numbers become profiles that mean the same, and a profile that does not fit goes."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageCms
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_files import chunks_of, noise, pillow_bytes, png

from wavelic.images import Image, Metadata, encode_image, from_array, from_pillow, icc, load_image

DATA = Path(__file__).parents[1] / "data" / "images"
SRGB = PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes()
P3 = [31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000]
BT709 = [31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000]


def shown(pixels: list[list[int]], profile: bytes, mode: str = "RGB") -> np.ndarray:
    """Samples as Little CMS shows them in sRGB: an independent reader of the profile."""
    picture = PIL.Image.fromarray(np.array([pixels], np.uint8))
    source = PIL.ImageCms.ImageCmsProfile(io.BytesIO(profile))
    target = PIL.ImageCms.createProfile("sRGB")
    result = PIL.ImageCms.profileToProfile(picture, source, target, renderingIntent=1, outputMode="RGB")
    return np.asarray(result)[0].astype(int)


def profile_of(*chunks: tuple[bytes, bytes], channels: int = 3) -> bytes | None:
    samples = noise(4, 4, channels)
    return load_image(png(samples, 8, {1: 0, 3: 2}[channels], chunks)).metadata.icc


def gama(value: float) -> tuple[bytes, bytes]:
    return b"gAMA", struct.pack(">I", round(value * 100000))


def chrm(values: list[int]) -> tuple[bytes, bytes]:
    return b"cHRM", struct.pack(">8I", *values)


@pytest.mark.parametrize("gamma", [0.25, 0.55556, 1.0])
@pytest.mark.parametrize("channels", [1, 3])
def test_gamma_means_the_same_light(gamma: float, channels: int) -> None:
    profile = profile_of(gama(gamma), channels=channels)
    assert profile is not None
    values = np.array([20, 90, 180, 255])
    light = (values / 255) ** (1 / gamma)
    expected = 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    given_as = values.tolist() if channels == 1 else [[v] * 3 for v in values.tolist()]
    assert np.abs(shown(given_as, profile) - expected[:, None]).max() <= 1.5


def test_primaries_mean_the_same_colours() -> None:
    profile = profile_of(chrm(P3))
    assert profile is not None
    # the corners of sRGB have these samples in Display P3 (CSS Color 4)
    p3 = [[234, 51, 35], [117, 251, 76], [0, 0, 245], [255, 255, 255], [128, 128, 128]]
    srgb = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [128, 128, 128]]
    assert np.abs(shown(p3, profile) - srgb).max() <= 6


@pytest.mark.parametrize(
    "chunks",
    [
        (),
        ((b"sRGB", b"\0"),),
        ((b"sRGB", b"\0"), gama(0.45455), chrm(BT709)),
        (gama(0.45455),),
        (gama(0.45455), chrm(BT709)),
        ((b"cICP", bytes([1, 13, 0, 1])),),
        ((b"sRGB", b"\0"), gama(1.0)),  # sRGB goes first
        (chrm([31270, 32900, 64000, 33000, 30000, 60000, 64000, 33000]),),  # no triangle
        (gama(0),),
    ],
)
def test_ordinary_and_impossible_colours_need_no_profile(chunks: tuple[tuple[bytes, bytes], ...]) -> None:
    assert profile_of(*chunks) is None


@given(
    st.tuples(*[st.integers(1, 12)] * 2, st.just(0), st.integers(0, 1)) | st.tuples(*[st.integers(0, 255)] * 4),
    st.sampled_from([1, 3]),
)
@settings(deadline=None, max_examples=200)
def test_code_points_are_carried_exactly_or_it_is_said(points: tuple[int, int, int, int], channels: int) -> None:
    image = load_image(png(noise(3, 3, channels), 8, {1: 0, 3: 2}[channels], [(b"cICP", bytes(points))]))
    ordinary = points[0] in (1, 2) and points[1] in (2, 13) and points[3] == 1
    if points[2] != 0:
        assert image.metadata.icc is None
    elif image.metadata.icc is None:
        assert ordinary or any("cICP" in remark for remark in image.remarks)
    else:
        assert icc.cicp(image.metadata.icc) == (*points[:2], 0, int(points[3] == 1))
        written = chunks_of(encode_image(image, "png"))
        assert written[b"cICP"] == bytes((*points[:2], 0, points[3] == 1))
        assert zlib.decompress(written[b"iCCP"].partition(b"\0")[2][1:]) == image.metadata.icc


@pytest.mark.parametrize(("transfer", "white"), [(16, 148), (18, 191)])
def test_hdr_is_shown_with_its_reference_white(transfer: int, white: int) -> None:
    profile = icc.from_cicp(9, transfer, True, 3)
    assert profile is not None
    result = shown([[white] * 3, [white // 2] * 3, [255] * 3], profile)
    assert np.abs(result[0] - 255).max() <= 2
    assert 20 < result[1].mean() < 200
    assert np.abs(result[2] - 255).max() <= 1


def test_the_narrow_range_is_stretched() -> None:
    profile = icc.from_cicp(1, 13, False, 3)
    assert profile is not None
    assert np.abs(shown([[16] * 3, [235] * 3], profile) - [[0] * 3, [255] * 3]).max() <= 2


@given(st.floats(0.3, 3.0), st.sampled_from([1, 3]))
@settings(deadline=None)
def test_the_same_colours_give_the_same_bytes_and_a_sound_profile(gamma: float, channels: int) -> None:
    points = icc.Primaries((0.3127, 0.329), (0.68, 0.32), (0.265, 0.69), (0.15, 0.06))
    profile = icc.from_gamma(gamma, points, channels)
    if profile is None:
        assert channels == 1
        assert abs(1 / gamma - 0.45455) < 0.005
        return
    assert profile == icc.from_gamma(gamma, points, channels)
    assert int.from_bytes(profile[:4], "big") == len(profile)
    assert icc.colour_space(profile) == (b"GRAY" if channels == 1 else b"RGB ")
    PIL.ImageCms.ImageCmsProfile(io.BytesIO(profile))


@pytest.mark.parametrize("name", ["gama1", "chrm_p3", "cicp_pq"])
@pytest.mark.parametrize("format", ["png", "tiff", "jpeg", "webp"])
def test_colours_survive_every_format_that_has_a_place_for_them(name: str, format: str) -> None:
    image = load_image(DATA / f"{name}.png")
    assert image.metadata.icc is not None
    again = load_image(encode_image(image, format))
    assert again.metadata.icc == image.metadata.icc


@pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_a_profile_of_another_colour_space_is_left_out_with_a_remark(format: str) -> None:
    gray = icc.from_gamma(1.0, None, 1)
    mode, profile = ("RGB", gray) if format in ("PNG", "WEBP") else ("L", SRGB)
    image = load_image(pillow_bytes(PIL.Image.new(mode, (8, 8)), format, icc_profile=profile))
    assert image.metadata.icc is None
    assert any("colour profile is for" in remark for remark in image.remarks)


def test_profiles_of_field_files_that_do_not_fit() -> None:
    assert load_image(DATA / "gray_rgbicc.jpg").metadata.icc is None
    with PIL.Image.open(DATA / "cmyk_icc.jpg") as picture:
        image = from_pillow(picture.convert("RGB"))
    assert image.metadata.icc is None
    assert "CMYK" in image.remarks[0]


@pytest.mark.parametrize("format", ["png", "tiff", "jpeg", "webp"])
def test_a_misfit_is_not_written_either(format: str) -> None:
    image = from_array(noise(8, 8, 3), Metadata(icc=icc.from_gamma(1.0, None, 1)))
    assert load_image(encode_image(image, format)).metadata.icc is None


def test_calibrated_colours_of_bmp() -> None:
    p3 = [(0.5151, 0.2412, -0.0011), (0.292, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841)]
    data = bytearray(pillow_bytes(PIL.Image.fromarray(noise(4, 4, 3)), "BMP"))
    pixels = data[54:]
    header = bytearray(struct.pack("<I", 108) + data[18:54] + struct.pack("<4I", 0, 0, 0, 0) + bytes(4))
    end_points = [round(value * 2**30) for xyz in p3 for value in xyz]
    header += struct.pack("<9i3I", *end_points, *[round(1.8 * 65536)] * 3)
    file = (
        bytes(data[:2]) + struct.pack("<IHHI", 14 + 108 + len(pixels), 0, 0, 14 + 108) + bytes(header) + bytes(pixels)
    )
    image = load_image(file)
    assert image.metadata.icc is not None
    assert icc.colour_space(image.metadata.icc) == b"RGB "
    assert image.remarks == ()
    light = (128 / 255) ** 1.8
    expected = 255 * (1.055 * light ** (1 / 2.4) - 0.055)
    assert np.abs(shown([[128] * 3], image.metadata.icc) - expected).max() <= 2


def test_the_profile_in_bmp_and_gif() -> None:
    data = bytearray(pillow_bytes(PIL.Image.fromarray(noise(4, 4, 3)), "BMP"))
    pixels = bytes(data[54:])
    header = struct.pack("<I", 124) + bytes(data[18:54]) + bytes(16) + b"DEBM" + bytes(48)
    header += struct.pack("<IIII", 0, 124 + len(pixels), len(SRGB), 0)
    file = bytes(data[:2]) + struct.pack("<IHHI", 14 + 124 + len(pixels) + len(SRGB), 0, 0, 14 + 124)
    assert load_image(file + header + pixels + SRGB).metadata.icc == SRGB

    gif = pillow_bytes(PIL.Image.fromarray(noise(4, 4, 3)).quantize(8), "GIF")
    blocks = b"".join(bytes([len(SRGB[i : i + 255])]) + SRGB[i : i + 255] for i in range(0, len(SRGB), 255))
    at = 13 + (3 << (gif[10] & 7) + 1)
    with_profile = gif[:at] + b"\x21\xff\x0bICCRGBG1012" + blocks + b"\0" + gif[at:]
    assert load_image(with_profile).metadata.icc == SRGB
    assert load_image(gif).metadata.icc is None


@pytest.mark.parametrize(("primaries", "transfer"), [(9, 16), (9, 18), (12, 13), (1, 13)])
def test_code_points_of_avif(primaries: int, transfer: int) -> None:
    data = bytearray(pillow_bytes(PIL.Image.fromarray(noise(16, 16, 3)), "AVIF"))
    at = data.index(b"colrnclx") + 8
    data[at : at + 4] = struct.pack(">HH", primaries, transfer)
    profile = load_image(bytes(data)).metadata.icc
    assert (
        profile is None if (primaries, transfer) == (1, 13) else icc.cicp(profile or b"") == (primaries, transfer, 0, 1)
    )


def test_an_image_keeps_its_remarks_apart_from_its_samples() -> None:
    image = Image(noise(2, 2, 3), remarks=("one",))
    assert image.remarks == ("one",)
    assert from_array(image.pixels).remarks == ()
