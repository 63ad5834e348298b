"""The codec `3dm`: integers as in training, the same everywhere, tiles, windows, files that cannot be."""

from __future__ import annotations

import doctest
import random
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from threedm_small import CONFIG, picture, tiny_model, tiny_network
from torch import Tensor

from wavelic.container import Header, TileGrid, read_container
from wavelic.errors import ChecksumError, FormatError, UsageError
from wavelic.images import from_array
from wavelic.nn import exact
from wavelic.rect import Rect
from wavelic.threedm import files, planes
from wavelic.threedm.entropy import RATE_UNIT, RATES, VALUE, EntropyModel, features, integers_of
from wavelic.threedm.export import gaussian_tables, hyper_tables
from wavelic.threedm.files import Encoding, check_header, quality_of_rate, rate_of_quality
from wavelic.threedm.plan import Slice
from wavelic.threedm.tiles import decode_tiles, encode_tiles
from wavelic.threedm.weights import Model


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def model() -> Model:
    return tiny_model()


def coefficients(model: Model, height: int = 64, width: int = 128, rate: int = 40) -> Tensor:
    with torch.inference_mode():
        return model.transform.coefficients(picture(1, height, width), torch.full((1,), rate / RATE_UNIT))[0]


# --- integers ---------------------------------------------------------------------------------------------------------


def walk(entropy: EntropyModel, z: Tensor, rate: Tensor, values: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Means and scales of every slice where ``values`` are decoded, in the units of the model."""
    seen = []

    def code(part: Slice, mean: Tensor, scale: Tensor) -> Tensor:
        seen.append((mean, scale))
        return values[:, part.start : part.stop]

    with torch.no_grad():
        entropy(z, rate, code)
    yield from seen


def test_integers_compute_what_training_did() -> None:
    """The quantised float network and its integer twin give the same means and scales, to their rounding."""
    network = tiny_network()
    twin = integers_of(network.entropy, CONFIG)
    generator = torch.Generator().manual_seed(3)
    z = torch.randint(-3, 4, (2, CONFIG.hyper, 2, 2), generator=generator)
    values = torch.randint(-300, 300, (2, 4 * CONFIG.latent, 8, 8), generator=generator)
    code = torch.tensor([-32, 64])
    whole = walk(twin, z.int(), code.int(), values.int())
    floats = walk(network.entropy, z.float(), code / RATE_UNIT, values / VALUE)
    spread = 0.0
    for (mean, table), (expected, scale) in zip(whole, floats, strict=True):
        assert mean.dtype == torch.int32
        spread = max(spread, float(expected.std()))
        assert float((mean / VALUE - expected).abs().max()) < 0.05 + 0.02 * float(expected.abs().max())
        steps = (scale.clamp(-3.2, 8.6) + 3.2) * 5
        assert float((table - steps).abs().max()) <= 1.0
    assert spread > 0.02  # the networks do predict something


def test_features_are_the_same_in_floats_and_integers_and_have_a_gradient_at_zero() -> None:
    values = torch.arange(-70_000, 70_000, 37)[None, None, None]
    both = features(values.to(torch.int32)).float() / 32
    torch.testing.assert_close(features(values / VALUE), both, rtol=0, atol=1 / 32)
    zero = torch.zeros(1, 1, 1, 1, requires_grad=True)
    features(zero)[0, 0].sum().backward()
    assert float(zero.grad) > 1  # type: ignore[arg-type]


@pytest.mark.parametrize("altered", [0, 3, 5, 9])
def test_parameters_of_a_slice_ignore_it_and_later_ones(altered: int, model: Model) -> None:
    z, rate = torch.zeros(1, CONFIG.hyper, 1, 1, dtype=torch.int32), torch.zeros(1, dtype=torch.int32)
    values = torch.randint(-500, 500, (1, 4 * CONFIG.latent, 4, 4), dtype=torch.int32)
    changed = values.clone()
    part = model.entropy.plan.slices[altered]
    changed[:, part.start : part.stop] += 200
    before, after = walk(model.entropy, z, rate, values), walk(model.entropy, z, rate, changed)
    for number, (one, other) in enumerate(zip(before, after, strict=True)):
        same = torch.equal(one[0], other[0]) and torch.equal(one[1], other[1])
        if altered >= model.entropy.plan.slices[number].support:
            assert same


@pytest.mark.parametrize("backend", ["float32", "float64"])
def test_chunks_decode_with_every_way_to_compute(backend: str, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    values = coefficients(model)
    ((data, expected),) = encode_tiles(model, [values], 40)
    monkeypatch.setattr(exact, "_backend", lambda *_: backend)
    (found,) = decode_tiles(model, [data], tuple(values.shape[1:]), [40])  # type: ignore[arg-type]
    np.testing.assert_array_equal(found.coefficients, expected.coefficients)
    again = encode_tiles(model, [torch.from_numpy(found.coefficients) / VALUE], 40, [torch.from_numpy(found.z)])
    assert again[0][0] == data


def test_tiles_together_are_tiles_alone(model: Model) -> None:
    every = [coefficients(model, rate=rate) for rate in (-60, 0, 60)]
    alone = [encode_tiles(model, [values], rate)[0] for values, rate in zip(every, (-60, 0, 60), strict=True)]
    together = decode_tiles(model, [data for data, _ in alone], (4, 8), [-60, 0, 60])
    for tile, (_, expected) in zip(together, alone, strict=True):
        np.testing.assert_array_equal(tile.coefficients, expected.coefficients)
        assert np.abs(expected.coefficients).max() > 5 * VALUE  # something was coded
    sizes = [len(data) for data, _ in alone]
    assert sizes == sorted(sizes)


# --- hostile ----------------------------------------------------------------------------------------------------------


def test_damaged_chunks_are_noticed(model: Model) -> None:
    ((data, _),) = encode_tiles(model, [coefficients(model)], 40)
    dice = random.Random(5)
    for number in range(40):
        broken = bytearray(data)
        if number % 2:
            broken[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        else:
            broken = broken[: dice.randrange(len(data))]
        with pytest.raises(FormatError):  # ChecksumError is one
            decode_tiles(model, [bytes(broken)], (4, 8), [40])
    with pytest.raises(ChecksumError, match="do not match their checksum"):
        decode_tiles(model, [data[:-1] + bytes([data[-1] ^ 1])], (4, 8), [40])
    with pytest.raises(FormatError, match="a tile of 3 bytes"):
        decode_tiles(model, [data[:3]], (4, 8), [40])
    with pytest.raises(FormatError):
        decode_tiles(model, [data], (4, 8), [41])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gain": RATES + 1}, "the file's rate is 97, expected -96..96"),
        ({"colour": 1}, "not written by wavelic"),
        ({"padding": 1}, "not written by wavelic"),
        ({"tile_width": 96, "tile_height": 64}, "expected multiples of 64"),
        ({"tile_width": 64, "tile_height": 64, "tile_overlap": 1}, "overlap 1"),
        ({"tile_width": 2112, "tile_height": 64}, "expected sides up to 2048"),
    ],
)
def test_headers_of_others_are_refused(changes: dict[str, int], message: str) -> None:
    header = Header(3, 3, 5000, 300, bytes(16), padding=2, tile_width=512, tile_height=512)
    check_header(header)
    with pytest.raises(FormatError, match=message):
        check_header(replace(header, **changes))  # type: ignore[arg-type]


def test_thin_pictures_have_one_tile() -> None:
    header = Header(3, 3, 5000, 20, bytes(16), padding=2)
    check_header(header)
    with pytest.raises(FormatError, match="one tile"):
        check_header(replace(header, tile_width=512, tile_height=512))
    check_header(replace(header, height=33, tile_width=512, tile_height=512))


# --- pictures ---------------------------------------------------------------------------------------------------------


def test_windows_and_tiles_leave_no_seams(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small windows give the coefficients and samples of one piece; tiles change what is coded, not where it lies."""
    pixels = picture(1, 200, 330)[0].permute(1, 2, 0).mul(255).byte().numpy()
    whole = planes.analyse(model, pixels, 20)
    size = planes.padded_size(330, 200)
    one = planes.synthesise(model, whole, (0, 0), size, 20, Rect(0, 0, 330, 200), 3, np.dtype(np.uint8))
    monkeypatch.setattr(planes, "WINDOW", 64)
    torch.testing.assert_close(planes.analyse(model, pixels, 20), whole, rtol=0, atol=1e-3)
    pieces = planes.synthesise(model, whole, (0, 0), size, 20, Rect(0, 0, 330, 200), 3, np.dtype(np.uint8))
    assert np.abs(one.astype(int) - pieces).max() <= 1
    grid = TileGrid(2000, 1500, 256, 256, 0)
    assert planes.window_tiles(grid, Rect(0, 0, 2000, 1500), CONFIG) == tuple(range(grid.count))
    assert 1 < len(planes.window_tiles(grid, Rect(300, 300, 10, 10), CONFIG)) < 12


@pytest.mark.parametrize(
    "config",
    [
        CONFIG,
        replace(CONFIG, layer_wavelet="9/7", first_stride=1),
        replace(CONFIG, group="swin", split="channels", low_parts=1),
    ],
    ids=["haar", "9/7", "swin"],
)
def test_nothing_depends_on_what_is_further_away_than_the_radius(config: object) -> None:
    assert isinstance(config, type(CONFIG))
    transform = tiny_model(config).transform
    unit, rate = config.alignment, torch.zeros(1)
    reach = -(-max(config.analysis_radius, config.synthesis_radius) // unit) * unit
    side = -(-(2 * reach + 64) // 64) * 64
    x = picture(1, 64, side)
    changed = x.clone()
    changed[..., reach + 64 :] = 0.2
    with torch.no_grad():
        before, after = transform.coefficients(x, rate), transform.coefficients(changed, rate)
        torch.testing.assert_close(before[..., :4], after[..., :4], rtol=0, atol=1e-5)
        assert not torch.allclose(before, after)
        other = before.clone()
        other[..., (reach + 64) // 16 :] = 0
        pictures = transform.reconstruct(before, rate), transform.reconstruct(other, rate)
    torch.testing.assert_close(pictures[0][..., :64], pictures[1][..., :64], rtol=0, atol=1e-5)


def test_a_file_in_tiles_decodes_whole_and_in_parts(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = picture(1, 150, 210)[0].permute(1, 2, 0).mul(65535).numpy().astype(np.uint16)
    encoding = Encoding(from_array(pixels), model, tile=64)
    container = read_container(encoding.file(30))
    monkeypatch.setattr(files, "card_by_id", lambda _: model.card)
    monkeypatch.setattr(files, "load_model", lambda *_: model)
    assert len(container.tiles) == 12
    files.verify(container)
    whole = files.decode(container, Rect(0, 0, 210, 150)).pixels
    assert whole.dtype == np.uint16
    assert np.abs(whole.astype(int) - encoding.reconstruction(30)).max() <= 1
    part = files.decode(container, Rect(70, 33, 50, 60)).pixels
    assert np.abs(part.astype(int) - whole[33:93, 70:120]).max() <= 1


@pytest.mark.parametrize(("height", "width"), [(3, 1000), (700, 20)])
def test_thin_pictures_decode_whole_and_in_parts(
    model: Model, monkeypatch: pytest.MonkeyPatch, height: int, width: int
) -> None:
    monkeypatch.setattr(files, "card_by_id", lambda _: model.card)
    monkeypatch.setattr(files, "load_model", lambda *_: model)
    pixels = picture(1, height, width)[0].permute(1, 2, 0).mul(255).byte().numpy()
    encoding = Encoding(from_array(pixels), model, tile=64)
    container = read_container(encoding.file(20))
    assert len(container.tiles) == 1
    files.verify(container)
    whole = files.decode(container, Rect(0, 0, width, height)).pixels
    assert np.abs(whole.astype(int) - encoding.reconstruction(20)).max() <= 1
    area = Rect(width // 3, height // 3, width // 2, height // 2)
    assert np.array_equal(files.decode(container, area).pixels, whole[area.slices()])


@pytest.mark.parametrize("tile", [0, 96, 2112])
def test_tiles_that_files_cannot_have_are_refused(tile: int, model: Model) -> None:
    with pytest.raises(UsageError, match=f"tiles of {tile} pixels; expected a multiple of 64 up to 2048"):
        Encoding(from_array(np.zeros((8, 8, 3), np.uint8)), model, tile=tile)


def test_rates_and_qualities() -> None:
    assert [rate_of_quality(q) for q in (0, 25, 100)] == [-RATES, -RATES // 2, RATES]
    assert all(rate_of_quality(quality_of_rate(rate)) == rate for rate in range(-RATES, RATES + 1))


# --- tables and configurations ----------------------------------------------------------------------------------------


def test_tables_are_gaussians_and_follow_what_is_seen() -> None:
    tables = gaussian_tables()
    wide = tables.table(40)
    share = wide[-tables.bounds[40][0]] / 2**tables.precision
    assert share == pytest.approx(1 / (2.0 ** (-3.2 + 8) * np.sqrt(2 * np.pi)), rel=0.02)
    prior = tiny_network().prior.tables()
    seen = np.full((CONFIG.hyper, 5000), 2, np.int32)
    after = hyper_tables(prior, seen)
    first, _ = after.bounds[0]
    assert after.table(0)[2 - first] / 2**after.precision > 0.9


def test_the_first_network_is_a_block_transform_codec() -> None:
    """Before training the shortcut reconstructs what it kept, in every order of channels."""
    x = picture(4, 64, 64)
    for changes in ({}, {"split": "polyphase"}, {"split": "2d", "low_parts": 4, "high_parts": 6}):
        torch.manual_seed(0)
        network = tiny_network(replace(CONFIG, latent=192, **changes))  # type: ignore[arg-type]
        fresh = type(network)(network.config)
        fresh.start_from(x)
        with torch.no_grad():
            rate = torch.full((4,), 1.5)
            found = fresh.reconstruct(fresh.coefficients(x, rate), rate)
        torch.testing.assert_close(found, x, rtol=0, atol=2e-3)


def test_wrong_configurations_and_missing_rates() -> None:
    with pytest.raises(UsageError, match="first_stride 3; choose 1 or 2"):
        replace(CONFIG, first_stride=3)
    with pytest.raises(UsageError, match="needs the rate of every image"):
        tiny_network()(picture(1, 64, 64))


def test_doctests() -> None:
    assert doctest.testmod(files).failed == 0
