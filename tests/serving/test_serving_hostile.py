"""The IIIF server against hostile paths, parameters, files and clients; its bounds; how it stops."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from paths import GOLDEN
from PIL import Image

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
from serving_support import RunningServer, photograph, plain_jp2, running

from wavelic.jpeg2000 import EncodeOptions
from wavelic.serving.app import Settings
from wavelic.serving.request import SizeLimits
from wavelic.serving.server import PatientProtocol
from wavelic.serving.site import Site

SECRET = b"for nobody"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("hostile")
    root = base / "served"
    (root / "sub").mkdir(parents=True)
    (root / ".git").mkdir()
    picture = plain_jp2(photograph(300, 400), EncodeOptions(layer_bytes=(3e3, 1e4)))
    for path in (root / "good.jp2", base / "outside.jp2", root / ".hidden.jp2", root / ".git" / "in.jp2"):
        path.write_bytes(picture)
    (root / "sub" / "inside.jp2").symlink_to(root / "good.jp2")
    (root / "link.jp2").symlink_to(base / "outside.jp2")
    (root / "up").symlink_to(base)
    (root / "loop.jp2").symlink_to(root / "loop.jp2")
    (root / "folder.jp2").mkdir()
    os.mkfifo(root / "pipe.jp2")
    (root / "secret.txt").write_bytes(SECRET)
    (root / "text.jp2").write_bytes(SECRET)
    (root / "empty.jp2").write_bytes(b"")
    (root / "empty.wlic").write_bytes(b"")
    (root / "cut.jp2").write_bytes(picture[: len(picture) // 2])
    damaged = bytearray(picture)
    damaged[-3000:-100] = bytes(range(256)) * 11 + bytes(84)
    (root / "damaged.jp2").write_bytes(damaged)
    flat = plain_jp2(photograph(2100, 2100, 1), EncodeOptions(levels=0, layer_bytes=(1e5,)))
    (root / "no levels.jp2").write_bytes(flat)
    return root


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[RunningServer]:
    with running(Site(folder)) as running_server:
        yield running_server


NOWHERE = [
    "..",
    "..%2Foutside.jp2",
    "sub%2F..%2F..%2Foutside.jp2",
    "%2e%2e%2foutside.jp2",
    "..%5Coutside.jp2",
    "%252e%252e%252foutside.jp2",
    "up%2Foutside.jp2",
    "link.jp2",
    "loop.jp2",
    "folder.jp2",
    "folder.jp2%2F",
    "pipe.jp2",
    "secret.txt",
    "sub%2F..%2Fgood.jp2",
    ".%2Fgood.jp2",
    "%2Fgood.jp2",
    "sub%2F%2Finside.jp2",
    ".hidden.jp2",
    ".git%2Fin.jp2",
    "good.jp2%00",
    "good.jp2%00.png",
    "good.jp2%0A",
    "good.jp2%20",
    "good.jp2.",
    "GOOD%E2%80%AE.jp2",
    "a" * 300 + ".jp2",
    "a%2F" * 500 + "good.jp2",
    "a" * 5000,
    "~root",
    "file:%2F%2F%2Fetc%2Fpasswd",
    "%2Fetc%2Fpasswd",
    "$(id).jp2",
    "%7B%7B7*7%7D%7D",
]


@pytest.mark.parametrize("name", NOWHERE)
def test_nothing_but_images_under_the_folder_is_reachable(server: RunningServer, name: str) -> None:
    for rest in ("", "/info.json", "/full/max/0/default.png"):
        answer = server.get(f"/iiif/3/{name}{rest}")
        assert answer.status == 404, answer
        assert SECRET not in answer.body
    assert server.get(f"/api/images/{name}").status == 404
    assert server.get(f"/viewer/{name}").status == 404


def test_an_absolute_path_of_an_existing_image(server: RunningServer, folder: Path) -> None:
    for path in (folder.parent / "outside.jp2", folder / "good.jp2"):
        escaped = str(path).replace("/", "%2F")
        assert server.get(f"/iiif/3/{escaped}/info.json").status == 404


def test_a_link_inside_the_folder_is_followed(server: RunningServer) -> None:
    assert server.get("/iiif/3/sub%2Finside.jp2/full/max/0/default.png").status == 200


def test_the_list_has_what_is_reachable_by_name(server: RunningServer) -> None:
    listed = server.json("/api/images")
    names = [*listed["images"], *(entry["id"] for entry in listed["refused"])]
    assert not [name for name in names if name.startswith((".", "up/")) or name in ("secret.txt", "link.jp2")]
    statuses = {name: server.get(f"/iiif/3/{quote(name, safe='')}/info.json").status for name in names}
    assert {name for name, status in statuses.items() if status == 200} == set(listed["images"])
    assert {"good.jp2", "no levels.jp2", "sub/inside.jp2"} <= set(listed["images"])
    assert {name for name, status in statuses.items() if status == 500} == {
        "text.jp2", "empty.jp2", "empty.wlic", "cut.jp2"
    }  # fmt: skip


@pytest.mark.parametrize("name", ["text.jp2", "empty.jp2", "empty.wlic", "cut.jp2", "damaged.jp2"])
def test_a_damaged_file_is_an_error_of_one_answer(server: RunningServer, folder: Path, name: str) -> None:
    answer = server.get(f"/iiif/3/{name}/full/max/0/default.png")
    assert answer.status == 500
    assert str(folder).encode() not in answer.body
    assert SECRET not in answer.body
    assert server.get("/iiif/3/good.jp2/full/max/0/default.png").status == 200


HUGE = 10**9
IMPOSSIBLE = [
    f"full/{HUGE},{HUGE}/0/default.png",
    f"full/^{HUGE},{HUGE}/0/default.png",
    f"full/^{HUGE},/0/default.png",
    f"full/^,{HUGE}/0/default.png",
    "full/^pct:999999999/0/default.png",
    "full/^1,999999999/0/default.png",
    f"{HUGE},{HUGE},1,1/max/0/default.png",
    f"full/{'9' * 5000},/0/default.png",
    f"{'9' * 5000},0,1,1/max/0/default.png",
    f"pct:{'9' * 300}.{'9' * 300},0,1,1/max/0/default.png",
    f"full/max/{'9' * 400}/default.png",
    "full/max/0/default." + "g" * 4000,
    "full/max/0/" + "d" * 4000 + ".png",
    "%00/%00/%00/%00",
    "full%0D%0AX-Injected:%201/max/0/default.png",
    "full/max/0/default.png%0D%0AX-Injected:%201",
    "full/max/0/..%2F..%2Fsecret.txt",
]


@pytest.mark.parametrize("request_", IMPOSSIBLE)
def test_impossible_requests_are_refused_at_once(server: RunningServer, request_: str) -> None:
    before = server.app.site.cache.state
    answer = server.get(f"/iiif/3/good.jp2/{request_}")
    assert answer.status == 400
    assert "x-injected" not in answer.headers
    assert server.app.site.cache.state.entries <= before.entries + 1  # the facts; nothing was decoded


LARGEST = [f"0,0,{HUGE},{HUGE}/max", f"full/!{HUGE},300", "full/^max", f"full/^!{HUGE},{HUGE}"]


@pytest.mark.parametrize("largest", LARGEST)
def test_huge_numbers_that_mean_something_are_answered_within_the_limits(folder: Path, largest: str) -> None:
    limits = SizeLimits(max_area=500_000)
    with running(Site(folder), Settings(limits=limits)) as server:
        height, width = server.get(f"/iiif/3/good.jp2/{largest}/0/default.png").pixels.shape[:2]
        assert limits.admits((width, height))


@pytest.mark.parametrize(
    "service",
    ["3;layers=0", "3;layers=-1", "3;layers=1;layers=2", "3;layers=", "3;decode=learned", "3;x=1", "3;layers=٣"],
)
def test_unknown_services(server: RunningServer, service: str) -> None:
    assert server.get(f"/iiif/{quote(service, safe=';=')}/good.jp2/info.json").status in (400, 404)


@pytest.mark.parametrize(
    "path", ["/nowhere", "/iiif", "/iiif/1/good.jp2/info.json", "/iiif/3", "/iiif/3/good.jp2/full", "//"]
)
def test_unknown_paths(server: RunningServer, path: str) -> None:
    assert server.get(path).status == 404


def test_paths_that_are_not_text(server: RunningServer) -> None:
    assert server.get("/iiif/3/%FF%FE/info.json").status == 400
    assert server.get("/iiif/3/good.jp2/info.json", Host="evil\\host").status == 400
    assert server.get("/iiif/3/good.jp2/info.json", Host='a"b').status == 400


def test_a_region_too_large_for_a_file_without_levels(folder: Path) -> None:
    with running(Site(folder, max_window=10**6)) as server:
        assert server.get("/iiif/3/no%20levels.jp2/full/100,/0/default.png").status == 501
        assert server.get("/iiif/3/no%20levels.jp2/0,0,900,900/100,/0/default.png").status == 200


def test_levels_beyond_the_files_are_resampled(server: RunningServer) -> None:
    info = server.json("/iiif/3/no%20levels.jp2/info.json")
    assert info["tiles"][0]["scaleFactors"] == [1, 2, 4, 8]
    small = server.get("/iiif/3/no%20levels.jp2/full/263,263/0/default.png").pixels
    whole = Image.fromarray(server.get("/iiif/3/no%20levels.jp2/full/max/0/default.png").pixels)
    np.testing.assert_array_equal(small, whole.resize((263, 263), Image.Resampling.LANCZOS))


def test_a_wlic_image_larger_than_the_cache_is_refused(tmp_path: Path) -> None:
    golden = GOLDEN / "v1-wcae-rgb.wlic"
    (tmp_path / "big.wlic").write_bytes(golden.read_bytes())
    with running(Site(tmp_path, cache_bytes=5000)) as server:
        assert server.get("/iiif/3/big.wlic/full/max/0/default.png").status == 501


# ---- bytes on the wire


def raw(server: RunningServer, data: bytes, seconds: float = 20) -> bytes:
    """What comes back until the server closes the connection or falls silent."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=seconds) as connection:
        with suppress(OSError):  # the server may have refused and closed already
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
        received = b""
        try:
            while piece := connection.recv(65536):
                received += piece
        except OSError:
            pass
        return received


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\xff\xfe" * 50,
        b"GET\r\n\r\n",
        b"GET /iiif/3/good.jp2/info.json HTTP/1.1\r\n\r\n",  # no Host
        b"GET /\xff HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(5000)) + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: -5\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    ],
)
def test_malformed_http_is_400(server: RunningServer, data: bytes) -> None:
    assert raw(server, data).startswith(b"HTTP/1.1 400")
    assert server.get("/healthz").status == 200


def test_a_long_request_line_is_refused(server: RunningServer) -> None:
    head = raw(server, b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: h\r\n\r\n")[:12]
    # By whether it arrived in one piece; a reset can overtake the answer to what was still being sent.
    assert head in (b"HTTP/1.1 400", b"HTTP/1.1 404", b"")
    assert server.get("/healthz").status == 200


def test_an_upload_is_not_read(server: RunningServer) -> None:
    head = b"POST /iiif/3/good.jp2 HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000000\r\n\r\n"
    assert raw(server, head + b"x" * 1000).startswith(b"HTTP/1.1 405")


def test_slow_requests_are_cut_off(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PatientProtocol, "request_seconds", 1.0)
    with running(Site(folder)) as server, socket.create_connection(("127.0.0.1", server.port), timeout=60) as slow:
        began = time.monotonic()
        slow.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n")
        with suppress(OSError):  # reset or broken pipe, as the system likes
            while time.monotonic() - began < 50:
                slow.sendall(b"X: y\r\n")  # never finished
                time.sleep(0.1)
        assert time.monotonic() - began < 45
        assert server.get("/healthz").status == 200


def test_answers_nobody_reads_are_dropped(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PatientProtocol, "send_seconds", 1.0)
    with running(Site(folder), SO_SNDBUF=8192) as server:
        with socket.socket() as lazy:
            lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            lazy.settimeout(60)
            lazy.connect(("127.0.0.1", server.port))
            lazy.sendall(b"GET /iiif/3/good.jp2/full/^1600,1200/0/default.png HTTP/1.1\r\nHost: h\r\n\r\n")
            lazy.recv(10)  # it has begun
            state = server.app.site  # the server goes on meanwhile
            assert state is not None
            deadline = time.monotonic() + 60
            while len(connections(server)) > 1 and time.monotonic() < deadline:
                time.sleep(0.2)
            assert server.get("/healthz").status == 200
            received = 10
            try:
                while piece := lazy.recv(65536):
                    received += len(piece)
            except OSError:
                pass
        whole = len(server.get("/iiif/3/good.jp2/full/^1600,1200/0/default.png").body)
        assert received < whole


def connections(server: RunningServer) -> list[str]:
    """Established connections to the server's port, from the system's table."""
    rows = Path("/proc/net/tcp").read_text().splitlines()[1:]
    local = f":{server.port:04X}"
    return [row for row in rows if row.split()[1].endswith(local) and row.split()[3] == "01"] + [""]
