"""Codec `jp2`: what other programs say of its files, losslessness, opacity, tiles, markers and targets."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import image

import wavelic
from wavelic.api.files import Options, encode_image, trim
from wavelic.codec.jp2_box import plain_box, unpack_box
from wavelic.codec.target import Target
from wavelic.errors import ChecksumError, FormatError, UsageError
from wavelic.images import Image, Metadata, Resolution, from_array, icc, load_image
from wavelic.jpeg2000 import parse_main_header, read_jp2

PROFILE = icc.from_cicp(9, 8, True, 3)
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'
METADATA = Metadata(PROFILE, b"II*\0\x08\0\0\0\0\0", XMP, None, Resolution.from_dpi(300, 300))
KINDS = [
    (3, 8, Options()),
    (4, 8, Options()),
    (1, 16, Options()),
    (2, 8, Options(resync=True, layers=3)),
    (4, 16, Options(access="windows", layers=4, enhance=True)),
    (3, 8, Options(tile_size=64, layers=2)),
    (3, 16, Options(lossless=True)),
    (4, 8, Options(lossless=True, layers=(0.5, 2.0), access="windows", resync=True)),
    (4, 16, Options(lossless=True, tile_size=64, resync=True)),
]


@pytest.fixture(scope="module", params=KINDS, ids=range(len(KINDS)))
def coded(request: pytest.FixtureRequest) -> tuple[bytes, np.ndarray, Options]:
    channels, bits, options = request.param
    pixels = image(93, 130, channels, bits)
    metadata = METADATA if channels > 2 else replace(METADATA, icc=None)
    target = None if options.lossless else Target("quality", 60)
    return encode_image(Image(pixels, metadata), "jp2", target, options).data, pixels, options


def test_a_validator_finds_nothing(coded: tuple[bytes, np.ndarray, Options], tmp_path: Path) -> None:
    jpylyzer = pytest.importorskip("jpylyzer.jpylyzer")
    path = tmp_path / "a.jp2"
    path.write_bytes(coded[0])
    assert jpylyzer.checkOneFile(str(path)).find("isValid").text == "True"


def test_other_programs_see_the_picture(coded: tuple[bytes, np.ndarray, Options]) -> None:
    data, pixels, _ = coded
    with PIL.Image.open(io.BytesIO(data), formats=["JPEG2000"]) as viewer:
        shown = np.asarray(viewer).reshape(pixels.shape[0], pixels.shape[1], -1).astype(float)
        assert viewer.mode == {1: "I;16", 2: "LA", 3: "RGB", 4: "RGBA"}[pixels.shape[2]]
    ours = wavelic.open(data).read(enhance=False)
    if ours.dtype == np.uint16 and viewer.mode != "I;16":
        ours = ours >> 8
    assert np.abs(shown - ours).max() <= 1


def test_what_comes_back(coded: tuple[bytes, np.ndarray, Options]) -> None:
    data, pixels, options = coded
    file = wavelic.open(data).enhanced(False)
    file.verify()
    assert (file.codec, file.box.plain, file.box.enhance) == ("jp2", True, options.enhance)
    decoded = file.decode()
    assert decoded.metadata == wavelic.open(data).metadata
    assert (decoded.metadata.exif, decoded.metadata.xmp) == (METADATA.exif, XMP)
    assert decoded.metadata.resolution == METADATA.resolution
    colours = pixels.shape[2] - (pixels.shape[2] in (2, 4))
    np.testing.assert_array_equal(decoded.pixels[..., colours:], pixels[..., colours:])
    if options.lossless:
        np.testing.assert_array_equal(decoded.pixels, pixels)
    if not options.enhance:
        np.testing.assert_array_equal(load_image(data).pixels, decoded.pixels)
    assert read_jp2(data).icc == (PROFILE if pixels.shape[2] > 2 else None)
    header = read_jp2(data).header
    assert header.markers == (6 if options.resync else 0)
    assert header.grid.tiles == (6 if options.tile_size else 1)
    if options.layers:
        wanted = len(options.layers) + 1 if isinstance(options.layers, tuple) else options.layers
        assert file.layer_count == wanted
        if not options.tile_size:
            first = trim(data, max_layers=1)
            wavelic.open(first).verify()
            assert wavelic.open(first).codec == "jp2"
            np.testing.assert_array_equal(wavelic.open(first).read(enhance=False), file.read(layers=1))
            if not options.lossless or colours < pixels.shape[2]:
                np.testing.assert_array_equal(file.read(layers=1)[..., colours:], pixels[..., colours:])


@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(1, 4),
    st.sampled_from([np.uint8, np.uint16]),
    st.integers(0, 99),
)
@settings(deadline=None, max_examples=40)
def test_lossless_is_lossless(height: int, width: int, channels: int, kind: type, seed: int) -> None:
    random = np.random.default_rng(seed)
    pixels = random.integers(0, np.iinfo(kind).max, (height, width, channels), kind, endpoint=True)
    np.testing.assert_array_equal(wavelic.decode(wavelic.encode(pixels, "jp2", lossless=True)), pixels)


def test_a_flat_picture_and_the_extremes_are_lossless() -> None:
    for value in (0, 1, 254, 255):
        pixels = np.full((70, 64, 3), value, np.uint8)
        pixels[0, 0] = 255 - value
        np.testing.assert_array_equal(wavelic.decode(wavelic.encode(pixels, "jp2", lossless=True)), pixels)


def test_layers_of_a_lossless_file_rise_to_the_picture_itself() -> None:
    pixels = image(120, 150, 3)
    file = wavelic.open(wavelic.encode(pixels, "jp2", lossless=True, layers=5))
    errors = [np.abs(file.read(layers=n).astype(int) - pixels).mean() for n in range(1, file.layer_count + 1)]
    assert errors == sorted(errors, reverse=True)
    assert (errors[0] > 0, errors[-1], len(errors)) == (True, 0, 5)


def test_turned_pictures_are_coded_upright() -> None:
    exif = bytes.fromhex("49492a0008000000010012010300010000000600000000000000")
    pixels = image(30, 50, 3)
    decoded = wavelic.open(encode_image(Image(pixels, Metadata(exif=exif)), "jp2", options=Options(lossless=True)).data)
    np.testing.assert_array_equal(decoded.read(), np.rot90(pixels, -1))


def test_what_cannot_be_is_said() -> None:
    pixels = image(64, 64, 4)
    for options, message in (
        ({"tile_size": 64}, "without loss only"),
        ({"tile_size": 16, "lossless": True}, "at least 32"),
        ({"lossless": True, "bpp": 1.0}, "lossless given with bpp"),
        ({"codec": "weconvene", "lossless": True}, "it is an option of jp2"),
    ):
        with pytest.raises(UsageError, match=message):
            wavelic.encode(pixels, **{"codec": "jp2", **options})


def test_damage_is_noticed_which_plain_jpeg_2000_does_not() -> None:
    data = bytearray(wavelic.encode(image(64, 64, 3), "jp2"))
    data[-100] ^= 4
    with pytest.raises(ChecksumError):
        wavelic.open(bytes(data))


def test_the_box_of_a_file_of_the_other_kind_is_refused() -> None:
    lossy = wavelic.encode(image(40, 40, 3), "jp2")
    parsed = read_jp2(lossy)
    box = plain_box(True, 8).pack(parsed.codestream)
    assert unpack_box(box, parsed.codestream) == plain_box(True, 8)
    with pytest.raises(FormatError, match=r"says 5/3"):
        wavelic.open(wavelic.jpeg2000.replace_codestream(lossy, parsed.codestream, [box]))


def test_the_enhancement_flag_changes_nothing_else() -> None:
    pixels = from_array(image(40, 40, 3))
    a, b = (read_jp2(encode_image(pixels, "jp2", options=Options(enhance=flag)).data) for flag in (False, True))
    assert a.codestream == b.codestream
    assert parse_main_header(a.codestream).levels == 5
