"""What the IIIF server keeps to: its queue, its cache, files that change, and how it starts and stops."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
from serving_support import photograph, plain_jp2, running, wait_for

from wavelic.errors import UsageError
from wavelic.jpeg2000 import EncodeOptions
from wavelic.rect import Rect
from wavelic.serving import server as server_module
from wavelic.serving import workers as workers_module
from wavelic.serving.app import Settings
from wavelic.serving.cache import ByteCache
from wavelic.serving.facts import Variant
from wavelic.serving.refusal import Refusal
from wavelic.serving.server import listen
from wavelic.serving.site import Site


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("bounds")
    (root / "good.jp2").write_bytes(plain_jp2(photograph(300, 400), EncodeOptions(layer_bytes=(3e3, 1e4))))
    flat = plain_jp2(photograph(2100, 2100, 1), EncodeOptions(levels=0, layer_bytes=(1e5,)))
    (root / "no levels.jp2").write_bytes(flat)
    return root


# ---- bounds


class SlowSite(Site):
    """Answers only when told to."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.go = threading.Event()
        self.rendered = 0

    def render(self, *arguments: object) -> bytes:
        self.go.wait(60)
        self.rendered += 1
        return super().render(*arguments)  # type: ignore[arg-type]


def test_more_work_than_the_queue_holds_is_503(folder: Path) -> None:
    site = SlowSite(folder)
    with running(site, Settings(workers=1, queue=2)) as server, ThreadPoolExecutor(8) as clients:
        wait_for(lambda: server.app.workers.jobs == 0)
        answers = [clients.submit(server.get, f"/iiif/3/good.jp2/full/{n},/0/default.png") for n in range(100, 103)]
        wait_for(lambda: server.app.workers.jobs == 3)
        refused = server.get("/iiif/3/good.jp2/full/200,/0/default.png")
        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
        assert server.get("/healthz").status == 200  # all but decoding goes on
        assert server.get("/iiif/3/good.jp2/info.json").status == 200
        site.go.set()
        assert [answer.result().status for answer in answers] == [200] * 3
        wait_for(lambda: server.app.workers.jobs == 0)
        assert server.get("/iiif/3/good.jp2/full/200,/0/default.png").status == 200


def test_clients_that_leave_take_their_work_along(folder: Path) -> None:
    site = SlowSite(folder)
    with running(site, Settings(workers=1, queue=50)) as server:
        for n in range(10):
            with socket.create_connection(("127.0.0.1", server.port)) as client:
                path = f"/iiif/3/good.jp2/full/{100 + n},/0/default.png"
                client.sendall(f"GET {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
                wait_for(lambda n=n: server.app.workers.jobs == min(n, 1) + 1)  # the first one begins, others queue
            wait_for(lambda: server.app.workers.jobs == 1)
        site.go.set()
        wait_for(lambda: server.app.workers.jobs == 0)
        assert site.rendered <= 1


def test_memory_that_decodes_left_free_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setattr(workers_module, "give_back", lambda: calls.append("back"))
    monkeypatch.setattr(workers_module, "TRIM_SECONDS", 1e9)
    workers = workers_module.Workers(1, 10)

    async def never() -> None:
        await asyncio.sleep(60)

    asyncio.run(workers.run(lambda: None, never))
    assert not calls
    monkeypatch.setattr(workers_module, "TRIM_SECONDS", 0.0)
    asyncio.run(workers.run(lambda: None, never))
    workers.close()
    assert calls == ["back"]


def test_the_cache_keeps_to_its_bytes() -> None:
    cache = ByteCache(100)
    for n in range(50):
        cache.put(n, n, 30)
        assert cache.state.bytes <= 100
    assert [cache.get(n) for n in (46, 47, 48, 49)] == [None, 47, 48, 49]
    cache.get(47)
    cache.put("new", "new", 30)
    assert (cache.get(47), cache.get(48)) == (47, None)  # the least recently used goes
    cache.put("huge", "huge", 101)
    assert cache.get("huge") is None
    assert cache.get(47) == 47
    cache.put(47, "again", 90)
    assert (cache.state.bytes, cache.state.entries, cache.get(47)) == (90, 1, "again")


def test_the_cache_of_a_server_keeps_to_its_bytes(folder: Path) -> None:
    site = Site(folder, cache_bytes=200_000)  # not even one block and its file
    entry = site.locate("no levels.jp2")
    whole = Site(folder).window(entry, Variant(), 0, Rect(0, 0, 2100, 2100))
    for x, y in [(0, 0), (512, 512), (1500, 2000), (0, 2099)]:
        window = site.window(entry, Variant(), 0, Rect(x, y, min(600, 2100 - x), min(600, 2100 - y)))
        np.testing.assert_array_equal(window, whole[y : y + 600, x : x + 600])
        assert site.cache.state.bytes <= 200_000


def test_many_threads_make_a_thing_once() -> None:
    cache, made, go = ByteCache(1000), [], threading.Event()

    def make() -> str:
        made.append(1)
        go.wait(20)
        return "thing"

    with ThreadPoolExecutor(8) as threads:
        waiting = [threads.submit(cache.keep, "key", make, len) for _ in range(8)]
        wait_for(lambda: made)
        go.set()
        assert [future.result() for future in waiting] == ["thing"] * 8
    assert len(made) == 1

    def fail() -> str:
        raise Refusal(503, "not now")

    for _ in range(2):  # a failure is not kept
        with pytest.raises(Refusal):
            cache.keep("other", fail, len)
    assert cache.keep("other", lambda: "now", len) == "now"


def test_a_file_replaced_while_it_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "picture.jp2"
    path.write_bytes((folder / "good.jp2").read_bytes())
    site = Site(tmp_path)
    entry = site.locate("picture.jp2")
    site.facts(entry)
    path.write_bytes((folder / "no levels.jp2").read_bytes())
    with pytest.raises(Refusal) as refusal:
        site.window(entry, Variant(), 0, Rect(0, 0, 10, 10))
    assert refusal.value.status == 503
    fresh = site.locate("picture.jp2")
    assert site.window(fresh, Variant(), 0, Rect(0, 0, 10, 10)).shape == (10, 10, 1)


# ---- the command


def test_the_command_serves_and_stops_gracefully(folder: Path) -> None:
    code = "import sys; from wavelic.cli.main import run; sys.argv[0] = 'wavelic'; run()"
    command = [sys.executable, "-c", code, "serve", str(folder), "--port", "0", "--workers", "1"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        port = int(url.rsplit(":", 1)[1].strip("/"))
        assert get(port, "/iiif/3/good.jp2/full/max/0/default.png").startswith(b"HTTP/1.1 200")
        with ThreadPoolExecutor(1) as client:
            path = "/iiif/3/no%20levels.jp2/full/2099,/0/default.png"
            answer = client.submit(get, port, path)
            while not answer.done() and b'"jobs":1' not in get(port, "/healthz"):
                pass
            process.send_signal(signal.SIGTERM)  # while the answer is made
            received = answer.result()
        assert received.startswith(b"HTTP/1.1 200")
        length = int(received.split(b"content-length: ")[1].split(b"\r\n")[0])
        assert len(received.split(b"\r\n\r\n", 1)[1]) == length
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
        assert f'"GET {path}" 200' in errors
        assert "Traceback" not in errors
    finally:
        process.kill()


def get(port: int, path: str) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=120) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())
        received = b""
        while piece := client.recv(65536):
            received += piece
        return received


def test_addresses_and_folders_that_cannot_be_had(folder: Path, tmp_path: Path) -> None:
    with listen("127.0.0.1", 0) as taken, pytest.raises(UsageError, match="choose another"):
        listen("127.0.0.1", taken.getsockname()[1])
    with pytest.raises(UsageError, match="choose another"):
        listen("not a host name", 0)
    with pytest.raises(UsageError, match="cannot be served"):
        Site(tmp_path / "none")
    with pytest.raises(UsageError, match="is a file"):
        Site(folder / "good.jp2")
    assert server_module.MAX_CONNECTIONS > 0
