"""Images written band by band: the files of those written at once, without a copy of the samples."""

from __future__ import annotations

import io
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from wavelic.errors import OutputError, UsageError
from wavelic.images import Image, Metadata, encode_image, load_image, save_image, write_bands, write_image
from wavelic.images.writers import tiff as tiff_module
from wavelic.images.writers.bands import BAND_FORMATS

Picture = Callable[..., np.ndarray]
METADATA = Metadata(icc=b"icc" * 100, exif=None, xmp=b"<x/>")


class NoSeeking(io.BytesIO):
    """A pipe."""

    def seekable(self) -> bool:
        return False

    def seek(self, *_: object) -> int:
        raise io.UnsupportedOperation

    tell = seek


@pytest.mark.parametrize("format", BAND_FORMATS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_bands_make_the_file_that_one_piece_makes(picture: Picture, format: str, dtype: type, channels: int) -> None:
    if format == "ppm" and channels == 4:
        return
    pixels = picture(301, 83, channels, dtype)
    image = Image(pixels, METADATA)
    expected = encode_image(image, format)
    for heights in ([301], [1] * 301, [0, 100, 0, 200, 1], [7] * 43):
        stream = io.BytesIO(b"before")
        stream.seek(6)
        bands = np.split(pixels, np.cumsum(heights)[:-1])
        write_bands(stream, format, pixels.shape, pixels.dtype, bands, METADATA)
        data = stream.getvalue()[6:]
        reread = load_image(data)
        np.testing.assert_array_equal(reread.pixels, pixels)
        if format != "ppm":
            assert reread.metadata == METADATA
        if format != "png":  # PNG has its chunks where the bands end
            assert data == expected
        pipe = NoSeeking()
        write_bands(pipe, format, pixels.shape, pixels.dtype, bands, METADATA)
        assert pipe.getvalue() == data


@pytest.mark.parametrize("format", BAND_FORMATS)
def test_other_readers_agree(picture: Picture, tmp_path: Path, format: str) -> None:
    pixels = picture(700, 500)
    save_image(Image(pixels), tmp_path / f"a.{format}")
    with PIL.Image.open(tmp_path / f"a.{format}") as opened:
        np.testing.assert_array_equal(np.asarray(opened), pixels)
    if format == "tiff":
        tifffile = pytest.importorskip("tifffile")
        with tifffile.TiffFile(tmp_path / "a.tiff") as opened:
            page = opened.pages[0]
            assert len(page.dataoffsets) == -(-700 // page.rowsperstrip) > 1
            assert sum(page.databytecounts) < pixels.nbytes
        pytest.importorskip("imagecodecs")
        np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.tiff"), pixels)


@pytest.mark.parametrize("format", BAND_FORMATS)
def test_no_second_copy_of_the_samples(format: str, tmp_path: Path) -> None:
    """Peak memory does not grow with the image."""
    peaks = []
    for height in (10_000, 30_000):
        pixels = np.full((height, 300, 3), 7, np.uint8)
        with (tmp_path / f"{height}").open("wb+") as stream:
            tracemalloc.start()
            write_image(Image(pixels), stream, format)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0] + 1_000_000  # a second copy would be 27 MB; other threads are counted too


def test_bands_that_do_not_fit(picture: Picture) -> None:
    pixels = picture(20, 30)
    for format in BAND_FORMATS:
        for bands in ([pixels[:10]], [pixels, pixels], [pixels[:, :9]], [pixels.astype(np.uint16)]):
            with pytest.raises(UsageError):
                write_bands(io.BytesIO(), format, pixels.shape, pixels.dtype, bands)
    with pytest.raises(UsageError, match="bands"):
        write_bands(io.BytesIO(), "jpeg", pixels.shape, pixels.dtype, [pixels])


def test_a_tiff_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tiff_module, "_LARGEST", 1 << 16)
    pixels = np.random.default_rng(0).integers(0, 255, (300, 300, 3), np.uint8)
    with pytest.raises(OutputError, match="write png"):
        save_image(Image(pixels), tmp_path / "a.tif")
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_leaves_nothing(tmp_path: Path) -> None:
    """SIGINT in the middle of a band."""
    code = """if True:
        import os, signal, sys
        import numpy as np
        from wavelic.images import atomic_output, write_bands
        def bands():
            for number in range(100):
                if number == 50:
                    os.kill(os.getpid(), signal.SIGINT)
                yield np.zeros((100, 500, 3), np.uint8)
        with atomic_output(sys.argv[1], force=False) as stream:
            write_bands(stream, sys.argv[2], (10000, 500, 3), np.dtype(np.uint8), bands())
    """
    for format in BAND_FORMATS:
        result = subprocess.run([sys.executable, "-c", code, str(tmp_path / "out"), format], capture_output=True)
        assert b"KeyboardInterrupt" in result.stderr
        assert list(tmp_path.iterdir()) == []
