"""A file is answered alike wherever it is asked for: in lists, info.json and images; and shown upright everywhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from paths import GOLDEN, JPEG2000_DATA
from PIL import Image

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
from serving_support import RunningServer, photograph, plain_jp2, running, viewer_tiles

import wavelic
from wavelic.codec.jp2_box import EXIF_ID
from wavelic.container import read_container, with_metadata, write_container
from wavelic.images.orientation import turn
from wavelic.jpeg2000 import EncodeOptions, Uuid
from wavelic.serving.site import Site


def statuses(server: RunningServer, name: str) -> set[int]:
    """Of every answer about the picture of a file."""
    name = quote(name, safe="")
    paths = ["info.json", "full/max/0/default.jpg", "0,0,8,8/max/0/default.png", "full/max/0/gray.webp"]
    found = {server.get(f"/iiif/{version}/{name}/{path}").status for version in "32" for path in paths}
    found.add(server.get(f"/iiif/3/{name}/full/max/0/default.jpg", method="HEAD").status)
    found.add(server.get(f"/api/images/{name}").status)
    return found


def exif(orientation: int) -> bytes:
    made = Image.Exif()
    made[0x0112] = orientation
    return made.tobytes().removeprefix(b"Exif\0\0")


# ---- what cannot be shown


@pytest.fixture
def odd_files(tmp_path: Path) -> Path:
    """Sound and unsound files, of kinds that are shown, not supported, and damaged."""
    good = plain_jp2(photograph(90, 120))
    container = read_container((GOLDEN / "v1-wcae-gray.wlic").read_bytes())
    files = {
        "good.jp2": good,
        "cut.jp2": good[: len(good) // 2],
        "nothing.jp2": b"no picture",
        "subsampled.jp2": (JPEG2000_DATA / "subsampled-sycc.jp2").read_bytes(),
        "palette.jp2": (JPEG2000_DATA / "palette.jp2").read_bytes(),
        "unknown codec.wlic": write_container(replace(container, header=replace(container.header, codec=255))),
        "no weights.wlic": write_container(replace(container, header=replace(container.header, model=b"\1" * 16))),
        "damaged.wlic": (GOLDEN / "v1-wcae-gray.wlic").read_bytes()[:-9] + bytes(9),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    return tmp_path


def test_what_cannot_be_shown_is_answered_alike(odd_files: Path) -> None:
    with running(Site(odd_files)) as server:
        answers = {path.name: statuses(server, path.name) for path in odd_files.iterdir()}
        assert all(len(found) == 1 for found in answers.values()), answers
        status = {name: min(found) for name, found in answers.items()}
        assert (status["good.jp2"], status["cut.jp2"], status["nothing.jp2"], status["damaged.wlic"]) == (
            (200, 500, 500, 500)
        )
        assert status["unknown codec.wlic"] == status["no weights.wlic"] == 501  # sound, and not made here
        assert {status["subsampled.jp2"], status["palette.jp2"]} <= {200, 501}
        shown = sorted(name for name, value in status.items() if value == 200)
        listed = server.json("/api/images")
        assert listed["images"] == shown
        assert sorted(entry["id"] for entry in listed["refused"]) == sorted(status.keys() - set(shown))
        assert all(entry["reason"] and str(odd_files) not in entry["reason"] for entry in listed["refused"])
        manifest = server.json("/iiif/manifest.json")
        assert [canvas["label"]["none"][0] for canvas in manifest["items"]] == shown
        assert f"{len(status) - len(shown)} more files" in manifest["summary"]["en"][0]


def test_a_list_follows_the_files(odd_files: Path) -> None:
    site = Site(odd_files)
    before = site.listing()
    assert site.listing() is before  # within a second
    (odd_files / "cut.jp2").write_bytes((odd_files / "good.jp2").read_bytes())
    (odd_files / "good.jp2").unlink()
    site._listed = float("-inf"), before
    after = site.listing()
    assert "cut.jp2" in after.shown
    assert "good.jp2" not in after.shown
    assert "nothing.jp2" in after.refused


# ---- upright


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_shown_upright(tmp_path: Path, orientation: int) -> None:
    lossless = EncodeOptions(reversible=True, colour_transform=True)
    plain = plain_jp2(photograph(60, 90), lossless, uuids=[Uuid(EXIF_ID, exif(orientation))])
    (tmp_path / "a.jp2").write_bytes(plain)
    container = read_container((GOLDEN / "v1-wcae-rgba.wlic").read_bytes())
    (tmp_path / "a.wlic").write_bytes(write_container(with_metadata(container, exif=exif(orientation))))
    with running(Site(tmp_path)) as server:
        for name in ("a.jp2", "a.wlic"):
            expected = turn(wavelic.open(tmp_path / name).read(), orientation)
            info = server.json(f"/iiif/3/{name}/info.json")
            assert (info["height"], info["width"]) == expected.shape[:2]
            details = server.json(f"/api/images/{name}")
            assert (details["height"], details["width"]) == expected.shape[:2]
            got = server.get(f"/iiif/3/{name}/full/max/0/default.png").pixels
            np.testing.assert_array_equal(got, expected)
            part = server.get(f"/iiif/3/{name}/3,5,20,31/max/0/default.png").pixels
            np.testing.assert_array_equal(part, expected[5:36, 3:23])
            assert "exif" not in Image.open(tmp_path / "a.jp2").info  # or a viewer of the answer would turn it again


@pytest.mark.parametrize("orientation", [3, 6, 7])
def test_tiles_of_a_turned_picture_are_crops_of_its_turned_levels(tmp_path: Path, orientation: int) -> None:
    options = EncodeOptions(levels=2, colour_transform=True)
    data = plain_jp2(photograph(515, 1027), options, uuids=[Uuid(EXIF_ID, exif(orientation))])
    (tmp_path / "a.jp2").write_bytes(data)
    file = wavelic.open(data)
    with running(Site(tmp_path)) as server:
        levels = [turn(file.read(reduce), orientation) for reduce in range(3)]
        for level, (x, y, width, height), _, request in viewer_tiles(server.json("/iiif/3/a.jp2/info.json")):
            got = server.get(f"/iiif/3/a.jp2/{request}/0/default.png").pixels
            np.testing.assert_array_equal(got, levels[level][y : y + height, x : x + width])
            tile = f"0.{level}.{x // 512}.{y // 512}"
            assert server.json(f"/api/ranges/a.jp2/{tile}")["bytes"] == len(data)
