"""Every anchor codes and decodes, and its options reach the encoder."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from wavelic.errors import FormatError, ImageError, UsageError
from wavelic.evaluation.anchors import ANCHORS, REFERENCE_ANCHOR, get_anchor
from wavelic.evaluation.jpeg2000 import lowest_cost
from wavelic.evaluation.metrics import psnr_rgb
from wavelic.evaluation.webp import encode_webp
from wavelic.jpeg2000 import without_packet_lengths


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    """72 x 96 with edges, gradients, texture and colour."""
    generator = np.random.default_rng(3)
    y, x = np.mgrid[:72, :96]
    rgb = np.stack([x * 1.7, y * 2.2, 128 + 90 * np.sin(x * y / 300)], axis=2)
    rgb[20:60, 30:80] = (200, 60, 30)
    return np.clip(rgb + generator.normal(0, 6, rgb.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("name", ANCHORS)
def test_round_trip_and_more_bytes_give_more_quality(name: str, picture: np.ndarray) -> None:
    anchor = get_anchor(name)
    assert anchor.name == name
    assert len(anchor.settings) >= 8
    files = [anchor.encode(picture, setting) for setting in (anchor.settings[1], anchor.settings[-1])]
    decoded = [anchor.decode(data) for data in files]
    assert all(d.shape == picture.shape and d.dtype == np.uint8 for d in decoded)
    assert len(files[0]) < len(files[1])
    assert psnr_rgb(picture, decoded[0]) < psnr_rgb(picture, decoded[1])
    assert psnr_rgb(picture, decoded[1]) > 28


def test_descriptions_name_library_versions() -> None:
    for name in ANCHORS:
        assert any(character.isdigit() for character in get_anchor(name).description.split(";")[-1])


def test_unknown_anchor_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match="jpeg-420"):
        get_anchor("jpeg")
    assert REFERENCE_ANCHOR in ANCHORS


def av1_chroma_subsampled(data: bytes) -> bool:
    """chroma_subsampling_x of the av1C box (AV1 in ISOBMFF, 2.3.3)."""
    start = data.index(b"av1C") + 4
    return bool(data[start + 2] >> 3 & 1)


def test_avif_options_take_effect(picture: np.ndarray) -> None:
    default, best = get_anchor("avif"), get_anchor("avif-best")
    assert av1_chroma_subsampled(default.encode(picture, 50))
    file = best.encode(picture, 50)
    assert not av1_chroma_subsampled(file)

    def saved(**options: object) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(picture).save(
            buffer, "AVIF", quality=50, codec="aom", max_threads=1, autotiling=False, subsampling="4:4:4", **options
        )
        return buffer.getvalue()

    filters = {"enable-cdef": "1", "enable-restoration": "1"}
    assert file == saved(speed=2, advanced={"tune": "psnr", **filters})
    assert file != saved(speed=6, advanced={"tune": "psnr", **filters})
    assert file != saved(speed=2, advanced=filters)
    assert file != saved(speed=2, advanced={"tune": "psnr"})


def test_jpeg_options_take_effect(picture: np.ndarray) -> None:
    for name, factors, progressive in (
        ("jpeg-420", 0x22, False),
        ("jpeg-444", 0x11, False),
        ("jpeg-420-best", 0x22, True),
        ("jpeg-444-best", 0x11, True),
    ):
        data = get_anchor(name).encode(picture, 40)
        frame = data.index(b"\xff\xc2" if progressive else b"\xff\xc0")
        assert data[frame + 11] == factors


def test_jpegxl_effort_takes_effect(picture: np.ndarray) -> None:
    assert get_anchor("jpegxl").encode(picture, 3.0) != get_anchor("jpegxl-best").encode(picture, 3.0)


def test_our_libwebp_binding_is_pillow_s_encoder_with_more_options(picture: np.ndarray) -> None:
    for quality in (10, 50, 90):
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "WEBP", quality=quality, method=6)
        assert encode_webp(picture, quality, noise_shaping=50, sharp_yuv=False) == buffer.getvalue()
        files = {
            encode_webp(picture, quality, noise_shaping=sns, sharp_yuv=y) for sns in (0, 50) for y in (False, True)
        }
        assert len(files) == 4
    with pytest.raises(ImageError, match="16383"):
        encode_webp(np.zeros((1, 16384, 3), np.uint8), 50)


# --- JPEG 2000 codestreams -----------------------------------------------------------------------------------------


def layered(picture: np.ndarray, **options: object) -> bytes:
    buffer = io.BytesIO()
    settings = {"no_jp2": True, "irreversible": True, "mct": 1, "plt": True, "quality_layers": [96, 48, 24, 12]}
    Image.fromarray(picture).save(buffer, "JPEG2000", **{**settings, **options})
    return buffer.getvalue()


def pixels_of(data: bytes, layers: int = 0) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        codec, reduce, _, *rest = image.tile[0].args  # type: ignore[misc]
        image.tile = [image.tile[0]._replace(args=(codec, reduce, layers, *rest))]
        return np.asarray(image)


def test_dropped_layers_decode_to_what_the_decoder_gives_for_these_layers(picture: np.ndarray) -> None:
    """Two ways to the same pixels: our shorter file, and OpenJPEG told to stop at that layer."""
    np.testing.assert_array_equal(
        pixels_of(without_packet_lengths(layered(picture, progression="RPCL"), 2)), pixels_of(layered(picture), 2)
    )
    whole = layered(picture)
    sizes = []
    for layers in (1, 2, 3, 4):
        short = without_packet_lengths(whole, layers)
        np.testing.assert_array_equal(pixels_of(short), pixels_of(whole, layers))
        sizes.append(len(short))
    assert sizes == sorted(set(sizes))
    assert sizes[0] < 0.25 * sizes[3]
    assert sizes[3] < len(whole)


def test_removing_comment_and_plt_changes_no_pixel(picture: np.ndarray) -> None:
    whole = layered(picture, progression="RPCL")
    assert b"\xff\x58" in whole
    short = without_packet_lengths(whole)
    assert b"OpenJPEG" in whole
    assert b"OpenJPEG" not in short
    np.testing.assert_array_equal(pixels_of(short), pixels_of(whole))


def test_packet_lengths_are_not_needed(picture: np.ndarray) -> None:
    bare = without_packet_lengths(layered(picture, plt=False), 2)
    assert bare == without_packet_lengths(layered(picture), 2)


def test_codestreams_that_cannot_be_cut(picture: np.ndarray) -> None:
    with pytest.raises(FormatError, match=r"\.j2k"):
        without_packet_lengths(layered(picture, no_jp2=False), 1)
    with pytest.raises(FormatError, match="one tile"):
        without_packet_lengths(layered(picture, tile_size=(64, 64)), 1)
    with pytest.raises(UsageError, match=r"1\.\.4"):
        without_packet_lengths(layered(picture), 5)
    whole = layered(picture)
    for length in (2, 20, 60, len(whole) // 2):
        with pytest.raises(FormatError):
            without_packet_lengths(whole[:length], 1)


def test_lowest_cost_finds_the_valley() -> None:
    best = lowest_cost(
        lambda rate: round(rate * 1e6).to_bytes(8, "big"),
        lambda data: (np.log(int.from_bytes(data, "big") / 1e6) - np.log(0.4)) ** 2,
        evaluations=16,
    )
    assert int.from_bytes(best, "big") / 1e6 == pytest.approx(0.4, rel=0.02)


def test_slope_orders_the_reference_anchor(picture: np.ndarray) -> None:
    anchor = get_anchor("jpeg2000")
    sizes = [len(anchor.encode(picture, slope)) for slope in (1000, 100, 10)]
    assert sizes == sorted(set(sizes))
