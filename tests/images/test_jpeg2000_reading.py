"""JPEG 2000 as input: every bit, channel order, palette and metadata; wavelic's own files as `decode` shows them."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_files import noise

import wavelic
from wavelic.errors import ImageError
from wavelic.images import Metadata, Resolution, load_image, orientation_of
from wavelic.images.readers import jp2 as reader
from wavelic.jpeg2000 import GREY, SRGB, SYCC, EncodeOptions, Uuid, encode_codestream, write_jp2
from wavelic.jpeg2000.boxes import SIGNATURE, box, pack_resolution, unpack_resolution

DATA = Path(__file__).parents[1] / "data" / "images"
LOSSLESS = EncodeOptions(reversible=True, colour_transform=False)
EXIF = bytes.fromhex("49492a0008000000010012010300010000000600000000000000")
ICC = bytes(16) + b"RGB " + bytes(16) + b"acsp" + bytes(160)


def codestream(samples: np.ndarray, bits: int) -> bytes:
    return encode_codestream(
        [plane.astype(np.int32) for plane in np.moveaxis(samples, 2, 0)], bits=bits, options=LOSSLESS
    )


def jp2(samples: np.ndarray, bits: int, *header: bytes, colour: int = SRGB, tail: bytes = b"") -> bytes:
    """A JP2 file with these boxes in its header, behind the colour specification."""
    height, width, channels = samples.shape
    ihdr = box(b"ihdr", struct.pack(">IIHBBBB", height, width, channels, bits - 1, 7, 0, 0))
    colr = box(b"colr", struct.pack(">BBBI", 1, 0, 0, colour))
    ftyp = box(b"ftyp", b"jp2 " + bytes(4) + b"jp2 ")
    stream = box(b"jp2c", codestream(samples, bits))
    return SIGNATURE + ftyp + box(b"jp2h", ihdr + colr + b"".join(header)) + stream + tail


def cdef(*entries: tuple[int, int, int]) -> bytes:
    return box(b"cdef", struct.pack(">H", len(entries)) + b"".join(struct.pack(">HHH", *entry) for entry in entries))


@pytest.mark.parametrize("bits", [1, 2, 4, 7, 8, 9, 10, 12, 15, 16])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("boxed", [False, True])
def test_every_depth(bits: int, channels: int, boxed: bool) -> None:
    samples = noise(17, 13, channels, depth=bits)
    data = jp2(samples, bits, colour=GREY if channels == 1 else SRGB) if boxed else codestream(samples, bits)
    image = load_image(data)
    full = 255 if bits <= 8 else 65535
    np.testing.assert_array_equal(image.pixels, np.floor(samples * (full / (2**bits - 1)) + 0.5))
    assert image.bit_depth == (8 if bits <= 8 else 16)
    assert any("scaled" in remark for remark in image.remarks) == (bits not in (1, 8, 16))


@given(st.permutations([0, 1, 2]), st.booleans(), st.integers(0, 3), st.sampled_from([8, 16]))
@settings(deadline=None, max_examples=40)
def test_colours_in_any_order_with_opacity_anywhere(order: list[int], opaque: bool, place: int, bits: int) -> None:
    """order[c] is the component that holds colour c."""
    wanted = noise(6, 7, 4 - opaque, depth=bits)
    components: list[tuple[int, int, int, np.ndarray]] = []  # type and association of a component, its samples
    for component in range(3):
        colour = order.index(component)
        components.append((0, colour + 1, 0, wanted[..., colour]))
    if not opaque:
        components.insert(place, (1, 0, 0, wanted[..., 3]))
    stored = np.stack([entry[3] for entry in components], axis=2)
    definition = cdef(*((index, kind, association) for index, (kind, association, _, _) in enumerate(components)))
    np.testing.assert_array_equal(load_image(jp2(stored, bits, definition)).pixels, wanted)
    if opaque:  # opening a file for decoding as well
        np.testing.assert_array_equal(wavelic.decode(jp2(stored, bits, definition)), wanted)


def test_the_field_file_with_reordered_colours() -> None:
    scene = load_image(DATA / "scene.png").pixels
    np.testing.assert_array_equal(load_image(DATA / "cdef_bgr.jp2").pixels, scene)
    np.testing.assert_array_equal(wavelic.decode((DATA / "cdef_bgr.jp2").read_bytes()), scene)


@pytest.mark.parametrize("columns", [1, 3, 4])
@pytest.mark.parametrize("depth", [8, 16])
def test_palettes(columns: int, depth: int) -> None:
    table = noise(16, columns, depth=depth)
    indices = noise(9, 11, 1, depth=4)
    entries = b"".join(row.astype(f">u{depth // 8}").tobytes() for row in table)
    pclr = box(b"pclr", struct.pack(">HB", 16, columns) + bytes([depth - 1] * columns) + entries)
    cmap = box(b"cmap", b"".join(struct.pack(">HBB", 0, 1, column) for column in range(columns)))
    alpha = [cdef((0, 0, 1), (1, 0, 2), (2, 0, 3), (3, 1, 0))] if columns == 4 else []
    data = jp2(indices, 4, pclr, cmap, *alpha, colour=GREY if columns == 1 else SRGB)
    np.testing.assert_array_equal(load_image(data).pixels, table[indices[..., 0]])


def test_field_files_with_a_palette_and_with_subsampled_colours_agree_with_pillow() -> None:
    for name in ("palette.jp2", "opj_sycc420.jp2"):
        with PIL.Image.open(DATA / name, formats=["JPEG2000"]) as picture:
            mode, expected = picture.mode, np.asarray(picture.convert("RGB")).astype(int)
        assert mode in ("P", "RGB", "YCbCr")
        assert np.abs(load_image(DATA / name).pixels - expected).mean() < 2


def test_ycc_becomes_rgb() -> None:
    rgb = noise(8, 9, 3).astype(float)
    matrix = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
    ycc = np.clip(np.round(rgb @ matrix.T + [0, 128, 128]), 0, 255).astype(np.uint8)
    pixels = load_image(jp2(ycc, 8, colour=SYCC)).pixels
    assert np.abs(pixels - rgb).max() <= 2


def test_metadata_of_the_boxes() -> None:
    samples = noise(5, 6, 3)
    uuids = [
        Uuid(reader.EXIF_BOXES[0], EXIF),
        Uuid(reader.XMP_BOX, b"<x/>"),
        Uuid(reader.IPTC_BOX, b"\x1c\x02\x05\0\x01t"),
    ]
    resolution = Resolution.from_dpi(600, 300)
    assert resolution is not None
    data = write_jp2(codestream(samples, 8), icc=ICC, uuids=uuids, resolution=(resolution.x, resolution.y))
    image = load_image(data)
    assert image.metadata == Metadata(ICC, EXIF, b"<x/>", b"\x1c\x02\x05\0\x01t", resolution)
    assert wavelic.open(data).decode().metadata == image.metadata
    np.testing.assert_array_equal(image.pixels, samples)


def test_metadata_of_field_files() -> None:
    profile = load_image(DATA / "icc.jp2").metadata.icc
    assert profile is not None
    assert profile[36:40] == b"acsp"
    tagged = load_image(DATA / "tagged.jp2").metadata
    assert orientation_of(tagged) == 6
    assert tagged.xmp is not None
    assert b"creativecommons" in tagged.xmp or b"CC0" in tagged.xmp


@given(st.fractions(min_value="1/1000", max_value=10**7), st.fractions(min_value="1/1000", max_value=10**7))
@settings(deadline=None)
def test_the_resolution_box_comes_back(x: object, y: object) -> None:
    again = unpack_resolution(pack_resolution(x, y))  # type: ignore[arg-type]
    assert again is not None
    assert float(again[0]) == pytest.approx(float(x), rel=2e-4)  # type: ignore[arg-type]
    assert float(again[1]) == pytest.approx(float(y), rel=2e-4)  # type: ignore[arg-type]


@pytest.mark.parametrize("stated", [72, 96, 300, 600, 1200, 2400])
def test_whole_dots_per_inch_fit_the_resolution_box_exactly(stated: int) -> None:
    resolution = Resolution.from_dpi(stated, stated)
    assert resolution is not None
    assert unpack_resolution(pack_resolution(resolution.x, resolution.y)) == (resolution.x, resolution.y)


def test_the_resolution_for_display_counts_where_there_is_no_other() -> None:
    samples = noise(4, 4, 3)
    for inside in (box(b"resd", pack_resolution(*(Resolution.from_dpi(150, 150).x,) * 2)),):  # type: ignore[union-attr]
        found = load_image(jp2(samples, 8, box(b"res ", inside))).metadata.resolution
        assert found == Resolution.from_dpi(150, 150)


@pytest.mark.parametrize("tail", [b"", b"\0", b"\0\0\0", b"abc", bytes(100)])
def test_bytes_behind_the_last_box_do_not_touch_the_picture(tail: bytes) -> None:
    samples = noise(9, 8, 3)
    data = jp2(samples, 8, tail=tail)
    np.testing.assert_array_equal(load_image(data).pixels, samples)
    np.testing.assert_array_equal(wavelic.decode(data), samples)


@pytest.mark.parametrize("tail", [b"", b"\0", b"\xff\xff", bytes(33), b"padding"])
def test_bytes_behind_the_end_of_a_codestream_do_not_touch_the_picture(tail: bytes) -> None:
    samples = noise(9, 8, 3)
    data = codestream(samples, 8) + tail
    np.testing.assert_array_equal(load_image(data).pixels, samples)
    np.testing.assert_array_equal(wavelic.decode(data), samples)


def test_field_files_with_padding() -> None:
    for name in ("pad1.j2k", "trail.jp2"):
        pixels = wavelic.decode((DATA / name).read_bytes())
        assert pixels.shape == (64, 96, 3)
        np.testing.assert_array_equal(load_image(DATA / name).pixels, pixels)


@pytest.mark.parametrize("name", ["own.jp2", "own16ga.jp2"])
def test_own_files_are_read_as_decode_shows_them(name: str) -> None:
    data = (DATA / name).read_bytes()
    image, decoded = load_image(data), wavelic.open(data).decode()
    np.testing.assert_array_equal(image.pixels, decoded.pixels)
    assert image.metadata == decoded.metadata
    assert image.channels == {"own.jp2": 4, "own16ga.jp2": 2}[name]


def test_own_files_are_known_by_the_box_of_codec_lifting() -> None:
    from wavelic.codec import jp2_box as lifting_box

    assert lifting_box.BOX_ID == reader.LIFTING_BOX


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (lambda s: jp2(s, 8, colour=12), "colour space CMYK is not supported"),
        (lambda s: jp2(s, 8, cdef((0, 0, 1), (1, 0, 2), (2, 2, 0))), "not supported"),
        (lambda s: jp2(s, 8, colour=14), "colour space CIELab is not supported"),
        (lambda s: jp2(s, 8, colour=99), "colour space number 99 is not supported"),
        (lambda s: jp2(s, 8, box(b"pclr", b"\0")), "palette.*fetch it again"),
        (lambda s: jp2(s, 8, cdef((9, 0, 1))), "damaged"),
    ],
)
def test_what_is_not_supported_and_what_is_damaged(data: object, cause: str) -> None:
    with pytest.raises(ImageError, match=cause):
        load_image(data(noise(4, 4, 3)))  # type: ignore[operator]


@given(st.binary(max_size=40), st.integers(0, 400))
@settings(deadline=None, max_examples=60)
def test_damage_is_one_error_or_an_image(patch: bytes, position: int) -> None:
    data = bytearray((DATA / "tagged.jp2").read_bytes())
    data[position : position + len(patch)] = patch
    message = "decoded"
    try:
        load_image(bytes(data), max_pixels=10**6)
    except ImageError as error:
        message = str(error)
    assert len(message.splitlines()) == 1
