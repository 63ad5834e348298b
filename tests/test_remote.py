"""Ranges from memory, files, web servers and fsspec; windows that cost few bytes; everything that can go wrong."""

from __future__ import annotations

import hashlib
import http.server
import io
import json
import re
import socket
import threading
import time
import zipfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

import wavelic
from test_cli import wavelic_cli
from test_jpeg2000 import picture
from test_lifting import random_transform
from wavelic.codecs.carrier import encode_carrier, to_components
from wavelic.codecs.lifting import open_jpeg2000
from wavelic.codecs.ranged import RangedFile, open_ranged, open_url
from wavelic.errors import ChecksumError, FormatError, ImageError, LimitError, SourceError, UsageError
from wavelic.jpeg2000 import EncodeOptions, Limits, encode_codestream
from wavelic.models.lifting import LiftingTransform, build_lifting
from wavelic.remote import Policy, RangeWarning, is_url, merge_spans, open_source

torch.set_num_threads(1)
FAST = Policy(timeout=0.5, deadline=3.0, attempts=3, pause=0.01)
DATA = np.random.default_rng(0).integers(0, 256, 40_000, np.uint8).tobytes()


class Server:
    """A web server for one file that can be told to misbehave.

    ranges: serve them.  cut: end the next so many answers early.  fail: answer the next so many with `status`.
    stall: seconds to wait before each answer.  served: the (start, stop) of every answer.
    """

    def __init__(self, data: bytes) -> None:
        self.data, self.ranges, self.cut, self.fail, self.status, self.stall = data, True, 0, 0, 503, 0.0
        self.served: list[tuple[int, int]] = []
        self.headers: dict[str, str] = {}
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                owner.answer(self)

            def log_message(self, *args: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/a%20b.jp2"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def answer(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        time.sleep(self.stall)
        if self.fail:
            self.fail -= 1
            handler.send_error(self.status)
            return
        data = self.data
        match = re.fullmatch(r"bytes=(\d+)-(\d+)", handler.headers.get("Range", ""))
        start, stop = 0, len(data)
        if match and self.ranges:
            start, stop = int(match[1]), min(int(match[2]) + 1, len(data))
            handler.send_response(206)
            handler.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(data)}")
        else:
            handler.send_response(200)
        for name, value in {"ETag": f'"{hashlib.md5(data).hexdigest()}"', **self.headers}.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(stop - start))
        handler.end_headers()
        self.served.append((start, stop))
        if self.cut:
            self.cut -= 1
            handler.wfile.write(data[start : (start + stop) // 2])
            handler.close_connection = True
            return
        handler.wfile.write(data[start:stop])


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(DATA)
    yield server
    server.server.shutdown()
    server.server.server_close()


def coded(side: int = 512, precincts: tuple[int, int] | None = (64, 64), **options: object) -> bytes:
    """A JP2 file of wavelic's own without learned steps."""
    pixels = np.stack([picture(side, side - 5, 8, seed) for seed in range(3)], -1).astype(np.uint8)
    coefficients = build_lifting("CDF-9/7").analysis(to_components(pixels), 5)
    layers = [round(side * side / 8 * bpp) for bpp in (0.1, 0.3, 1.0)]
    how = EncodeOptions(layer_bytes=layers, precincts=precincts, progression="RPCL", **options)
    return encode_carrier(coefficients, 8, how).data


FILE = coded()


# sources


def test_merging() -> None:
    random = np.random.default_rng(3)
    for _ in range(200):
        edges = np.sort(random.choice(2000, 2 * int(random.integers(1, 30)), replace=False))
        spans = [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]
        gap, most = int(random.integers(0, 60)), int(random.integers(1, 12))
        merged = merge_spans(spans, gap, most)
        assert len(merged) <= most
        assert all(any(a <= start and stop <= b for a, b in merged) for start, stop in spans)
        assert {a for a, _ in merged} <= {a for a, _ in spans}
        assert {b for _, b in merged} <= {b for _, b in spans}
        wide = sum(after[0] - before[1] > gap for before, after in pairwise(spans))
        if wide < most:  # nothing but gaps of up to `gap` was added
            assert len(merged) - 1 == wide


def test_every_kind_of_source_gives_the_same_bytes(tmp_path: Path, server: Server) -> None:
    (tmp_path / "data.bin").write_bytes(DATA)
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        archive.writestr("in/data.bin", DATA)
    names = [
        DATA,
        tmp_path / "data.bin",
        server.url,
        f"file://{tmp_path}/data.bin",
        f"zip://in/data.bin::{tmp_path}/data.zip",
    ]
    spans = [(0, 10), (10, 20), (5_000, 5_000), (9_000, 30_000), (39_990, 40_000)]
    for name in names:
        with open_source(name) as source:
            assert source.size == len(DATA)
            assert source.read_spans(spans) == [DATA[start:stop] for start, stop in spans]
            assert source.read(39_000, 50_000) == DATA[39_000:]
            assert source.read_all() == DATA
            assert source.bytes_read >= 40_000
            with pytest.raises(SourceError):
                source.read_spans([(39_000, 40_001)])


def test_names() -> None:
    assert is_url("s3://bucket/key")
    assert is_url("zip://a::https://b/c.zip")
    assert not is_url("C:\\a.jp2")
    assert not is_url("a/b.jp2")
    assert not is_url(Path("http://x"))
    assert not is_url(b"http://")
    with pytest.raises(SourceError, match="cannot be read"):
        open_source("no-such-file")
    with pytest.raises(SourceError, match="cannot be opened"):
        open_source("file:///no/such/file")
    with pytest.raises(SourceError, match="cannot be opened"):
        open_source("nosuchscheme://a/b")
    assert issubclass(SourceError, ImageError)


def test_a_changed_local_file_is_told(tmp_path: Path) -> None:
    for url in (str(tmp_path / "a"), f"file://{tmp_path}/a"):
        (tmp_path / "a").write_bytes(DATA)
        source = open_source(url)
        source.read(0, 10)
        with (tmp_path / "a").open("ab") as stream:
            stream.write(b"more")
        with pytest.raises(SourceError, match="changed"):
            source.read(0, 10)
        source.close()


# a web server


def test_only_what_is_asked_for_is_fetched(server: Server) -> None:
    source = open_source(server.url)
    assert server.served == [(0, 8192)]
    source.read(100, 200)
    assert source.bytes_read == 8192
    assert source.requests == 1
    source.read_spans([(10_000, 10_100), (10_110, 10_200), (30_000, 30_050)])
    assert sorted(server.served[1:]) == [(10_000, 10_200), (30_000, 30_050)]
    assert source.bytes_read == 8192 + 250


def test_no_ranges_means_one_read_and_a_warning(server: Server) -> None:
    server.ranges = False
    with pytest.warns(RangeWarning, match="all 40000 bytes"):
        source = open_source(server.url)
    assert source.read_spans([(1, 5), (30_000, 31_000)]) == [DATA[1:5], DATA[30_000:31_000]]
    assert len(server.served) == 1
    with pytest.raises(SourceError, match="max_bytes"):
        open_source(server.url, Policy(max_bytes=1000))


def test_ranges_that_stop_being_served(server: Server) -> None:
    source = open_source(server.url)
    server.ranges = False
    with pytest.warns(RangeWarning):
        assert source.read_spans([(9_000, 9_010), (20_000, 20_010)]) == [DATA[9_000:9_010], DATA[20_000:20_010]]


def test_broken_connections_are_resumed(server: Server) -> None:
    source = open_source(server.url, FAST)
    server.cut = 2
    assert source.read(10_000, 30_000) == DATA[10_000:30_000]
    assert server.served[1:] == [(10_000, 30_000), (20_000, 30_000), (25_000, 30_000)]
    server.cut = 9
    with pytest.raises(SourceError, match=r"3 attempts .*ended 2500 bytes early"):
        source.read(10_000, 30_000)
    server.cut = 0
    server.ranges = False
    server.cut = 1
    with pytest.warns(RangeWarning):
        assert open_source(server.url, FAST).read_all() == DATA


def test_busy_and_missing(server: Server) -> None:
    server.fail = 2
    assert open_source(server.url, FAST).size == len(DATA)
    server.fail, server.status = 9, 404
    with pytest.raises(SourceError, match="status 404"):
        open_source(server.url, FAST)
    assert server.fail == 8
    server.fail, server.status = 9, 500
    with pytest.raises(SourceError, match="3 attempts"):
        open_source(server.url, FAST)
    assert server.fail == 6


def test_slow_servers_and_no_servers() -> None:
    server = Server(DATA)
    server.stall = 5
    started = time.monotonic()
    with pytest.raises(SourceError, match="timed out"):
        open_source(server.url, Policy(timeout=0.1, attempts=2, pause=0.01))
    assert time.monotonic() - started < 2
    server.server.shutdown()
    server.server.server_close()
    with pytest.raises(SourceError, match="attempts"):
        open_source(server.url, FAST)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(SourceError, match="attempts"):
        open_source(f"http://127.0.0.1:{silent.getsockname()[1]}/", Policy(timeout=0.1, attempts=2, pause=0.01))


def test_a_trickle_ends_at_the_deadline(server: Server) -> None:
    class Slow(io.BytesIO):
        def read1(self, size: int = -1) -> bytes:
            time.sleep(0.05)
            return super().read1(1)

    source = open_source(server.url, Policy(deadline=0.2, attempts=2, pause=0.01))
    with pytest.raises(TimeoutError):
        source._receive(Slow(DATA), 1000, bytearray(), time.monotonic() + 0.2)


@pytest.mark.parametrize("header", ["ETag", "Last-Modified"])
def test_a_changed_file_is_told(server: Server, header: str) -> None:
    server.headers = {header: "one"}
    source = open_source(server.url)
    server.headers = {header: "two"}
    with pytest.raises(SourceError, match="changed"):
        source.read(20_000, 20_010)
    server.headers, server.data = {header: "one"}, DATA + b"x"
    with pytest.raises(SourceError, match="changed"):
        source.read(20_000, 20_010)


def test_answers_that_lie(server: Server) -> None:
    server.headers = {"Content-Range": "bytes 5-9/40000"}  # a second one, after the true one
    source = open_source(server.url)
    server.answer = lambda handler: (  # type: ignore[method-assign]
        handler.send_response(206),
        handler.send_header("Content-Range", "bytes 5-9/40000"),
        handler.send_header("ETag", f'"{hashlib.md5(DATA).hexdigest()}"'),
        handler.end_headers(),
    )
    with pytest.raises(SourceError, match="5-9 sent, not 20000-20009"):
        source.read(20_000, 20_010)
    server.answer = lambda handler: (handler.send_response(206), handler.end_headers())  # type: ignore[method-assign]
    with pytest.raises(SourceError, match="without saying which"):
        source.read(20_000, 20_010)
    server.answer = lambda handler: handler.wfile.write(b"\x00" * 100)  # type: ignore[method-assign]
    with pytest.raises(SourceError, match="attempts"):
        open_source(server.url, FAST)


# files


def test_a_window_costs_its_packets(server: Server) -> None:
    server.data = FILE
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


@pytest.mark.parametrize("precincts", [None, (64, 64)])
def test_every_part_equals_the_local_one(precincts: tuple[int, int] | None) -> None:
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


@pytest.mark.parametrize("luma_only", [False, True])
def test_learned_windows_equal_the_crop(luma_only: bool) -> None:
    """Up to what window and whole differ by in memory as well: rounding of convolutions of different size."""
    level = random_transform("Hybrid(9/7)-U16", 0.12, torch.float32).level
    transform = LiftingTransform(level, luma_only=luma_only)
    pixels = np.stack([picture(290, 260, 8, seed) for seed in range(3)], -1).astype(np.uint8)
    how = EncodeOptions(layer_bytes=(3_000, 14_000), precincts=(32, 32), progression="RPCL")
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
            assert (window == crop).mean() > 0.998


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
    server.data = FILE
    file = wavelic.open(server.url)
    server.data = coded(512, (128, 128))
    with pytest.raises(SourceError, match="changed"):
        file.read(region=(0, 0, 500, 500))


def test_wrong_requests_fetch_nothing(server: Server) -> None:
    server.data = FILE
    file = wavelic.open(server.url)
    before = len(server.served)
    for request in ({"reduce": 9}, {"layers": 4}, {"region": (500, 0, 10, 10)}, {"region": (1, 1, 1, 1), "reduce": 4}):
        with pytest.raises(UsageError):
            file.read(**request)
    assert len(server.served) == before


def test_a_wlic_file_has_one_payload(server: Server, picture: object) -> None:
    pixels = picture(64, 80)  # type: ignore[operator]
    server.data = wavelic.encode(pixels, quality=30)
    np.testing.assert_array_equal(wavelic.open(server.url).read(), wavelic.decode(server.data))
    server.data = wavelic.encode(picture(300, 300), quality=90)  # type: ignore[operator]
    with pytest.raises(LimitError):  # judged by the first 8 KiB
        open_url(server.url, wavelic.container.Limits(max_pixels=100))
    server.data = b"neither" * 100
    with pytest.raises(FormatError):
        wavelic.open(server.url)


def test_threads_share_an_opened_file(server: Server) -> None:
    server.data = FILE
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
    server.data = FILE
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
