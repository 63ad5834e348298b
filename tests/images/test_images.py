"""Pixels in and out: no bit and no byte of metadata is lost in silence, and bad input is one clear error."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from wavelic.errors import ImageError, UsageError, WavelicError
from wavelic.images import OUTPUT_FORMATS, Image, Metadata, convert_depth, encode_image, from_array, load_image
from wavelic.images import save_image as save

METADATA = Metadata(
    icc=b"not a profile, but bytes" * 9,
    exif=bytes.fromhex("49492a0008000000010012010300010000000600000000000000"),  # orientation 6
    xmp=b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>",
)
LOSSLESS = [
    (name, channels, depth)
    for name, kind in OUTPUT_FORMATS.items()
    for channels in kind.channels
    for depth in kind.depths
    if name != "jpeg" and (name, channels, depth) not in (("tiff", 2, 16), ("webp", 1, 8))
]


def noise(*shape: int, depth: int = 8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 2**depth, shape).astype(f"uint{depth}")


def pillow_bytes(picture: PIL.Image.Image, format: str, **options: object) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, format, **options)
    return stream.getvalue()


@pytest.mark.parametrize(("name", "channels", "depth"), LOSSLESS)
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 7), (9, 1), (37, 70)])
def test_what_is_written_is_read(name: str, channels: int, depth: int, height: int, width: int) -> None:
    pixels = noise(height, width, channels, depth=depth)
    result = load_image(encode_image(from_array(pixels), name)).pixels
    assert result.dtype == pixels.dtype
    np.testing.assert_array_equal(result, pixels)


def test_tall_images_of_many_filter_blocks_and_strips() -> None:
    pixels = noise(700, 900, 3, depth=16) & 0xFF0F
    for name in ("png", "tiff"):
        np.testing.assert_array_equal(load_image(encode_image(from_array(pixels), name)).pixels, pixels)


def test_jpeg_is_close_and_gray_stays_gray() -> None:
    ramp = np.broadcast_to(np.arange(64, dtype=np.uint8)[:, None] * 3, (64, 64))
    result = load_image(encode_image(from_array(ramp), "jpeg"))
    assert result.channels == 1
    assert np.abs(result.pixels[:, :, 0].astype(int) - ramp).max() <= 4


@pytest.mark.parametrize("name", ["png", "tiff", "jpeg", "webp"])
def test_metadata_survives(name: str) -> None:
    result = load_image(encode_image(from_array(noise(16, 24, 3), METADATA), name))
    assert result.metadata.icc == METADATA.icc
    assert result.metadata.xmp == METADATA.xmp
    assert result.metadata.exif is not None
    if name != "tiff":  # where Exif is part of the file's own structure and is written anew
        assert result.metadata.exif == METADATA.exif
    exif = PIL.Image.Exif()
    exif.load(result.metadata.exif)
    assert exif[274] == 6
    assert result.pixels.shape == (16, 24, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_pixels_stay_as_stored_whatever_the_orientation(orientation: int, format: str) -> None:
    pixels = noise(5, 8, 3)
    exif = PIL.Image.Exif()
    exif[274] = orientation
    result = load_image(pillow_bytes(PIL.Image.fromarray(pixels), format, exif=exif))
    np.testing.assert_array_equal(result.pixels, pixels)
    deep = load_image(encode_image(from_array(convert_depth(pixels, 16), Metadata(exif=exif.tobytes()[6:])), "tiff"))
    np.testing.assert_array_equal(deep.pixels, convert_depth(pixels, 16))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_16_bit_png_agrees_with_another_implementation(channels: int) -> None:
    imagecodecs = pytest.importorskip("imagecodecs")
    pixels = noise(33, 21, channels, depth=16)
    np.testing.assert_array_equal(load_image(imagecodecs.png_encode(pixels.squeeze())).pixels, pixels)
    written = imagecodecs.png_decode(encode_image(from_array(pixels), "png"))
    np.testing.assert_array_equal(written.reshape(pixels.shape), pixels)


def png(pixels: np.ndarray, colour_type: int, *, interlaced: bool = False, extra: bytes = b"") -> bytes:
    """A PNG written the slow and plain way, filter None, 16 bits."""
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    rows = b""
    for x, y, step_x, step_y in passes if interlaced else [(0, 0, 1, 1)]:
        part = pixels[y::step_y, x::step_x].astype(">u2")
        rows += b"".join(b"\0" + row.tobytes() for row in part if row.size)
    header = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 16, colour_type, 0, 0, interlaced)
    data = b"\x89PNG\r\n\x1a\n"
    for kind, body in ((b"IHDR", header), (b"tRNS", extra), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")):
        if body or kind == b"IEND":
            data += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return data


@pytest.mark.parametrize(("channels", "colour_type"), [(1, 0), (2, 4), (3, 2), (4, 6)])
def test_16_bit_interlaced_png(channels: int, colour_type: int) -> None:
    pixels = noise(13, 11, channels, depth=16)
    np.testing.assert_array_equal(load_image(png(pixels, colour_type, interlaced=True)).pixels, pixels)


@pytest.mark.parametrize(("channels", "colour_type"), [(1, 0), (3, 2)])
def test_the_transparent_colour_of_16_bit_png_becomes_alpha(channels: int, colour_type: int) -> None:
    pixels = noise(6, 5, channels, depth=16)
    pixels[2, 3] = np.arange(channels) + 0x1234
    result = load_image(png(pixels, colour_type, extra=pixels[2, 3].astype(">u2").tobytes()))
    np.testing.assert_array_equal(result.colour(), pixels)
    alpha = result.alpha()
    assert alpha is not None
    assert alpha[2, 3] == 0
    assert (np.delete(alpha.ravel(), 2 * 5 + 3) == 65535).all()


def tiff(pixels: np.ndarray, order: str, compression: int, **tags: object) -> bytes:
    """A one-strip TIFF of 16-bit samples, uncompressed (1) or deflated (8)."""
    body = pixels.astype(order + "u2").tobytes()
    body = zlib.compress(body) if compression == 8 else body
    height, width, channels = pixels.shape
    directory = ImageFileDirectory_v2(prefix=b"II" if order == "<" else b"MM")
    layout = {256: width, 257: height, 258: (16,) * channels, 259: compression, 262: 2 if channels > 2 else 1, 273: 0,
              277: channels, 278: height, 279: len(body)}  # fmt: skip
    layout |= {int(tag.removeprefix("tag")): value for tag, value in tags.items()}
    for tag, value in layout.items():
        directory[tag] = value
    start = struct.pack(order + "2sHI", b"II" if order == "<" else b"MM", 42, 8)
    return start + directory.tobytes(8) + body


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("compression", [1, 8])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_16_bit_tiff_of_either_byte_order(order: str, compression: int, channels: int) -> None:
    pixels = noise(31, 23, channels, depth=16)
    tags = {"tag338": 2} if channels == 4 else {}
    np.testing.assert_array_equal(load_image(tiff(pixels, order, compression, **tags)).pixels, pixels)


def test_16_bit_tiff_where_white_is_zero() -> None:
    pixels = noise(5, 6, 1, depth=16)
    np.testing.assert_array_equal(load_image(tiff(pixels, "<", 1, tag262=0)).pixels, 65535 - pixels)


def test_palette_bilevel_and_transparency_are_converted() -> None:
    palette = PIL.Image.fromarray(noise(9, 9, 3)).quantize(16)
    assert load_image(pillow_bytes(palette, "PNG")).channels == 3
    clear = load_image(pillow_bytes(palette, "PNG", transparency=0))
    np.testing.assert_array_equal(clear.alpha() == 0, np.array(palette) == 0)

    mask = PIL.Image.fromarray(noise(9, 9) > 127)
    np.testing.assert_array_equal(load_image(pillow_bytes(mask, "PNG")).pixels[:, :, 0], np.array(mask) * np.uint8(255))

    gray = noise(9, 9)
    clear = load_image(pillow_bytes(PIL.Image.fromarray(gray), "PNG", transparency=int(gray[4, 4])))
    np.testing.assert_array_equal(clear.colour()[:, :, 0], gray)
    np.testing.assert_array_equal(clear.alpha() == 0, gray == gray[4, 4])

    clear = load_image(
        pillow_bytes(PIL.Image.fromarray(noise(9, 9, 3)), "PNG", transparency=tuple(noise(9, 9, 3)[1, 2].tolist()))
    )
    assert clear.channels == 4
    assert clear.pixels[1, 2, 3] == 0


@pytest.mark.parametrize(
    ("picture", "format", "cause"),
    [
        (PIL.Image.new("CMYK", (4, 4)), "JPEG", "CMYK"),
        (PIL.Image.new("CMYK", (4, 4)), "TIFF", "CMYK"),
        (PIL.Image.new("LAB", (4, 4)), "TIFF", "Lab"),
        (PIL.Image.new("F", (4, 4)), "TIFF", "floating point"),
        (PIL.Image.new("I", (4, 4)), "TIFF", "signed integers"),
    ],
)
def test_kinds_wavelic_does_not_code_say_what_to_convert(picture: PIL.Image.Image, format: str, cause: str) -> None:
    with pytest.raises(ImageError, match=rf"{cause}.*; (convert|scale)"):
        load_image(pillow_bytes(picture, format))


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP", "TIFF"])
def test_several_frames_are_refused(format: str) -> None:
    frames = [PIL.Image.fromarray(noise(8, 8, 3) // (i + 1)) for i in range(3)]
    with pytest.raises(ImageError, match=r"(several|animated).*not supported"):
        load_image(pillow_bytes(frames[0], format, save_all=True, append_images=frames[1:]))


@pytest.mark.parametrize("bits", [10, 12])
@pytest.mark.parametrize("channels", [3, 4])
def test_deep_avif_is_read_in_full(bits: int, channels: int) -> None:
    imagecodecs = pytest.importorskip("imagecodecs")
    ramp = np.linspace(0, 2**bits - 1, 32).astype(np.uint16)
    pixels = np.ascontiguousarray(np.broadcast_to(ramp[None, :, None], (24, 32, channels)))
    data = imagecodecs.avif_encode(pixels, level=100, bitspersample=bits)
    image = load_image(bytes(data))
    assert (image.bit_depth, image.channels) == (16, channels)
    expected = np.round(pixels * (65535 / (2**bits - 1)))
    assert np.abs(image.pixels - expected).max() <= 2 * 65535 / (2**bits - 1)
    assert f"{bits} bits" in image.remarks[0]


SEEDS = {
    "PNG": pillow_bytes(PIL.Image.fromarray(noise(40, 40, 3)), "PNG"),
    "JPEG": pillow_bytes(PIL.Image.fromarray(noise(40, 40, 3)), "JPEG"),
    "WEBP": pillow_bytes(PIL.Image.fromarray(noise(40, 40, 3)), "WEBP"),
    "BMP": pillow_bytes(PIL.Image.fromarray(noise(40, 40, 3)), "BMP"),
    "GIF": pillow_bytes(PIL.Image.fromarray(noise(40, 40)), "GIF"),
    "PNG16": encode_image(from_array(noise(40, 40, 3, depth=16)), "png"),
    "TIFF16": encode_image(from_array(noise(40, 40, 3, depth=16)), "tiff"),
    "PPM16": encode_image(from_array(noise(40, 40, 3, depth=16)), "ppm"),
}


@pytest.mark.parametrize("name", SEEDS)
def test_truncated_files_are_refused(name: str) -> None:
    data = SEEDS[name]
    for size in range(1, len(data) - 40, max(1, len(data) // 60)):
        with pytest.raises(ImageError) as caught:
            load_image(data[:size])
        assert len(str(caught.value).splitlines()) == 1


@given(st.sampled_from(sorted(SEEDS)), st.data())
def test_damaged_files_give_an_image_or_an_image_error(name: str, data: st.DataObject) -> None:
    damaged = bytearray(SEEDS[name])
    for position in data.draw(st.lists(st.integers(0, min(len(damaged), 300) - 1), min_size=1, max_size=5)):
        damaged[position] = data.draw(st.integers(0, 255))
    try:
        assert isinstance(load_image(bytes(damaged)), Image)
    except ImageError as error:
        message = str(error)
    else:
        message = "an image"
    assert len(message.splitlines()) == 1


@pytest.mark.parametrize(
    "data", [b"", b"\0", b"just text, no image at all\n" * 50, b"\x89PNG\r\n\x1a\n", b"%!PS-Adobe-3.0"]
)
def test_no_image_is_said_so(data: bytes) -> None:
    with pytest.raises(ImageError):
        load_image(data)


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"nothing\.png does not exist"):
        load_image(tmp_path / "nothing.png")
    with pytest.raises(ImageError, match="folder"):
        load_image(tmp_path)
    (tmp_path / "f.png").write_bytes(b"text")
    with pytest.raises(ImageError, match=r"f\.png is not an image"):
        load_image(tmp_path / "f.png")


HOSTILE = """
import io, struct, sys, time, zlib
import PIL.Image
from wavelic.errors import ImageError
from wavelic.images import load_image
def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
def png(side, depth, colour, zeros):  # in steps of a megabyte: the test itself must stay small
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, depth, colour, 0, 0, 0))
    deflate = zlib.compressobj()
    rows = b"".join(deflate.compress(bytes(1 << 20)) for _ in range(zeros >> 20)) + deflate.flush(zlib.Z_SYNC_FLUSH)
    return b"\\x89PNG\\r\\n\\x1a\\n" + header + chunk(b"IDAT", rows)
def progressive_jpeg(side):  # of 64 x 64 pixels, whose header is changed to say more
    stream = io.BytesIO()
    PIL.Image.new("RGB", (64, 64), "teal").save(stream, "JPEG", progressive=True)
    data = bytearray(stream.getvalue())
    size = data.index(b"\\xff\\xc2") + 5
    data[size : size + 4] = struct.pack(">HH", side, side)
    return bytes(data)
tiff = struct.pack("<2sHIH", b"II", 42, 8, 9)
for tag, kind, value in ((256, 4, 13000), (257, 4, 13000), (258, 3, 8), (259, 3, 8), (262, 3, 1), (273, 4, 200),
                         (277, 3, 1), (278, 4, 13000), (279, 4, 50)):
    tiff += struct.pack("<HHII", tag, kind, 1, value)
cases = [png(13000, 8, 2, 400 << 20), png(13000, 16, 6, 1 << 20), png(60000, 1, 0, 1 << 20), png(70000, 8, 2, 1 << 20),
         progressive_jpeg(13000), tiff + bytes(300),
         b"P6 13000 13000 255\\n" + bytes(1000), b"P6 13000 13000 65535\\n" + bytes(1000), b"P5 65535 65535 255 "]
for number, case in enumerate(cases):
    start = time.process_time()
    try:
        load_image(case)
    except ImageError as error:
        print(number, error, file=sys.stderr)
    else:
        sys.exit(f"case {number} was accepted")
    if time.process_time() - start > 5:
        sys.exit(f"case {number} took {time.process_time() - start:.1f} s")
status = open("/proc/self/status").read()  # ru_maxrss would count the process that started this one
print(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_files_that_claim_more_than_they_hold_cost_little() -> None:
    run = subprocess.run([sys.executable, "-c", HOSTILE], capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) * 1024 < 500e6


def test_the_pixel_limit_is_applied_and_inclusive() -> None:
    data = pillow_bytes(PIL.Image.fromarray(noise(10, 10)), "PNG")
    assert load_image(data, max_pixels=100).width == 10
    with pytest.raises(ImageError, match="max_pixels"):
        load_image(data, max_pixels=99)


def test_depth_conversion_rounds_to_the_nearest_and_8_bits_come_back() -> None:
    every = np.arange(65536, dtype=np.uint16)
    np.testing.assert_array_equal(convert_depth(every, 8), np.floor(every / 257 + 0.5))
    small = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(convert_depth(convert_depth(small, 16), 8), small)
    assert convert_depth(small, 16)[[0, 255]].tolist() == [0, 65535]
    assert convert_depth(small, 8) is small
    with pytest.raises(UsageError):
        convert_depth(small, 10)


@pytest.mark.parametrize(
    "array",
    [np.zeros((4, 4)), np.zeros((4, 4), np.int16), np.zeros((4, 4, 5), np.uint8), np.zeros((0, 4), np.uint8),
     np.zeros((2, 2, 2, 2), np.uint8), np.zeros((1, 65536), np.uint8), "text", np.zeros((4, 4), np.uint32)],
)  # fmt: skip
def test_arrays_of_no_agreed_meaning_are_refused(array: object) -> None:
    with pytest.raises(ImageError):
        from_array(array)


def test_arrays_are_made_contiguous_and_native() -> None:
    pixels = noise(8, 6, 3, depth=16)
    for given_as in (pixels[::-1, ::2], np.asfortranarray(pixels), pixels.astype(">u2"), pixels[:, :, 0]):
        image = from_array(given_as)
        assert image.pixels.flags.c_contiguous
        assert image.pixels.dtype == np.uint16
        np.testing.assert_array_equal(image.pixels.reshape(given_as.shape), given_as)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_colour_and_alpha_are_the_channels(channels: int) -> None:
    image = from_array(noise(3, 5, channels))
    assert (image.width, image.height, image.bit_depth, image.channels) == (5, 3, 8, channels)
    assert image.colour().shape == (3, 5, 1 if channels < 3 else 3)
    assert (image.alpha() is not None) == image.has_alpha == (channels in (2, 4))


@pytest.mark.parametrize(
    ("channels", "depth", "name"), [(4, 8, "jpeg"), (3, 16, "webp"), (2, 8, "bmp"), (2, 16, "tiff"), (3, 8, "xyz")]
)
def test_formats_that_cannot_hold_the_image_are_refused(channels: int, depth: int, name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=name):
        save(from_array(noise(4, 4, channels, depth=depth)), tmp_path / f"out.{name}")
    assert not list(tmp_path.iterdir())


def test_metadata_too_long_for_jpeg_is_our_error() -> None:
    with pytest.raises(WavelicError, match="strip"):
        encode_image(from_array(noise(4, 4, 3), Metadata(exif=b"II*\0" + bytes(70000))), "jpeg")


def test_streams_are_read_and_written(tmp_path: Path) -> None:
    image = from_array(noise(7, 9, 4))
    stream = io.BytesIO()
    save(image, stream)
    stream.seek(0)
    np.testing.assert_array_equal(load_image(stream).pixels, image.pixels)
    save(image, tmp_path / "named.bin", format="png")
    np.testing.assert_array_equal(load_image(str(tmp_path / "named.bin")).pixels, image.pixels)
