"""Slices at the end of the coding order that hold nothing worth their bits are not coded, and not computed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pictures import image
from weconvene_tiny import CONFIG, STEP, random_subbands, tiny_model

from wavelic.errors import FormatError
from wavelic.weconvene import tiles
from wavelic.weconvene.context import LevelContext
from wavelic.weconvene.layout import BANDS, COLOURS, LEVELS, SLICES, slices_of
from wavelic.weconvene.planes import analyse
from wavelic.weconvene.portable import decode as portable
from wavelic.weconvene.portable.rows import on_all_cores
from wavelic.weconvene.rdoq import RDOQ_LAMBDA
from wavelic.weconvene.tile_reader import Decoded
from wavelic.weconvene.tiles import decode_tiles, encode_tiles
from wavelic.weconvene.weights import Model

ALL = LEVELS * len(slices_of(CONFIG))
Parts = list[torch.Tensor]


@pytest.fixture(scope="module")
def model() -> Model:
    torch.set_num_threads(1)
    return tiny_model()


def subbands(levels_without_chroma: int = 0, blank: bool = False) -> tuple[torch.Tensor, Parts]:
    """Random coefficients of a tile of 128 x 128, U and V zero in the finest levels, or all zero."""
    low, details = random_subbands(128, 128)
    parts = [detail[0].clone() for detail in details]
    for detail in parts[:levels_without_chroma]:
        detail.view(-1, COLOURS, *detail.shape[1:])[:, 1:] = 0
    return (low[0] * 0, [detail * 0 for detail in parts]) if blank else (low[0], parts)


def same(a: Decoded, b: Decoded) -> bool:
    return all(np.array_equal(x, y) for x, y in zip((a.low, *a.details), (b.low, *b.details), strict=True))


def by_numpy(model: Model, data: bytes, size: tuple[int, int] = (2, 2), levels: int = LEVELS) -> Decoded:
    other = portable.make_model(model.tensors(), CONFIG)
    with on_all_cores() as rows:
        return portable.decode_tile(other, data, size, levels, STEP, rows)


def test_colours_of_the_finest_level(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are zero, cost no bits, and no layer is asked about them."""
    ((data, mine),) = encode_tiles(model, *([part] for part in subbands(1)), STEP)  # type: ignore[arg-type]
    assert data[COLOURS] == ALL - 2
    finest = mine.details[0].reshape(-1, COLOURS, *mine.details[0].shape[1:])
    assert not finest[:, 1:].any()
    assert finest[:, 0].any()
    assert mine.details[1].reshape(-1, COLOURS, *mine.details[1].shape[1:])[:, 1:].any()
    asked: list[int] = []
    plain = LevelContext.parameters_of

    def counting(self: LevelContext, index: int, state: torch.Tensor, before: torch.Tensor | None) -> object:
        asked.append(index)
        return plain(self, index, state, before)

    monkeypatch.setattr(LevelContext, "parameters_of", counting)
    (theirs,) = decode_tiles(model, [data], (2, 2), LEVELS, [STEP])
    assert asked == [0, 1, 2, 3, 4] * (LEVELS - 1) + [0, 1, 2]
    assert same(mine, theirs)
    assert same(mine, by_numpy(model, data))


def test_levels_of_a_blank_tile(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """No level is even begun."""
    low, details = subbands(blank=True)
    ((data, mine),) = encode_tiles(model, [low], [details], STEP)
    assert data[COLOURS] == 0
    assert len(data) < 26
    monkeypatch.setattr(LevelContext, "begin", None)
    (theirs,) = decode_tiles(model, [data], (2, 2), LEVELS, [STEP])
    assert same(mine, theirs)
    assert same(mine, by_numpy(model, data))
    assert not any(detail.any() for detail in theirs.details)


@pytest.mark.parametrize("count", range(ALL + 1))
def test_any_number_of_slices(model: Model, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both decoders get the encoder's coefficients: of coded slices what they are with all coded, zeros beyond."""
    low, details = subbands()
    ((_, everything),) = encode_tiles(model, [low], [details], STEP, 0)
    monkeypatch.setattr(tiles, "_worth_coding", lambda *_: count)
    ((data, mine),) = encode_tiles(model, [low], [details], STEP, 0)
    (theirs,) = decode_tiles(model, [data], (2, 2), LEVELS, [STEP])
    assert same(mine, theirs)
    assert same(mine, by_numpy(model, data))
    for level, (found, whole) in enumerate(zip(mine.details, everything.details, strict=True), 1):
        for index, part in enumerate(SLICES):
            coded = (LEVELS - level) * len(SLICES) + index < count
            for colour in part.colours:
                for phase in part.phases:
                    lattice = (slice(colour, BANDS, COLOURS), slice(phase // 2, None, 2), slice(phase % 2, None, 2))
                    assert np.array_equal(found[lattice], whole[lattice] if coded else 0 * whole[lattice])


def test_tiles_with_different_numbers_together(model: Model) -> None:
    made = [subbands(), subbands(1), subbands(blank=True), subbands(2)]
    lows, details = [low for low, _ in made], [parts for _, parts in made]
    together = encode_tiles(model, lows, details, STEP)
    assert len({data[COLOURS] for data, _ in together}) > 2
    decoded = decode_tiles(model, [data for data, _ in together], (2, 2), LEVELS, [STEP])
    for n, (data, mine) in enumerate(together):
        assert data == encode_tiles(model, lows[n : n + 1], details[n : n + 1], STEP)[0][0]
        assert same(mine, decoded[n])
        assert same(mine, decode_tiles(model, [data], (2, 2), LEVELS, [STEP])[0])


@pytest.mark.parametrize("rdoq_lambda", [0.0, RDOQ_LAMBDA])
def test_the_fewest_slices_at_about_the_smallest_cost(rdoq_lambda: float) -> None:
    energy, error, bits = np.array([9.0, 9.0, 0.5, 0.0]), np.array([1.0, 1.0, 0.4, 0.0]), np.array([40.0, 40, 30, 0])
    wanted = 2 if rdoq_lambda else 3  # without a price of bits only what is nothing anyway
    assert tiles._worth_coding(energy, error, bits, rdoq_lambda) == wanted
    assert tiles._worth_coding(0 * energy, 0 * error, bits, rdoq_lambda) == 0
    assert tiles._worth_coding(100 * energy, error, bits, rdoq_lambda) == 3


def test_what_a_photograph_loses_is_next_to_nothing(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """Squared error + lambda * bits rises by at most a thousandth of the bits, and a small overhead."""
    planes = analyse(model, image(128, 256), STEP)
    low, details = planes.low, list(planes.details)

    def cost(data: bytes, decoded: Decoded) -> float:
        error = sum(
            float(((d - torch.from_numpy(v) / 16) ** 2).sum()) for d, v in zip(details, decoded.details, strict=True)
        )
        return error / RDOQ_LAMBDA + 8 * len(data)

    ((cut, mine),) = encode_tiles(model, [low], [details], STEP)
    monkeypatch.setattr(tiles, "_worth_coding", lambda *_: ALL)
    ((whole, everything),) = encode_tiles(model, [low], [details], STEP)
    assert cost(cut, mine) <= cost(whole, everything) + 0.001 * 8 * len(whole) + 32


def test_more_slices_than_there_are(model: Model) -> None:
    ((data, _),) = encode_tiles(model, *([part] for part in subbands()), STEP)  # type: ignore[arg-type]
    for count in (ALL + 1, 255):
        damaged = data[:COLOURS] + bytes([count]) + data[COLOURS + 1 :]
        for decode in (lambda d: decode_tiles(model, [d], (2, 2), LEVELS, [STEP]), lambda d: by_numpy(model, d)):
            with pytest.raises(FormatError, match="starts with"):
                decode(damaged)
