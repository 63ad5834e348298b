"""The Pillow plugin: options are honoured or refused, and metadata is written as Pillow's own writers do."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest

import wavelic
from wavelic.errors import UsageError
from wavelic.images import Metadata, Resolution, from_array, icc
from wavelic.integrations.pillow import WlicImageFile
from wavelic.integrations.pillow_jp2 import LiftingImageFile

DATA = Path(__file__).parents[1] / "data" / "images"
FORMATS = {".wlic": {"codec": "wcae"}, ".jp2": {"codec": "lifting"}}
RGB_PROFILE = icc.from_gamma(1.0, None, 3)


def smooth(height: int = 48, width: int = 64) -> PIL.Image.Image:
    rows, columns = np.mgrid[0:height, 0:width]
    return PIL.Image.fromarray(np.stack([rows * 4, columns * 3, rows + columns], 2).astype(np.uint8))


@pytest.mark.parametrize("extension", FORMATS)
def test_quality_changes_the_size_and_size_is_met(extension: str, tmp_path: Path) -> None:
    sizes = []
    for quality in (10, 40, 90):
        path = tmp_path / f"{quality}{extension}"
        smooth(96, 128).save(path, quality=quality, **FORMATS[extension])
        sizes.append(path.stat().st_size)
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1]
    smooth(96, 128).save(tmp_path / f"s{extension}", size=900, **FORMATS[extension])
    assert (tmp_path / f"s{extension}").stat().st_size <= 900


def test_a_jp2_of_codec_lifting_is_ours_and_one_without_is_pillows(tmp_path: Path) -> None:
    smooth().save(tmp_path / "ours.jp2", codec="lifting", quality=40)
    smooth().save(tmp_path / "plain.jp2")
    smooth().save(tmp_path / "lossy.jp2", quality_mode="dB", quality_layers=[30])
    assert wavelic.open(tmp_path / "ours.jp2").codec == "lifting"
    assert wavelic.open(tmp_path / "plain.jp2").codec == "jpeg2000"
    assert (tmp_path / "lossy.jp2").stat().st_size < (tmp_path / "plain.jp2").stat().st_size
    with PIL.Image.open(tmp_path / "ours.jp2") as ours, PIL.Image.open(tmp_path / "plain.jp2") as plain:
        assert isinstance(ours, LiftingImageFile)
        assert not isinstance(plain, LiftingImageFile)
        np.testing.assert_array_equal(np.asarray(plain), np.asarray(smooth()))
        np.testing.assert_array_equal(np.asarray(ours), wavelic.decode((tmp_path / "ours.jp2").read_bytes()))


@pytest.mark.parametrize(
    ("name", "options", "cause"),
    [
        ("a.wlic", {"optimize": True}, "optimize"),
        ("a.wlic", {"quality_layers": [30]}, "quality_layers"),
        ("a.wlic", {"codec": "lifting"}, "jp2"),
        ("a.wlic", {"quality": 30, "bpp": 1}, "bpp"),
        ("a.wlic", {"quality": 101}, "quality"),
        ("a.wlic", {"codec": "unheard"}, "unheard"),
        ("a.jp2", {"codec": "weconvene"}, "lifting"),
        ("a.jp2", {"bpp": 1}, "codec"),
        ("a.jp2", {"codec": "lifting", "irreversible": True}, "irreversible"),
        ("a.j2k", {"codec": "lifting"}, r"\.jp2"),
    ],
)
def test_options_that_cannot_be_honoured_are_refused_and_no_file_stays(
    name: str, options: dict[str, object], cause: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=cause):
        smooth().save(tmp_path / name, **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("extension", FORMATS)
def test_a_picture_that_was_turned_is_shown_as_it_is(extension: str) -> None:
    with PIL.Image.open(DATA / "side6.jpg") as opened:
        turned = opened.transpose(PIL.Image.Transpose.ROTATE_270)
    stream = io.BytesIO()
    turned.save(stream, "WLIC" if extension == ".wlic" else "JPEG2000", **FORMATS[extension])
    with PIL.Image.open(stream) as again:
        assert PIL.ImageOps.exif_transpose(again).size == (64, 96)
        assert not again.getexif().get_ifd(0x8825)
    image = wavelic.open(wavelic.encode(turned, FORMATS[extension]["codec"])).decode()
    assert (image.width, image.height, image.metadata.exif) == (64, 96, None)


@pytest.mark.parametrize("extension", FORMATS)
@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("as_bytes", [False, True])
def test_metadata_is_written_where_it_is_given(extension: str, orientation: int, as_bytes: bool) -> None:
    exif = PIL.Image.Exif()
    exif[271], exif[274] = "maker", orientation
    stream = io.BytesIO()
    given = {
        "exif": exif.tobytes() if as_bytes else exif,
        "xmp": b"<x/>",
        "icc_profile": RGB_PROFILE,
        "dpi": (300, 150),
    }
    smooth().save(stream, "WLIC" if extension == ".wlic" else "JPEG2000", **FORMATS[extension], **given)
    with PIL.Image.open(stream) as again:
        assert isinstance(again, WlicImageFile | LiftingImageFile)
        assert again.getexif()[271] == "maker"
        assert (again.info["xmp"], again.info["icc_profile"]) == (b"<x/>", RGB_PROFILE)
        shown = PIL.ImageOps.exif_transpose(again)
        assert shown.size == ((64, 48) if orientation == 1 else (48, 64))
        turned = orientation == 6 and extension == ".jp2"  # where other viewers would not see the tag
        assert again.info["dpi"] == pytest.approx((150, 300) if turned else (300, 150))


@pytest.mark.parametrize("extension", FORMATS)
def test_the_profile_of_the_picture_goes_along_if_it_fits(extension: str) -> None:
    for picture, kept in ((smooth(), True), (smooth().convert("L"), False)):
        picture.info["icc_profile"] = RGB_PROFILE
        stream = io.BytesIO()
        picture.save(stream, "WLIC" if extension == ".wlic" else "JPEG2000", **FORMATS[extension])
        with PIL.Image.open(stream) as again:
            assert again.info.get("icc_profile") == (RGB_PROFILE if kept else None)


@pytest.mark.parametrize("codec", ["weconvene", "wcae", "lifting"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_all_metadata_survives_both_kinds_of_files(codec: str, channels: int) -> None:
    metadata = Metadata(
        icc.from_gamma(1.0, None, channels),
        bytes.fromhex("49492a0008000000010012010300010000000100000000000000"),
        b"<x/>",
        b"\x1c\x02\x05\0\x01t",
        Resolution.from_dpi(600, 300),
    )
    pixels = np.asarray(smooth().convert("RGBA"))[..., :channels]
    data = wavelic.encode(from_array(pixels, metadata), codec)
    assert wavelic.open(data).decode().metadata == metadata
    bare = wavelic.open(wavelic.encode(from_array(pixels, metadata), codec, strip=True)).decode()
    assert bare.metadata == Metadata()


@pytest.mark.parametrize("codec", ["wcae", "lifting"])
def test_a_stripped_picture_is_upright(codec: str) -> None:
    image = wavelic.load_image(DATA / "side6.jpg")
    stripped = wavelic.open(wavelic.encode(image, codec, strip=True)).decode()
    assert (stripped.width, stripped.height) == (64, 96)


def test_files_of_codec_lifting_lie_as_other_viewers_show_them() -> None:
    data = wavelic.encode(wavelic.load_image(DATA / "side6.jpg"), "lifting")
    with PIL.Image.open(io.BytesIO(data), formats=["JPEG2000"]) as other:
        assert other.size == (64, 96)
    image = wavelic.open(data).decode()
    exif = PIL.Image.Exif()
    exif.load(image.metadata.exif)
    assert (image.width, image.height, exif[274]) == (64, 96, 1)
