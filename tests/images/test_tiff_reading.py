"""TIFF by its tags: every depth, byte order and channel kind is read in full or refused by name; pages are chosen."""

from __future__ import annotations

import contextlib
import io
import struct
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_files import noise, tiff, tiff_directories

from wavelic.errors import ImageError
from wavelic.images import Metadata, convert_depth, encode_image, from_array, load_image, orientation_of

DATA = Path(__file__).parents[1] / "data" / "images"
ICC = bytes(16) + b"RGB " + bytes(16) + b"acsp" + bytes(160)


def layout(pixels: np.ndarray, order: str = "<", **tags: object) -> dict[int, object]:
    """The tags of a one-strip page of 8-bit samples."""
    height, width, channels = pixels.shape
    return {256: width, 257: height, 258: (8,) * channels, 259: 1, 262: 2 if channels > 2 else 1, 273: 0, 277: channels,
            278: height, 279: pixels.size} | {int(k[3:]): v for k, v in tags.items()}  # fmt: skip


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("planar", [False, True])
def test_every_byte_order_depth_and_channel_count(order: str, depth: int, channels: int, planar: bool) -> None:
    pixels = noise(13, 9, channels, depth=depth)
    tags = {"tag338": 2} if channels in (2, 4) else {}
    image = load_image(tiff(pixels, order, planar=planar and channels > 1, **tags))
    np.testing.assert_array_equal(image.pixels, pixels)
    assert image.remarks == ()


@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize("white_is_zero", [False, True])
def test_gray_of_few_bits(bits: int, white_is_zero: bool) -> None:
    samples = noise(7, 13, 1, depth=bits)
    pixels = load_image(tiff(samples, bits=bits, tag262=int(not white_is_zero))).pixels
    expected = samples * np.uint8(255 // (2**bits - 1))
    np.testing.assert_array_equal(pixels, 255 - expected if white_is_zero else expected)


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_gray_of_10_to_14_bits_is_scaled_with_a_remark(bits: int) -> None:
    tifffile = pytest.importorskip("tifffile")
    pytest.importorskip("imagecodecs")
    samples = noise(9, 16, depth=bits)
    stream = io.BytesIO()
    tifffile.imwrite(stream, samples, bitspersample=bits, photometric="minisblack")
    image = load_image(stream.getvalue())
    np.testing.assert_array_equal(image.pixels[..., 0], np.round(samples * (65535 / (2**bits - 1))))
    assert f"{bits} bits" in image.remarks[0]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("depth", [8, 16])
def test_white_is_zero(order: str, depth: int) -> None:
    pixels = noise(5, 6, 1, depth=depth)
    np.testing.assert_array_equal(load_image(tiff(pixels, order, tag262=0)).pixels, 2**depth - 1 - pixels)


@pytest.mark.parametrize("compression", ["lzw", "deflate", "packbits", "zstd", "lzma", "jpeg"])
@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("predictor", [False, True])
def test_compressions(compression: str, depth: int, predictor: bool) -> None:
    tifffile = pytest.importorskip("tifffile")
    pytest.importorskip("imagecodecs")
    if compression in ("jpeg", "packbits") and (predictor or depth == 16):
        pytest.skip("TIFF has no such combination")
    pixels = np.repeat(noise(20, 30, 3, depth=depth) & (~np.uint16(0) << 4).astype(f"uint{depth}"), 2, axis=1)
    stream = io.BytesIO()
    tifffile.imwrite(stream, pixels, photometric="rgb", compression=compression, predictor=predictor or None)
    result = load_image(stream.getvalue()).pixels
    assert result.shape == pixels.shape
    if compression != "jpeg":
        np.testing.assert_array_equal(result, pixels)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("channels", [2, 4])
def test_premultiplied_alpha_is_undone_with_a_remark(order: str, depth: int, channels: int) -> None:
    full = 2**depth - 1
    straight = noise(12, 11, channels, depth=depth)
    straight[..., -1] |= full & 0xC0  # so that dividing brings the colours back to within one
    straight[0, 0, -1] = 0
    stored = straight.copy()
    stored[..., :-1] = np.round(straight[..., :-1] * (straight[..., -1:] / full))
    image = load_image(tiff(stored, order, tag338=1))
    assert "premultiplied" in image.remarks[0]
    np.testing.assert_array_equal(image.alpha(), straight[..., -1])
    inside = straight[..., -1] > full // 4
    error = np.abs(image.colour().astype(int) - straight[..., :-1])[inside]
    assert error.max() <= 3
    assert (image.colour()[0, 0] == 0).all()


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize(("channels", "extra"), [(4, 0), (5, (2, 0)), (5, (0, 0)), (2, 0), (3, (0, 0)), (4, (0, 0, 0))])
def test_channels_without_a_meaning_are_refused(depth: int, channels: int, extra: object) -> None:
    gray = {"tag262": 1} if isinstance(extra, tuple) and channels - len(extra) == 1 else {}
    with pytest.raises(ImageError, match=r"no stated meaning.*not supported"):
        load_image(tiff(noise(6, 5, channels, depth=depth), tag338=extra, **gray))


def test_the_field_file_with_an_unspecified_channel_is_refused() -> None:
    with pytest.raises(ImageError, match="no stated meaning"):
        load_image(DATA / "t_unspec.tif")


@pytest.mark.parametrize("depth", [8, 16])
def test_a_channel_that_nothing_is_said_of_is_alpha_with_a_remark(depth: int) -> None:
    pixels = noise(6, 5, 4, depth=depth)
    image = load_image(tiff(pixels))
    np.testing.assert_array_equal(image.pixels, pixels)
    assert "taken for alpha" in image.remarks[0]


@pytest.mark.parametrize(
    ("depth", "tags", "cause"),
    [
        (8, {"tag339": (2, 2, 2)}, "signed"),
        (16, {"tag339": (2, 2, 2)}, "signed"),
        (16, {"tag339": (3, 3, 3)}, "floating"),
        (8, {"tag262": 8}, "Lab"),
        (8, {"tag262": 32803}, "raw sensor data"),
        (8, {"tag258": (8, 8, 4)}, "bits"),
    ],
)
@pytest.mark.parametrize("order", ["<", ">"])
def test_samples_of_no_agreed_range_are_not_supported(
    depth: int, tags: dict[str, object], cause: str, order: str
) -> None:
    with pytest.raises(ImageError, match=f"{cause}.*not supported"):
        load_image(tiff(noise(4, 4, 3, depth=depth), order, **tags))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("kind", [{"tag254": 1}, {"tag254": 4}, {"tag255": 2}])
def test_thumbnails_and_masks_beside_the_picture_are_skipped(order: str, first: bool, kind: dict[str, object]) -> None:
    pixels, small = noise(12, 16, 3), noise(3, 4, 3, seed=1)
    pages = [(layout(pixels), pixels.tobytes()), (layout(small, **kind), small.tobytes())]
    image = load_image(tiff_directories(order, pages[::-1] if first else pages))
    np.testing.assert_array_equal(image.pixels, pixels)
    assert bool(image.remarks) == (kind == {"tag254": 4})


def test_two_pages_are_refused_and_a_lone_thumbnail_is_read() -> None:
    pixels = noise(12, 16, 3)
    page = (layout(pixels), pixels.tobytes())
    with pytest.raises(ImageError, match="several pages"):
        load_image(tiff_directories("<", [page, page]))
    np.testing.assert_array_equal(load_image(tiff(pixels, tag254=1)).pixels, pixels)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("second", [False, True])
def test_samples_stay_as_stored_and_the_orientation_is_kept(
    order: str, depth: int, orientation: int, second: bool
) -> None:
    pixels = noise(6, 9, 3, depth=depth)
    thumbnail = noise(2, 3, 3)
    tags = layout(pixels, tag274=orientation) | {258: (depth,) * 3, 279: pixels.nbytes}
    pages = [(tags, pixels.astype(pixels.dtype.newbyteorder(order)).tobytes())]
    if second:
        pages.insert(0, (layout(thumbnail, tag254=1), thumbnail.tobytes()))
    image = load_image(tiff_directories(order, pages))
    np.testing.assert_array_equal(image.pixels, pixels)
    assert orientation_of(image.metadata) == orientation


@pytest.mark.parametrize("order", ["<", ">"])
def test_metadata_tags(order: str) -> None:
    iptc = b"\x1c\x02\x05\x00\x05title"
    image = load_image(
        tiff(noise(4, 4, 3), order, tag34675=ICC, tag700=b"<x/>", tag33723=iptc, tag271=b"maker\0", tag282=[(600, 1)],
             tag283=[(300, 1)], tag296=2)
    )  # fmt: skip
    assert (image.metadata.icc, image.metadata.xmp, image.metadata.iptc) == (ICC, b"<x/>", iptc)
    assert image.metadata.exif is not None
    assert image.metadata.resolution is not None
    assert image.metadata.resolution.dpi == (600, 300)


@pytest.mark.parametrize("orientation", [1, 6])
def test_an_orientation_outlives_exif_that_cannot_be_read(orientation: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise SyntaxError("not a TIFF directory")

    monkeypatch.setattr(PIL.Image.Exif, "load_from_fp", refuse)
    image = load_image(tiff(noise(4, 4, 3, depth=16), tag274=orientation, tag271=b"maker\0"))
    assert orientation_of(image.metadata) == orientation
    assert "Exif" in image.remarks[0]


@pytest.mark.parametrize("order", ["<", ">"])
def test_directories_in_a_circle_end(order: str) -> None:
    pixels = noise(4, 5, 3)
    data = bytearray(tiff(pixels, order, tag254=1))
    (count,) = struct.unpack_from(order + "H", data, 8)
    struct.pack_into(order + "I", data, 10 + 12 * count, 8)  # the next directory is this one
    with contextlib.suppress(ImageError):
        np.testing.assert_array_equal(load_image(bytes(data)).pixels, pixels)


def test_primaries_of_the_file_become_a_profile() -> None:
    white = [(3127, 10000), (3290, 10000)]
    p3 = [(680, 1000), (320, 1000), (265, 1000), (690, 1000), (150, 1000), (60, 1000)]
    srgb = [(640, 1000), (330, 1000), (300, 1000), (600, 1000), (150, 1000), (60, 1000)]
    assert load_image(tiff(noise(4, 4, 3), tag318=white, tag319=p3)).metadata.icc
    assert load_image(tiff(noise(4, 4, 3), tag318=white, tag319=srgb)).metadata.icc is None


def test_exif_of_a_photograph_survives_a_tiff() -> None:
    exif = PIL.Image.Exif()
    exif[271], exif[274] = "maker", 6
    exif.get_ifd(0x8769)[33434] = (1, 50)
    exif.get_ifd(0x8825)[1] = "N"
    image = from_array(noise(5, 6, 3), Metadata(exif=exif.tobytes()[6:]))
    block = load_image(encode_image(image, "tiff")).metadata.exif
    again = PIL.Image.Exif()
    again.load(block)
    assert (again[271], again[274], again.get_ifd(0x8825)[1]) == ("maker", 6, "N")
    assert float(again.get_ifd(0x8769)[33434][0]) == 1


@given(st.binary(max_size=60), st.integers(0, 200))
@settings(deadline=None)
def test_damage_is_one_error_or_an_image(patch: bytes, position: int) -> None:
    data = bytearray(tiff(noise(9, 8, 3, depth=16), ">", tag282=[(1, 1)], tag283=[(1, 1)]))
    data[position : position + len(patch)] = patch
    message = "decoded"
    try:
        assert load_image(bytes(data), max_pixels=10**6).pixels.size
    except ImageError as error:
        message = str(error)
    assert len(message.splitlines()) == 1


def test_a_tiff_without_imagecodecs_is_read_by_pillow_or_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    tifffile = pytest.importorskip("tifffile")
    pytest.importorskip("imagecodecs")

    def missing(self: object, *args: object, **kwargs: object) -> np.ndarray:
        raise ValueError("<COMPRESSION.LZW: 5> requires the 'imagecodecs' package")

    pixels = convert_depth(noise(9, 8, 3), 16)
    stream = io.BytesIO()
    tifffile.imwrite(stream, pixels, photometric="rgb", compression="lzw")
    planar = io.BytesIO()
    tifffile.imwrite(planar, np.moveaxis(pixels, 2, 0), photometric="rgb", compression="lzw", planarconfig="separate")
    monkeypatch.setattr(tifffile.TiffPage, "asarray", missing)
    np.testing.assert_array_equal(load_image(stream.getvalue()).pixels, pixels)
    with pytest.raises(ImageError, match="pip install imagecodecs"):
        load_image(planar.getvalue())
