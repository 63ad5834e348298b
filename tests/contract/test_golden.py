"""Files that exist must decode for ever; damaged ones must never be mistaken for sound ones."""

import random
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from paths import GOLDEN

import wavelic
from wavelic.bilevel.payload import decode_bilevel
from wavelic.codec.weights import NO_WEIGHTS, card_by_id, family
from wavelic.container import FIELDS, CodecId, Container, TileGrid, crc32c, read_container
from wavelic.errors import FormatError, ModelError, WavelicError
from wavelic.images import load_image
from wavelic.threedm import planes as threedm_planes
from wavelic.threedm import tiles as threedm_tiles
from wavelic.threedm.files import padded_box as threedm_box
from wavelic.threedm.weights import load_model as load_threedm
from wavelic.wcae.codec import FAMILIES
from wavelic.wcae.files import decode_symbols_of
from wavelic.wcae.latent import SideInformation, encode_latent
from wavelic.wcae.weights import load_model
from wavelic.weconvene.layout import levels_of, low_size, padded_tile
from wavelic.weconvene.tile_reader import Decoded
from wavelic.weconvene.tiles import decode_tiles, encode_tiles
from wavelic.weconvene.weights import load_model as load_weconvene

LADDERS = [codec.name for codec in FAMILIES]
FILES = sorted(GOLDEN.glob("*.wlic"))


def test_every_codec_and_kind_has_a_golden_file() -> None:
    names = {path.stem for path in FILES}
    for kind in ("gray", "gray-alpha", "rgb", "rgba", "rgb16", "rgb-tiles"):
        assert f"v1-3dm-{kind}" in names
    small = {name.removeprefix("v1-weconvene-") for name in names if name.startswith("v1-weconvene-")}
    assert small >= {"gray", "gray-alpha", "rgb", "rgba", "rgb16", "rgb-tiles"}
    for codec in LADDERS:
        for kind in ("gray", "gray-alpha", "rgb", "rgba", "rgb16", "rgb-published"):
            assert f"v1-{codec}-{kind}" in names


def test_the_weights_that_encode_have_a_golden_file() -> None:
    """Replacing weights needs new golden files, beside those of the replaced ones (`tests/golden/make.py`)."""
    named = {read_container(path.read_bytes()).header.model for path in FILES}
    held = {card_by_id(model) for model in named - {NO_WEIGHTS}}
    for name in ("weconvene", "3dm", *LADDERS):
        assert held & set(family(name)), name


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_decodes_as_it_always_did(path: Path) -> None:
    """Pixels within one grey level of 255 (the synthesis is float), alpha exactly."""
    pixels, expected = wavelic.decode(path.read_bytes()), load_image(path.with_suffix(".png")).pixels
    assert pixels.shape == expected.shape
    assert pixels.dtype == expected.dtype
    level = 0 if "bilevel" in path.stem else 1 if pixels.dtype == np.uint8 else 257
    assert np.abs(pixels.astype(int) - expected).max() <= level
    if pixels.shape[2] in (2, 4):
        np.testing.assert_array_equal(pixels[..., -1], expected[..., -1])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_coding_is_exact(path: Path) -> None:
    """The symbols in a golden file code to its bytes, exactly."""
    container = read_container(path.read_bytes())
    if container.header.codec == CodecId.BILEVEL:
        pixels = wavelic.decode(path.read_bytes())
        again = wavelic.encode(pixels)  # other bytes with another zlib
        assert wavelic.open(again).codec == "bilevel"
        np.testing.assert_array_equal(wavelic.decode(again), pixels)
        return
    if container.header.codec == CodecId.WECONVENE:
        _check_tiles(container)
        return
    if container.header.codec == CodecId.THREEDM:
        _check_threedm_tiles(container)
        return
    model = load_model(card_by_id(container.header.model))
    symbols = decode_symbols_of(container, model)
    side = SideInformation.PUBLISHED if "published" in path.stem else SideInformation.WEIGHTS
    assert encode_latent(symbols, container.header.gain, model.schedule, model.tables, side) == container.tiles[0]


def _tiles(container: Container) -> list[Decoded]:
    """The coefficients of every tile of a weconvene file."""
    header, model = container.header, load_weconvene(card_by_id(container.header.model))
    grid, levels = TileGrid.of(header), levels_of(header.width, header.height)
    sizes = [low_size(padded_tile(grid, index), levels) for index in range(grid.count)]
    return [
        decode_tiles(model, [payload], size, levels, [header.gain])[0]
        for payload, size in zip(container.tiles, sizes, strict=True)
    ]


def _check_tiles(container: Container) -> None:
    """Decoded coefficients, coded again without moving any, give the bytes they came from."""
    model = load_weconvene(card_by_id(container.header.model))
    for tile, payload in zip(_tiles(container), container.tiles, strict=True):
        details = [torch.from_numpy(detail) / 16 for detail in tile.details]
        low = torch.from_numpy(tile.low).float()
        ((data, _),) = encode_tiles(model, [low], [details], container.header.gain, rdoq_lambda=0)
        assert data == payload


def _threedm_tiles(container: Container) -> list[threedm_tiles.Decoded]:
    """The coefficients of every tile of a 3dm file."""
    header, model = container.header, load_threedm(card_by_id(container.header.model))
    grid = TileGrid.of(header)
    places = [threedm_planes.cells(threedm_box(grid, index)) for index in range(grid.count)]
    return [
        threedm_tiles.decode_tiles(model, [payload], (place.height, place.width), [header.gain])[0]
        for payload, place in zip(container.tiles, places, strict=True)
    ]


def _check_threedm_tiles(container: Container) -> None:
    """Decoded coefficients, coded again, give the bytes they came from."""
    model, rate = load_threedm(card_by_id(container.header.model)), container.header.gain
    for tile, payload in zip(_threedm_tiles(container), container.tiles, strict=True):
        values = torch.from_numpy(tile.coefficients) / 64
        ((data, _),) = threedm_tiles.encode_tiles(model, [values], rate, [torch.from_numpy(tile.z)])
        assert data == payload


def _symbols(container: Container) -> np.ndarray:
    if container.header.codec == CodecId.THREEDM:
        return np.concatenate(
            [part.ravel() for tile in _threedm_tiles(container) for part in (tile.z, tile.coefficients)]
        )
    if container.header.codec == CodecId.WECONVENE:
        return np.concatenate([part.ravel() for tile in _tiles(container) for part in (tile.low, *tile.details)])
    if container.header.codec == CodecId.BILEVEL:
        return decode_bilevel(container.tiles[0], container.header.width, container.header.height)
    return decode_symbols_of(container, load_model(card_by_id(container.header.model)))


def _header_edits(data: bytes, dice: random.Random) -> bytes:
    """Another value in one declared header field, with the header's checksum made right again."""
    offset = 8
    field = dice.choice(FIELDS)
    for candidate in FIELDS:
        if candidate is field:
            break
        offset += candidate.size
    edited = bytearray(data)
    edited[offset : offset + field.size] = dice.randbytes(field.size)
    end = struct.unpack_from(">H", data, 10)[0] - 4
    edited[end : end + 4] = crc32c(bytes(edited[:end])).to_bytes(4, "big")
    return bytes(edited)


def _mutations(count: int) -> Iterator[tuple[Path, bytes]]:
    dice = random.Random(2026)
    for number in range(count):
        path, other = dice.choice(FILES), dice.choice(FILES)
        data = path.read_bytes()
        match number % 4:
            case 0:
                flipped = bytearray(data)
                for _ in range(dice.randint(1, 4)):
                    flipped[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
                mutated = bytes(flipped)
            case 1:
                mutated = data[: dice.randrange(len(data))]
            case 2:
                strange = other.read_bytes()
                mutated = data[: dice.randrange(len(data))] + strange[dice.randrange(len(strange)) :]
            case _:
                mutated = _header_edits(data, dice)
        if mutated != data:
            yield path, mutated


def test_mutations_give_our_error_or_the_right_picture() -> None:
    """2,000 mutations: our error, or (a header edit that only changes what is recorded) the same symbols."""
    for path in FILES:
        wavelic.decode(path.read_bytes())  # what is timed below is not the loading of torch and of weights
    slowest = 0.0
    survivors = 0
    for path, mutated in _mutations(2000):
        started = time.process_time()
        try:
            pixels = wavelic.decode(mutated)
        except WavelicError as error:
            assert "\n" not in str(error)  # noqa: PT017
        else:
            survivors += 1
            header = read_container(mutated).header
            original = read_container(path.read_bytes())
            assert pixels.shape == (header.height, header.width, header.channels)
            np.testing.assert_array_equal(_symbols(read_container(mutated)), _symbols(original))
        slowest = max(slowest, time.process_time() - started)
    assert survivors < 100
    assert slowest < 5  # seconds of processor time, over all threads


def test_a_header_that_asks_for_too_much_is_refused_at_once() -> None:
    data = bytearray((GOLDEN / "v1-wcae-rgb.wlic").read_bytes())
    offset = 8 + sum(f.size for f in FIELDS[: [f.name for f in FIELDS].index("width")])
    data[offset : offset + 4] = struct.pack(">HH", 65535, 65535)
    end = struct.unpack_from(">H", data, 10)[0] - 4
    data[end : end + 4] = crc32c(bytes(data[:end])).to_bytes(4, "big")
    started = time.process_time()
    with pytest.raises(FormatError, match="max_pixels"):
        wavelic.decode(bytes(data))
    assert time.process_time() - started < 5


def test_foreign_weights_are_named() -> None:
    data = bytearray((GOLDEN / "v1-wcae-rgb.wlic").read_bytes())
    end = struct.unpack_from(">H", data, 10)[0] - 4
    data[end - 16 : end] = b"\xab" * 16
    data[end : end + 4] = crc32c(bytes(data[:end])).to_bytes(4, "big")
    with pytest.raises(ModelError, match="abababab"):
        wavelic.decode(bytes(data))
