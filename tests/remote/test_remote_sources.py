"""Ranges from memory, files, web servers and fsspec, and everything that can go wrong."""

from __future__ import annotations

import hashlib
import io
import socket
import time
import zipfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from remote_support import DATA, FAST, Server

from wavelic.errors import ImageError, SourceError
from wavelic.remote import Policy, RangeWarning, is_url, merge_spans, open_source


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(DATA) as server:
        yield server


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
    assert time.monotonic() - started < 5  # less than one of the two stalls
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
