"""Codec `lifting` behind the file API, the command line and Pillow, with learned steps that change every picture."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch

import wavelic
from test_cli import error_of, wavelic_cli
from test_lifting_carrier import image, learned, psnr
from wavelic.codecs import carrier_box
from wavelic.codecs.api import Options, encode_image
from wavelic.codecs.carrier import to_components, to_pixels
from wavelic.codecs.lifting_encode import bpp_to_quality, quality_to_bpp
from wavelic.codecs.pillow_jp2 import REGISTERED, LiftingImageFile
from wavelic.codecs.search import Target
from wavelic.errors import ChecksumError, FormatError, LimitError, ModelError, UsageError
from wavelic.images import Image, Metadata
from wavelic.jpeg2000 import read_jp2, replace_codestream
from wavelic.models.lifting_cards import PRODUCT, find_lifting, lifting_id
from wavelic.models.lifting_weights import load_lifting, save_lifting
from wavelic.models.weights import weight_folders

torch.set_num_threads(1)
METADATA = Metadata(b"an ICC profile", b"II*\0 exif", b"<x:xmpmeta/>")


@pytest.fixture(scope="module", autouse=True)
def weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Weights of the product's name in a folder of their own: random, and large enough for margins to matter."""
    folder = tmp_path_factory.mktemp("weights")
    save_lifting(folder / PRODUCT, "Hybrid(9/7)-U16", learned().state_dict(), {"seed": 7})
    before = os.environ.get("WAVELIC_WEIGHTS")
    os.environ["WAVELIC_WEIGHTS"] = str(folder)
    yield folder
    os.environ.pop("WAVELIC_WEIGHTS")
    if before is not None:
        os.environ["WAVELIC_WEIGHTS"] = before


@pytest.fixture(scope="module")
def layered() -> bytes:
    return wavelic.encode(image(140, 187), "lifting", bpp=3, layers=(0.5, 1.5))


# --- Weights -------------------------------------------------------------------------------------------------------


def test_weights_there_and_back(weights: Path, tmp_path: Path) -> None:
    card = find_lifting(PRODUCT)
    transform = load_lifting(PRODUCT)
    assert card.path.parent == weights
    assert load_lifting(lifting_id(card)) is transform
    for name, value in learned().state_dict().items():
        assert torch.equal(transform.state_dict()[name], value.half().float())
    other = save_lifting(tmp_path / "x", "Hybrid(9/7)-U16", transform.state_dict(), {}, luma_only=True)
    assert other.hash != card.hash  # the same numbers, another transform
    with pytest.raises(ModelError, match="does not fit"):
        save_lifting(tmp_path / "y", "Hybrid(9/7)-5c", transform.state_dict(), {})
    with pytest.raises(ModelError, match="no lifting weights 'z'"):
        load_lifting("z")


def test_a_file_whose_weights_are_missing_says_so(layered: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    model = lifting_id(find_lifting(PRODUCT)).hex()
    monkeypatch.setenv("WAVELIC_WEIGHTS", "")
    assert weight_folders()[0].name == "weights"
    file = wavelic.open(layered)
    assert file.info["model"] == "not installed"
    for action in (file.read, file.verify):
        with pytest.raises(ModelError, match=f"hash {model}.*WAVELIC_WEIGHTS"):
            action()


# --- The opened file -----------------------------------------------------------------------------------------------


def test_both_formats_have_the_same_face(layered: bytes, tmp_path: Path) -> None:
    pixels = image(140, 187)
    for codec, levels, layers in (("lifting", 5, 3), ("wcae", 0, 1)):
        data = layered if codec == "lifting" else wavelic.encode(pixels, codec)
        (tmp_path / "misnamed.png").write_bytes(data)
        file = wavelic.open(tmp_path / "misnamed.png")
        assert (file.codec, file.shape, file.bit_depth, file.complete) == (codec, (140, 187, 3), 8, True)
        assert (file.levels, len(file.layers), len(file.level_dimensions)) == (levels, layers, levels + 1)
        assert file.level_dimensions[0] == (187, 140)
        assert file.layers[-1].bytes == len(data) == file.info["bytes"]
        assert file.layers[-1].bpp == pytest.approx(len(data) * 8 / 140 / 187)
        file.verify()
        json.dumps(file.info)
        whole = file.read()
        np.testing.assert_array_equal(whole, wavelic.decode(data))
        np.testing.assert_array_equal(file.decode().pixels, whole)
        window = file.read(region=(50, 33, 70, 41)).astype(int)
        difference = abs(window - whole[33:74, 50:120])
        assert difference.max() <= 1
        assert (difference == 0).mean() >= 0.999
        for request in (
            {"reduce": levels + 1},
            {"reduce": -1},
            {"layers": 0},
            {"layers": layers + 1},
            {"region": (0, 0, 188, 1)},
            {"region": (-1, 0, 5, 5)},
            {"region": (3, 3, 0, 5)},
        ):
            with pytest.raises(UsageError):
                file.read(**request)
    assert wavelic.open(layered).level_dimensions == ((187, 140), (94, 70), (47, 35), (24, 18), (12, 9), (6, 5))


def test_what_is_neither_is_refused(layered: bytes) -> None:
    with pytest.raises(FormatError):
        wavelic.open(b"GIF89a, or so it says")
    with pytest.raises(LimitError, match="max_pixels"):
        wavelic.open(layered, wavelic.container.Limits(max_pixels=1000))
    with pytest.raises(FormatError):
        wavelic.open(layered[:40])


@pytest.mark.parametrize("access", ["whole", "random"])
def test_a_window_is_the_crop_at_every_resolution_and_layer(access: str) -> None:
    data = wavelic.encode(image(301, 260), "lifting", bpp=3, layers=(0.4, 1.2), access=access)
    file = wavelic.open(data)
    equal = []
    for reduce in range(file.levels + 1):
        step = 2**reduce
        for layers in (1, 2, 3):
            whole = file.read(reduce, layers)
            assert whole.shape[1::-1] == file.level_dimensions[reduce]
            for x, y, width, height in ((0, 0, 64, 32), (101, 93, 57, 64), (201, 250, 59, 51)):
                window = file.read(reduce, layers, (x, y, width, height)).astype(int)
                rows = slice(-(-y // step), -(-(y + height) // step))
                columns = slice(-(-x // step), -(-(x + width) // step))
                difference = abs(window - whole[rows, columns])
                assert difference.max() <= 1
                equal.append(difference.ravel() == 0)
    assert np.concatenate(equal).mean() >= 0.999


@pytest.mark.parametrize(
    ("channels", "dtype"), [(1, np.uint8), (2, np.uint8), (3, np.uint8), (4, np.uint8), (3, np.uint16), (4, np.uint16)]
)
def test_kinds_of_images(channels: int, dtype: type) -> None:
    pixels = image(77, 90, channels, 8 * np.dtype(dtype).itemsize)
    data = wavelic.encode(Image(pixels, METADATA), "lifting", quality=100)
    file = wavelic.open(data)
    decoded = file.decode()
    assert (decoded.pixels.dtype, decoded.pixels.shape, decoded.metadata) == (dtype, pixels.shape, METADATA)
    colours = channels - (channels in (2, 4))
    peak = np.iinfo(dtype).max
    assert psnr(decoded.pixels[..., :colours], pixels[..., :colours], peak) > 45
    np.testing.assert_array_equal(decoded.pixels[..., colours:], pixels[..., colours:])  # alpha without loss
    for reduce in (1, 3):
        whole = file.read(reduce)
        width, height = file.level_dimensions[reduce]
        assert whole.shape == (height, width, channels)
        region = (16, 24, 50, 33)
        window = file.read(reduce, region=region).astype(int)
        step = 2**reduce
        crop = whole[24 // step : -(-57 // step), 16 // step : -(-66 // step)]
        assert abs(window - crop).max() <= max(1, peak // 255)
        np.testing.assert_array_equal(window[..., colours:], crop[..., colours:])
    bare = wavelic.encode(Image(pixels, METADATA), "lifting", quality=100, strip=True)
    assert wavelic.open(bare).decode().metadata == Metadata()


def test_sizes_from_one_to_seventy() -> None:
    sides = np.random.default_rng(0).permutation(70) + 1
    for height, width in zip(range(1, 71), sides.tolist(), strict=True):
        pixels = image(height, width, 3 if height % 2 else 1)
        file = wavelic.open(wavelic.encode(pixels, "lifting", quality=100))
        decoded = file.read()
        assert decoded.shape == pixels.shape
        if height * width > 400:  # 8 bits per pixel are few when the headers are most of the file
            assert psnr(decoded, pixels, 255) > 36, (height, width)
        for reduce, (w, h) in enumerate(file.level_dimensions[1:], 1):
            assert file.read(reduce).shape == (h, w, pixels.shape[2])


def test_a_reduced_picture_is_the_learned_low_band() -> None:
    pixels = image(121, 150)
    file = wavelic.open(wavelic.encode(pixels, "lifting", bpp=30))
    transform = load_lifting(PRODUCT)
    for reduce in range(1, 6):
        low = transform.analysis(to_components(pixels), reduce).low
        assert abs(file.read(reduce).astype(int) - to_pixels(low, 8)).max() <= 2


def test_plain_files_are_read_and_opacity_with_them() -> None:
    pixels = image(64, 80, 4)
    for channels in (1, 2, 3, 4):
        part = pixels[..., 0] if channels == 1 else pixels[..., :channels]
        for extension, options in (("jp2", {}), ("j2k", {"no_jp2": True}), ("jp2", {"quality_layers": [20, 5, 1]})):
            stream = io.BytesIO()
            PIL.Image.fromarray(part).save(stream, "JPEG2000", irreversible=False, **options)
            file = wavelic.open(stream.getvalue())
            assert (file.codec, file.info["format"], file.info["model"]) == ("jpeg2000", extension, "none")
            assert file.shape == (64, 80, channels)
            assert abs(file.read().astype(int).reshape(part.shape) - part).max() <= (
                1 if "quality_layers" in options else 0
            )
            np.testing.assert_array_equal(file.read(region=(5, 7, 60, 50)), file.read()[7:57, 5:65])
            assert file.layers[-1].bytes == len(stream.getvalue())
            if "quality_layers" in options:
                assert [layer.bytes for layer in file.layers[:2]] == [None, None]  # no packet lengths


# --- Rates and layers ----------------------------------------------------------------------------------------------


def test_quality_is_a_rate() -> None:
    assert [quality_to_bpp(q) for q in (0, 100)] == [1 / 16, 8]
    assert bpp_to_quality(quality_to_bpp(37)) == pytest.approx(37)
    pixels = image(200, 250)
    sizes = []
    for quality in (20, 45, 70):
        encoded = encode_image(Image(pixels), "lifting", Target("quality", quality))
        assert (encoded.quality, encoded.note, encoded.model) == (quality, "", PRODUCT)
        sizes.append(len(encoded.data) * 8 / 200 / 250)
        assert sizes[-1] == pytest.approx(quality_to_bpp(quality), rel=0.05, abs=300 * 8 / 200 / 250)
    assert sizes == sorted(sizes)


def test_targets_are_met() -> None:
    pixels = image(200, 250)
    for kind, value in (("bpp", 1.0), ("size", 9000), ("psnr", 39.2)):
        encoded = encode_image(Image(pixels), "lifting", Target(kind, value))
        reached = {
            "bpp": len(encoded.data) * 8 / 200 / 250,
            "size": len(encoded.data),
            "psnr": psnr(wavelic.decode(encoded.data), pixels, 255),
        }[kind]
        if kind == "size":  # of so small a file the stock coder's steps are some percent
            assert 0.96 * value <= reached <= value
        else:
            assert abs(reached - value) <= (0.09 if kind == "psnr" else 0.02 * value)
            assert "nearest" not in encoded.note
    impossible = encode_image(Image(pixels), "lifting", Target("size", 10))
    assert "nearest" in impossible.note
    for value in (5.0, 199.0):
        assert "nearest" in encode_image(Image(image(9, 9)), "lifting", Target("psnr", value)).note


def test_layers_as_asked(layered: bytes) -> None:
    pixels = image(140, 187)
    rates = [layer.bpp for layer in wavelic.open(layered).layers]
    assert rates == pytest.approx([0.5, 1.5, 3.0], rel=0.15)  # a layer's size does not count packet lengths
    for count in (1, 2, 7):
        file = wavelic.open(wavelic.encode(pixels, "lifting", bpp=2, layers=count))
        assert len(file.layers) == count
        sizes = [layer.bytes for layer in file.layers]
        assert sizes == sorted(set(sizes))
        quality = [psnr(file.read(layers=k + 1), pixels, 255) for k in range(count)]
        assert quality == sorted(set(quality))
    for layers in (0, 65, (), (0.5, 0.4), (0.0, 1.0)):
        with pytest.raises(UsageError):
            encode_image(Image(pixels), "lifting", None, Options(layers=layers))
    for options in (Options(layers=3), Options(access="random")):
        with pytest.raises(UsageError, match="options of lifting"):
            encode_image(Image(pixels), "wcae", None, options)
    with pytest.raises(UsageError, match="choose whole or random"):
        wavelic.encode(pixels, "lifting", access="windows")


def test_a_layer_is_the_trimmed_file(layered: bytes, tmp_path: Path) -> None:
    file = wavelic.open(layered)
    (tmp_path / "a.jp2").write_bytes(layered)
    for layers in (1, 2, 3):
        out = tmp_path / f"{layers}.jp2"
        assert wavelic_cli("trim", tmp_path / "a.jp2", out, "--max-layers", str(layers)).exit_code == 0
        trimmed = out.read_bytes()
        assert len(trimmed) == file.layers[layers - 1].bytes
        np.testing.assert_array_equal(wavelic.decode(trimmed), file.read(layers=layers))
        wavelic.open(trimmed).verify()
        with PIL.Image.open(io.BytesIO(trimmed), formats=["JPEG2000"]) as viewer:
            assert np.asarray(viewer).shape == (140, 187, 3)
    result = wavelic_cli("trim", tmp_path / "a.jp2", tmp_path / "b.jp2", "--bpp", "2", "--json")
    assert json.loads(result.stdout)["files"][0]["layers"] == 2
    assert (tmp_path / "b.jp2").read_bytes() == (tmp_path / "2.jp2").read_bytes()
    for arguments, part in (
        (["a.jp2", "c.jp2"], "nothing to trim"),
        (["a.jp2", "c.jp2", "--bpp", "0.01"], "first layer"),
        (["a.jp2", "c.wlic", "--bpp", "1"], "does not end in .jp2"),
        (["a.jp2", "b.jp2", "--bpp", "1"], "exists"),
        (["a.jp2", "c.jp2", "--max-layers", "0"], "at least 1"),
    ):
        names = [str(tmp_path / name) if "." in name and name[0].isalpha() else name for name in arguments]
        assert part in error_of(wavelic_cli("trim", *names))
    (tmp_path / "c.wlic").write_bytes(wavelic.encode(image(20, 20)))
    assert "not a JPEG 2000 file" in error_of(
        wavelic_cli("trim", tmp_path / "c.wlic", tmp_path / "d.jp2", "--bpp", "1")
    )


# --- Command line --------------------------------------------------------------------------------------------------


def test_the_command_line(tmp_path: Path) -> None:
    photo, coded = tmp_path / "photo.png", tmp_path / "a.jp2"
    PIL.Image.fromarray(image(90, 120)).save(photo)
    assert wavelic_cli("encode", photo, coded, "--bpp", "2", "--layers", "0.5,1").exit_code == 0  # .jp2 says lifting
    assert [layer.bpp for layer in wavelic.open(coded).layers] == pytest.approx([0.5, 1, 2], rel=0.3)
    assert wavelic_cli("encode", photo, f"{tmp_path}/out/", "--codec", "lifting", "--access", "random").exit_code == 0
    random = wavelic.open(tmp_path / "out" / "photo.jp2").info
    assert (random["progression"], random["precincts"][-1]) == ("RPCL", [256, 256])
    part = ["--reduce", "1", "--max-layers", "2", "--region", "10,20,60,50"]
    assert wavelic_cli("decode", coded, tmp_path / "part.png", *part).exit_code == 0
    expected = wavelic.decode(coded.read_bytes(), reduce=1, layers=2, region=(10, 20, 60, 50))
    np.testing.assert_array_equal(np.asarray(PIL.Image.open(tmp_path / "part.png")), expected)
    assert wavelic_cli("verify", coded).stdout.startswith("OK")
    text = wavelic_cli("info", coded).stdout
    for word in ("codec lifting", PRODUCT, "5 levels on 9/7", "one per resolution", "layers", "checksum"):
        assert word in text
    facts = json.loads(wavelic_cli("info", coded, "--json").stdout)["files"][0]
    assert [layer["layers"] for layer in facts["layers"]] == [1, 2, 3]
    assert sum(chunk["bytes"] for chunk in facts["chunks"]) == facts["bytes"]


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["encode", "photo.png", "x.wlic", "--codec", "lifting"], "does not end in .jp2"),
        (["encode", "photo.png", "x.jp2", "--codec", "wcae"], "does not end in .wlic"),
        (["encode", "photo.png", "x.wlic", "--layers", "3"], "options of lifting"),
        (["encode", "photo.png", "x.jp2", "--layers", "a,b"], "neither a number"),
        (["encode", "photo.png", "x.jp2", "--layers", "2,1"], "ascending"),
        (["encode", "photo.png", "x.jp2", "--access", "fast"], "choose whole or random"),
        (["encode", "photo.png", "x.jp2", "--published"], "mode of wcae"),
        (["decode", "a.jp2", "x.png", "--region", "1,2,3"], "x,y,width,height"),
        (["decode", "a.jp2", "x.png", "--region", "0,0,999,1"], "not inside the image"),
        (["decode", "a.jp2", "x.png", "--reduce", "6"], "the file has 0..5"),
        (["decode", "a.jp2", "x.png", "--max-layers", "9"], "choose 1..3"),
        (["decode", "a.wlic", "x.png", "--reduce", "1"], "the file has 0..0"),
    ],
)
def test_wrong_commands(arguments: list[str], part: str, layered: bytes, tmp_path: Path) -> None:
    PIL.Image.fromarray(image(20, 20)).save(tmp_path / "photo.png")
    (tmp_path / "a.jp2").write_bytes(layered)
    if "a.wlic" in arguments:
        (tmp_path / "a.wlic").write_bytes(wavelic.encode(image(20, 20)))
    names = [str(tmp_path / name) if Path(name).suffix in (".png", ".jp2", ".wlic") else name for name in arguments]
    result = wavelic_cli(*names)
    assert result.exit_code == 2
    assert part in error_of(result)
    assert not list(tmp_path.glob("x.*"))


def test_a_cut_file_on_the_command_line(layered: bytes, tmp_path: Path) -> None:
    (tmp_path / "cut.jp2").write_bytes(layered[: wavelic.open(layered).layers[1].bytes + 100])
    assert "cut short" in error_of(wavelic_cli("decode", tmp_path / "cut.jp2", tmp_path / "a.png"))
    result = wavelic_cli("decode", tmp_path / "cut.jp2", tmp_path / "a.png", "--allow-partial", "--json")
    facts = json.loads(result.stdout)["files"][0]
    assert (facts["complete"], facts["note"]) == (
        False,
        "the file is cut short: decoded to layer 2, the last whole one",
    )
    assert "layer 2" in result.stderr
    expected = wavelic.open(layered).read(layers=2)
    np.testing.assert_array_equal(np.asarray(PIL.Image.open(tmp_path / "a.png")), expected)


# --- Other programs ------------------------------------------------------------------------------------------------


def test_pillow_opens_every_kind_as_plain_jpeg_2000() -> None:
    for channels, bits, mode in ((1, 8, "I;16"), (3, 8, "RGB"), (4, 8, "RGB"), (3, 16, "RGB"), (2, 16, "I;16")):
        data = wavelic.encode(Image(image(60, 70, channels, bits), METADATA), "lifting", bpp=6)
        with PIL.Image.open(io.BytesIO(data), formats=["JPEG2000"]) as viewer:
            assert (viewer.size, viewer.mode) == ((70, 60), mode)
            viewer.load()


@pytest.mark.skipif(shutil.which("opj_decompress") is None, reason="opj_decompress is not installed")
def test_opj_decompress_opens_every_kind(tmp_path: Path) -> None:
    for channels, bits in ((1, 8), (3, 8), (4, 8), (3, 16)):
        (tmp_path / "a.jp2").write_bytes(wavelic.encode(image(60, 70, channels, bits), "lifting", bpp=6))
        for reduce in ("0", "2"):
            command = ["opj_decompress", "-i", tmp_path / "a.jp2", "-o", tmp_path / "a.png", "-r", reduce]
            subprocess.run(command, check=True, capture_output=True)
            assert PIL.Image.open(tmp_path / "a.png").size == ((70, 60) if reduce == "0" else (18, 15))


def test_the_pillow_plugin_takes_our_files_and_no_others(layered: bytes) -> None:
    whole = wavelic.decode(layered)
    before = list(PIL.Image.ID)
    try:
        wavelic.register_pillow(jp2=True)
        wavelic.register_pillow(jp2=True)
        opened = PIL.Image.open(io.BytesIO(layered))
        assert isinstance(opened, LiftingImageFile)
        assert (opened.format, opened.size, opened.mode) == ("JPEG2000", (187, 140), "RGB")
        np.testing.assert_array_equal(np.asarray(opened), whole)
        part = PIL.Image.open(io.BytesIO(layered))
        part.reduce, part.layers = 2, 1
        np.testing.assert_array_equal(np.asarray(part), wavelic.decode(layered, reduce=2, layers=1))
        assert part.size == (47, 35)
        small = PIL.Image.open(io.BytesIO(layered))
        small.draft(None, (40, 30))
        np.testing.assert_array_equal(np.asarray(small), wavelic.decode(layered, reduce=2))
        thumbnail = PIL.Image.open(io.BytesIO(layered))
        thumbnail.thumbnail((24, 24), reducing_gap=1.0)
        assert thumbnail.size == (24, 18)
        assert PIL.Image.open(io.BytesIO(layered)).reduce(4).size == (47, 35)  # Pillow's method, while nothing is set
        plain = replace_codestream(layered, read_jp2(layered).codestream, [])
        assert not isinstance(PIL.Image.open(io.BytesIO(plain)), LiftingImageFile)
        rgba = Image(image(30, 40, 4), METADATA)
        picture = PIL.Image.open(io.BytesIO(wavelic.encode(rgba, "lifting")))
        assert (picture.mode, picture.info["icc_profile"], picture.info["xmp"]) == ("RGBA", METADATA.icc, METADATA.xmp)
        assert picture.info["exif"] == b"Exif\0\0" + METADATA.exif
        damaged = bytearray(layered)
        damaged[-50] ^= 1
        with pytest.raises(OSError, match="checksum"):
            PIL.Image.open(io.BytesIO(bytes(damaged))).load()
    finally:
        PIL.Image.ID[:] = [name for name in PIL.Image.ID if name in before or name != REGISTERED]
        PIL.Image.OPEN.pop(REGISTERED, None)


def test_metadata_boxes_have_the_identifiers_others_use() -> None:
    data = wavelic.encode(Image(image(20, 20), METADATA), "lifting")
    boxes = {uuid.identifier: uuid.data for uuid in read_jp2(data).uuids}
    assert boxes[b"JpgTiffExif->JP2"] == METADATA.exif
    assert boxes[bytes.fromhex("BE7ACFCB97A942E89C71999491E3AFAC")] == METADATA.xmp
    assert read_jp2(data).icc == METADATA.icc


# --- Damage --------------------------------------------------------------------------------------------------------


def test_missing_boxes_are_noticed() -> None:
    data = wavelic.encode(image(40, 50, 4), "lifting")
    jp2 = read_jp2(data)
    without = [uuid for uuid in jp2.uuids if uuid.identifier != carrier_box.ALPHA_ID]
    with pytest.raises(ChecksumError, match="alpha box is missing"):
        wavelic.open(replace_codestream(data, jp2.codestream, without))
    main = data.index(carrier_box.BOX_ID)
    for position in (main - 1, main, main + 9):  # the box's type, and its identifier
        damaged = bytearray(data)
        damaged[position] ^= 4
        with pytest.raises(FormatError):
            wavelic.open(bytes(damaged))
