"""Pictures from the IIIF server: exact tiles, and everything else against direct decodes."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
from serving_support import AWKWARD, RunningServer, photograph, pictures, plain_jp2, running, viewer_tiles

import wavelic
from wavelic.jpeg2000 import decode_codestream, read_jp2
from wavelic.lifting.jp2.opening import open_jp2
from wavelic.serving.documents import image_information
from wavelic.serving.facts import Facts
from wavelic.serving.render import plan
from wavelic.serving.request import SizeLimits, parse_request
from wavelic.serving.site import Site


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pictures(tmp_path_factory.mktemp("serving")) as root:
        yield root


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[RunningServer]:
    with running(Site(folder)) as running_server:
        yield running_server


# ---- tiles


@pytest.mark.parametrize(("width", "height"), AWKWARD)
def test_every_viewer_tile_is_a_crop_of_one_level(server: RunningServer, folder: Path, width: int, height: int) -> None:
    name = f"awkward-{width}x{height}.jp2"
    codestream = read_jp2((folder / name).read_bytes()).codestream
    info = server.json(f"/iiif/3/{name}/info.json")
    tiles = list(viewer_tiles(info))
    seen = {}
    for level, (left, top, w, h), size, request in tiles:
        if level not in seen:
            planes = decode_codestream(codestream, reduce=level).planes
            seen[level] = np.stack(planes, -1).astype(np.uint8)
        answer = server.get(f"/iiif/3/{name}/{request}/0/default.png")
        assert answer.status == 200
        assert answer.pixels.shape == (size[1], size[0], 3)
        np.testing.assert_array_equal(answer.pixels, seen[level][top : top + h, left : left + w])
    assert set(seen) == set(range(len(info["tiles"][0]["scaleFactors"])))


def test_learned_tiles_are_crops_too(server: RunningServer, folder: Path) -> None:
    file = wavelic.open(folder / "learned.jp2")
    for level, (left, top, w, h), _, request in viewer_tiles(server.json("/iiif/3/learned.jp2/info.json")):
        got = server.get(f"/iiif/3/learned.jp2/{request}/0/default.png").pixels.astype(int)
        difference = abs(got - file.read(reduce=level)[top : top + h, left : left + w])
        assert difference.max() <= 1  # the rounding of convolutions of another size
        assert (difference > 0).mean() < 1e-3


@pytest.mark.parametrize("averaged", [False, True])
def test_no_viewer_tile_is_ever_resampled(averaged: bool) -> None:
    sizes = random.Random(5)
    count = 0
    for _ in range(60):
        width, height = sizes.randint(1, 9000), sizes.randint(1, 9000)
        facts = Facts("any", width, height, 3, 8, sizes.randint(5, 7), 1, False, 1, averaged)
        for level, box, _, request in viewer_tiles(image_information("http://h/i", facts, SizeLimits(2**27))):
            wanted = parse_request(*request.split("/"), "0", "default.png").resolve(facts.size, SizeLimits(2**27))
            chosen = plan(wanted.region, wanted.size, facts, 2**27)
            assert chosen.part is None
            # a single sample of several levels may come from a finer one
            assert (chosen.reduce, chosen.window) == (level, box) or box[2:] == (1, 1)
            count += 1
    assert count > 3000


# ---- pictures against direct decodes


def test_a_scaled_region_is_near_the_same_region_scaled_by_pillow(server: RunningServer, folder: Path) -> None:
    whole = Image.fromarray(wavelic.open(folder / "awkward-1023x767.jp2").read())
    cases = [((100, 50, 700, 601), (233, 200)), ((0, 0, 1023, 767), (100, 75)), ((5, 7, 301, 99), (301, 70))]
    for region, size in cases:
        path = f"/iiif/3/awkward-1023x767.jp2/{','.join(map(str, region))}/{size[0]},{size[1]}/0/default.png"
        x, y, w, h = region
        expected = whole.resize(size, Image.Resampling.LANCZOS, box=(x, y, x + w, y + h))
        difference = server.get(path).pixels.astype(float) - np.asarray(expected)
        assert np.sqrt((difference**2).mean()) < 8  # levels of the file are not Pillow's, and sit half a sample beside


def test_enlarging_an_exact_region(server: RunningServer, folder: Path) -> None:
    whole = Image.fromarray(wavelic.open(folder / "awkward-1023x767.jp2").read())
    got = server.get("/iiif/3/awkward-1023x767.jp2/10,20,60,40/^120,80/0/default.png").pixels
    expected = whole.resize((120, 80), Image.Resampling.LANCZOS, box=(10, 20, 70, 60))
    assert abs(got.astype(int) - np.asarray(expected)).max() <= 1


@pytest.mark.parametrize("mirror", ["", "!"])
@pytest.mark.parametrize("angle", [0, 90, 180, 270])
def test_rotation_is_clockwise_after_mirroring(server: RunningServer, mirror: str, angle: int) -> None:
    straight = server.get("/iiif/3/awkward-1023x767.jp2/0,0,200,90/max/0/default.png").pixels
    turned = server.get(f"/iiif/3/awkward-1023x767.jp2/0,0,200,90/max/{mirror}{angle}/default.png").pixels
    expected = np.rot90(straight[:, ::-1] if mirror else straight, -angle // 90)
    np.testing.assert_array_equal(turned, expected)


def test_qualities(server: RunningServer) -> None:
    colour = server.get("/iiif/3/awkward-1023x767.jp2/0,0,200,90/max/0/color.png").pixels
    gray = server.get("/iiif/3/awkward-1023x767.jp2/0,0,200,90/max/0/gray.png").pixels
    assert abs(gray - colour @ [0.299, 0.587, 0.114]).max() <= 1
    bitonal = Image.open(io.BytesIO(server.get("/iiif/3/awkward-1023x767.jp2/0,0,200,90/max/0/bitonal.png").body))
    assert bitonal.mode == "1"
    np.testing.assert_array_equal(np.asarray(bitonal), gray >= 128)


@pytest.mark.parametrize(("name", "kind"), [("jpg", "JPEG"), ("png", "PNG"), ("webp", "WEBP")])
def test_formats(server: RunningServer, name: str, kind: str) -> None:
    for quality in ("default", "gray", "bitonal"):
        answer = server.get(f"/iiif/3/rgba.wlic/full/max/0/{quality}.{name}")
        assert answer.status == 200
        assert answer.headers["content-type"] == f"image/{name.replace('jpg', 'jpeg')}"
        assert Image.open(io.BytesIO(answer.body)).format == kind


def test_sixteen_bits_become_the_nearest_eight(server: RunningServer, folder: Path) -> None:
    path = "sub folder/gray, 16 & 100%.jp2"
    planes = decode_codestream(read_jp2((folder / path).read_bytes()).codestream).planes
    got = server.get("/iiif/3/sub%20folder%2Fgray%2C%2016%20%26%20100%25.jp2/full/max/0/default.png").pixels
    np.testing.assert_array_equal(got, np.rint(planes[0] / 257))


def test_opacity_is_kept_in_png_and_laid_over_white_in_jpeg(server: RunningServer, folder: Path) -> None:
    decoded = wavelic.open(folder / "rgba.wlic").read()
    np.testing.assert_array_equal(server.get("/iiif/3/rgba.wlic/full/max/0/default.png").pixels, decoded)
    alpha = decoded[..., 3:] / 255
    assert alpha.min() < 0.5  # or the test shows nothing
    over_white = decoded[..., :3] * alpha + 255 * (1 - alpha)
    got = server.get("/iiif/3/rgba.wlic/full/max/0/default.jpg").pixels
    assert np.sqrt(((got - over_white) ** 2).mean()) < 6


def test_wlic_levels_are_averages_and_windows_of_them(server: RunningServer, folder: Path) -> None:
    decoded = wavelic.open(folder / "gray.wlic").read()[..., 0].astype(float)
    height, width = (side - side % 2 for side in decoded.shape)
    got = server.get(f"/iiif/3/gray.wlic/0,0,{width},{height}/{width // 2},{height // 2}/0/default.png").pixels
    blocks = decoded[:height, :width].reshape(height // 2, 2, width // 2, 2).mean((1, 3))
    assert np.sqrt(((got - blocks) ** 2).mean()) < 5  # Lanczos, as no tile needs a smaller level of so small an image


def test_icc_profile_goes_along_where_it_fits(tmp_path: Path) -> None:
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    (tmp_path / "icc.jp2").write_bytes(plain_jp2(photograph(40, 50), icc=profile))
    with running(Site(tmp_path)) as server:
        expectations = {"default.png": profile, "default.jpg": profile, "gray.png": None, "bitonal.png": None}
        for path, expected in expectations.items():
            picture_ = Image.open(io.BytesIO(server.get(f"/iiif/3/icc.jp2/full/max/0/{path}").body))
            assert picture_.info.get("icc_profile") == expected


def test_fewer_layers_and_the_stock_decode(server: RunningServer, folder: Path) -> None:
    data = (folder / "learned.jp2").read_bytes()
    file = open_jp2(data)
    pictures = {}
    for option, expected in [
        (";layers=1", file.read(layers=1)),
        (";layers=2", file.read(layers=2)),
        (";layers=3", file.read()),
        (";layers=999999999", file.read()),
        ("", file.read()),
    ]:
        pictures[option] = server.get(f"/iiif/3{option}/learned.jp2/full/max/0/default.png").pixels
        assert abs(pictures[option].astype(int) - expected).max() <= 1
    assert (pictures[";layers=1"] != pictures[";layers=2"]).mean() > 0.2
    stock = server.get("/iiif/3;layers=2;decode=stock/learned.jp2/full/max/0/default.png").pixels
    planes = np.stack(decode_codestream(file.jp2.codestream, max_layers=2).planes, -1)
    np.testing.assert_array_equal(stock, np.rint(planes / 4095 * 255).astype(np.uint8))
    with Image.open(folder / "learned.jp2", formats=["JPEG2000"]) as other:  # as other software reads it
        whole = server.get("/iiif/3;decode=stock/learned.jp2/full/max/0/default.png").pixels
        assert abs(np.asarray(other).astype(int) - whole).max() <= 1


def test_a_service_of_few_layers_describes_itself(server: RunningServer) -> None:
    info = server.json("/iiif/3;layers=2/learned.jp2/info.json")
    assert info["id"] == f"http://127.0.0.1:{server.port}/iiif/3;layers=2/learned.jp2"
    link = server.get("/iiif/3;layers=2/learned.jp2/full/max/0/default.png").headers["link"]
    assert f"<{info['id']}/full/max/0/default.png>" in link
    # what names all layers, or the stock decode of a file without learned steps, is the plain picture
    for option, name in [(";layers=3", "learned.jp2"), (";decode=stock", "awkward-1x1.jp2")]:
        link = server.get(f"/iiif/3{option}/{name}/full/max/0/default.png").headers["link"]
        assert f"/iiif/3/{name}/full/max/0/default.png>" in link
