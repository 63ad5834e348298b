"""Coefficients in an ordinary JP2 file: there and back, reduced, by layers, by windows, damaged, plain."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from lifting_reading import read_with
from lifting_transforms import learned
from pictures import image, picture, psnr
from PIL import Image

from wavelic.codec.jp2_box import BOX_ID, NO_MODEL, WavelicBox
from wavelic.errors import ChecksumError, FormatError, ModelError, UsageError, WavelicError
from wavelic.jpeg2000 import (
    EncodeOptions,
    decode_codestream,
    encode_codestream,
    read_jp2,
    replace_codestream,
    write_jp2,
)
from wavelic.lifting.jp2.opening import open_jp2, trim_jp2
from wavelic.lifting.jp2.pseudo_image import encode_coefficients, pseudo_image
from wavelic.lifting.jp2.samples import to_components, to_pixels
from wavelic.lifting.structures import build_lifting
from wavelic.lifting.transform.transform import LiftingTransform

torch.set_num_threads(1)
EVERYTHING = EncodeOptions()


def encode(
    pixels: np.ndarray, transform: LiftingTransform, options: EncodeOptions = EVERYTHING, model: bytes = NO_MODEL
) -> bytes:
    with torch.no_grad():
        coefficients = transform.analysis(to_components(pixels, transform.base), 5)
    depth = 8 * pixels.dtype.itemsize
    return encode_coefficients(coefficients, depth, options, model=model)


@pytest.mark.parametrize("name", ["CDF-9/7", "LeGall-5/3", "Hybrid(9/7)-U16"])
@pytest.mark.parametrize("channels", [1, 3])
def test_there_and_back_at_the_highest_rate(name: str, channels: int) -> None:
    pixels = image(75, 98, channels)
    transform = learned() if "U16" in name else build_lifting(name)
    model = b"modelxyz" if "U16" in name else NO_MODEL
    file = open_jp2(encode(pixels, transform, model=model))
    assert (file.box.base, file.box.depth, file.box.model) == (transform.base, 8, model)
    decoded = read_with(file, transform if model != NO_MODEL else None)
    assert decoded.dtype == np.uint8
    assert psnr(decoded, pixels, 255) > 54  # 9/7 stops at the library's finest steps


def test_sixteen_bits() -> None:
    pixels = image(40, 50, 3, bits=16)
    decoded = open_jp2(encode(pixels, build_lifting("CDF-9/7"))).read()
    assert decoded.dtype == np.uint16
    assert psnr(decoded, pixels, 65535) > 75


@pytest.mark.parametrize("size", [(1, 1), (1, 17), (2, 3), (23, 5), (70, 69)])
def test_any_size(size: tuple[int, int]) -> None:
    pixels, transform = image(*size), learned()
    file = open_jp2(encode(pixels, transform, model=b"m" * 8))
    assert abs(read_with(file, transform).astype(int) - pixels).max() <= 3
    for reduce, (width, height) in enumerate(file.level_dimensions):
        assert read_with(file, transform, reduce=reduce).shape == (height, width, 3)


def test_colour_there_and_back() -> None:
    pixels = image(20, 20)
    for base in ("5/3", "9/7"):
        components = to_components(pixels, base)
        assert components[:, 0].abs().max() <= 0.5
        np.testing.assert_array_equal(to_pixels(components, 8, base), pixels)
    grey = np.repeat(pixels[..., :1], 3, -1)
    assert to_components(grey)[:, 1:].abs().max() < 1e-6


def test_a_stock_viewer_shows_the_picture_with_full_contrast() -> None:
    pixels, transform = image(120, 150), learned()
    data = encode(pixels, transform, model=b"m" * 8)
    with Image.open(io.BytesIO(data), formats=["JPEG2000"]) as viewer:
        seen = np.asarray(viewer).astype(float)
    assert psnr(seen, pixels, 255) > 26
    assert 0.9 < seen.std() / pixels.std() < 1.1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_what_a_pseudo_image_has_beyond_the_range_comes_back(channels: int, dtype: type[np.unsignedinteger]) -> None:
    """Black and white edges: other decoders clip the overshoot, ours sees it."""
    peak = np.iinfo(dtype).max
    pixels = (np.random.default_rng(0).integers(0, 2, (9, 11, 1)).repeat(12, 0).repeat(10, 1) * peak).astype(dtype)
    pixels, transform = pixels.repeat(channels, 2), learned(scale=0.2)
    with torch.no_grad():
        made = pseudo_image(transform.analysis(to_components(pixels), 5), 8 * pixels.dtype.itemsize)
    planes = [np.zeros(pixels.shape[:2], np.int32) for _ in range(channels)]
    made.samples.fill(planes)
    assert made.clipped == 0
    assert min(plane.min() for plane in planes) < -50
    data = made.file(EVERYTHING, model=b"m" * 8)
    assert psnr(read_with(open_jp2(data), transform), pixels, peak) > (50 if dtype == np.uint8 else 70)
    seen = decode_codestream(read_jp2(data).codestream).planes
    for plane, other in zip(planes, seen, strict=True):
        assert psnr(other, np.clip(plane, 0, (1 << made.bits) - 1), (1 << made.bits) - 1) > 50


def test_clipping_is_counted() -> None:
    coefficients = build_lifting("CDF-9/7").analysis(to_components(image(40, 40)), 5)
    assert pseudo_image(coefficients, 8).clipped == 0
    loud = coefficients.map(lambda band: 3 * band)
    assert pseudo_image(loud, 8).clipped > 100


def test_a_layer_is_the_trimmed_file() -> None:
    pixels, transform = image(120, 150), learned()
    data = encode(pixels, transform, EncodeOptions(layer_bytes=(500, 1500, 5000)), b"m" * 8)
    file = open_jp2(data)
    assert len(file.layers) == 3
    sizes = []
    for layers in (1, 2, 3):
        trimmed = trim_jp2(data, max_layers=layers)
        sizes.append(len(trimmed))
        np.testing.assert_array_equal(
            read_with(open_jp2(trimmed), transform), read_with(file, transform, layers=layers)
        )
        assert trim_jp2(data, max_bytes=sizes[-1]) == trimmed
    assert trim_jp2(data, max_layers=3) == data
    assert sizes[0] < sizes[1] < sizes[2] == len(data)
    quality = [psnr(read_with(file, transform, layers=k), pixels, 255) for k in (1, 2, 3)]
    assert quality[0] < quality[1] < quality[2]


def test_a_reduced_picture_is_the_learned_low_band() -> None:
    pixels, transform = image(121, 150), learned()
    file = open_jp2(encode(pixels, transform, model=b"m" * 8))
    for reduce in range(1, 6):
        with torch.no_grad():
            low = transform.analysis(to_components(pixels), reduce).low
        difference = read_with(file, transform, reduce=reduce).astype(int) - to_pixels(low, 8)
        assert abs(difference).max() <= 2


@pytest.mark.parametrize("reduce", [0, 1, 3])
@pytest.mark.parametrize("max_layers", [1, 2])
@pytest.mark.parametrize("precincts", [(), ((128, 128),), ((128, 128), (64, 64), (32, 32))])
def test_a_window_is_the_crop(reduce: int, max_layers: int, precincts: tuple[tuple[int, int], ...]) -> None:
    transform = learned()
    options = EncodeOptions(layer_bytes=(3000, 20000), precincts=precincts, progression="RPCL")
    file = open_jp2(encode(image(301, 260), transform, options, b"m" * 8))
    whole = read_with(file, transform, reduce=reduce, layers=max_layers)
    shrink = 2**reduce
    for x, y, width, height in ((0, 0, 16, 24), (101, 93, 57, 64), (230, 290, 30, 11)):
        window = read_with(file, transform, reduce=reduce, layers=max_layers, region=(x, y, width, height))
        rows = slice(-(-y // shrink), -(-(y + height) // shrink))
        columns = slice(-(-x // shrink), -(-(x + width) // shrink))
        difference = abs(window.astype(int) - whole[rows, columns])
        assert difference.max() <= 1
        assert (difference == 0).mean() >= 0.999


def test_wrong_requests_are_refused() -> None:
    pixels, transform = image(40, 40), learned()
    file = open_jp2(encode(pixels, transform, model=b"m" * 8))
    with pytest.raises(ModelError, match="needs model 6d6d"):
        read_with(file)
    with pytest.raises(ModelError, match="based on 5/3"):
        read_with(file, build_lifting("Hybrid(5/3)-5c"))
    for request in ({"reduce": 6}, {"region": (30, 30, 11, 5)}, {"region": (3, 3, 1, 1), "reduce": 2}):
        with pytest.raises(UsageError):
            read_with(file, transform, **request)
    coefficients = build_lifting("CDF-9/7").analysis(to_components(pixels), 2)
    with pytest.raises(UsageError, match="depth=12"):
        encode_coefficients(coefficients, 12, EVERYTHING)


def test_damage_behind_the_box_is_noticed() -> None:
    """Any change of box or codestream: our error, never another picture."""
    pixels = image(60, 60)
    data = encode(pixels, build_lifting("CDF-9/7"), EncodeOptions(layer_bytes=(800, 3000)))
    expected = read_with(open_jp2(data))
    start = data.index(BOX_ID) + 16
    draw = np.random.default_rng(0)
    for position in draw.integers(start, len(data), 150):
        damaged = bytearray(data)
        damaged[position] ^= 1 << draw.integers(8)
        try:
            decoded = read_with(open_jp2(bytes(damaged)))
        except WavelicError:
            continue
        np.testing.assert_array_equal(decoded, expected)
    body = bytearray(data)
    body[-100] ^= 1
    with pytest.raises(ChecksumError):
        open_jp2(bytes(body))


def test_a_cut_file_gives_its_whole_layers_if_asked_to() -> None:
    data = encode(image(120, 150), build_lifting("CDF-9/7"), EncodeOptions(layer_bytes=(800, 3000, 9000)))
    with pytest.raises(FormatError, match="cut short"):
        open_jp2(data[:-700])
    file = open_jp2(data[:-700], allow_partial=True)
    assert (file.complete, file.whole_layers) == (False, 2)
    np.testing.assert_array_equal(read_with(file), read_with(open_jp2(data), layers=2))


@pytest.mark.parametrize("reversible", [True, False])
def test_plain_jpeg_2000_is_read_without_learned_steps(reversible: bool) -> None:
    pixels = image(64, 80)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG2000", irreversible=not reversible)
    file = open_jp2(buffer.getvalue())
    assert file.box == WavelicBox("5/3" if reversible else "9/7", 8, NO_MODEL, 255.0, 0.0, plain=True)
    assert abs(read_with(file).astype(int) - pixels).max() <= (0 if reversible else 2)
    with_box = encode(pixels, build_lifting("CDF-9/7"))
    without = replace_codestream(with_box, read_jp2(with_box).codestream, [])
    assert open_jp2(without).box.depth == 16  # twelve bits, and nothing says that they stand for eight


def test_our_box_on_a_codestream_we_do_not_write_is_refused() -> None:
    planes = [picture(20, 20)] * 4
    for codestream, colour in (
        (encode_codestream(planes, 8), 16),
        (encode_codestream([planes[0] - 128], 8, signed=True), 17),
        (encode_codestream(planes[:3], 8), 18),
        (encode_codestream(planes[:1], 8, EncodeOptions(reversible=True)), 17),
    ):
        box = WavelicBox("9/7", 8, NO_MODEL, 255.0, 0.0).pack(codestream)
        with pytest.raises(FormatError, match="wavelic's box says 9/7"):
            open_jp2(write_jp2(codestream, colour=colour, uuids=[box]))
