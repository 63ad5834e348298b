"""Codec `jp2` on the command line, with what else it says of JPEG 2000."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from commands import error_of, wavelic_cli
from foreign_jpeg2000 import LOSSLESS, boxed
from pictures import image, picture

import wavelic
from wavelic.images import from_array, load_image, save_image
from wavelic.jpeg2000 import encode_codestream, openjpeg


def run(*arguments: object) -> str:
    result = wavelic_cli(*map(str, arguments))
    assert result.exit_code == 0, result.output
    return result.output


def test_lossless_there_and_back(tmp_path: Path) -> None:
    pixels = image(70, 90, 4, 16)
    save_image(from_array(pixels), tmp_path / "a.png")
    run("encode", tmp_path / "a.png", tmp_path / "a.jp2", "--lossless", "--resync")
    assert wavelic.open(tmp_path / "a.jp2").codec == "jp2"
    run("decode", tmp_path / "a.jp2", tmp_path / "b.png")
    np.testing.assert_array_equal(load_image(tmp_path / "b.png").pixels, pixels)
    run("encode", tmp_path / "a.png", tmp_path / "c.jp2", "--codec", "jp2", "--bpp", "30")
    assert "--lossless given with bpp" in error_of(
        wavelic_cli("encode", str(tmp_path / "a.png"), str(tmp_path / "d.jp2"), "--lossless", "--bpp", "3")
    )
    run("encode", tmp_path / "b.png", tmp_path / "e.jp2", "--lossless", "--tile-size", "64")
    assert wavelic.open(tmp_path / "e.jp2").header.grid.tiles == 4


def test_samples_as_they_are_stored(tmp_path: Path) -> None:
    stored = picture(40, 50, 12)
    (tmp_path / "a.jp2").write_bytes(boxed(encode_codestream([stored], 12, LOSSLESS), colour=17))
    run("decode", tmp_path / "a.jp2", tmp_path / "a.png", "--unscaled")
    np.testing.assert_array_equal(load_image(tmp_path / "a.png").pixels[..., 0], stored)
    signed = encode_codestream([stored.astype(np.int32) - 2048], 12, LOSSLESS, signed=True)
    (tmp_path / "b.jp2").write_bytes(boxed(signed, colour=17))
    assert "1 components as int16" in error_of(
        wavelic_cli("decode", str(tmp_path / "b.jp2"), str(tmp_path / "b.png"), "--unscaled")
    )


def test_a_cut_file_at_its_finest_whole_resolution(tmp_path: Path) -> None:
    data = wavelic.encode(image(256, 300), "jp2", bpp=2, access="windows", layers=2)
    (tmp_path / "a.jp2").write_bytes(data[: len(data) // 8])
    assert "cut short" in error_of(wavelic_cli("decode", str(tmp_path / "a.jp2"), str(tmp_path / "a.png")))
    said = run("decode", tmp_path / "a.jp2", tmp_path / "a.png", "--allow-partial")
    assert "the finest resolution that is there" in said
    shown = load_image(tmp_path / "a.png").pixels
    reduce = wavelic.open(tmp_path / "a.jp2", allow_partial=True).best_reduce
    np.testing.assert_array_equal(shown, wavelic.decode(data, reduce=reduce))


def test_the_library_that_decodes_is_named(tmp_path: Path) -> None:
    versions = json.loads(run("info", "--versions", "--json"))["versions"]
    assert versions["wavelic"] == wavelic.__version__
    assert versions["libopenjp2"] == str(openjpeg())
    (tmp_path / "a.jp2").write_bytes(wavelic.encode(image(40, 40), "jp2"))
    facts = json.loads(run("info", "--json", tmp_path / "a.jp2"))["files"][0]
    assert (facts["codec"], facts["model"], facts["wavelet"]) == ("jp2", "none", "9/7")
