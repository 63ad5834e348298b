"""PNG read by its chunks: every depth and colour type, before and after IDAT, and what cannot be kept is said."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_files import noise, png, png_chunk

from wavelic.errors import ImageError
from wavelic.images import load_image, orientation_of

DATA = Path(__file__).parents[1] / "data" / "images"
EXIF = bytes.fromhex("49492a0008000000010012010300010000000600000000000000")  # orientation 6
XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"
KINDS = [(0, 1), (0, 2), (0, 4), (0, 8), (0, 16), (2, 8), (2, 16), (4, 8), (4, 16), (6, 8), (6, 16)]
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


def full_range(samples: np.ndarray, depth: int) -> np.ndarray:
    return samples if depth >= 8 else samples * np.uint8(255 // (2**depth - 1))


@pytest.mark.parametrize(("colour", "depth"), KINDS)
@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (5, 3), (13, 17)])
def test_every_kind_of_samples(colour: int, depth: int, interlaced: bool, height: int, width: int) -> None:
    samples = noise(height, width, CHANNELS[colour], depth=depth)
    image = load_image(png(samples, depth, colour, interlaced=interlaced))
    np.testing.assert_array_equal(image.pixels, full_range(samples, depth))
    assert [remark for remark in image.remarks if "bilevel" not in remark] == []


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
@pytest.mark.parametrize("alphas", [0, 1, 2])
def test_palettes_of_every_depth(depth: int, alphas: int) -> None:
    colours = noise(2**depth, 3, seed=1)
    alpha = np.full(2**depth, 255, np.uint8)
    alpha[:alphas] = (0, 99)[:alphas]
    indices = noise(9, 14, 1, depth=depth)
    before = [(b"PLTE", colours.tobytes())] + ([(b"tRNS", alpha[:alphas].tobytes())] if alphas else [])
    pixels = load_image(png(indices, depth, 3, before)).pixels
    np.testing.assert_array_equal(pixels[..., :3], colours[indices[..., 0]])
    assert pixels.shape[2] == 3 + (alphas > 0)
    if alphas:
        np.testing.assert_array_equal(pixels[..., 3], alpha[indices[..., 0]])


@pytest.mark.parametrize(("colour", "depth"), [kind for kind in KINDS if kind[0] in (0, 2)])
@pytest.mark.parametrize("high_bits", [0, 0xFFFF])
def test_the_transparent_colour_at_every_depth(colour: int, depth: int, high_bits: int) -> None:
    samples = noise(13, 11, CHANNELS[colour], depth=depth)
    key = samples[4, 5].astype(np.uint16)
    stored = key | (high_bits & ~(2**depth - 1) & 0xFFFF)  # bits above the depth do not count
    pixels = load_image(png(samples, depth, colour, [(b"tRNS", stored.astype(">u2").tobytes())])).pixels
    np.testing.assert_array_equal(pixels[..., :-1], full_range(samples, depth))
    clear = (samples == key).all(axis=2)
    np.testing.assert_array_equal(pixels[..., -1], np.where(clear, 0, np.iinfo(pixels.dtype).max))


@pytest.mark.parametrize("place", ["before", "after"])
@pytest.mark.parametrize("compressed", [False, True])
def test_metadata_on_either_side_of_the_samples(place: str, compressed: bool) -> None:
    text = b"XML:com.adobe.xmp\0" + (b"\1\0\0\0" + zlib.compress(XMP) if compressed else b"\0\0\0\0" + XMP)
    chunks = [(b"eXIf", EXIF), (b"iTXt", text), (b"pHYs", struct.pack(">IIB", 23622, 11811, 1))]
    image = load_image(png(noise(6, 7, 3), 8, 2, **{place: chunks}))
    assert (image.metadata.exif, image.metadata.xmp) == (EXIF, XMP)
    assert image.metadata.resolution is not None
    assert image.metadata.resolution.dpi == (600, 300)


@pytest.mark.parametrize("kind", ["exif", "APP1", "iptc", "8bim", "xmp", "icc"])
@pytest.mark.parametrize("chunk", [b"tEXt", b"zTXt"])
def test_blocks_that_imagemagick_writes_as_text(kind: str, chunk: bytes) -> None:
    iptc = b"\x1c\x02\x05\x00\x05title"
    resource = b"Photoshop 3.0\08BIM\x04\x04\0\0" + struct.pack(">I", len(iptc)) + iptc
    icc = bytearray(200)
    icc[16:20], icc[36:40] = b"RGB ", b"acsp"
    block = {"exif": b"Exif\0\0" + EXIF, "APP1": b"Exif\0\0" + EXIF, "iptc": iptc, "8bim": resource, "xmp": XMP,
             "icc": bytes(icc)}[kind]  # fmt: skip
    text = f"\n{kind}\n{len(block):8d}\n{block.hex()}\n".encode()
    key = b"Raw profile type " + kind.encode() + b"\0"
    body = key + (b"\0" + zlib.compress(text) if chunk == b"zTXt" else text)
    image = load_image(png(noise(4, 4, 3), 8, 2, after=[(chunk, body)]))
    stored = image.metadata.blocks()
    expected = {"APP1": "exif", "8bim": "iptc"}.get(kind, kind)
    assert list(stored) == [expected]
    assert stored[expected] == {"exif": EXIF, "iptc": iptc, "xmp": XMP, "icc": bytes(icc)}[expected]


@pytest.mark.parametrize("name", ["im.png", "exif_after.png"])
def test_files_of_other_programs_with_exif_behind_the_samples(name: str) -> None:
    assert orientation_of(load_image(DATA / name).metadata) == 6


@pytest.mark.parametrize("kind", [b"eXIf", b"tRNS", b"iCCP", b"teSt"])
def test_a_damaged_ancillary_chunk_is_left_out_with_a_remark(kind: bytes) -> None:
    samples = noise(5, 6, 3)
    chunk = bytearray(png_chunk(kind, b"payload"))
    chunk[-1] ^= 1
    data = png(samples, 8, 2)
    image = load_image(data[:33] + chunk + data[33:])
    np.testing.assert_array_equal(image.pixels, samples)
    assert any(kind.decode() in remark and "damaged" in remark for remark in image.remarks)


@pytest.mark.parametrize("kind", [b"IHDR", b"IDAT"])
def test_a_damaged_critical_chunk_is_damage(kind: bytes) -> None:
    data = bytearray(png(noise(5, 6, 3), 8, 2))
    data[data.index(kind) + 6] ^= 1
    with pytest.raises(ImageError, match="damaged"):
        load_image(bytes(data))


def test_an_unknown_critical_chunk_is_not_supported() -> None:
    with pytest.raises(ImageError, match="ABCD is not supported"):
        load_image(png(noise(5, 6, 3), 8, 2, [(b"ABCD", b"")]))


def test_missing_rows_are_damage_even_if_they_would_be_black() -> None:
    header = struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header)
    data += png_chunk(b"IDAT", zlib.compress(bytes(9 * 7))) + png_chunk(b"IEND", b"")
    with pytest.raises(ImageError, match="cut short"):
        load_image(data)


@given(st.integers(0, 200))
@settings(deadline=None)
def test_a_file_cut_behind_its_samples_is_read_with_a_remark(cut: int) -> None:
    samples = noise(5, 6, 3)
    data = png(samples, 8, 2, after=[(b"tEXt", b"Comment\0" + b"x" * 200)])
    image = load_image(data[: len(data) - 13 - cut])
    np.testing.assert_array_equal(image.pixels, samples)
    assert any("cut short" in remark for remark in image.remarks)


def test_text_and_hdr_numbers_that_are_left_out_are_named() -> None:
    chunks = [(b"tEXt", b"Author\0somebody"), (b"tEXt", b"Software\0x"), (b"cLLI", bytes(8))]
    remarks = " ".join(load_image(png(noise(5, 6, 3), 8, 2, chunks)).remarks)
    assert "Author" in remarks
    assert "cLLI" in remarks
    assert "Software" not in remarks


def test_animation_is_not_supported_and_one_frame_is_no_animation() -> None:
    for frames in (1, 2):
        data = png(noise(5, 6, 3), 8, 2, [(b"acTL", struct.pack(">II", frames, 0))])
        if frames == 1:
            assert load_image(data).width == 6
        else:
            with pytest.raises(ImageError, match="animated, which is not supported"):
                load_image(data)
