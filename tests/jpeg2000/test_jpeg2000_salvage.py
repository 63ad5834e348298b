"""Pictures from the first part of a file: what resolutions and layers it holds, with packet lengths and without."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import PIL.Image
import pytest
from foreign_jpeg2000 import ARRANGED, boxed
from pictures import image, picture

import wavelic
from wavelic.errors import FormatError, UnsupportedError, UsageError
from wavelic.jpeg2000 import EncodeOptions, decode_codestream, encode_codestream, salvage
from wavelic.jpeg2000.header import PROGRESSIONS

OPTIONS = EncodeOptions(colour_transform=True, layer_bytes=(900, 3000, 9000), levels=3, precincts=((64, 64),))


def coded(**changes: object) -> bytes:
    return encode_codestream([picture(123, 201, 8, seed) for seed in range(3)], 8, replace(OPTIONS, **changes))


@pytest.mark.parametrize("progression", PROGRESSIONS)
@pytest.mark.parametrize("changes", [{}, {"sop": True, "eph": True}, {"code_block": (16, 32)}])
def test_packet_headers_say_what_packet_lengths_say(progression: str, changes: dict[str, object]) -> None:
    stated = coded(progression=progression, **changes)
    unstated = coded(progression=progression, packet_lengths=False, **changes)
    shift = len(stated) - len(unstated)
    for stop in range(len(unstated) // 12, len(unstated), len(unstated) // 7):
        a, b = salvage(stated[: stop + shift]), salvage(unstated[:stop])
        assert (a.layers, a.by_reduce, a.best_reduce) == (b.layers, b.by_reduce, b.best_reduce)
        assert a.codestream == b.codestream
        for reduce in range(4):
            for layers in range(1, a.by_reduce[reduce] + 1):
                pair = (decode_codestream(x, reduce=reduce, max_layers=layers).planes for x in (a.codestream, stated))
                for plane, expected in zip(*pair, strict=True):
                    np.testing.assert_array_equal(plane, expected)


def test_tiles_that_are_there_are_whole() -> None:
    data = coded(tile=(64, 64), packet_lengths=False, layer_bytes=(20000,))
    saved = salvage(data[: len(data) // 2])
    whole, part = (np.stack(decode_codestream(x).planes, -1) for x in (data, saved.codestream))
    np.testing.assert_array_equal(part[:64, :64], whole[:64, :64])
    assert saved.layers == 0
    assert len(np.unique(part[-20:, -5:], axis=0)) == 1  # the last tile is missing: one colour


@pytest.mark.parametrize("codec", ["jp2", "lifting"])
def test_a_first_part_is_a_picture_only_if_asked_for(codec: str) -> None:
    data = wavelic.encode(image(256, 300), codec, bpp=2, access="windows", layers=3)
    whole = wavelic.open(data)
    seen = []
    for share in (0.06, 0.15, 0.4, 0.8):
        part = data[: int(share * len(data))]
        with pytest.raises(FormatError, match="cut short"):
            wavelic.open(part)
        file = wavelic.open(part, allow_partial=True)
        assert not file.complete
        seen.append(file.best_reduce)
        there = file.read(reduce=file.best_reduce)
        np.testing.assert_array_equal(there, whole.read(reduce=file.best_reduce))
        assert file.read().shape == whole.shape
        assert file.info["best_reduce"] == file.best_reduce
    assert seen == sorted(seen, reverse=True)
    assert seen[0] > seen[-1] >= 1
    assert whole.best_reduce == 0


def test_a_file_of_other_software_without_packet_lengths() -> None:
    stream = io.BytesIO()
    pixels = image(256, 300)
    PIL.Image.fromarray(pixels).save(stream, "JPEG2000", quality_layers=[60, 20, 5], irreversible=True)
    data = stream.getvalue()
    whole = wavelic.open(data)
    file = wavelic.open(data[: len(data) // 2], allow_partial=True)
    assert file.info["whole_layers"] == 2
    np.testing.assert_array_equal(file.read(), whole.read(layers=2))


def test_a_codestream_box_without_a_length_may_be_cut_as_well() -> None:
    data = boxed(coded())
    start = data.index(b"jp2c") - 4
    endless = data[:start] + bytes(4) + data[start + 4 :]
    np.testing.assert_array_equal(wavelic.decode(endless), wavelic.decode(data))
    with pytest.raises(FormatError, match="end marker"):
        wavelic.open(endless[:-3000])
    assert wavelic.open(endless[:-3000], allow_partial=True).info["whole_layers"] == 2


def test_what_cannot_be_salvaged() -> None:
    data = coded()
    with pytest.raises(FormatError, match="before its first packet"):
        salvage(data[: data.index(b"\xff\x93") + 4])
    for make in ARRANGED.values():
        with pytest.raises(UnsupportedError, match="usual order"):
            salvage(make()[:-100])


def test_the_most_of_a_first_view() -> None:
    file = wavelic.open(wavelic.encode(image(256, 300), "jp2", bpp=2, access="windows", layers=4))
    size = file.info["bytes"]
    seen = []
    for share in (0.05, 0.1, 0.3, 0.6, 1.0):
        view = file.best_within(int(share * size))
        seen.append((-view.reduce, view.layers))
        file.read(view.reduce, view.layers)
    assert seen == sorted(seen)
    assert seen[0][0] < 0
    assert seen[-1] == (0, 4)
    with pytest.raises(UsageError, match="coarsest resolution takes"):
        file.best_within(100)
    with pytest.raises(UsageError, match="PLT"):
        wavelic.open(coded(packet_lengths=False)).best_within(10**6)
