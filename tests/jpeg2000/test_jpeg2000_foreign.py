"""JPEG 2000 of other people: kinds of files wavelic does not write, opened and as input."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from foreign_jpeg2000 import ARRANGED, LOSSLESS, arranged_picture, boxed, cdef, off_origin, packed
from pictures import picture

import wavelic
from wavelic.errors import FormatError, LimitError, UnsupportedError, UsageError
from wavelic.images import load_image
from wavelic.jpeg2000 import (
    GREY,
    SRGB,
    SYCC,
    EncodeOptions,
    Limits,
    decode_codestream,
    encode_codestream,
    merge_components,
    parse_main_header,
    read_jpeg2000,
)
from wavelic.jpeg2000.boxes import box
from wavelic.jpeg2000.header import COD, PPM
from wavelic.jpeg2000.tileparts import tile_parts

DATA = Path(__file__).parents[1] / "data"
AREAS = ((0, 0, 20, 30), (31, 17, 22, 41), (70, 92, 1, 1))


def planes(count: int, bits: int = 8, size: tuple[int, int] = (93, 71)) -> list[np.ndarray]:
    return [picture(*size, bits, seed) for seed in range(count)]


def check_windows(data: bytes, expected: np.ndarray | None = None) -> np.ndarray:
    """The picture, after a comparison of windows with crops at every resolution."""
    file = wavelic.open(data)
    whole = file.read()
    if expected is not None:
        np.testing.assert_array_equal(whole, expected)
    np.testing.assert_array_equal(load_image(data).pixels, whole)
    for reduce in range(file.levels + 1):
        picture = file.read(reduce=reduce)
        assert picture.shape[1::-1] == file.level_dimensions[reduce]
        for x, y, width, height in AREAS:
            rows = slice(-(-y // 2**reduce), -(-(y + height) // 2**reduce))
            columns = slice(-(-x // 2**reduce), -(-(x + width) // 2**reduce))
            if picture[rows, columns].size:
                window = file.read(reduce=reduce, region=(x, y, width, height))
                np.testing.assert_array_equal(window, picture[rows, columns])
    return whole


# --- Colours ---------------------------------------------------------------------------------------------------------
def test_a_palette_has_windows_and_no_resolutions() -> None:
    indices = picture(93, 71, 4)
    table = np.random.default_rng(0).integers(0, 256, (16, 3), np.uint8)
    pclr = box(b"pclr", struct.pack(">HB", 16, 3) + b"\x07" * 3 + table.tobytes())
    cmap = box(b"cmap", b"".join(struct.pack(">HBB", 0, 1, column) for column in range(3)))
    data = boxed(encode_codestream([indices], 4, LOSSLESS), pclr, cmap)
    check_windows(data, table[indices])
    assert wavelic.open(data).levels == 0
    np.testing.assert_array_equal(wavelic.open(data).read_stored()[..., 0], indices)


@pytest.mark.parametrize("steps", [(2, 2), (2, 1), (1, 2), (3, 2)])
@pytest.mark.parametrize("space", [SYCC, 1, 3, 4])
def test_subsampled_chroma_of_every_luma_and_chroma_space(steps: tuple[int, int], space: int) -> None:
    dx, dy = steps
    luma, (cb, cr) = picture(93, 71), planes(2, size=(-(-93 // dy), -(-71 // dx)))
    parts = [encode_codestream([plane], 8, LOSSLESS) for plane in (luma, cb, cr)]
    data = boxed(merge_components(parts, [(1, 1), steps, steps]), colour=space)
    pixels = check_windows(data).astype(float)
    # back to luma and chroma, where nothing was clipped
    red, blue = (0.2126, 0.0722) if space == 1 else (0.299, 0.114)
    y = pixels @ [red, 1 - red - blue, blue]
    scale, offset, chroma = (1, 0, 1) if space in (SYCC, 3) else (219 / 255, 16, 224 / 255)
    rows, columns = np.arange(93) // dy, np.arange(71) // dx
    inside = ((pixels > 0) & (pixels < 255)).all(-1)
    assert inside.sum() > 100
    assert np.abs(y * scale + offset - luma)[inside].max() < 1
    for plane, colour, weight in ((cb, 2, blue), (cr, 0, red)):
        back = (pixels[..., colour] - y) / (2 - 2 * weight) * chroma + 128
        assert np.abs(back - plane[np.ix_(rows, columns)])[inside].max() < 1.5


@pytest.mark.parametrize(("space", "inverted"), [(0, True), (15, False), (GREY, False)])
def test_bilevel_colour_spaces(space: int, inverted: bool) -> None:
    bits = (picture(93, 71) > 128).astype(np.uint8)
    data = boxed(encode_codestream([bits], 1, LOSSLESS), colour=space)
    check_windows(data, ((1 - bits if inverted else bits) * 255)[..., None])


def test_channels_defined_in_full() -> None:
    """Blue, opacity, red, something else, green: the unknown channel goes and is named, the others find their place."""
    stored = planes(5)
    definitions = cdef((0, 0, 3), (1, 1, 0), (2, 0, 1), (3, 65535, 65535), (4, 0, 2))
    data = boxed(encode_five(stored), definitions)
    check_windows(data, np.stack([stored[n] for n in (2, 4, 0, 1)], -1).astype(np.uint8))
    assert any("(3)" in remark for remark in wavelic.open(data).decode().remarks)
    assert load_image(data).remarks == wavelic.open(data).decode().remarks


def encode_five(stored: list[np.ndarray]) -> bytes:
    """More components than one call of the encoder takes."""
    return merge_components([encode_codestream(stored[:3], 8, LOSSLESS), encode_codestream(stored[3:], 8, LOSSLESS)])


def test_colours_multiplied_with_the_opacity() -> None:
    opacity = np.maximum(picture(93, 71), 1).astype(float)
    straight = picture(93, 71, seed=3)
    multiplied = np.rint(straight * opacity / 255).astype(np.uint8)
    data = boxed(encode_codestream([multiplied, opacity.astype(np.uint8)], 8, LOSSLESS), cdef((0, 0, 1), (1, 2, 0)),
                 colour=GREY)  # fmt: skip
    pixels = check_windows(data)
    np.testing.assert_array_equal(pixels[..., 1], opacity)
    assert (np.abs(pixels[..., 0] - straight.astype(float)) <= 127.5 / opacity + 1).all()


def test_a_jpx_file_may_state_its_colours_elsewhere() -> None:
    """An unknown space first and an ICC profile second; or none in the header box, but in that of a layer."""
    stream = encode_codestream(planes(3), 8, LOSSLESS)
    profile = bytes(16) + b"RGB " + bytes(16) + b"acsp" + bytes(160)
    icc = box(b"colr", b"\x02\0\0" + profile)
    expected = np.stack(planes(3), -1)
    for data in (
        boxed(stream, icc, colour=21, brand=b"jpx "),
        boxed(stream, colour=b"\x04\0\0" + bytes(16), brand=b"jpx ") + box(b"jplh", box(b"cgrp", icc)),
    ):
        check_windows(data, expected)
        assert wavelic.open(data).decode().metadata.icc == profile


@pytest.mark.parametrize(("space", "name"), [(12, "CMYK"), (14, "CIELab"), (20, "e-sRGB"), (77, "number 77")])
def test_other_colour_spaces_are_not_supported(space: int, name: str) -> None:
    data = boxed(encode_codestream(planes(3), 8, LOSSLESS), colour=space)
    with pytest.raises(UnsupportedError, match=f"{name} is not supported") as caught:
        wavelic.open(data)
    assert caught.value.exit_code == 10


# --- Samples ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("bits", [1, 5, 8, 10, 12, 16])
@pytest.mark.parametrize("signed", [False, True])
def test_samples_as_they_are_stored(bits: int, signed: bool) -> None:
    shift = 1 << (bits - 1) if signed else 0
    stored = picture(93, 71, bits).astype(np.int32) - shift
    data = boxed(encode_codestream([stored], bits, LOSSLESS, signed=signed), colour=GREY)
    file = wavelic.open(data)
    unscaled = file.read_stored()
    assert unscaled.dtype == f"{'' if signed else 'u'}int{8 if bits <= 8 else 16}"
    np.testing.assert_array_equal(unscaled[..., 0], stored)
    np.testing.assert_array_equal(file.read_stored(region=(3, 4, 20, 10))[..., 0], stored[4:14, 3:23])
    full = 255 if bits <= 8 else 65535
    check_windows(data, np.floor((stored + shift) * (full / (2**bits - 1)) + 0.5)[..., None])
    assert any("signed" in remark for remark in file.decode().remarks) == signed


def test_components_of_different_depths() -> None:
    deep, flat = picture(93, 71, 12), picture(93, 71, 3)
    stream = merge_components([encode_codestream([deep], 12, LOSSLESS), encode_codestream([flat], 3, LOSSLESS)])
    data = boxed(stream, cdef((0, 0, 1), (1, 1, 0)), colour=GREY)
    pixels = check_windows(data)
    assert pixels.dtype == np.uint16
    np.testing.assert_array_equal(pixels[..., 1], np.rint(flat * (65535 / 7)))
    np.testing.assert_array_equal(wavelic.open(data).read_stored(), np.stack([deep, flat], -1))


@pytest.mark.parametrize("origin", [(8, 4), (5, 16), (24, 0)])
@pytest.mark.parametrize("tile", [None, (32, 48)])
def test_an_image_off_the_origin(origin: tuple[int, int], tile: tuple[int, int] | None) -> None:
    options = EncodeOptions(reversible=True, levels=4, tile=tile, colour_transform=True)
    data = off_origin(planes(3), origin, options)
    check_windows(data, np.stack(planes(3), -1))
    assert wavelic.open(data).levels == min(4, {(8, 4): 2, (5, 16): 0, (24, 0): 3}[origin])


# --- Codestreams -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("make", ARRANGED.values(), ids=ARRANGED)
def test_packets_and_headers_in_other_places(make: Callable[[], bytes]) -> None:
    check_windows(make(), arranged_picture())


def test_packed_headers_that_do_not_fit_are_damage() -> None:
    data = packed(encode_codestream(planes(1), 8, EncodeOptions(reversible=True, eph=True)), PPM)
    header = parse_main_header(data)
    first = next(segment for segment in header.segments if segment.marker == PPM)
    for damaged in (
        data[: first.start] + data[first.stop :],
        data[: first.start + 5] + b"\xff" + data[first.start + 6 :],
    ):
        with pytest.raises(FormatError, match=r"PPM|libopenjp2"):
            decode_codestream(damaged)


def test_a_tile_with_parameters_of_its_own() -> None:
    """The second of two tiles codes with other code-blocks, as its COD says."""
    image = picture(64, 128)
    one = EncodeOptions(reversible=True, levels=2, tile=(64, 64))
    first, second = (
        encode_codestream([image], 8, one_of)
        for one_of in (one, EncodeOptions(**{**vars(one), "code_block": (16, 16)}))
    )
    header, other = parse_main_header(first), parse_main_header(second)
    (a, _), (_, b) = tile_parts(first, header), tile_parts(second, other)
    cod = next(second[s.start : s.stop] for s in other.segments if s.marker == COD)
    body = b"\xff\x93" + second[b.start : b.stop]
    sot = struct.pack(">HHHIBB", 0xFF90, 10, 1, 12 + len(cod) + len(body), 0, 1)
    mixed = first[: a.stop] + sot + cod + body + b"\xff\xd9"
    np.testing.assert_array_equal(wavelic.decode(mixed)[..., 0], image)
    with pytest.raises(LimitError, match="max_code_blocks"):
        decode_codestream(mixed, limits=Limits(max_code_blocks=60))
    damaged = mixed.replace(cod, cod[:9] + b"\x63" + cod[10:])
    with pytest.raises(FormatError, match="Part 1"):
        decode_codestream(damaged)


def test_high_throughput_code_blocks_of_another_encoder() -> None:
    """Written by OpenJPH; libopenjp2 decodes windows of such files wrongly, so that they are cut from the whole."""
    data = (DATA / "jpeg2000" / "ht.j2c").read_bytes()
    y, x = np.mgrid[:60, :77]
    expected = np.stack([np.sin(x / 9 + k) + np.cos(y / 7) for k in range(3)], -1)
    np.testing.assert_array_equal(wavelic.decode(data), np.rint((expected + 2) / 4 * 255).astype(np.uint8))
    whole = wavelic.open(data).read(reduce=1)
    np.testing.assert_array_equal(wavelic.open(data).read(reduce=1, region=(11, 9, 20, 30)), whole[5:20, 6:16])
    np.testing.assert_array_equal(wavelic.decode(boxed(data, brand=b"jph ")), wavelic.decode(data))


@pytest.mark.parametrize("tail", [b"\0", b"a line of text\n", bytes(100), b"\0\0\0\x09uuid", bytes(range(200, 250))])
def test_bytes_behind_the_end_do_not_count(tail: bytes) -> None:
    stream = encode_codestream(planes(3), 8, LOSSLESS)
    for data in (stream, boxed(stream)):
        np.testing.assert_array_equal(wavelic.decode(data + tail), np.stack(planes(3), -1))


def test_what_is_of_other_parts_is_not_supported() -> None:
    stream = encode_codestream(planes(3), 8, LOSSLESS)
    header = parse_main_header(stream)
    cod = next(segment.start for segment in header.segments if segment.marker == COD)

    def inserted(segment: bytes) -> bytes:
        return stream[: header.end] + segment + stream[header.end :]

    wrong = {
        "extensions of Part 2": inserted(struct.pack(">HH", 0xFF74, 4) + b"\0\0"),
        "Part 11": inserted(struct.pack(">HH", 0xFF68, 4) + b"\0\0"),
        "component transforms of Part 2": stream[: cod + 8] + b"\x02" + stream[cod + 9 :],
        "capabilities": inserted(struct.pack(">HHIH", 0xFF50, 8, 1 << 16, 0)),
        "38 bits": stream[:42] + b"\x25" + stream[43:],
    }
    for message, data in wrong.items():
        with pytest.raises(UnsupportedError, match=message):
            wavelic.open(data)
    for brand, name in ((b"mjp2", "Motion JPEG 2000"), (b"jpm ", "compound")):
        with pytest.raises(UnsupportedError, match=name):
            wavelic.open(boxed(stream, brand=brand))
    fragments = boxed(stream, brand=b"jpx ").replace(b"jp2c", b"mdat")
    with pytest.raises(UnsupportedError, match="fragments"):
        read_jpeg2000(fragments)


def test_a_lifting_file_has_no_stored_samples() -> None:
    file = wavelic.open((DATA / "images" / "own.jp2").read_bytes())
    with pytest.raises(UsageError, match="as they are stored"):
        file.read_stored()


def test_plain_rgb_is_still_srgb() -> None:
    assert read_jpeg2000(boxed(encode_codestream(planes(3), 8, LOSSLESS))).colour == SRGB
