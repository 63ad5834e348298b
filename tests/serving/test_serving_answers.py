"""Answers that browsers may keep, compress and ask for again; counters for Prometheus."""

from __future__ import annotations

import gzip
import json
import os
import re
from collections.abc import Iterator

import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
from prometheus_client.parser import text_string_to_metric_families
from serving_support import Answer, RunningServer, photograph, plain_jp2, running

import wavelic
from wavelic.serving.site import Site

IMAGE = "/iiif/3/a.jp2/full/max/0/default.jpg"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("answers")
    for number in range(40):
        (folder / f"picture number {number}.jp2").write_bytes(plain_jp2(photograph(8, 8)))
    (folder / "a.jp2").write_bytes(plain_jp2(photograph(40, 60)))
    os.utime(folder / "a.jp2", (1e9, 1e9))
    with running(Site(folder)) as running_server:
        yield running_server


# ---- the page's files


def test_the_page_names_its_files_by_their_content(server: RunningServer) -> None:
    page = server.get("/")
    assert page.headers["cache-control"] == "no-cache"
    names = re.findall(r'(?:href|src)="(viewer/[^"]+)"', page.body.decode())
    assert len(set(names)) >= 4
    for name in names:
        assert re.fullmatch(r"viewer/[a-z.]+\.[0-9a-f]{16}\.(js|css|svg)", name)
        asset = server.get(f"/{name}")
        assert asset.headers["cache-control"] == "public, max-age=31536000, immutable"
        plain = server.get("/" + re.sub(r"\.[0-9a-f]{16}", "", name))  # for whoever links to it
        assert (plain.body, plain.headers["cache-control"]) == (asset.body, "no-cache")
    assert server.get("/viewer/viewer.0000000000000000.js").status == 404


@pytest.mark.parametrize("path", ["/", "/viewer/viewer.js", "/api/images", "/iiif/manifest.json"])
def test_text_is_compressed_for_who_takes_it(server: RunningServer, path: str) -> None:
    plain, small = server.get(path), server.get(path, Accept_Encoding="br, gzip")
    assert "content-encoding" not in plain.headers
    assert small.headers["content-encoding"] == "gzip"
    assert gzip.decompress(small.body) == plain.body
    assert len(small.body) == int(small.headers["content-length"]) < 0.6 * len(plain.body)
    for answer in (plain, small):
        assert "Accept-Encoding" in answer.headers["vary"]
    assert "content-encoding" not in server.get(path, Accept_Encoding="gzip;q=0, *;q=0.0").headers
    if "etag" in plain.headers:
        assert plain.headers["etag"] != small.headers["etag"]
        tag = small.headers["etag"]
        assert server.get(path, Accept_Encoding="gzip", If_None_Match=tag).status == 304
        assert server.get(path, If_None_Match=tag).status == 200
    assert "content-encoding" not in server.get(IMAGE, Accept_Encoding="gzip").headers


# ---- conditional requests


def test_answers_say_when_their_file_was_changed(server: RunningServer) -> None:
    for path in (IMAGE, "/iiif/3/a.jp2/info.json", "/iiif/2/a.jp2/info.json"):
        answer = server.get(path)
        date = answer.headers["last-modified"]
        assert date == "Sun, 09 Sep 2001 01:46:40 GMT"
        again = server.get(path, If_Modified_Since=date)
        assert (again.status, again.body, again.headers["etag"]) == (304, b"", answer.headers["etag"])
        assert server.get(path, If_Modified_Since="Sat, 08 Sep 2001 01:46:40 GMT").status == 200
        # a later date is no proof: the file may have been replaced by an older one
        assert server.get(path, If_Modified_Since="Mon, 10 Sep 2001 01:46:40 GMT").status == 200
        assert server.get(path, If_Modified_Since=date, If_None_Match='"other"').status == 200  # the tag decides


# ---- counters


def families(answer: Answer) -> dict[str, dict[tuple[str, ...], float]]:
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(answer.body.decode()):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found


def test_counters(server: RunningServer) -> None:
    before = families(server.get("/metrics"))
    body = server.get(IMAGE + "?again").body
    server.get("/iiif/3/none.jp2/info.json")
    server.get("/iiif/3/a.jp2/full/0,/0/default.jpg")
    answer = server.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    after = families(answer)

    def grown(name: str, *labels: str) -> float:
        return after[name][labels] - before.get(name, {}).get(labels, 0)

    assert grown("wavelic_requests_total", "image", "200") == 1
    assert grown("wavelic_requests_total", "image", "400") == 1
    assert grown("wavelic_requests_total", "info", "404") == 1
    assert grown("wavelic_requests_total", "metrics", "200") == 1
    assert grown("wavelic_sent_bytes_total", "image") > len(body)
    assert grown("wavelic_request_seconds_count", "image") == 2
    cache = json.loads(server.get("/healthz").body)["cache"]
    assert after["wavelic_cache_capacity_bytes"][()] == cache["capacity"]
    assert 0 < after["wavelic_cache_bytes"][()] <= cache["capacity"]
    assert after["wavelic_info"] == {(wavelic.__version__,): 1}
    assert after["process_resident_memory_bytes"][()] > 1e6


def test_counters_for_who_asks_for_openmetrics(server: RunningServer) -> None:
    answer = server.get("/metrics", Accept="application/openmetrics-text;version=1.0.0")
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.body.endswith(b"# EOF\n")


def test_hostile_paths_add_no_counters(server: RunningServer) -> None:
    for number in range(5):
        server.get(f"/{number}/nowhere")
    labels = families(server.get("/metrics"))["wavelic_request_seconds_count"]
    assert {kind for (kind,) in labels} <= {
        "details", "health", "image", "info", "list", "manifest", "metrics", "other", "ranges", "viewer"
    }  # fmt: skip
