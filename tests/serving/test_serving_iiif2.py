"""IIIF Image API 2.1: the official validator, and what it says differently from 3.0."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
from serving_support import VALIDATED, RunningServer, photograph, plain_jp2, running, validate, validator_picture

from wavelic.serving.app import Settings
from wavelic.serving.facts import Facts
from wavelic.serving.iiif2 import image_information_2, in_canonical_form_2, parse_request_2
from wavelic.serving.refusal import Refusal
from wavelic.serving.request import SizeLimits
from wavelic.serving.site import Site


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("iiif2")
    (folder / "a.jp2").write_bytes(plain_jp2(photograph(200, 300)))
    with running(Site(folder), Settings(limits=SizeLimits(4_000_000))) as running_server:
        yield running_server


def test_the_official_validator_finds_nothing(server: RunningServer) -> None:
    (server.app.site.root / VALIDATED).write_bytes(validator_picture())
    server.get(f"/iiif/2/{VALIDATED}/full/max/0/default.jpg")  # it gives up after five seconds
    result = validate(server.port, 2, "--level", "2")
    assert result.returncode == 0, (result.stdout + result.stderr)[-3000:]
    assert "30 tests, 0 failures" in result.stdout + result.stderr


@pytest.mark.parametrize("name", ["size_up", "linkheader_canonical", "linkheader_profile", "rot_mirror"])
def test_the_official_validator_beyond_level_2(server: RunningServer, name: str) -> None:
    (server.app.site.root / VALIDATED).write_bytes(validator_picture())
    result = validate(server.port, 2, "--level", "3", "--test", name)
    assert result.returncode == 0, (result.stdout + result.stderr)[-3000:]


def ask(path: str, image: tuple[int, int] = (300, 200), limits: SizeLimits | None = None) -> tuple[Any, str]:
    wanted = parse_request_2(*path.split("/")).resolve(image, limits or SizeLimits(1_000_000))
    return wanted, in_canonical_form_2(wanted, image)


# The examples of sections 4.2 and 4.7 of the specification on its image of 300 x 200.
@pytest.mark.parametrize(
    ("size", "expected", "canonical"),
    [
        ("full", (300, 200), "full"),
        ("max", (300, 200), "full"),
        ("150,", (150, 100), "150,"),
        (",150", (225, 150), "225,"),
        ("pct:50", (150, 100), "150,"),
        ("225,100", (225, 100), "225,100"),
        ("!225,100", (150, 100), "150,"),
        ("600,", (600, 400), "600,"),
        ("pct:200", (600, 400), "600,"),
        ("!600,600", (600, 400), "600,"),
    ],
)
def test_sizes(size: str, expected: tuple[int, int], canonical: str) -> None:
    wanted, path = ask(f"full/{size}/0/default.jpg")
    assert wanted.size == expected
    assert path == f"full/{canonical}/0/default.jpg"
    again, same = ask(path)
    assert (again.size, again.region, same) == (wanted.size, wanted.region, path)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("full/^max/0/default.jpg", 400),
        ("full/0,/0/default.jpg", 400),
        ("full/,/0/default.jpg", 400),
        ("full/9999999,/0/default.jpg", 400),
        ("300,0,1,1/full/0/default.jpg", 400),
        ("full/full/0/native.jpg", 400),
        ("full/full/45/default.jpg", 501),
        ("full/full/0/default.tif", 501),
    ],
)
def test_refusals(path: str, status: int) -> None:
    with pytest.raises(Refusal) as refusal:
        ask(path)
    assert refusal.value.status == status


def test_full_is_never_made_smaller_and_max_is() -> None:
    with pytest.raises(Refusal, match="above this server's limits"):
        ask("full/full/0/default.jpg", (3000, 2000))
    assert ask("full/max/0/default.jpg", (3000, 2000))[0].size == (1224, 816)


def test_information(server: RunningServer) -> None:
    info = server.json("/iiif/2/a.jp2/info.json")
    assert info["@id"] == f"http://127.0.0.1:{server.port}/iiif/2/a.jp2"
    assert info["@context"] == "http://iiif.io/api/image/2/context.json"
    assert info["profile"][0] == "http://iiif.io/api/image/2/level2.json"
    assert info["profile"][1]["maxArea"] == 4_000_000
    for size in info["sizes"]:
        assert server.get(f"/iiif/2/a.jp2/full/{size['width']},/0/default.jpg").status == 200
    third = server.json("/iiif/3/a.jp2/info.json")
    assert (info["sizes"], info["tiles"]) == (third["sizes"], third["tiles"])
    linked = server.get("/iiif/2;layers=1/a.jp2/info.json", Accept="application/ld+json")
    assert linked.headers["content-type"] == f'application/ld+json;profile="{info["@context"]}"'
    image = server.get("/iiif/2;layers=1/a.jp2/0,0,300,200/150,100/0/color.jpg")
    assert "/iiif/2/a.jp2/full/150,/0/default.jpg>" in image.headers["link"]
    assert f'<{info["profile"][0]}>;rel="profile"' in image.headers["link"]


def test_sides_that_are_limited() -> None:
    facts = Facts("any", 300, 200, 3, 8, 1, 1, (), 1)
    able = image_information_2("http://h/i", facts, SizeLimits(10_000, max_height=50))["profile"][1]
    assert (able["maxHeight"], able["maxWidth"]) == (50, 10_000)  # a height needs a width in this version
    assert "maxWidth" not in image_information_2("http://h/i", facts, SizeLimits(10_000))["profile"][1]


def test_manifests_name_both_versions(server: RunningServer) -> None:
    for canvas in server.json("/iiif/manifest.json")["items"]:
        services = canvas["items"][0]["items"][0]["body"]["service"]
        assert [service.get("type") or service["@type"] for service in services] == ["ImageService3", "ImageService2"]
        info = server.json(services[1]["@id"].split(str(server.port))[1] + "/info.json")
        assert info["@id"] == services[1]["@id"]
