"""Behind a proxy: forwarded headers, prefixes that are left or taken away, slashes that are decoded; a real nginx."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from paths import ROOT

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
from serving_support import RunningServer, photograph, plain_jp2, running, wait_for

from wavelic.serving.app import Settings
from wavelic.serving.site import Site

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
ID = "sub%20folder%2Fa%20%26%20100%25.jp2"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("proxied")
    (root / "sub folder").mkdir()
    (root / "sub folder" / "a & 100%.jp2").write_bytes(plain_jp2(photograph(60, 90)))
    return root


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[RunningServer]:
    with running(Site(folder)) as running_server:
        yield running_server


@pytest.mark.parametrize("left", ["", "/images"])
def test_a_prefix_that_the_proxy_takes_away_or_leaves(server: RunningServer, left: str) -> None:
    forwarded = {"X_Forwarded_Prefix": "/images", "X_Forwarded_Proto": "https", "X_Forwarded_Host": "example.org"}
    info = server.get(f"{left}/iiif/3/{ID}/info.json", **forwarded)
    assert json.loads(info.body)["id"] == f"https://example.org/images/iiif/3/{ID}"
    image = server.get(f"{left}/iiif/3/{ID}/full/max/0/default.jpg", **forwarded)
    assert image.headers["link"].startswith(f"<https://example.org/images/iiif/3/{ID}/full/max/")
    redirect = server.get(f"{left}/iiif/3/{ID}", **forwarded)
    assert redirect.headers["location"] == f"https://example.org/images/iiif/3/{ID}/info.json"
    assert server.get(f"{left}/", **forwarded).status == server.get(f"{left}/healthz", **forwarded).status == 200


def test_proxies_in_a_row_and_a_prefix_like_our_own_paths(server: RunningServer) -> None:
    info = server.get(f"/iiif/3/{ID}/info.json", X_Forwarded_Prefix="/a/, /b", X_Forwarded_Host="h:8, i")
    assert json.loads(info.body)["id"] == f"http://h:8/a/b/iiif/3/{ID}"
    for path in (f"/iiif/3/{ID}/info.json", f"/iiif/iiif/3/{ID}/info.json"):
        info = server.get(path, X_Forwarded_Prefix="/iiif", Host="h")
        assert json.loads(info.body)["id"] == f"http://h/iiif/iiif/3/{ID}"


@pytest.mark.parametrize("slashes", ["sub%20folder/a%20%26%20100%25.jp2", "sub%20folder%2fa%20%26%20100%25.jp2"])
def test_slashes_that_a_proxy_decodes(server: RunningServer, slashes: str) -> None:
    for version in (2, 3):
        info = server.json(f"/iiif/{version}/{slashes}/info.json")
        assert (info.get("id") or info["@id"]).endswith(f"/iiif/{version}/{ID}")
        assert server.get(f"/iiif/{version}/{slashes}/full/50,/0/default.jpg").status == 200
        assert server.get(f"/iiif/{version}/{slashes}").headers["location"].endswith(f"{ID}/info.json")
        assert server.get(f"/iiif/{version}/{slashes}/").status == 303
    assert server.json(f"/api/images/{slashes}")["width"] == 90
    assert server.json(f"/api/ranges/{slashes}/0.0.0.0")["ranges"]


def test_headers_of_strangers_are_not_believed(folder: Path) -> None:
    with running(Site(folder), trusted="192.0.2.7") as server:
        forged = {"X_Forwarded_Prefix": "/evil", "X_Forwarded_Host": "evil.example", "X_Forwarded_Proto": "https"}
        info = server.get(f"/iiif/3/{ID}/info.json", Host="here", **forged)
        assert json.loads(info.body)["id"] == f"http://here/iiif/3/{ID}"


@pytest.mark.parametrize("prefix", ["images", "//", "/a b", "/<x>", "https://h/x", "/a" * 11])
def test_a_prefix_that_is_no_path_is_refused(server: RunningServer, prefix: str) -> None:
    answer = server.get(f"/iiif/3/{ID}/info.json", Host="h", X_Forwarded_Prefix=prefix)
    assert answer.status == (200 if prefix == "//" else 400)  # "//" is no prefix at all
    assert prefix == "//" or b"X-Forwarded-Prefix" in answer.body


def test_a_base_url_with_a_path(folder: Path) -> None:
    with running(Site(folder), Settings(base_url="https://example.org/pictures")) as server:
        for left in ("", "/pictures"):
            info = server.json(f"{left}/iiif/3/{ID}/info.json")
            assert info["id"] == f"https://example.org/pictures/iiif/3/{ID}"


@pytest.fixture(scope="module")
def nginx(server: RunningServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """nginx with the file of `deploy/`, and the same with the prefix left in the path under /kept/."""
    if NGINX is None:
        pytest.skip("no nginx on this machine")
    place = tmp_path_factory.mktemp("nginx")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    taken = (ROOT / "deploy" / "nginx.conf").read_text().replace("127.0.0.1:8182", f"127.0.0.1:{server.port}")
    kept = re.sub(r"(proxy_pass http://[0-9.:]+)/;", r"\1;", taken).replace("/images", "/kept")
    assert kept.count("proxy_pass") == 1
    folders = "".join(
        f"{name}_temp_path {place}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (place / "nginx.conf").write_text(
        f"daemon off;\nmaster_process off;\npid {place}/pid;\nerror_log {place}/error.log;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{folders}server {{\nlisten 127.0.0.1:{port};\n{taken}\n{kept}\n}}\n}}\n"
    )
    process = subprocess.Popen([NGINX, "-p", str(place), "-c", str(place / "nginx.conf")], stderr=subprocess.PIPE)

    def answers() -> bool:
        assert process.poll() is None, process.stderr.read() if process.stderr else b""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    try:
        wait_for(answers)
        yield RunningServer(port, server.app)
    finally:
        process.terminate()
        process.wait(30)


@pytest.mark.parametrize("prefix", ["/images", "/kept"])
def test_behind_nginx(nginx: RunningServer, prefix: str) -> None:
    here = f"http://127.0.0.1:{nginx.port}{prefix}"
    for service in ("3", "2", "3;layers=1"):
        info = nginx.json(f"{prefix}/iiif/{service}/{ID}/info.json")
        assert (info.get("id") or info["@id"]) == f"{here}/iiif/{service.partition(';')[0]}" + (f"{service[1:]}/{ID}")
        assert nginx.get(f"{prefix}/iiif/{service}/{ID}/0,0,30,20/max/!90/gray.png").pixels.shape == (30, 20)
    assert nginx.get(f"{prefix}/iiif/3/{ID}/full/^128,128/0/default.jpg").status == 200
    assert nginx.get(f"{prefix}/iiif/3/{ID}").headers["location"] == f"{here}/iiif/3/{ID}/info.json"
    assert nginx.get(prefix).headers["location"].endswith(f"{prefix}/")
    manifest = nginx.json(f"{prefix}/iiif/manifest.json")
    assert manifest["items"][0]["thumbnail"][0]["id"].startswith(f"{here}/iiif/3/{ID}/")
    page = nginx.get(f"{prefix}/").body.decode()
    for name in re.findall(r'(?:href|src)="(viewer/[^"]+)"', page):
        assert nginx.get(f"{prefix}/{name}").status == 200
    assert nginx.get(f"{prefix}/metrics").status == 403
    assert nginx.get(f"{prefix}/iiif/3/..%2F..%2Fetc%2Fpasswd/info.json").status in (400, 404)
