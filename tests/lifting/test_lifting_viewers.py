"""Files of codec `lifting` in other programs: Pillow, opj_decompress; the boxes they look for."""

from __future__ import annotations

import io
import shutil
import subprocess
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from lifting_support import METADATA
from pictures import image

import wavelic
from wavelic.codec import jp2_box as box
from wavelic.errors import ChecksumError, FormatError
from wavelic.images import Image
from wavelic.integrations.pillow_jp2 import LiftingImageFile
from wavelic.jpeg2000 import read_jp2, replace_codestream

torch.set_num_threads(1)
pytestmark = pytest.mark.usefixtures("weights")


# --- Other programs --------------------------------------------------------------------------------------------------
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
        PIL.Image.ID[:] = before


def test_metadata_boxes_have_the_identifiers_others_use() -> None:
    data = wavelic.encode(Image(image(20, 20), METADATA), "lifting")
    boxes = {uuid.identifier: uuid.data for uuid in read_jp2(data).uuids}
    assert boxes[b"JpgTiffExif->JP2"] == METADATA.exif
    assert boxes[bytes.fromhex("BE7ACFCB97A942E89C71999491E3AFAC")] == METADATA.xmp
    assert read_jp2(data).icc == METADATA.icc


# --- Damage ----------------------------------------------------------------------------------------------------------
def test_missing_boxes_are_noticed() -> None:
    data = wavelic.encode(image(40, 50, 4), "lifting")
    jp2 = read_jp2(data)
    without = [uuid for uuid in jp2.uuids if uuid.identifier != box.ALPHA_ID]
    with pytest.raises(ChecksumError, match="alpha box is missing"):
        wavelic.open(replace_codestream(data, jp2.codestream, without))
    main = data.index(box.BOX_ID)
    for position in (main - 1, main, main + 9):  # the box's type, and its identifier
        damaged = bytearray(data)
        damaged[position] ^= 4
        with pytest.raises(FormatError):
            wavelic.open(bytes(damaged))
