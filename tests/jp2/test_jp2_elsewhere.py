"""Codec `jp2` where files are made for other programs: collections, Pillow, and read from elsewhere."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from commands import error_of, wavelic_cli
from pictures import image

import wavelic
from wavelic.api.files import open_url
from wavelic.errors import UsageError
from wavelic.images import from_array, save_image


def test_a_collection_without_loss(tmp_path: Path) -> None:
    pictures = {f"{n}.png": image(40 + n, 50, 3) for n in range(2)}
    (tmp_path / "in").mkdir()
    for name, pixels in pictures.items():
        save_image(from_array(pixels), tmp_path / "in" / name)
    result = wavelic_cli("encode-dir", str(tmp_path / "in"), str(tmp_path / "out"), "--codec", "jp2", "--lossless")
    assert result.exit_code == 0, result.output
    (archive,) = (tmp_path / "out").glob("*.tar")
    with tarfile.open(archive) as tar:
        for name, pixels in pictures.items():
            data = tar.extractfile(name.replace(".png", ".jp2")).read()
            np.testing.assert_array_equal(wavelic.decode(data), pixels)
    wrong = ("encode-dir", str(tmp_path / "in"), str(tmp_path / "b"), "--codec", "jp2", "--lossless", "--bpp", "1")
    assert "lossless given with bpp" in error_of(wavelic_cli(*wrong))


def test_pillow_writes_and_reads_it() -> None:
    pixels = image(40, 50, 4)
    before = list(PIL.Image.ID)
    try:
        wavelic.register_pillow(jp2=True)
        stream = io.BytesIO()
        PIL.Image.fromarray(pixels).save(stream, "JPEG2000", codec="jp2", lossless=True)
        assert wavelic.open(stream.getvalue()).codec == "jp2"
        with PIL.Image.open(io.BytesIO(stream.getvalue())) as picture:
            assert picture.mode == "RGBA"
            np.testing.assert_array_equal(np.asarray(picture), pixels)
        with pytest.raises(UsageError, match="lossless without codec"):
            PIL.Image.fromarray(pixels).save(io.BytesIO(), "JPEG2000", lossless=True)
    finally:
        PIL.Image.ID[:] = before


def test_windows_of_a_file_elsewhere_take_a_part_of_it(tmp_path: Path) -> None:
    pixels = image(512, 640, 4)
    (tmp_path / "a.jp2").write_bytes(wavelic.encode(pixels, "jp2", lossless=True, access="windows"))
    file = open_url(tmp_path / "a.jp2")
    np.testing.assert_array_equal(file.read(region=(500, 300, 60, 50)), pixels[300:350, 500:560])
    assert file.source.bytes_read < 0.5 * file.size
    file.read(reduce=3)
    assert file.source.bytes_read < 0.6 * file.size
