"""Access "random" of codec `lifting`: an eighth of the size for a tenth of the file, or the whole file and a word."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from commands import wavelic_cli
from pictures import psnr

import wavelic
from wavelic.api.files import Options, encode_image
from wavelic.codec.target import Target
from wavelic.images import Image, Metadata
from wavelic.lifting.coarse import REDUCE, SHARE, coarse_note
from wavelic.lifting.encode import Encoding
from wavelic.lifting.jp2.box import NO_MODEL
from wavelic.lifting.jp2.file import open_carrier
from wavelic.lifting.jp2.ranged import open_ranged
from wavelic.lifting.transform.transform import build_lifting
from wavelic.remote import open_source

torch.set_num_threads(1)
pytestmark = pytest.mark.usefixtures("weights")


def clouds(side: int, exponent: float) -> np.ndarray:
    """Noise whose spectrum falls with the frequency to the power of ``exponent``: the larger, the smoother."""
    random = np.random.default_rng(5)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side)))
    frequency[0, 0] = 1
    spectra = np.fft.fft2(random.normal(size=(3, side, side))) / frequency**exponent
    luma, *others = (field / field.std() for field in np.fft.ifft2(spectra).real)
    colours = 128 + 50 * luma[..., None] + 5 * np.stack([others[0], 0 * luma, others[1]], -1)
    return np.clip(colours, 0, 255).astype(np.uint8)


PIXELS = clouds(512, 1.4)  # of which, in five layers, reduce=3 has 12 % at 1 bpp
PIXEL_BYTES = 512 * 512 / 8


def plain(pixels: np.ndarray, **options: object) -> Encoding:
    return Encoding(Image(pixels), build_lifting("CDF-9/7"), NO_MODEL, Options(**{"layers": 5, **options}))  # type: ignore[arg-type]


def share(data: bytes, reduce: int = REDUCE) -> float:
    size = open_carrier(data).reduced_bytes[reduce]
    assert size is not None
    return size / len(data)


@pytest.mark.parametrize(("kind", "value"), [("quality", 57), ("bpp", 1.0), ("size", 33_000), ("psnr", 35.0)])
def test_the_promise_and_the_target(kind: str, value: float) -> None:
    target = Target(kind, value)  # type: ignore[arg-type]
    encoded = encode_image(Image(PIXELS), "lifting", target, Options(layers=5, access="random"))
    assert 0.97 * SHARE < share(encoded.data) <= SHARE
    assert encoded.note.endswith(f"reduce=3 takes {share(encoded.data):.1%} of the file")
    reached = {
        "bpp": len(encoded.data) / PIXEL_BYTES,
        "size": len(encoded.data),
        "psnr": psnr(wavelic.decode(encoded.data), PIXELS, 255),
    }.get(kind)
    if reached is not None:
        assert abs(reached - value) <= (0.086 if kind == "psnr" else 0.02 * value)
        assert "nearest" not in encoded.note


def test_a_small_picture_is_the_beginning_of_the_file() -> None:
    data = plain(PIXELS, access="random").at_bytes(PIXEL_BYTES, exceed=True)
    source = open_source(data)
    file = open_ranged(source)
    end = open_carrier(data).reduced_bytes[REDUCE]
    assert file.carrier.reduced_bytes == open_carrier(data).reduced_bytes
    (span,) = file.carrier.ranges(None, REDUCE, file.carrier.layers, None)
    assert span[1] == end - 2  # and the end marker
    before = source.bytes_read
    np.testing.assert_array_equal(file.read(reduce=REDUCE), wavelic.open(data).read(reduce=REDUCE))
    assert source.bytes_read - before == span[1] - span[0] < SHARE * len(data)


def test_what_is_read_in_parts_is_what_is_read_from_the_whole() -> None:
    data = plain(PIXELS, access="random").at_bytes(PIXEL_BYTES, exceed=True)
    assert share(data) > 0.97 * SHARE
    local, file = wavelic.open(data), open_ranged(open_source(data))
    for reduce in (0, 1, 3, 5):
        for layers in (1, 4, None):
            whole = local.read(reduce=reduce, layers=layers)
            np.testing.assert_array_equal(file.read(reduce=reduce, layers=layers), whole)
            window = file.read(reduce=reduce, layers=layers, region=(192, 320, 64, 96))
            step = 2**reduce
            np.testing.assert_array_equal(window, whole[320 // step : 416 // step, 192 // step : 256 // step])
    local.verify()
    with PIL.Image.open(io.BytesIO(data), formats=["JPEG2000"]) as viewer:
        seen = np.asarray(viewer).astype(float)
    assert psnr((seen - seen.mean()) / 0.9, PIXELS - PIXELS.mean(), 255) > 30  # the pseudo-image has less contrast


def test_windows_leaves_nothing_out() -> None:
    """It has the bits that "random" leaves out, and the better picture at equal size."""
    data = {access: plain(PIXELS, access=access).at_bytes(PIXEL_BYTES, exceed=True) for access in ("windows", "random")}
    assert share(data["windows"]) > 1.1 * SHARE
    quality = {access: psnr(wavelic.decode(file), PIXELS, 255) for access, file in data.items()}
    assert quality["windows"] - 1 < quality["random"] < quality["windows"]
    for file in data.values():
        info = wavelic.open(file).info
        assert (info["progression"], info["precincts"][-1]) == ("RPCL", [256, 256])
        assert info["reduced"][3]["share"] == pytest.approx(share(file), abs=1e-5)
        assert info["reduced"][0] == {"reduce": 0, "bytes": len(file), "share": 1.0}


@pytest.mark.parametrize(
    ("pixels", "options"),
    [
        (clouds(512, 2.2), {}),  # too smooth: the cut would have to be too deep
        (PIXELS, {"layers": 1}),
        (PIXELS, {"layers": (0.1, 1.0)}),
        (clouds(40, 1.6), {}),
    ],
    ids=["smooth", "one layer", "layers far apart", "small"],
)
def test_a_promise_that_would_cost_too_much_is_not_made(pixels: np.ndarray, options: dict[str, object]) -> None:
    encoding = plain(pixels, **options)
    sizes = encoding.layer_bytes(pixels[..., 0].size / 8)
    files = {access: plain(pixels, access=access, **options).file(sizes) for access in ("windows", "random")}
    assert files["random"] == files["windows"]
    assert share(files["random"]) > SHARE
    assert "10% would cost too much quality" in coarse_note(files["random"])


def test_a_file_that_keeps_the_promise_as_it_is_stays_as_it_is() -> None:
    pixels = clouds(512, 0.8)
    sizes = plain(pixels).layer_bytes(PIXEL_BYTES)
    files = {access: plain(pixels, access=access).file(sizes) for access in ("windows", "random")}
    assert files["random"] == files["windows"]
    assert share(files["random"]) <= SHARE


def test_a_picture_without_error_is_a_file_too() -> None:
    """No distance from a PSNR is smaller than infinity."""
    grey = np.full((64, 64, 3), 128, np.uint8)
    for access in ("windows", "random"):
        data = wavelic.encode(grey, "lifting", psnr=60, access=access)
        np.testing.assert_array_equal(wavelic.decode(data), grey)


def test_opacity_and_metadata_count() -> None:
    """Opening reads them, so that they are a part of the tenth."""
    metadata = Metadata(exif=b"II*\0" + bytes(800))
    for image in (Image(PIXELS, metadata), Image(np.dstack([PIXELS, PIXELS[..., :1] // 128 * 255]))):
        data = encode_image(image, "lifting", Target("bpp", 1.5), Options(layers=5, access="random")).data
        assert 0.9 * SHARE < share(data) <= SHARE or share(data) > 1.1 * SHARE
    assert share(data) > 1.1 * SHARE  # such opacity takes more than the tenth alone


def test_the_commands_say_what_a_small_picture_takes(tmp_path: Path) -> None:
    PIL.Image.fromarray(PIXELS).save(tmp_path / "a.png")
    for access in ("random", "windows"):
        out = tmp_path / f"{access}.jp2"
        done = wavelic_cli(
            "encode", tmp_path / "a.png", out, "--bpp", "1", "--access", access, "--layers", "5", "--json"
        )
        (row,) = json.loads(done.stdout)["files"]
        assert ("reduce=3 takes" in row["note"]) == (access == "random")
        assert f"3: {share(out.read_bytes()):.1%}" in wavelic_cli("info", out).stdout
