"""The weconvene codec: any image, tiles, regions, targets, damaged files.  Most tests use a small random net."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import image, psnr
from weconvene_tiny import CONFIG, STEP, random_subbands, tiny_model

import wavelic
from wavelic.api.files import Options, decode_image, encode_image
from wavelic.codec.target import Target
from wavelic.codec.weights import family, save_weights
from wavelic.container import DATA, FIELDS, Chunk, Container, crc32c, read_container, write_container
from wavelic.entropy import RangeEncoder, ideal_bits
from wavelic.errors import ChecksumError, FormatError, UsageError, WavelicError
from wavelic.images import Metadata, from_array
from wavelic.rect import Rect
from wavelic.weconvene import files as weconvene
from wavelic.weconvene import tiles as subband_tiles
from wavelic.weconvene import weights as weights_module
from wavelic.weconvene.files import TILE, Encoding, quality_of_step, step_of_quality, tile_size
from wavelic.weconvene.layout import LEVELS, MAX_TILE, levels_of, padded
from wavelic.weconvene.planes import analyse
from wavelic.weconvene.rdoq import quantise
from wavelic.weconvene.tile_reader import SPARSE
from wavelic.weconvene.tiles import decode_tiles, encode_tiles
from wavelic.weconvene.units import COARSEST, FINEST
from wavelic.weconvene.weights import Model, load_model, residual_costs


@pytest.fixture(scope="module", autouse=True)
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Model]:
    """The small model, installed as the highest rank of the family: what the codec encodes with in this file."""
    folder = tmp_path_factory.mktemp("weights")
    made = tiny_model()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(weights_module, "CONFIGS", {**weights_module.CONFIGS, "tiny": CONFIG})
        patch.setenv("WAVELIC_WEIGHTS", str(folder))
        save_weights(folder, "tiny", "tiny", "weconvene", 99, made.tensors(), {})
        card = family("weconvene")[-1]
        assert card.name == "tiny"
        yield load_model(card)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def encoded(pixels: np.ndarray, model: Model, tile: int = 1024, step: int = STEP) -> bytes:
    return Encoding(from_array(pixels), model, tile=tile).file(step)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_every_kind_of_image(picture, model: Model, channels: int, dtype: type) -> None:
    pixels = picture(70, 150, channels, dtype)
    decoded = wavelic.decode(encoded(pixels, model, tile=128))
    assert decoded.shape == pixels.shape
    assert decoded.dtype == pixels.dtype
    if channels in (2, 4):
        np.testing.assert_array_equal(decoded[..., -1], pixels[..., -1])
        decoded, pixels = decoded[..., :-1], pixels[..., :-1]
    assert psnr(pixels, decoded) > 22


@given(height=st.integers(1, 70), width=st.integers(1, 70), channels=st.integers(1, 4), quality=st.integers(0, 100))
@settings(max_examples=8, deadline=None)
def test_every_size(picture, height: int, width: int, channels: int, quality: int) -> None:
    pixels = picture(height, width, channels)
    data = wavelic.encode(pixels, "weconvene", quality)
    file = wavelic.open(data)
    assert (file.codec, file.shape) == ("weconvene", pixels.shape)
    assert file.info["quality"] == pytest.approx(quality, abs=0.4)
    assert file.read().shape == pixels.shape


def test_extreme_shapes(picture) -> None:
    for shape in ((1, 1), (3, 2500), (1500, 2)):
        pixels = picture(*shape, 1)
        assert wavelic.decode(wavelic.encode(pixels, "weconvene", 20)).shape == pixels.shape


@pytest.mark.parametrize(("width", "height"), [(65535, 1), (1, 65535), (20000, 4), (7, 3000), (2000, 40)])
def test_thin_pictures_cost_about_what_their_pixels_cost(width: int, height: int) -> None:
    """Samples that are coded, for the picture extended to whole cells: at most four times its pixels, or 8 a side."""
    levels = levels_of(width, height)
    coded = padded(width, levels) * padded(height, levels)
    assert coded <= 4 * width * height + 8 * max(width, height)
    tile = tile_size(TILE, width, height)
    assert max(tile) <= MAX_TILE
    assert -(-width // tile[0]) * -(-height // tile[1]) <= max(1, 4 * width * height // TILE**2 + 32)


def test_metadata_and_info(picture) -> None:
    metadata = Metadata(icc=b"profile", exif=b"II*\0exif", xmp=b"<xmp/>")
    image = from_array(picture(30, 40), metadata)
    data = wavelic.encode(image, "weconvene", 40)
    assert decode_image(data).metadata == metadata
    assert decode_image(wavelic.encode(image, "weconvene", 40, strip=True)).metadata == Metadata()
    info = wavelic.open(data).info
    assert (info["codec"], info["model"], info["padding"]) == ("weconvene", "tiny", "replicate")
    assert info["header_bytes"] + sum(chunk["bytes"] for chunk in info["chunks"]) == len(data)
    wavelic.open(data).verify()


def test_decoder_gets_the_coefficients_and_pixels_of_the_encoder(picture, model: Model) -> None:
    low, details = random_subbands(128, 256)
    ((data, mine),) = encode_tiles(model, [low[0]], [[d[0] for d in details]], STEP)
    (theirs,) = decode_tiles(model, [data], (2, 4), LEVELS, [STEP])
    np.testing.assert_array_equal(mine.low, theirs.low)
    for a, b, wanted in zip(mine.details, theirs.details, details, strict=True):
        np.testing.assert_array_equal(a, b)
        assert np.abs(a / 16 - wanted[0].numpy()).max() <= 1.01
    pixels = picture(200, 300)
    encoding = Encoding(from_array(pixels), model, tile=128)
    shown = wavelic.decode(encoding.file(STEP))
    assert np.abs(shown.astype(int) - encoding.reconstruction(STEP)).max() <= 1


def test_tiles_together_are_the_bytes_of_each_alone(model: Model) -> None:
    low, details = random_subbands(128, 256, batch=3)
    parts = [[d[n] for d in details] for n in range(3)]
    together = encode_tiles(model, list(low), parts, STEP)
    for n, (data, decoded) in enumerate(together):
        ((alone, _),) = encode_tiles(model, [low[n]], [parts[n]], STEP)
        assert data == alone
        (back,) = decode_tiles(model, [data], (2, 4), LEVELS, [STEP])
        assert all(np.array_equal(a, b) for a, b in zip(back.details, decoded.details, strict=True))


def test_tiles_are_sparse_but_where_that_loses_much() -> None:
    """Dots on plain ground come where the smallest scale was expected; coded with or without a photograph's tile."""
    model = load_model(next(card for card in family("weconvene") if card.name == "weconvene"))
    dots = np.full((128, 128, 3), 255, np.uint8)
    dots[9::16, 5::17] = 0
    step = step_of_quality(50)
    planes = [analyse(model, pixels, step) for pixels in (dots, image(128, 128))]
    lows, details = zip(*(plane.cut(Rect(0, 0, 128, 128)) for plane in planes), strict=True)
    together = encode_tiles(model, lows, details, step)
    assert [data[0] >= SPARSE for data, _ in together] == [False, True]
    decoded = decode_tiles(model, [data for data, _ in together], (2, 2), LEVELS, [step])
    for n, (data, mine) in enumerate(together):
        assert data == encode_tiles(model, lows[n : n + 1], details[n : n + 1], step)[0][0]
        assert all(np.array_equal(a, b) for a, b in zip(mine.details, decoded[n].details, strict=True))
    for first in (2 * SPARSE, 255):
        with pytest.raises(FormatError, match="damaged"):
            decode_tiles(model, [bytes([first]) + together[1][0][1:]], (2, 2), LEVELS, [step])


def test_threads_and_onednn_do_not_change_pixels(picture, model: Model) -> None:
    pixels = picture(150, 280)
    data = encoded(pixels, model, tile=128)
    shown = wavelic.decode(data).astype(int)
    torch.set_num_threads(2)
    assert np.abs(wavelic.decode(data).astype(int) - shown).max() <= 1
    torch.set_num_threads(1)
    with torch.backends.mkldnn.flags(enabled=False):
        assert np.abs(wavelic.decode(data).astype(int) - shown).max() <= 1


def test_rate_and_distortion_follow_quality(picture) -> None:
    pixels = picture(128, 256)
    files = [wavelic.encode(pixels, "weconvene", quality) for quality in (0, 40, 70, 100)]
    sizes = [len(data) for data in files]
    assert sizes == sorted(sizes)
    assert sizes[-1] > 2 * sizes[0]
    quality = [psnr(pixels, wavelic.decode(data)) for data in files]
    assert quality == sorted(quality)
    assert [step_of_quality(q) for q in (0, 100)] == [COARSEST, FINEST]
    assert all(abs(step_of_quality(quality_of_step(s)) - s) < 1e-9 for s in range(FINEST, COARSEST + 1))


def test_bytes_are_near_the_ideal_length(picture, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    ideal = [0.0]

    class Counting(RangeEncoder):
        def encode(self, symbols, table_index, tables) -> None:  # type: ignore[no-untyped-def]
            ideal[0] += ideal_bits(symbols, table_index, tables)
            super().encode(symbols, table_index, tables)

    monkeypatch.setattr(subband_tiles, "RangeEncoder", Counting)
    container = read_container(encoded(picture(256, 256), model, step=FINEST + 20))
    assert len(container.tiles[0]) > 1500
    assert ideal[0] / 8 <= len(container.tiles[0]) <= 1.01 * ideal[0] / 8


def test_rdoq_saves_bits_where_the_error_is_worth_it() -> None:
    model = tiny_model()
    costs, table = torch.from_numpy(model.costs), torch.full((4001,), 10, dtype=torch.uint8)
    target = torch.linspace(-20, 20, 4001)
    for weight in (0.0, 0.2):
        found = quantise(target, table, costs, weight)
        candidates = torch.stack([target.floor(), target.ceil()])
        bits = torch.from_numpy(residual_costs(model.tables)[10])[candidates.to(int) + 255]
        best = ((candidates - target).square() + weight * bits).amin(0)
        chosen = (found - target).square() + weight * torch.from_numpy(model.costs[10])[found.to(int) + 255]
        assert float((chosen - best).max()) <= 1e-5


def test_what_a_sparse_tile_loses() -> None:
    costs = torch.from_numpy(tiny_model().costs)
    random = torch.Generator().manual_seed(0)
    target = 3 * torch.randn(2, 500, generator=random)
    table = torch.randint(0, 3, target.shape, generator=random).to(torch.uint8)
    lost = torch.zeros(2, dtype=torch.float64)
    dense, sparse = quantise(target, table, costs, 0.1), quantise(target, table, costs, 0.1, lost)
    assert torch.equal(sparse, torch.where(table == 0, 0, dense))

    def cost(found: torch.Tensor) -> torch.Tensor:
        return ((target - found).square() + 0.1 * costs[table.int(), found + costs.shape[1] // 2]).double().sum(1)

    torch.testing.assert_close(lost, cost(sparse) - cost(dense), rtol=1e-4, atol=1e-3)
    assert (lost > 0).all()


def test_targets(picture) -> None:
    image = from_array(picture(192, 256))
    middle = encode_image(image, "weconvene", Target("quality", 42))
    reached = {
        "size": float(len(middle.data)),
        "bpp": len(middle.data) * 8 / 192 / 256,
        "psnr": psnr(image.pixels, wavelic.decode(middle.data)),
    }
    for kind, value in reached.items():
        found = encode_image(image, "weconvene", Target(kind, value))  # type: ignore[arg-type]
        assert found.note.startswith("asked for")
        assert "nearest" not in found.note
        if kind == "psnr":
            assert abs(psnr(image.pixels, wavelic.decode(found.data)) - value) < 0.086
        else:
            assert abs(len(found.data) / len(middle.data) - 1) <= 0.02
            assert kind == "bpp" or len(found.data) <= value
    smallest = encode_image(image, "weconvene", Target("size", 20))
    assert "nearest" in smallest.note
    assert smallest.quality == 0


def test_a_region_reads_its_tiles_and_equals_the_crop(picture, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = picture(1000, 1200, 4)
    file = wavelic.open(encoded(pixels, model, tile=256))  # 4 x 5 tiles
    whole = file.read().astype(int)
    counts: list[int] = []
    plain = weconvene.decode_tiles

    def counting(model: Model, payloads: list[bytes], *rest: object) -> object:
        counts.append(len(payloads))
        return plain(model, payloads, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(weconvene, "decode_tiles", counting)
    for (left, top, width, height), most in {(0, 0, 5, 5): 4, (1100, 900, 100, 100): 6, (640, 500, 1, 3): 12}.items():
        counts.clear()
        part = file.read(region=(left, top, width, height)).astype(int)
        assert np.abs(part - whole[top : top + height, left : left + width]).max() <= 1
        assert 0 < sum(counts) <= most < 20
    assert np.array_equal(file[5:9, 7:20, 3], whole[5:9, 7:20, 3])


def test_progress_counts_to_the_end(picture, model: Model) -> None:
    reports: list[tuple[int, int]] = []
    image = from_array(picture(150, 300))
    encoding = Encoding(image, model, tile=128, progress=lambda *a: reports.append(a))
    data = encoding.file(STEP)
    for _ in range(2):  # one window, 3 x 2 tiles, of which those of one size are coded together
        assert [total for _, total in reports] == [7] * len(reports)
        assert reports == sorted(reports)
        assert reports[-1] == (7, 7)
        reports.clear()
        decode_image(data, progress=lambda *a: reports.append(a))


@pytest.mark.parametrize("shipped", [False, True])
def test_no_seams(picture, model: Model, shipped: bool) -> None:
    """Tiles change the error within 8 pixels of their borders no more than that in their interior, within 3 %."""
    if shipped:
        model = load_model(next(card for card in family("weconvene") if card.name == "weconvene"))
    pixels = picture(384, 512)
    border = np.zeros(pixels.shape[:2], bool)
    for at in (128, 256, 384):
        border[:, at - 8 : at + 8] = True
        border[at - 8 : at + 8] = True
    error = {}
    for tile in (128, 1024):
        shown = Encoding(from_array(pixels), model, tile=tile).reconstruction(STEP)
        square = (shown.astype(float) - pixels) ** 2
        error[tile] = square[border].mean(), square[~border].mean()
    change = [error[128][i] / error[1024][i] for i in (0, 1)]
    assert change[0] == pytest.approx(change[1], rel=0.03)


def test_wrong_coefficients_are_noticed(picture, model: Model) -> None:
    container = read_container(encoded(picture(100, 100), model))
    payload = bytearray(container.tiles[0])
    payload[-1] ^= 1
    data = write_container(Container(container.header, (Chunk(DATA, bytes(payload)),)))
    for action in (wavelic.decode, lambda d: wavelic.open(d).verify()):
        with pytest.raises(ChecksumError, match="checksum"):
            action(data)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gain": FINEST - 1}, "step"),
        ({"gain": COARSEST + 1}, "step"),
        ({"padding": 1}, "padding"),
        ({"colour": 1}, "colour"),
        ({"tile_width": 200, "tile_height": 320}, "tiles of 200"),
        ({"tile_width": 4096, "tile_height": 4096}, "tiles of 4096"),
        ({"tile_width": 256, "tile_height": 256, "tile_overlap": 4}, "overlap 4"),
    ],
)
def test_headers_that_it_never_writes(picture, model: Model, change: dict[str, int], message: str) -> None:
    container = read_container(encoded(picture(100, 100), model))
    data = write_container(Container(replace(container.header, **change), container.chunks))
    with pytest.raises(FormatError, match=message):
        wavelic.decode(data)
    with pytest.raises(FormatError, match=message):
        wavelic.open(data).verify()


def test_a_single_tile_cannot_be_huge(model: Model, picture) -> None:
    container = read_container(encoded(picture(10, 10), model))
    header = replace(container.header, width=16000, height=16000)
    started = time.process_time()
    with pytest.raises(FormatError, match="2048"):
        wavelic.decode(write_container(Container(header, container.chunks)))
    assert time.process_time() - started < 5  # no pixel of 16000 x 16000 is touched
    with pytest.raises(UsageError, match="2048"):
        Encoding(from_array(picture(10, 10)), model, tile=4096)


@pytest.mark.parametrize("payload", [b"", bytes(7), b"\x3f" * 7, b"\xff" * 40, bytes(3) + b"\xff" * 60])
def test_hostile_payloads(picture, model: Model, payload: bytes) -> None:
    """Nothing, nothing but zeros, and streams whose escapes reach as far as they can."""
    container = read_container(encoded(picture(100, 100), model))
    with pytest.raises(FormatError):
        wavelic.decode(write_container(Container(container.header, (Chunk(DATA, payload),))))


def mutation(dice: random.Random, data: bytes, other: bytes) -> bytes:
    match dice.randrange(3):
        case 0:
            flipped = bytearray(data)
            for _ in range(dice.randint(1, 4)):
                flipped[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
            return bytes(flipped)
        case 1:
            return data[: dice.randrange(len(data))]
        case _:
            return data[: dice.randrange(len(data))] + other[dice.randrange(len(other)) :]


def edit_header(dice: random.Random, data: bytes) -> bytes:
    field = dice.choice(FIELDS)
    offset = 8 + sum(f.size for f in FIELDS[: FIELDS.index(field)])
    edited = bytearray(data)
    edited[offset : offset + field.size] = dice.randbytes(field.size)
    end = int.from_bytes(data[10:12], "big") - 4
    edited[end : end + 4] = crc32c(bytes(edited[:end])).to_bytes(4, "big")
    return bytes(edited)


def test_damaged_files_give_our_error_or_the_right_picture(picture, model: Model) -> None:
    """Flips, cuts and splices of files, of payloads in sound chunks, and of headers with a right checksum."""
    dice = random.Random(3)
    files = [encoded(picture(50, 60, 4), model, step=150), encoded(picture(90, 200), model, tile=128)]
    shown = [wavelic.decode(data).astype(int) for data in files]
    slowest, refused = 0.0, [0, 0, 0]
    for turn in range(150):
        which = turn // 3 % 2
        original = files[which]
        if turn % 3 == 0:
            data = mutation(dice, original, files[1 - which])
        elif turn % 3 == 1:
            data = edit_header(dice, original)
        else:
            container, foreign = read_container(original), read_container(files[1 - which])
            chunks = list(container.chunks)
            at = dice.randrange(len(container.tiles))
            chunks[at] = Chunk(DATA, mutation(dice, chunks[at].payload, dice.choice(foreign.tiles)))
            data = write_container(Container(container.header, tuple(chunks)))
        started = time.process_time()
        try:
            pixels = wavelic.decode(data)
        except WavelicError as error:
            refused[turn % 3] += data != original
            assert "\n" not in str(error)  # noqa: PT017
        else:
            header = read_container(data).header
            assert pixels.shape == (header.height, header.width, header.channels)
            if turn % 3 != 1:
                assert np.abs(pixels - shown[which]).max() <= 1
        slowest = max(slowest, time.process_time() - started)
    assert min(refused) > 20
    assert slowest < 2


def test_usage_errors(picture) -> None:
    pixels = picture(20, 20)
    with pytest.raises(UsageError, match="published"):
        encode_image(from_array(pixels), "weconvene", None, Options(published=True))
    with pytest.raises(UsageError, match="device"):
        wavelic.encode(pixels, "weconvene", device="cuda:99")
    data = wavelic.encode(pixels, "weconvene")
    with pytest.raises(UsageError, match="device"):
        wavelic.open(data).read(device="cuda:99")
    with pytest.raises(UsageError, match="region"):
        wavelic.open(data).read(region=(0, 0, 21, 5))


def test_shipped_weights_code_a_picture(picture) -> None:
    """Of whatever training they come: the file is small and its picture is near."""
    (card,) = [card for card in family("weconvene") if card.name == "weconvene"]
    assert Path(card.path).stat().st_size < 35e6
    pixels = picture(128, 256)
    encoding = Encoding(from_array(pixels), load_model(card))
    data = encoding.file(step_of_quality(80))
    assert len(data) < pixels.size / 8
    assert psnr(pixels, wavelic.decode(data)) > 28
