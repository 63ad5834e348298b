"""The IIIF server over HTTP: the official validator, headers, documents."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
from serving_support import (
    GOLDEN,
    VALIDATED,
    RunningServer,
    photograph,
    pictures,
    plain_jp2,
    running,
    validate,
    validator_picture,
)

import wavelic
from wavelic.jpeg2000 import EncodeOptions
from wavelic.lifting.jp2.opening import open_jp2
from wavelic.remote import open_source
from wavelic.serving.app import Settings
from wavelic.serving.request import SizeLimits
from wavelic.serving.site import Site
from wavelic.serving.source import FIRST_SHARE


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pictures(tmp_path_factory.mktemp("serving"), [(1, 1), (1023, 767)]) as root:
        yield root


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[RunningServer]:
    with running(Site(folder)) as running_server:
        yield running_server


# ---- the validator of the IIIF consortium


@pytest.fixture(scope="module")
def validated(folder: Path) -> None:
    (folder / VALIDATED).write_bytes(validator_picture())


def test_the_official_validator_finds_nothing_at_level_2(server: RunningServer, validated: None) -> None:
    server.get(f"/iiif/3/{VALIDATED}/full/max/0/default.jpg")  # it gives up after five seconds
    result = validate(server.port, 3, "--level", "2")
    assert result.returncode == 0, (result.stdout + result.stderr)[-3000:]
    assert "33 tests, 0 failures" in result.stdout + result.stderr


@pytest.mark.parametrize("name", ["linkheader_canonical", "linkheader_profile", "rot_mirror", "rot_mirror_180"])
def test_the_official_validator_beyond_level_2(server: RunningServer, validated: None, name: str) -> None:
    result = validate(server.port, 3, "--level", "3", "--test", name)
    assert result.returncode == 0, (result.stdout + result.stderr)[-3000:]


# ---- HTTP


def test_information_document(server: RunningServer) -> None:
    info = server.json("/iiif/3/learned.jp2/info.json")
    assert info["id"] == f"http://127.0.0.1:{server.port}/iiif/3/learned.jp2"
    assert (info["type"], info["profile"]) == ("ImageService3", "level2")
    assert (info["width"], info["height"], info["maxArea"]) == (700, 530, 2**24)
    assert info["sizes"][-3:] == [{"width": w, "height": h} for w, h in ((175, 133), (350, 265), (700, 530))]
    assert info["tiles"] == [{"width": 512, "height": 512, "scaleFactors": [1, 2, 4, 8, 16, 32]}]
    for size in info["sizes"]:  # what is listed can be had
        answer = server.get(f"/iiif/3/learned.jp2/full/{size['width']},{size['height']}/0/default.jpg")
        assert Image.open(io.BytesIO(answer.body)).size == (size["width"], size["height"])
    linked = server.get("/iiif/3/learned.jp2/info.json", Accept="application/ld+json")
    assert linked.headers["content-type"].startswith("application/ld+json;profile=")
    assert server.get("/iiif/3/learned.jp2/info.json").headers["content-type"] == "application/json"


def test_base_uri_redirects(server: RunningServer) -> None:
    for path in ("/iiif/3/sub%20folder%2Fx.jp2", "/iiif/3/nothing.jp2"):
        assert server.get(path).status == 404
    for path in ("/iiif/3/learned.jp2", "/iiif/3/learned.jp2/", "/iiif/3/%6Cearned.jp2"):
        answer = server.get(path)
        assert answer.status == 303
        assert answer.headers["location"] == f"http://127.0.0.1:{server.port}/iiif/3/learned.jp2/info.json"


def test_escaped_identifiers(server: RunningServer) -> None:
    escaped = "sub%20folder%2Fgray%2C%2016%20%26%20100%25.jp2"
    info = server.json(f"/iiif/3/{escaped}/info.json")
    assert info["id"].endswith(f"/iiif/3/{escaped}")
    assert server.get(f"/iiif/3/{escaped}/full/max/0/default.jpg").status == 200
    assert server.get("/iiif/3/sub%2520folder%252Fgray.jp2/info.json").status == 404


def test_answers_may_be_reused_until_the_file_changes(server: RunningServer, folder: Path) -> None:
    shutil.copy(GOLDEN / "v1-wcae-gray.wlic", folder / "changing.wlic")
    for path in ("/iiif/3/changing.wlic/full/max/0/default.png", "/iiif/3/changing.wlic/info.json"):
        first = server.get(path)
        assert first.headers["cache-control"] == "public, max-age=3600"
        tag = first.headers["etag"]
        for value in (tag, f'"other", {tag}', "*", tag.removeprefix("W/")):
            again = server.get(path, If_None_Match=value)
            assert (again.status, again.body) == (304, b"")
            assert again.headers["etag"] == tag
        assert server.get(path, If_None_Match='"other"').status == 200
    before = server.get("/iiif/3/changing.wlic/full/max/0/default.png")
    shutil.copy(GOLDEN / "v1-wcae-rgba.wlic", folder / "changing.wlic")
    after = server.get("/iiif/3/changing.wlic/full/max/0/default.png", If_None_Match=before.headers["etag"])
    assert after.status == 200
    assert after.pixels.ndim != before.pixels.ndim
    (folder / "changing.wlic").unlink()
    assert server.get("/iiif/3/changing.wlic/full/max/0/default.png").status == 404
    # the same picture asked for in two ways has one tag; another picture another
    tags = {
        request: server.get(f"/iiif/3/learned.jp2/{request}", method="HEAD").headers["etag"]
        for request in ("full/350,/0/default.jpg", "0,0,700,530/pct:50/360/color.jpg", "full/351,/0/default.jpg")
    }
    assert len(set(tags.values())) == 2


def test_head_options_and_other_methods(server: RunningServer) -> None:
    path = "/iiif/3/learned.jp2/full/max/0/default.jpg"
    head = server.get(path, method="HEAD")
    assert (head.status, head.body, head.headers["content-type"]) == (200, b"", "image/jpeg")
    assert "content-length" not in head.headers
    preflight = server.get(path, method="OPTIONS", Origin="http://elsewhere")
    assert preflight.status == 204
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert "GET" in preflight.headers["access-control-allow-methods"]
    for method in ("POST", "PUT", "DELETE", "TRACE", "BREW"):
        assert server.get(path, method=method).status == 405
    for other in (path, "/iiif/3/none.jp2/info.json", "/", "/healthz"):
        assert server.get(other).headers["access-control-allow-origin"] == "*"


def test_base_url_can_be_set(folder: Path) -> None:
    with running(Site(folder), Settings(base_url="https://pictures.example/wavelic")) as server:
        assert server.json("/iiif/3/learned.jp2/info.json")["id"] == (
            "https://pictures.example/wavelic/iiif/3/learned.jp2"
        )


def test_maximum_area(folder: Path) -> None:
    with running(Site(folder), Settings(limits=SizeLimits(10_000, max_width=80))) as server:
        answer = server.get("/iiif/3/awkward-1023x767.jp2/full/max/0/default.png")
        assert answer.pixels.shape == (59, 80, 3)
        assert server.get("/iiif/3/awkward-1023x767.jp2/full/81,60/0/default.png").status == 400
        assert server.get("/iiif/3/awkward-1023x767.jp2/0,0,150,150/10,150/0/default.png").status == 200
        assert server.get("/iiif/3/awkward-1023x767.jp2/0,0,150,150/80,126/0/default.png").status == 400
        info = server.json("/iiif/3/awkward-1023x767.jp2/info.json")
        assert (info["maxArea"], info["maxWidth"]) == (10_000, 80)
        assert info["sizes"] == [{"width": 32, "height": 24}, {"width": 64, "height": 48}]


# ---- documents


def test_manifest(server: RunningServer, folder: Path) -> None:
    answer = server.get("/iiif/manifest.json")
    assert answer.headers["content-type"] == (
        'application/ld+json;profile="http://iiif.io/api/presentation/3/context.json"'
    )
    manifest = json.loads(answer.body)
    assert (manifest["type"], manifest["label"]) == ("Manifest", {"none": ["Photographs"]})
    identifiers = [canvas["label"]["none"][0] for canvas in manifest["items"]]
    assert identifiers == server.json("/api/images")["images"]
    assert identifiers == sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*.*") if p.is_file())
    ids = set()
    for canvas in manifest["items"]:
        (page,) = canvas["items"]
        (annotation,) = page["items"]
        assert (canvas["type"], page["type"], annotation["motivation"]) == ("Canvas", "AnnotationPage", "painting")
        assert annotation["target"] == canvas["id"]
        ids |= {canvas["id"], page["id"], annotation["id"]}
        body = annotation["body"]
        service = body["service"][0]
        assert (service["type"], body["id"]) == ("ImageService3", f"{service['id']}/full/max/0/default.jpg")
        info = server.json(service["id"].split(str(server.port))[1] + "/info.json")
        assert (info["id"], info["width"], info["height"]) == (service["id"], canvas["width"], canvas["height"])
        thumbnail = server.get(canvas["thumbnail"][0]["id"].split(str(server.port))[1])
        assert Image.open(io.BytesIO(thumbnail.body)).size == tuple(
            canvas["thumbnail"][0][side] for side in ("width", "height")
        )
    assert len(ids) == 3 * len(identifiers)


def test_a_manifest_says_what_it_leaves_out(folder: Path) -> None:
    (folder / "broken.jp2").write_bytes(b"no image")
    try:
        with running(Site(folder)) as server:
            manifest = server.json("/iiif/manifest.json")
            assert "1 more files" in manifest["summary"]["en"][0]
    finally:
        (folder / "broken.jp2").unlink()


def test_details_of_an_image(server: RunningServer, folder: Path) -> None:
    details = server.json("/api/images/learned.jp2")
    layers = [layer.bytes for layer in open_jp2((folder / "learned.jp2").read_bytes()).layers]
    assert details["layers"] == layers
    assert details["bytes"] == layers[-1] == (folder / "learned.jp2").stat().st_size
    assert (details["codec"], details["width"], details["levels"]) == ("lifting", 700, 5)
    assert details["decodes"][0] == "stock"
    assert "stock" not in server.json("/api/images/awkward-1x1.jp2")["decodes"]
    assert server.json("/api/images/gray.wlic")["codec"] == "wcae"
    assert server.json("/api/images/awkward-1x1.jp2")["codec"] == "jpeg2000"


def test_a_first_view_lies_in_the_first_part_of_the_file(server: RunningServer, folder: Path) -> None:
    options = EncodeOptions(layer_bytes=(2e3, 2e4, 2e5), colour_transform=True)
    data = plain_jp2(photograph(1100, 1437), options)
    (folder / "large.jp2").write_bytes(data)
    try:
        first = server.json("/api/images/large.jp2")["first"]
        view = wavelic.open(data).best_within(int(len(data) * FIRST_SHARE))
        assert (first["layers"], first["width"]) == (view.layers, -(-1437 // 2**view.reduce))
        size = f"{first['width']},{first['height']}"
        shown = server.get(f"/iiif/3;layers={first['layers']}/large.jp2/full/{size}/0/default.png")
        np.testing.assert_array_equal(shown.pixels, wavelic.decode(data, reduce=view.reduce, layers=view.layers))
    finally:
        (folder / "large.jp2").unlink()
    assert server.json("/api/images/awkward-1x1.jp2")["first"] is None
    assert server.json("/api/images/gray.wlic")["first"] is None


def test_ranges_hold_all_that_a_tile_is_decoded_from(server: RunningServer, folder: Path) -> None:
    """A tile is the same when every byte outside its ranges is another."""
    options = EncodeOptions(precincts=((64, 64),), progression="RPCL", layer_bytes=(3e4, 2e5), colour_transform=True)
    data = plain_jp2(photograph(1100, 1437), options)
    (folder / "precincts.jp2").write_bytes(data)
    file, costs = wavelic.open(data), {}
    for layers, reduce, column, row in [(0, 0, 1, 1), (1, 0, 1, 1), (0, 2, 0, 0), (0, 0, 2, 2)]:
        answer = server.json(f"/api/ranges/precincts.jp2/{layers}.{reduce}.{column}.{row}")
        assert answer["bytes"] == len(data)
        masked = bytearray(np.random.default_rng(0).bytes(len(data)))
        for start, stop in answer["ranges"]:
            masked[start:stop] = data[start:stop]
        x, y, side = column * 512 << reduce, row * 512 << reduce, 512 << reduce
        region = (x, y, min(side, 1437 - x), min(side, 1100 - y))
        part = open_jp2(open_source(bytes(masked))).read(reduce, layers or None, region)
        np.testing.assert_array_equal(part, file.read(reduce, layers or None, region))
        costs[layers, reduce, column] = sum(stop - start for start, stop in answer["ranges"])
    whole = costs.pop((0, 0, 1))
    assert max(costs.values()) < whole < 0.8 * len(data)
    everything = ",".join(f"0.0.{column}.{row}" for column in range(3) for row in range(3))
    assert server.json(f"/api/ranges/precincts.jp2/{everything}")["ranges"] == [[0, len(data) - 2]]
    (folder / "precincts.jp2").unlink()


def test_ranges_of_other_files(server: RunningServer, folder: Path) -> None:
    size = (folder / "gray.wlic").stat().st_size
    assert server.json("/api/ranges/gray.wlic/0.0.0.0") == {"bytes": size, "ranges": [[0, size]]}
    learned, stock = (server.json(f"/api/ranges/learned.jp2/{kind}2.1.0.0")["ranges"] for kind in ("", "s"))
    assert learned == stock  # without precincts a window needs all of a resolution
    assert learned[-1][1] < (folder / "learned.jp2").stat().st_size / 2


NO_TILES = ["", "0.0.0", "0.0.0.0,", "x.0.0.0", "0.0.9.0", "0.99.0.0", "0.0.99999.99999", "-1.0.0.0", "0.0.0.0," * 65]


@pytest.mark.parametrize("tiles", NO_TILES)
def test_ranges_of_no_tiles(server: RunningServer, tiles: str) -> None:
    assert server.get(f"/api/ranges/learned.jp2/{tiles}").status == 400
    assert server.get(f"/api/ranges/none.jp2/{tiles or '0.0.0.0'}").status in (400, 404)


def test_health(server: RunningServer) -> None:
    health = server.json("/healthz")
    assert (health["status"], health["version"]) == ("ok", wavelic.__version__)
    assert 0 < health["cache"]["bytes"] <= health["cache"]["capacity"]
