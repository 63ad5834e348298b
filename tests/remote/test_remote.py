"""JPEG 2000 files read in parts: windows, sizes and layers that cost few bytes and have the pixels of the whole."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from commands import wavelic_cli
from lifting_transforms import random_transform
from pictures import picture
from remote_support import Server, coded

import wavelic
from wavelic.api.files import open_within
from wavelic.cli.demo import PHOTOGRAPH
from wavelic.errors import ChecksumError, FormatError, LimitError, SourceError, UsageError
from wavelic.jpeg2000 import EncodeOptions, Limits, encode_codestream
from wavelic.jpeg2000.partial import needed_packets
from wavelic.lifting.file import open_jpeg2000
from wavelic.lifting.jp2.pseudo_image import encode_carrier, to_components
from wavelic.lifting.jp2.ranged import RangedFile, open_ranged
from wavelic.lifting.transform.steps import EVERYWHERE, LUMA_ONLY, PRODUCT_STEPS, LearnedSteps
from wavelic.lifting.transform.transform import LiftingTransform
from wavelic.remote import RangeWarning, open_source

torch.set_num_threads(1)
FILE = coded()


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(FILE) as server:
        yield server


def test_a_window_costs_its_packets(server: Server) -> None:
    whole = wavelic.open(FILE).read()
    file = wavelic.open(server.url)
    assert isinstance(file, RangedFile)
    opened = file.source.bytes_read
    assert opened < 0.35 * len(FILE)
    window = file.read(region=(100, 200, 64, 64))
    np.testing.assert_array_equal(window, whole[200:264, 100:164])
    assert file.source.bytes_read - opened < 0.35 * len(FILE)
    before = file.source.bytes_read
    np.testing.assert_array_equal(file.read(reduce=3), wavelic.open(FILE).read(reduce=3))
    assert file.source.bytes_read - before < 0.35 * len(FILE)


def test_random_access_keeps_its_promises() -> None:
    """A photograph of 2048 x 2048 at 1 bpp: any window of 256 for 35 % of the file, an eighth of the size for 10 %."""
    with resources.files("wavelic.evaluation").joinpath(PHOTOGRAPH).open("rb") as stream:
        photo = np.asarray(PIL.Image.open(stream).convert("RGB"))
    rows, columns = (np.pad(np.arange(n), (0, 2048 - n), "reflect") for n in photo.shape[:2])
    data = wavelic.encode(np.ascontiguousarray(photo[rows][:, columns]), "lifting", bpp=1.0, access="random")
    assert len(data) * 8 / 2048**2 == pytest.approx(1, rel=0.02)
    local = wavelic.open(data)
    with Server(data) as server:
        file = wavelic.open(server.url)
        np.testing.assert_array_equal(file.read(reduce=3), local.read(reduce=3))
        assert file.source.bytes_read <= 0.1 * len(data)
        layout, reach = file.carrier.layout, file.carrier._reach(file.transform())
        corners = [(x, y) for y in range(0, 2048, 256) for x in range(0, 2048, 256)]  # these need most precincts
        shares = []
        for x, y in corners:
            chosen = needed_packets(layout, area=(x, y, 256, 256), reach=reach)
            shares.append(layout.index.length[chosen].sum() / len(data))
        assert max(shares) <= 0.35
        dearest = (*corners[int(np.argmax(shares))], 256, 256)
        before = file.source.bytes_read
        window = file.read(region=dearest).astype(int)
        assert file.source.bytes_read - before <= 0.35 * len(data)
    x, y, _, _ = dearest
    differ = np.abs(window - local.read()[y : y + 256, x : x + 256])
    assert differ.max() <= 1
    assert (differ > 0).mean() < 0.001


@pytest.mark.parametrize("precincts", [(), ((64, 64),), ((64, 64), (32, 32), (16, 16))])
def test_every_part_equals_the_local_one(precincts: tuple[tuple[int, int], ...]) -> None:
    data = coded(200, precincts)
    local = open_jpeg2000(data)
    for reduce in (0, 1, 2, 5):
        for layers in (1, 2, None):
            whole = local.read(reduce=reduce, layers=layers)
            source = open_source(data)
            file = open_ranged(source)
            np.testing.assert_array_equal(file.read(reduce=reduce, layers=layers), whole)
            for x, y, width, height in ((0, 0, 195, 200), (33, 64, 65, 40), (160, 180, 35, 20)):
                rows, columns = (
                    slice(-(-a // 2**reduce), -(-(a + n) // 2**reduce)) for a, n in ((y, height), (x, width))
                )
                window = file.read(reduce=reduce, layers=layers, region=(x, y, width, height))
                np.testing.assert_array_equal(window, whole[rows, columns])


@pytest.mark.parametrize("steps", [EVERYWHERE, LUMA_ONLY, PRODUCT_STEPS], ids=["everywhere", "luma", "product"])
def test_learned_windows_equal_the_crop(steps: LearnedSteps) -> None:
    """Up to what window and whole differ by in memory as well: rounding of convolutions of different size."""
    level = random_transform("Hybrid(9/7)-U16", 0.12, torch.float32).level
    transform = LiftingTransform(level, steps=steps)
    pixels = np.stack([picture(290, 260, 8, seed) for seed in range(3)], -1).astype(np.uint8)
    how = EncodeOptions(layer_bytes=(3_000, 14_000), precincts=((32, 32),), progression="RPCL")
    with torch.inference_mode():
        data = encode_carrier(transform.analysis(to_components(pixels), 5), 8, how, model=b"m" * 8).data
    source = open_source(data)
    file = open_ranged(source).carrier
    for reduce in (0, 2):
        whole = open_jpeg2000(data).carrier.read(transform, reduce=reduce)
        for x, y in ((0, 0), (190, 230)):
            before = source.bytes_read
            window = file.read(transform, reduce=reduce, region=(x, y, 64, 48)).astype(int)
            assert source.bytes_read - before < 0.95 * len(data)
            shrink = 2**reduce
            crop = whole[-(-y // shrink) : -(-(y + 48) // shrink), -(-x // shrink) : -(-(x + 64) // shrink)]
            assert abs(window - crop).max() <= 1
            assert (window == crop).mean() >= 0.999


def test_the_opened_file_says_what_the_local_one_says() -> None:
    local, ranged = open_jpeg2000(FILE), open_ranged(open_source(FILE))
    assert ranged.info == local.info
    assert ranged.layers == local.layers
    assert (ranged.codec, ranged.shape, ranged.bit_depth) == (local.codec, local.shape, local.bit_depth)
    assert ranged.decode(reduce=2).metadata == local.decode(reduce=2).metadata
    bare = encode_codestream([picture(90, 80)], 8, EncodeOptions())
    np.testing.assert_array_equal(open_ranged(open_source(bare)).read(), open_jpeg2000(bare).read())
    assert open_ranged(open_source(bare)).info == open_jpeg2000(bare).info


def test_opacity_and_metadata_come_along(picture: object) -> None:
    from wavelic.images import Image, Metadata

    pixels = picture(150, 130, 4)  # type: ignore[operator]
    image = Image(pixels, Metadata(icc=b"i" * 9_000, exif=b"II*\0" + bytes(20), xmp=b"<x/>"))
    data = wavelic.encode(image, "lifting", bpp=2, access="random")
    local, file = wavelic.open(data), open_ranged(open_source(data))
    region = (40, 31, 50, 60)
    assert file.decode().metadata == local.decode().metadata == image.metadata
    np.testing.assert_array_equal(file.read(region=region)[..., 3], pixels[31:91, 40:90, 3])
    difference = abs(file.read(region=region).astype(int) - local.read()[31:91, 40:90])
    assert difference.max() <= 1


def test_files_that_cannot_be_read_in_parts_are_read_whole() -> None:
    without = encode_codestream([picture(90, 80)], 8, EncodeOptions(packet_lengths=False))
    source = open_source(without)
    assert not isinstance(open_ranged(source), RangedFile)
    assert source.bytes_read >= len(without)
    with pytest.raises(FormatError):
        open_ranged(open_source(FILE[:-1000]))
    assert not open_ranged(open_source(FILE[:-1000]), allow_partial=True).complete
    with pytest.raises(LimitError):
        open_ranged(open_source(FILE), Limits(max_pixels=1000))


def test_damage_in_the_codestream_shows_when_all_of_it_is_read() -> None:
    """A window cannot compare the checksum of the whole; `verify` does."""
    damaged = bytearray(FILE)
    damaged[-3000] ^= 0xFF
    with pytest.raises(ChecksumError):
        wavelic.open(bytes(damaged))
    file = open_ranged(open_source(bytes(damaged)))
    file.read(region=(0, 0, 8, 8), reduce=5)
    with pytest.raises(ChecksumError):
        file.verify()
    open_ranged(open_source(FILE)).verify()


def test_a_file_replaced_between_reads_is_told(server: Server) -> None:
    file = wavelic.open(server.url)
    server.data = coded(512, ((128, 128),))
    with pytest.raises(SourceError, match="changed"):
        file.read(region=(0, 0, 500, 500))


def test_wrong_requests_fetch_nothing(server: Server) -> None:
    file = wavelic.open(server.url)
    before = len(server.served)
    for request in ({"reduce": 9}, {"layers": 4}, {"region": (500, 0, 10, 10)}, {"region": (1, 1, 1, 1), "reduce": 4}):
        with pytest.raises(UsageError):
            file.read(**request)
    assert len(server.served) == before


def test_threads_share_an_opened_file(server: Server) -> None:
    file = wavelic.open(server.url)
    whole = wavelic.open(FILE).read()
    wrong: list[int] = []

    def work(number: int) -> None:
        x, y = 50 * number, 40 * number
        if not (file.read(region=(x, y, 40, 40)) == whole[y : y + 40, x : x + 40]).all():
            wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_the_command_reads_a_window_of_a_url(server: Server, tmp_path: Path) -> None:
    out = tmp_path / "window.png"
    result = wavelic_cli("decode", server.url, out, "--region", "100,200,64,48", "--report-bytes", "--json")
    assert result.exit_code == 0, result.output
    (row,) = json.loads(result.stdout)["files"]
    assert (row["width"], row["height"], row["bytes"]) == (64, 48, len(FILE))
    assert row["bytes_read"] == sum(stop - start for start, stop in server.served) < 0.7 * len(FILE)
    assert f"{row['bytes_read']} of {len(FILE)} bytes read" in row["note"]
    np.testing.assert_array_equal(wavelic.load_image(out).pixels, wavelic.open(FILE).read()[200:248, 100:164])
    server.fail, server.status = 9, 404
    assert wavelic_cli("decode", server.url, tmp_path / "b.png").exit_code == SourceError.exit_code
    assert not (tmp_path / "b.png").exists()


def layered() -> bytes:
    """A file whose layers cost different shares of different resolutions and windows."""
    return coded(400, ((64, 64),), layer_bpp=(0.05, 0.2, 0.4, 0.8, 1.6))


def test_a_budget_chooses_the_most_layers_that_fit() -> None:
    data = layered()
    whole = wavelic.open(data)
    for request in ({"reduce": 3}, {"reduce": 0}, {"reduce": 1, "region": (100, 60, 80, 90)}):
        file = open_ranged(open_source(data))
        costs = [file.read_bytes(layers=layers, **request) for layers in range(1, 6)]
        assert costs == sorted(costs)
        for budget in (costs[0], costs[2] - 1, costs[2], costs[3] + 1, 10**9):
            layers = file.layers_within(budget, **request)
            assert costs[layers - 1] <= budget
            assert layers == 5 or costs[layers] > budget
            before = file.source.bytes_read
            np.testing.assert_array_equal(file.read(layers=layers, **request), whole.read(layers=layers, **request))
            assert file.source.bytes_read - before == costs[layers - 1]
        with pytest.raises(UsageError, match=f"takes {costs[0]} bytes"):
            file.layers_within(costs[0] - 1, **request)
    with pytest.raises(UsageError):
        open_ranged(open_source(data)).layers_within(10**9, reduce=9)


def test_what_a_read_costs_is_known_before(server: Server) -> None:
    for where in (server.data, server.url):  # of which the web source keeps the first 8 KiB
        file = open_ranged(open_source(where))
        for request in ({"reduce": 2}, {"region": (100, 200, 64, 64)}, {"layers": 2}, {}):
            cost, before = file.read_bytes(**request), file.source.bytes_read
            file.read(**request)
            assert file.source.bytes_read - before == cost
    server.ranges = False
    with pytest.warns(RangeWarning):
        assert open_ranged(open_source(server.url)).read_bytes() == 0


@pytest.mark.parametrize("remote", [True, False])
def test_the_command_keeps_to_a_budget(server: Server, tmp_path: Path, remote: bool) -> None:
    server.data = layered()
    (tmp_path / "local.jp2").write_bytes(server.data)
    where, out = server.url if remote else str(tmp_path / "local.jp2"), tmp_path / "small.png"
    file, _ = open_within(where, 10**9)
    opened = file.source.bytes_read
    for expected in (2, 4):
        budget = opened + file.read_bytes(reduce=1, layers=expected)
        result = wavelic_cli("decode", where, out, "--reduce", "1", "--max-bytes", str(budget), "--json", "--force")
        assert result.exit_code == 0, result.output
        (row,) = json.loads(result.stdout)["files"]
        assert row["bytes_read"] <= budget
        picture = wavelic.load_image(out).pixels
        np.testing.assert_array_equal(picture, wavelic.open(server.data).read(reduce=1, layers=row["layers"]))
        assert f"{row['layers']} of 5 layers" in row["note"]
        assert row["layers"] == expected
    for options in (["--max-bytes", "100"], ["--max-bytes", "99999", "--max-layers", "1"]):
        refused = wavelic_cli("decode", where, tmp_path / "b.png", *options)
        assert refused.exit_code == UsageError.exit_code
        assert not (tmp_path / "b.png").exists()


def test_a_budget_needs_a_file_that_can_be_read_in_parts(server: Server, tmp_path: Path) -> None:
    whole = wavelic.encode(np.zeros((9, 9, 3), np.uint8))
    for data, budget, error, message in (
        (whole, 99999, UsageError, "leave out max_bytes"),
        (whole, 50, SourceError, "above max_bytes=50"),
        (FILE[:-1000], 99999, FormatError, "cut short"),
    ):
        server.data = data
        result = wavelic_cli("decode", server.url, tmp_path / "b.png", "--max-bytes", budget)
        assert result.exit_code == error.exit_code
        assert message in result.output
