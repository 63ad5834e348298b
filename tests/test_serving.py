"""The IIIF server over HTTP: the official validator, exact tiles, pictures against direct decodes, documents."""

from __future__ import annotations

import http.client
import io
import json
import os
import random
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
import wavelic
from test_jpeg2000 import picture
from test_lifting import random_transform
from wavelic.codecs.carrier import NO_MODEL, encode_carrier, to_components
from wavelic.codecs.lifting import open_jpeg2000
from wavelic.jpeg2000 import EncodeOptions, decode_codestream, encode_codestream, read_jp2, write_jp2
from wavelic.models.lifting import build_lifting
from wavelic.models.lifting_cards import lifting_id
from wavelic.models.lifting_weights import load_lifting_card, save_lifting
from wavelic.serving.app import Application, Settings
from wavelic.serving.documents import image_information
from wavelic.serving.render import plan
from wavelic.serving.request import SizeLimits, parse_request
from wavelic.serving.server import listen, make_server
from wavelic.serving.site import Site
from wavelic.serving.source import Facts

GOLDEN = Path(__file__).parent / "golden"
VALIDATED = "67352ccc-d1b0-11e1-89ae-279075081939.jp2"  # the validator escapes the hyphens of the name
AWKWARD = [(1, 1), (1, 700), (513, 1), (511, 513), (1023, 767), (1025, 640), (1537, 530), (37, 1200)]
torch.set_num_threads(1)


# ---- a site and a server for it; other test files use these too


def plain_jp2(pixels: np.ndarray, options: EncodeOptions | None = None, bits: int = 8, **boxes: object) -> bytes:
    """An ordinary JPEG 2000 file of (H, W, C) samples."""
    options = options or EncodeOptions(colour_transform=pixels.shape[2] == 3)
    codestream = encode_codestream(list(pixels.transpose(2, 0, 1).astype(np.int32)), bits, options)
    boxes.setdefault("colour", 16 if pixels.shape[2] >= 3 else 17)
    return write_jp2(codestream, **boxes)  # type: ignore[arg-type]


def photograph(height: int, width: int, channels: int = 3, bits: int = 8) -> np.ndarray:
    return np.stack([picture(height, width, bits, seed) for seed in range(channels)], -1)


def learned_jp2(folder: Path, pixels: np.ndarray, layer_bytes: tuple[float, ...] = ()) -> bytes:
    """A file of a transform with random learned steps, whose weights are put into ``folder``."""
    if not (folder / "trial.json").exists():
        transform = random_transform("Hybrid(9/7)-U16", 0.08, torch.float32)
        save_lifting(folder / "trial", "Hybrid(9/7)-U16", transform.state_dict(), {}, luma_only=True, family="trial")
    card = next(c for c in wavelic_cards() if c.name == "trial")
    with torch.no_grad():
        coefficients = load_lifting_card(card).analysis(to_components(pixels), 5)
    return encode_carrier(coefficients, 8, EncodeOptions(layer_bytes=layer_bytes), model=lifting_id(card)).data


def wavelic_cards() -> tuple:
    from wavelic.models.weights import cards

    return cards()


@dataclass
class Answer:
    """Status, headers by lower-case name, body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def pixels(self) -> np.ndarray:
        return np.asarray(Image.open(io.BytesIO(self.body)))


@dataclass
class RunningServer:
    """A server on a free port of the loopback interface."""

    port: int
    app: Application

    def get(self, path: str, method: str = "GET", **headers: str) -> Answer:
        """The answer to a request for exactly ``path``."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            connection.putrequest(method, path, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name.replace("_", "-"), value)
            connection.endheaders()
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def json(self, path: str) -> dict:
        answer = self.get(path)
        assert answer.status == 200, answer
        return json.loads(answer.body)


@contextmanager
def running(site: Site, settings: Settings | None = None, **socket_options: int) -> Iterator[RunningServer]:
    app = Application(site, settings)
    server = make_server(app)
    bound = listen("127.0.0.1", 0)
    for option, value in socket_options.items():
        import socket

        bound.setsockopt(socket.SOL_SOCKET, getattr(socket, option), value)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
    port = bound.getsockname()[1]
    thread.start()
    try:
        yield RunningServer(port, app)
    finally:
        server.should_exit = True
        thread.join(60)
        assert not thread.is_alive()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    base = tmp_path_factory.mktemp("serving")
    weights, root = base / "weights", base / "Photographs"
    weights.mkdir()
    (root / "sub folder").mkdir(parents=True)
    before = os.environ.get("WAVELIC_WEIGHTS")
    os.environ["WAVELIC_WEIGHTS"] = str(weights)
    (root / "learned.jp2").write_bytes(learned_jp2(weights, photograph(530, 700).astype(np.uint8), (3e3, 1e4, 6e4)))
    (root / "sub folder" / "gray, 16 & 100%.jp2").write_bytes(plain_jp2(photograph(90, 120, 1, 16), bits=16))
    shutil.copy(GOLDEN / "v1-wcae-rgba.wlic", root / "rgba.wlic")
    shutil.copy(GOLDEN / "v1-wcae-gray.wlic", root / "gray.wlic")
    for width, height in AWKWARD:
        pixels = photograph(height, width)
        (root / f"awkward-{width}x{height}.jp2").write_bytes(plain_jp2(pixels, EncodeOptions(layer_bytes=(4e4,))))
    yield root
    if before is None:
        del os.environ["WAVELIC_WEIGHTS"]
    else:
        os.environ["WAVELIC_WEIGHTS"] = before


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[RunningServer]:
    with running(Site(folder)) as running_server:
        yield running_server


# ---- the validator of the IIIF consortium


@pytest.fixture(scope="module")
def validated(folder: Path) -> None:
    """The validator's test image, 10 x 10 squares of known colours, in a file of ours."""
    module = pytest.importorskip("iiif_validator.validator", exc_type=ImportError)  # it needs libmagic
    colours = np.array(module.ValidationInfo().colorInfo, np.uint8).transpose(1, 0, 2)
    pixels = np.repeat(np.repeat(colours, 100, 0), 100, 1)
    with torch.no_grad():
        coefficients = build_lifting("CDF-9/7").analysis(to_components(pixels), 5)
    (folder / VALIDATED).write_bytes(encode_carrier(coefficients, 8, EncodeOptions(), model=NO_MODEL).data)


def validate(port: int, *options: str) -> subprocess.CompletedProcess[str]:
    script = Path(sys.executable).with_name("iiif-validate.py")
    where = ["-s", f"localhost:{port}", "-p", "iiif/3", "-i", VALIDATED, "--version=3.0"]
    return subprocess.run([sys.executable, str(script), *where, *options], capture_output=True, text=True, timeout=300)


def test_the_official_validator_finds_nothing_at_level_2(server: RunningServer, validated: None) -> None:
    server.get(f"/iiif/3/{VALIDATED}/full/max/0/default.jpg")  # it gives up after five seconds
    result = validate(server.port, "--level", "2")
    assert result.returncode == 0, (result.stdout + result.stderr)[-3000:]
    assert "33 tests, 0 failures" in result.stdout + result.stderr


@pytest.mark.parametrize("name", ["linkheader_canonical", "linkheader_profile", "rot_mirror", "rot_mirror_180"])
def test_the_official_validator_beyond_level_2(server: RunningServer, validated: None, name: str) -> None:
    result = validate(server.port, "--level", "3", "--test", name)
    assert result.returncode == 0, (result.stdout + result.stderr)[-3000:]


# ---- tiles


def viewer_tiles(info: dict) -> Iterator[tuple[int, tuple[int, int, int, int], tuple[int, int], str]]:
    """Every tile OpenSeadragon asks for, from info.json alone: level, box in it, its size, and the request.

    Its `IIIFTileSource` counts levels by the scale factors, rounds their sizes up, and asks for the whole image where a
    level is smaller than a tile both ways.
    """
    width, height = info["width"], info["height"]
    tile = info["tiles"][0]["width"]
    for level, factor in enumerate(info["tiles"][0]["scaleFactors"]):
        w, h = -(-width // factor), -(-height // factor)
        if w < tile and h < tile:
            size = "max" if (w, h) == (width, height) else f"{w},{h}"
            yield level, (0, 0, w, h), (w, h), f"full/{size}"
            continue
        for top in range(0, h, tile):
            for left in range(0, w, tile):
                x, y = left * factor, top * factor
                part = min(tile * factor, width - x), min(tile * factor, height - y)
                got = min(tile, w - left), min(tile, h - top)
                region = "full" if part == (width, height) else f"{x},{y},{part[0]},{part[1]}"
                size = "max" if got == (width, height) else f"{got[0]},{got[1]}"
                yield level, (left, top, *got), got, f"{region}/{size}"


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


@pytest.mark.parametrize("codec", ["jpeg2000", "wlic"])
def test_no_viewer_tile_is_ever_resampled(codec: str) -> None:
    sizes = random.Random(5)
    count = 0
    for _ in range(60):
        width, height = sizes.randint(1, 9000), sizes.randint(1, 9000)
        facts = Facts(codec, width, height, 3, 8, sizes.randint(5, 7), 1, False, 1)
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
    file = open_jpeg2000(data)
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
    planes = np.stack(decode_codestream(file.carrier.codestream, max_layers=2).planes, -1)
    np.testing.assert_array_equal(stock, np.rint(planes / 4095 * 255).astype(np.uint8))
    with Image.open(folder / "learned.jp2") as other:  # other software
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
    assert server.get("/iiif/3/sub%20folder/gray%2C%2016%20%26%20100%25.jp2/full/max/0/default.jpg").status == 404
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
    layers = [layer.bytes for layer in open_jpeg2000((folder / "learned.jp2").read_bytes()).layers]
    assert details["layers"] == layers
    assert details["bytes"] == layers[-1] == (folder / "learned.jp2").stat().st_size
    assert (details["learned"], details["codec"], details["width"], details["levels"]) == (True, "lifting", 700, 5)
    assert server.json("/api/images/gray.wlic")["codec"] == "wlic"
    assert server.json("/api/images/awkward-1x1.jp2")["codec"] == "jpeg2000"


def test_health(server: RunningServer) -> None:
    health = server.json("/healthz")
    assert (health["status"], health["version"]) == ("ok", wavelic.__version__)
    assert 0 < health["cache"]["bytes"] <= health["cache"]["capacity"]
