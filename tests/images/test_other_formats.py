"""JPEG, GIF, BMP and the rest: what only their own blocks say; damage, what is not supported, and writers' limits."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from image_files import noise, pillow_bytes, png

from wavelic.errors import ImageError, OutputError, UsageError
from wavelic.images import Metadata, encode_image, from_array, list_images, load_image, save_image
from wavelic.images.folder import IMAGE_EXTENSIONS, is_image_name
from wavelic.images.photoshop import photoshop_block

BMP = pillow_bytes(PIL.Image.new("RGB", (4, 4)), "BMP")
IPTC = b"\x1c\x02\x05\x00\x05title"


def segment(marker: int, payload: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def jpeg(*segments: bytes, mode: str = "RGB", **options: object) -> bytes:
    """A JPEG of Pillow with segments behind its JFIF segment."""
    data = pillow_bytes(PIL.Image.fromarray(noise(16, 24, 3)).convert(mode), "JPEG", **options)
    end = 4 + int.from_bytes(data[4:6], "big")
    return data[:end] + b"".join(segments) + data[end:]


@pytest.mark.parametrize("parts", [1, 2])
def test_iptc_of_a_jpeg_even_in_two_segments(parts: int) -> None:
    block = b"8BIM\x04\x25\0\0\0\0\0\x03abc\0" + photoshop_block(IPTC)
    cut = len(block) if parts == 1 else 20
    found = [segment(0xED, b"Photoshop 3.0\0" + part) for part in (block[:cut], block[cut:]) if part]
    assert load_image(jpeg(*found)).metadata.iptc == IPTC


def test_an_extended_xmp_packet_is_remarked() -> None:
    image = load_image(jpeg(segment(0xE1, b"http://ns.adobe.com/xmp/extension/\0" + bytes(60))))
    assert "XMP" in image.remarks[0]


def test_further_pictures_in_a_jpeg_are_remarked() -> None:
    pictures = [PIL.Image.fromarray(noise(16, 24, 3, seed=seed)) for seed in range(3)]
    image = load_image(pillow_bytes(pictures[0], "MPO", save_all=True, append_images=pictures[1:]))
    assert image.pixels.shape == (16, 24, 3)
    assert "2 more pictures" in image.remarks[0]


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (jpeg(mode="CMYK"), "CMYK"),
        (jpeg().replace(b"\xff\xc0\x00\x11\x08", b"\xff\xc1\x00\x11\x0c"), "12 bits"),
        (jpeg().replace(b"\xff\xc0\x00\x11\x08", b"\xff\xc3\x00\x11\x08"), "lossless"),
        (b"Pf\n4 4\n-1.0\n" + bytes(64), "F, expected"),
        (b"P3 1 1 1023\n9 9 9\n", "decimal digits is not supported"),
        (BMP.replace(b"\1\0\x18\0", b"\1\0\x40\0"), "not supported"),
    ],
)  # fmt: skip
def test_what_is_not_supported_is_not_called_damaged(data: bytes, cause: str) -> None:
    with pytest.raises(ImageError, match=cause) as caught:
        load_image(data)
    assert "damaged" not in str(caught.value)
    assert "get it again" not in str(caught.value)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF", "GIF", "BMP", "WEBP"])
def test_what_is_damaged_is_not_called_unsupported(format: str) -> None:
    data = pillow_bytes(PIL.Image.fromarray(noise(40, 40, 3)), format)
    with pytest.raises(ImageError, match=r"damaged|cut short|no sound"):
        load_image(data[: len(data) // 2])


def test_a_transparent_gif_and_its_xmp() -> None:
    indices = noise(9, 8, depth=2)
    picture = PIL.Image.fromarray(indices, "P")
    picture.putpalette(noise(4, 3).tobytes())
    gif = pillow_bytes(picture, "GIF", transparency=int(indices[2, 3]))
    packet = b"<x:xmpmeta>" + bytes(range(1, 256)) + b"</x:xmpmeta>"
    at = 13 + (3 << (gif[10] & 7) + 1)
    trailer = b"\x01" + bytes(range(255, -1, -1)) + b"\0"
    image = load_image(gif[:at] + b"\x21\xff\x0bXMP DataXMP" + packet + trailer + gif[at:])
    assert image.metadata.xmp == packet
    np.testing.assert_array_equal(image.alpha() == 0, indices == indices[2, 3])


@pytest.mark.parametrize(
    ("name", "shape", "limit"),
    [("webp", (1, 16384, 3), 16383), ("webp", (16384, 1, 3), 16383), ("jpeg", (1, 65501, 3), 65500)],
)
def test_sides_that_a_format_cannot_hold_are_named(
    name: str, shape: tuple[int, ...], limit: int, tmp_path: Path
) -> None:
    image = from_array(np.zeros(shape, np.uint8))
    with pytest.raises(UsageError, match=f"{name} cannot hold .* at most {limit}; write png"):
        save_image(image, tmp_path / f"a.{name}")
    assert list(tmp_path.iterdir()) == []


def test_what_pillow_refuses_is_about_the_image_and_not_about_permissions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("encoder error -2 when writing image file")

    monkeypatch.setattr(PIL.Image.Image, "save", refuse)
    with pytest.raises(OutputError, match="webp cannot hold") as caught:
        save_image(from_array(noise(4, 4, 3)), tmp_path / "a.webp")
    assert "permission" not in str(caught.value)


def test_metadata_that_a_format_has_no_room_for_is_said() -> None:
    with pytest.raises(OutputError, match="jpeg cannot hold"):
        encode_image(from_array(noise(4, 4, 3), Metadata(exif=b"II*\0" + bytes(70000))), "jpeg")


def test_every_format_that_is_read_is_listed_in_a_folder(tmp_path: Path) -> None:
    picture = PIL.Image.fromarray(noise(8, 8, 3))
    for extension in IMAGE_EXTENSIONS:
        format = PIL.Image.registered_extensions().get(extension, "JPEG2000")
        path = tmp_path / f"a{extension}"
        gray = extension in (".pgm", ".pbm")
        path.write_bytes(pillow_bytes(picture.convert("L") if gray else picture, format))
        assert load_image(path).width == 8
    (tmp_path / "._a.png").write_bytes(b"AppleDouble")
    (tmp_path / "notes.txt").write_bytes(b"text")
    (tmp_path / "folder.png").mkdir()
    assert [path.suffix for path in list_images(tmp_path)] == sorted(IMAGE_EXTENSIONS)
    assert is_image_name("somewhere/A.JP2")
    assert not is_image_name("somewhere/._A.jp2")


@pytest.mark.parametrize("maximum", [1, 100, 255, 256, 1000, 1023, 65534, 65535])
@pytest.mark.parametrize("channels", [1, 3])
def test_portable_pixmaps_of_any_maximum(maximum: int, channels: int) -> None:
    samples = np.random.default_rng(0).integers(0, maximum + 1, (7, 5, channels))
    body = samples.astype(">u2" if maximum > 255 else "u1").tobytes()
    image = load_image(b"P%d 5 7 %d\n" % (5 if channels == 1 else 6, maximum) + body)
    full = 255 if maximum <= 255 else 65535
    assert np.abs(image.pixels - samples * (full / maximum)).max() <= 0.5 + 1e-9


def test_other_files_are_no_images() -> None:
    for data in (b"just text", b"\x0a\x05\x01\x08 looks like PCX", b"\0\0\x02 looks like TGA", b"\x01\xda like SGI"):
        with pytest.raises(ImageError, match="not an image wavelic reads"):
            load_image(data)


def test_readers_take_a_stream_at_any_position(tmp_path: Path) -> None:
    data = png(noise(5, 6, 3), 8, 2)
    (tmp_path / "a").write_bytes(data)
    with (tmp_path / "a").open("rb") as stream:
        stream.seek(7)
        assert load_image(stream).width == 6
