"""``wavelic encode``, ``decode`` and ``trim`` in this process: files in, files out, targets, metadata."""

from __future__ import annotations

import io
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest
from commands import error_of, served, wavelic_cli
from pictures import smooth

import wavelic
from wavelic.errors import OutputError
from wavelic.wcae.codec import FAMILIES


def test_a_file_round_trips(photo: Path, tmp_path: Path) -> None:
    assert wavelic_cli("encode", photo, tmp_path / "a.wlic", "-q", "60").exit_code == 0
    assert wavelic_cli("decode", tmp_path / "a.wlic", tmp_path / "b.png").exit_code == 0
    stored = (tmp_path / "a.wlic").read_bytes()
    np.testing.assert_array_equal(np.asarray(PIL.Image.open(tmp_path / "b.png")), wavelic.decode(stored))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.wlic", "b.png", "photo.png"]


def test_standard_streams_round_trip(photo: Path) -> None:
    encoded = wavelic_cli("encode", "-", "-", stdin=photo.read_bytes())
    assert encoded.exit_code == 0
    assert encoded.stdout_bytes == wavelic.encode(smooth())
    assert "standard input -> standard output" in encoded.stderr
    decoded = wavelic_cli("decode", "-", "-", stdin=encoded.stdout_bytes)
    picture = np.asarray(PIL.Image.open(io.BytesIO(decoded.stdout_bytes)))
    np.testing.assert_array_equal(picture, wavelic.decode(encoded.stdout_bytes))


@pytest.mark.parametrize("codec", [codec.name for codec in FAMILIES])
def test_every_codec_and_the_published_way(codec: str, photo: Path, tmp_path: Path) -> None:
    for options in ([], ["--published"]):
        out = tmp_path / f"a{len(options)}.wlic"
        assert wavelic_cli("encode", photo, out, "--codec", codec, *options).exit_code == 0
        assert wavelic_cli("verify", out).exit_code == 0
    assert (tmp_path / "a0.wlic").stat().st_size < (tmp_path / "a1.wlic").stat().st_size


@pytest.mark.parametrize("name", ["x.tif", "x.ppm", "x.webp", "x.bmp", "x.jpg"])
def test_the_extension_chooses_the_format(name: str, tmp_path: Path) -> None:
    (tmp_path / "a.wlic").write_bytes(wavelic.encode(smooth()))
    assert wavelic_cli("decode", tmp_path / "a.wlic", tmp_path / name).exit_code == 0
    assert PIL.Image.open(tmp_path / name).size == (100, 70)


def test_format_applies_to_folders_and_streams(tmp_path: Path, coded: bytes) -> None:
    (tmp_path / "a.wlic").write_bytes(coded)
    assert wavelic_cli("decode", tmp_path / "a.wlic", f"{tmp_path}/out/", "--format", "tiff").exit_code == 0
    assert PIL.Image.open(tmp_path / "out" / "a.tif").mode == "RGBA"
    assert wavelic_cli("decode", "-", "-", "--format", "webp", stdin=coded).stdout_bytes[8:12] == b"WEBP"


def test_several_files_go_on_after_a_bad_one(photo: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"no image")
    (tmp_path / "second.png").write_bytes(photo.read_bytes())
    inputs = [photo, tmp_path / "bad.png", tmp_path / "second.png"]
    result = wavelic_cli("encode", *inputs, f"{tmp_path}/out/", "--json")
    assert result.exit_code == 3
    assert "bad.png is not an image" in error_of(result)
    assert "1 of 3 files failed" in result.stderr
    files = json.loads(result.stdout)["files"]
    assert [Path(row["input"]).name for row in files] == ["photo.png", "bad.png", "second.png"]
    assert [row.get("exit_code", 0) for row in files] == [0, 3, 0]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["photo.wlic", "second.wlic"]


def test_json_describes_the_file(photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.wlic"
    result = wavelic_cli("encode", photo, out, "--json")
    (row,) = json.loads(result.stdout)["files"]
    assert (row["width"], row["height"], row["bytes"]) == (100, 70, out.stat().st_size)
    assert row["bpp"] == pytest.approx(8 * row["bytes"] / (100 * 70), abs=1e-5)
    result = wavelic_cli("decode", out, tmp_path / "b.png", "--json")
    assert json.loads(result.stdout)["files"][0]["format"] == "png"


@pytest.mark.parametrize(("option", "value"), [("--bpp", 0.3), ("--size", 200), ("--psnr", 24.0), ("--bpp", 50.0)])
def test_targets_are_met_or_the_nearest_is_named(option: str, value: float, photo: Path, tmp_path: Path) -> None:
    result = wavelic_cli("encode", photo, tmp_path / "a.wlic", option, f"{value:g}", "--json")
    (row,) = json.loads(result.stdout)["files"]
    if option == "--psnr":
        reached = wavelic.api.files.psnr(smooth(), wavelic.decode((tmp_path / "a.wlic").read_bytes()))
        met = abs(reached - value) <= 0.0861
    else:
        reached = row["bytes"] if option == "--size" else row["bpp"]
        met = abs(reached - value) <= 0.02 * value + 1e-4
    assert f"asked for {value:g}" in row["note"]
    assert met == ("nearest" not in row["note"])
    assert row["note"] in result.stderr


def test_strip_leaves_metadata_out(tmp_path: Path) -> None:
    exif = PIL.Image.Exif()
    exif[271] = "maker"
    PIL.Image.fromarray(smooth()).save(tmp_path / "a.jpg", exif=exif)
    wavelic_cli("encode", tmp_path / "a.jpg", tmp_path / "kept.wlic")
    wavelic_cli("encode", tmp_path / "a.jpg", tmp_path / "stripped.wlic", "--strip")
    result = wavelic_cli("info", tmp_path / "kept.wlic", tmp_path / "stripped.wlic", "--json")
    kinds = [[chunk["kind"] for chunk in row["chunks"]] for row in json.loads(result.stdout)["files"]]
    assert ["exif" in row for row in kinds] == [True, False]


@pytest.mark.parametrize(("option", "kept"), [((), 3), (("--strip",), 0), (("--strip-gps",), 2)])
def test_strip_at_encode_decode_and_trim(option: tuple[str, ...], kept: int, tmp_path: Path) -> None:
    exif = PIL.Image.Exif()
    exif[271], exif[274] = "maker", 6
    exif.get_ifd(0x8825)[1] = "N"
    PIL.Image.fromarray(smooth()).save(tmp_path / "a.jpg", exif=exif)
    sizes = set()
    wavelic_cli("encode", tmp_path / "a.jpg", tmp_path / "a.jp2", "--layers", "2")
    wavelic_cli("encode", tmp_path / "a.jpg", tmp_path / "first.wlic", "--codec", "wcae", *option)
    wavelic_cli("decode", tmp_path / "first.wlic", tmp_path / "first.png")
    wavelic_cli("encode", tmp_path / "a.jpg", tmp_path / "kept.wlic", "--codec", "wcae")
    wavelic_cli("decode", tmp_path / "kept.wlic", tmp_path / "second.png", *option)
    wavelic_cli("trim", tmp_path / "a.jp2", tmp_path / "b.jp2", "--max-layers", "2", *option)
    wavelic_cli("decode", tmp_path / "b.jp2", tmp_path / "third.png")
    for name in ("first", "second", "third"):
        with PIL.Image.open(tmp_path / f"{name}.png") as picture:
            sizes.add(PIL.ImageOps.exif_transpose(picture).size)
            found = picture.getexif()
        assert (271 in found) + (274 in found) + bool(found.get_ifd(0x8825)) == kept
    assert len(sizes) == 1


def test_one_name_is_enough_and_o_names_the_output(photo: Path, tmp_path: Path) -> None:
    assert wavelic_cli("encode", photo).exit_code == 0
    assert wavelic_cli("decode", tmp_path / "photo.wlic", "-o", tmp_path / "again.png").exit_code == 0
    assert wavelic_cli("encode", photo, "--codec", "lifting").exit_code == 0
    assert wavelic_cli("decode", tmp_path / "photo.jp2").exit_code == OutputError.exit_code  # there is photo.png
    names = ["again.png", "photo.jp2", "photo.png", "photo.wlic"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names


def test_quiet_leaves_results_and_errors(photo: Path, tmp_path: Path) -> None:
    done = wavelic_cli("encode", photo, tmp_path / "a.wlic", "--quiet", "--json")
    assert (done.exit_code, done.stderr) == (0, "")
    assert json.loads(done.stdout)["files"][0]["codec"] == "weconvene"
    assert "exists" in error_of(wavelic_cli("encode", photo, tmp_path / "a.wlic", "--quiet"))
    assert "bpp" in wavelic_cli("encode", photo, tmp_path / "b.wlic").stderr


def test_wlic_files_pipes_and_urls_are_encoded(photo: Path, tmp_path: Path, coded: bytes) -> None:
    (tmp_path / "a.wlic").write_bytes(coded)
    assert wavelic_cli("encode", tmp_path / "a.wlic", tmp_path / "b.jp2", "-q", "30").exit_code == 0
    assert wavelic.open(tmp_path / "b.jp2").shape == (70, 100, 4)
    os.mkfifo(tmp_path / "pipe")
    with ThreadPoolExecutor() as pool:
        written = pool.submit((tmp_path / "pipe").write_bytes, photo.read_bytes())
        assert wavelic_cli("encode", tmp_path / "pipe", tmp_path / "c.wlic").exit_code == 0
        written.result()
    with served(tmp_path) as address:
        assert wavelic_cli("encode", f"{address}/photo.png", tmp_path / "d.wlic").exit_code == 0
        missing = wavelic_cli("encode", f"{address}/caf\u00e9 1.png", tmp_path / "e.wlic")
        assert missing.exit_code == 3
        assert "404" in error_of(missing)
    assert (tmp_path / "c.wlic").read_bytes() == (tmp_path / "d.wlic").read_bytes() == wavelic.encode(smooth())


def test_a_scan_is_kept_and_a_codec_named_for_it_remarked(tmp_path: Path) -> None:
    PIL.Image.fromarray(smooth(1)[..., 0] > 99).save(tmp_path / "scan.png")
    done = wavelic_cli("encode", tmp_path / "scan.png", "--json")
    assert json.loads(done.stdout)["files"][0]["codec"] == "bilevel"
    assert wavelic_cli("decode", tmp_path / "scan.wlic", tmp_path / "b.png").exit_code == 0
    np.testing.assert_array_equal(PIL.Image.open(tmp_path / "b.png"), (smooth(1)[..., 0] > 99) * np.uint8(255))
    assert "keeps such a picture exactly" in wavelic_cli("encode", tmp_path / "scan.png", tmp_path / "s.jp2").stderr
